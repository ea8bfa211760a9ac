// SPDX-License-Identifier: Apache-2.0
#include "list.h"

#include "../../src/base/buf.h"
#include "../../src/enrich/geo.h"

#include <stdlib.h>
#include <sys/stat.h>

#define MAX_LINES (16u << 20)
#define MAX_BYTES (1ll << 30)

struct net {
	uint32_t addr, bits;
};

struct range {
	wr_u128 from, to;
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
		l->in.of[i >> 8].whole[i >> 6 & 3] |= 1ull << (i & 63);
}

/* Networks longer than /24, in order: each /24 that has some gets a block. */
static int in_parts(struct wr_guard_list *l, const struct net *n, size_t count)
{
	uint32_t before = ~0u, part;

	l->in.part = wr_alloc((count ? count : 1) * sizeof(*l->in.part));
	if (!l->in.part)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		uint32_t at = n[i].addr >> 8, last = n[i].addr | ~(~0u << (32 - n[i].bits));

		if (wr_g_listed(&l->in.of[at >> 8], n[i].addr, &part) == 1)
			continue;
		if (at != before) {
			l->in.of[at >> 8].part[at >> 6 & 3] |= 1ull << (at & 63);
			l->in.parts++;
			before = at;
		}
		for (uint32_t a = n[i].addr & 255; a <= (last & 255); a++)
			l->in.part[l->in.parts - 1].bit[a >> 6] |= 1ull << (a & 63);
	}
	before = 0;
	for (unsigned i = 0; i < 65536; i++) {
		for (unsigned w = 0; w < 4; w++) {
			l->in.of[i].rank[w] = before;
			before += wr_g_ones(l->in.of[i].part[w]);
		}
	}
	return 0;
}

static int by_from(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* The node @at and what is below it, in the order of the addresses; @next: of the @n ranges. */
static void plant(struct wr_g_list *l, uint32_t at, const struct range *r, size_t n, size_t *next)
{
	for (uint32_t i = 0; at < l->sixes; i++) {
		wr_u128 from, to;

		plant(l, at * 5 + 1 + i, r, n, next);
		if (i == 4)
			break;
		from = *next < n ? r[*next].from : ~(wr_u128)0;
		to = r[wr_min(*next, n - 1)].to;
		l->six[at].from[i][0] = (uint64_t)(from >> 64);
		l->six[at].from[i][1] = (uint64_t)from;
		l->six[at].to[i][0] = (uint64_t)(to >> 64);
		l->six[at].to[i][1] = (uint64_t)to;
		++*next;
	}
}

static int in_tree(struct wr_g_list *l, struct range *r, size_t count)
{
	size_t n = 0, next = 0;

	if (!count)
		return 0;
	qsort(r, count, sizeof(*r), by_from);
	for (size_t i = 1; i < count; i++) { /* networks that overlap or touch become one range */
		if (r[n].to == ~(wr_u128)0 || r[i].from <= r[n].to + 1)
			r[n].to = wr_max(r[n].to, r[i].to);
		else
			r[++n] = r[i];
	}
	n++;
	l->sixes = (uint32_t)((n + 3) / 4);
	l->six = wr_alloc(l->sixes * sizeof(*l->six));
	if (!l->six)
		return -ENOMEM;
	plant(l, 0, r, n, &next);
	return 0;
}

static bool network6(const char *s, size_t n, struct range *ret)
{
	struct wr_ip ip, mask;
	wr_u128 free;

	if (wr_ip_parse((struct wr_str){s, n}, &ip, &mask) || wr_ip_is4(&ip))
		return false;
	free = ~wr_ip_number(&mask);
	ret->from = wr_ip_number(&ip);
	ret->to = ret->from | free;
	return !(free & (free + 1)); /* no mask with holes */
}

/* The array @p of @n values of @size with room for one more; NULL: no memory, and it is as it was. */
static void *roomy(void *p, size_t n, size_t *room, size_t size)
{
	size_t want = *room ? *room * 2 : 4096;

	if (n < *room)
		return p;
	p = realloc(p, want * size);
	*room = p ? want : *room;
	return p;
}

/* What has to be sorted before it has its place. */
struct nets {
	struct net *longer; /* than /24 */
	struct range *six;
	size_t n, room, n6, room6;
};

/* One word of a list. -EINVAL: it is no address or network. */
static int take(struct wr_guard_list *l, struct nets *k, const char *s, size_t len)
{
	struct net net;
	struct range range;
	void *p;

	if (!network(s, len, &net)) {
		if (!network6(s, len, &range))
			return -EINVAL;
		p = roomy(k->six, k->n6, &k->room6, sizeof(*k->six));
		if (!p)
			return -ENOMEM;
		k->six = p;
		k->six[k->n6++] = range;
	} else if (net.bits <= 24) {
		whole(l, &net);
	} else {
		p = roomy(k->longer, k->n, &k->room, sizeof(*k->longer));
		if (!p)
			return -ENOMEM;
		k->longer = p;
		k->longer[k->n++] = net;
	}
	return 0;
}

int wr_guard_list_parse(
	const char *name, const char *text, struct wr_guard_list *ret, struct wr_err *e)
{
	struct wr_guard_list l = {.in = {.of = wr_alloc(65536 * sizeof(*l.in.of))}};
	struct nets k = {.n = 0};
	unsigned line = 0;
	int rc = l.in.of ? 0 : -ENOMEM;

	for (const char *at = text; *at && !rc;) {
		size_t len = strcspn(at, "\n"), skip = strspn(at, " \t\r"), word;

		line++;
		word = skip < len ? strcspn(at + skip, " \t\r\n,;#") : 0;
		rc = word ? take(&l, &k, at + skip, word) : 0;
		if (rc == -EINVAL)
			wr_fail(e, rc, "%s:%u: '%.*s' is no IPv4 or IPv6 address or network", name,
				line, (int)wr_min(word, (size_t)64), at + skip);
		if (word && !rc && ++l.lines > MAX_LINES)
			rc = wr_fail(e, -EFBIG, "%s: more than %u lines", name, MAX_LINES);
		at += len + (at[len] == '\n');
	}
	if (!rc) {
		if (k.n)
			qsort(k.longer, k.n, sizeof(*k.longer), by_addr);
		rc = in_parts(&l, k.longer, k.n);
		rc = rc ? rc : in_tree(&l.in, k.six, k.n6);
	}
	free(k.longer);
	free(k.six);
	if (rc == -ENOMEM)
		wr_fail(e, rc, "no memory for the list %s", name);
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
	free(l->in.of);
	free(l->in.part);
	free(l->in.six);
	*l = (struct wr_guard_list){.lines = 0};
}

static bool has6(const struct wr_g_list *l, wr_u128 src)
{
	uint64_t x[2] = {(uint64_t)(src >> 64), (uint64_t)src};
	uint32_t at = 0, last = ~0u;

	for (unsigned i = 0; i < WR_G_LEVELS && at < l->sixes; i++) {
		uint32_t below = wr_g_below(&l->six[at], x[0], x[1]);

		last = below ? at * 4 + below - 1 : last;
		at = at * 5 + 1 + below;
	}
	return last != ~0u &&
	       !wr_g_less(l->six[last / 4].to[last & 3][0], l->six[last / 4].to[last & 3][1], x);
}

bool wr_guard_list_has(const struct wr_guard_list *l, const struct wr_ip *ip)
{
	uint32_t part = 0, src = (uint32_t)wr_ip_number(ip);
	int is;

	if (!wr_ip_is4(ip))
		return has6(&l->in, wr_ip_number(ip));
	is = wr_g_listed(&l->in.of[src >> 16], src, &part);
	return is == 1 || (is == 2 && l->in.part[part].bit[src >> 6 & 3] >> (src & 63) & 1);
}
