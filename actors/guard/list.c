// SPDX-License-Identifier: Apache-2.0
#include "list.h"

#include "../../src/base/buf.h"
#include "../../src/base/ip.h"
#include "../../src/enrich/geo.h"

#include <stdlib.h>
#include <sys/stat.h>

#define MAX_LINES (16u << 20)
#define MAX_BYTES (1ll << 30)

struct net {
	uint32_t addr, bits;
};

static int by_addr(const void *a, const void *b)
{
	const struct net *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* "a.b.c.d" or "a.b.c.d/n" in @n bytes: quicker than the general parser, for a million lines. */
static bool network(const char *s, size_t n, struct net *ret)
{
	uint32_t v[5] = {0, 0, 0, 0, 32};
	unsigned part = 0, digits = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] >= '0' && s[i] <= '9' && digits < 3) {
			v[part] = (digits++ ? v[part] : 0) * 10 + (uint32_t)(s[i] - '0');
		} else if (digits && ((s[i] == '.' && part < 3) || (s[i] == '/' && part == 3))) {
			part++;
			digits = 0;
		} else {
			return false;
		}
	}
	if (part < 3 || !digits || v[0] > 255 || v[1] > 255 || v[2] > 255 || v[3] > 255 ||
		v[4] > 32)
		return false;
	ret->bits = v[4];
	ret->addr = v[0] << 24 | v[1] << 16 | v[2] << 8 | v[3];
	ret->addr &= v[4] ? ~0u << (32 - v[4]) : 0;
	return true;
}

static void whole(struct wr_guard_list *l, const struct net *n)
{
	uint32_t first = n->addr >> 8, count = 1u << (24 - n->bits);

	for (uint32_t i = first; i < first + count; i++)
		l->of[i >> 8].whole[i >> 6 & 3] |= 1ull << (i & 63);
}

/* Networks longer than /24, in order: each /24 that has some gets a block. */
static int in_parts(struct wr_guard_list *l, const struct net *n, size_t count)
{
	uint32_t before = ~0u, part;

	l->part = wr_alloc((count ? count : 1) * sizeof(*l->part));
	if (!l->part)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		uint32_t at = n[i].addr >> 8, last = n[i].addr | ~(~0u << (32 - n[i].bits));

		if (wr_g_listed(&l->of[at >> 8], n[i].addr, &part) == 1)
			continue;
		if (at != before) {
			l->of[at >> 8].part[at >> 6 & 3] |= 1ull << (at & 63);
			l->parts++;
			before = at;
		}
		for (uint32_t a = n[i].addr & 255; a <= (last & 255); a++)
			l->part[l->parts - 1].bit[a >> 6] |= 1ull << (a & 63);
	}
	before = 0;
	for (unsigned i = 0; i < 65536; i++) {
		for (unsigned w = 0; w < 4; w++) {
			l->of[i].rank[w] = before;
			before += wr_g_ones(l->of[i].part[w]);
		}
	}
	return 0;
}

int wr_guard_list_parse(
	const char *name, const char *text, struct wr_guard_list *ret, struct wr_err *e)
{
	struct wr_guard_list l = {.of = wr_alloc(65536 * sizeof(*l.of))};
	size_t n = 0, room = 0;
	struct net *longer = NULL;
	unsigned line = 0;
	int rc = l.of ? 0 : wr_fail(e, -ENOMEM, "no memory for the list");

	for (const char *at = text; *at && !rc;) {
		size_t len = strcspn(at, "\n"), skip = strspn(at, " \t\r"), word;
		struct wr_ip ip;
		struct net net;

		line++;
		word = skip < len ? strcspn(at + skip, " \t\r\n,;#") : 0;
		if (!word) {
			at += len + (at[len] == '\n');
			continue;
		}
		if (!network(at + skip, word, &net)) {
			bool six = !wr_ip_parse((struct wr_str){at + skip, word}, &ip, NULL);

			rc = wr_fail(e, -EINVAL, "%s:%u: '%.*s' is %s", name, line,
				(int)wr_min(word, (size_t)64), at + skip,
				six ? "IPv6; name such networks in a rule"
				    : "no IPv4 address or network");
		} else if (++l.lines > MAX_LINES) {
			rc = wr_fail(e, -EFBIG, "%s: more than %u lines", name, MAX_LINES);
		} else if (net.bits <= 24) {
			whole(&l, &net);
		} else {
			if (n == room) {
				struct net *more =
					realloc(longer, (room ? room * 2 : 4096) * sizeof(*longer));

				if (!more) {
					rc = wr_fail(e, -ENOMEM, "no memory for the list");
					break;
				}
				longer = more;
				room = room ? room * 2 : 4096;
			}
			longer[n++] = net;
		}
		at += len + (at[len] == '\n');
	}
	if (!rc) {
		if (n)
			qsort(longer, n, sizeof(*longer), by_addr);
		rc = in_parts(&l, longer, n);
		if (rc)
			wr_fail(e, rc, "no memory for the list");
	}
	free(longer);
	if (rc)
		wr_guard_list_free(&l);
	else
		*ret = l;
	return rc;
}

int wr_guard_list_places(
	const char *path, struct wr_str of, struct wr_guard_list *ret, struct wr_err *e)
{
	struct wr_buf t = WR_BUF(MAX_BYTES);
	int rc = wr_geo_list(path, of, &t, e);

	wr_buf_c(&t, 0);
	if (!rc && t.cut)
		rc = wr_fail(e, -ENOMEM, "no memory for the list %s", path);
	if (!rc)
		rc = wr_guard_list_parse(path, t.p, ret, e);
	wr_buf_free(&t);
	return rc;
}

int wr_guard_list_read(const char *path, struct wr_guard_list *ret, struct wr_err *e)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char *t = NULL;
	int rc = 0;

	if (!f || fstat(fileno(f), &st))
		rc = wr_fail(e, -errno, "cannot read the list %s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size > MAX_BYTES)
		rc = wr_fail(e, -EINVAL, "the list %s is no file of at most 1 GiB", path);
	if (!rc) {
		t = wr_alloc((size_t)st.st_size + 1);
		if (!t)
			rc = wr_fail(e, -ENOMEM, "no memory for the list %s", path);
		else if (fread(t, 1, (size_t)st.st_size, f) != (size_t)st.st_size)
			rc = wr_fail(e, -EIO, "cannot read the list %s", path);
		else
			rc = wr_guard_list_parse(path, t, ret, e);
	}
	free(t);
	if (f)
		fclose(f);
	return rc;
}

void wr_guard_list_free(struct wr_guard_list *l)
{
	free(l->of);
	free(l->part);
	*l = (struct wr_guard_list){.of = NULL};
}

bool wr_guard_list_has(const struct wr_guard_list *l, uint32_t src)
{
	uint32_t part = 0;
	int is = wr_g_listed(&l->of[src >> 16], src, &part);

	return is == 1 || (is == 2 && l->part[part].bit[src >> 6 & 3] >> (src & 63) & 1);
}
