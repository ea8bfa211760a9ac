// SPDX-License-Identifier: Apache-2.0
#include "base.h"

#include <ctype.h>
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

uint64_t wr_seed = 0x9e3779b97f4a7c15ull;
long wr_alloc_fail_at;

int wr_fail(struct wr_err *e, int rc, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return rc;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return rc;
}

bool wr_copy(char *dst, size_t n, struct wr_str s)
{
	size_t k = wr_min(s.n, n - 1);

	if (k)
		memcpy(dst, s.p, k);
	dst[k] = 0;
	return k == s.n;
}

struct wr_str wr_next_token(struct wr_str *rest)
{
	struct wr_str w;

	while (rest->n && (rest->p[0] == ' ' || rest->p[0] == '\t')) {
		rest->p++;
		rest->n--;
	}
	w = (struct wr_str){rest->p, 0};
	while (w.n < rest->n && w.p[w.n] != ' ' && w.p[w.n] != '\t')
		w.n++;
	rest->p += w.n;
	rest->n -= w.n;
	return w;
}

bool wr_next_word(struct wr_str *list, struct wr_str *ret)
{
	while (list->n) {
		const char *comma = memchr(list->p, ',', list->n);
		size_t n = comma ? (size_t)(comma - list->p) : list->n, skip = n + (comma != NULL);

		*ret = (struct wr_str){list->p, n};
		list->p += skip;
		list->n -= skip;
		if (n)
			return true;
	}
	return false;
}

int wr_parse_u64(struct wr_str s, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;
	unsigned base = 10;

	if (s.n > 2 && s.p[0] == '0' && (s.p[1] | 32) == 'x') {
		base = 16;
		i = 2;
	}
	if (i >= s.n)
		return -EINVAL;
	for (; i < s.n; i++) {
		unsigned c = (unsigned char)s.p[i], d;

		if (c >= '0' && c <= '9')
			d = c - '0';
		else if (base == 16 && isxdigit((int)c))
			d = (c | 32) - 'a' + 10;
		else
			return -EINVAL;
		if (v > (UINT64_MAX - d) / base)
			return -ERANGE;
		v = v * base + d;
	}
	*ret = v;
	return 0;
}

/* digits with an optional fraction; @ret_unit is what follows */
static int number_unit(struct wr_str s, double *ret, struct wr_str *ret_unit)
{
	double v = 0, scale = 1;
	size_t i = 0;
	bool dot = false, any = false;

	for (; i < s.n; i++) {
		if (s.p[i] == '.' && !dot) {
			dot = true;
		} else if (s.p[i] >= '0' && s.p[i] <= '9') {
			any = true;
			if (dot) {
				scale /= 10;
				v += (s.p[i] - '0') * scale;
			} else {
				v = v * 10 + (s.p[i] - '0');
			}
		} else {
			break;
		}
	}
	if (!any || v > 1e18)
		return -EINVAL;
	*ret = v;
	*ret_unit = (struct wr_str){s.p + i, s.n - i};
	return 0;
}

int wr_parse_duration(struct wr_str s, uint64_t *ret_ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"", 1e9}, {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 6e10},
		{"min", 6e10}, {"h", 3.6e12}, {"d", 8.64e13}};
	struct wr_str u;
	double v;

	if (number_unit(s, &v, &u))
		return -EINVAL;
	for (size_t i = 0; i < WR_N(units); i++) {
		if (wr_str_eq(u, wr_str(units[i].unit))) {
			if (v * units[i].ns > 9e18)
				return -EINVAL;
			*ret_ns = (uint64_t)(v * units[i].ns + 0.5);
			return 0;
		}
	}
	return -EINVAL;
}

int wr_parse_size(struct wr_str s, uint64_t *ret_bytes)
{
	static const struct {
		const char *unit;
		double n;
	} units[] = {{"", 1}, {"B", 1}, {"k", 1024}, {"K", 1024}, {"KiB", 1024}, {"kB", 1e3},
		{"KB", 1e3}, {"M", 1048576}, {"MiB", 1048576}, {"MB", 1e6}, {"G", 1073741824.},
		{"GiB", 1073741824.}, {"GB", 1e9}, {"T", 1099511627776.}, {"TB", 1e12}};
	struct wr_str u;
	double v;

	if (number_unit(s, &v, &u))
		return -EINVAL;
	for (size_t i = 0; i < WR_N(units); i++) {
		if (wr_str_eq(u, wr_str(units[i].unit))) {
			if (v * units[i].n > 9e18)
				return -EINVAL;
			*ret_bytes = (uint64_t)(v * units[i].n + 0.5);
			return 0;
		}
	}
	return -EINVAL;
}

unsigned wr_distance(struct wr_str a, struct wr_str b, unsigned max)
{
	unsigned row[64];

	if (a.n >= WR_N(row) || b.n >= WR_N(row))
		return max + 1;
	for (unsigned j = 0; j <= b.n; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned diag = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned up = row[j];
			unsigned c = diag + (tolower((unsigned char)a.p[i - 1]) !=
						    tolower((unsigned char)b.p[j - 1]));

			row[j] = wr_min(c, wr_min(up, row[j - 1]) + 1);
			diag = up;
		}
	}
	return row[b.n];
}

uint64_t wr_hash(const void *p, size_t n, uint64_t seed)
{
	const uint8_t *b = p;
	uint64_t h = seed ^ wr_seed ^ n, w;

	for (; n >= 8; n -= 8, b += 8) {
		memcpy(&w, b, 8);
		h = (h ^ w) * 0x9fb21c651e98df25ull;
		h ^= h >> 29;
	}
	if (n) {
		w = 0;
		memcpy(&w, b, n);
		h = (h ^ w) * 0x9fb21c651e98df25ull;
		h ^= h >> 29;
	}
	return wr_hash64(h);
}

void wr_hex(char *t, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		*t++ = "0123456789abcdef"[b[i] >> 4];
		*t++ = "0123456789abcdef"[b[i] & 15];
	}
	*t = 0;
}

void wr_hex16(char t[WR_ID_TEXT], uint64_t v)
{
	for (int i = 15; i >= 0; i--, v >>= 4)
		t[i] = "0123456789abcdef"[v & 15];
	t[16] = 0;
}

int wr_make_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];

	if (!slash || slash == path)
		return 0;
	if (!wr_copy(dir, sizeof(dir), (struct wr_str){path, (size_t)(slash - path)}))
		return -ENAMETOOLONG;
	return mkdir(dir, 0755) && errno != EEXIST ? -errno : 0;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t wr_now(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

int64_t wr_utc_offset(void)
{
	return (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME));
}

char *wr_rfc3339(uint64_t utc_ns, char *buf)
{
	time_t s = (time_t)(utc_ns / 1000000000u);
	struct tm tm;

	if (!gmtime_r(&s, &tm))
		memset(&tm, 0, sizeof(tm));
	snprintf(buf, 31, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ",
		(unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		(unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		(unsigned)tm.tm_sec % 100, (unsigned)(utc_ns % 1000000000u));
	return buf;
}

static bool fails_now(void)
{
	return wr_alloc_fail_at > 0 && --wr_alloc_fail_at == 0;
}

void *wr_alloc(size_t n)
{
	return fails_now() ? NULL : calloc(1, n ? n : 1);
}

void *wr_realloc(void *p, size_t n)
{
	return fails_now() ? NULL : realloc(p, n ? n : 1);
}
