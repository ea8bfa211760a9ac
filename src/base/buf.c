// SPDX-License-Identifier: Apache-2.0
#include "buf.h"

#include <errno.h>

void wr_buf_free(struct wr_buf *b)
{
	if (!b)
		return;
	free(b->p);
	*b = WR_BUF(b->max);
}

bool wr_buf_room(struct wr_buf *b, size_t n)
{
	size_t cap;
	char *p;

	if (b->n + n <= b->cap)
		return true;
	if (b->n + n > b->max)
		goto cut;
	cap = b->cap ? b->cap : 256;
	while (cap < b->n + n)
		cap *= 2;
	cap = wr_min(cap, b->max);
	p = wr_realloc(b->p, cap);
	if (!p)
		goto cut;
	b->p = p;
	b->cap = cap;
	return true;
cut:
	b->cut = true;
	return false;
}

int wr_buf_file(struct wr_buf *b, const char *path)
{
	FILE *f = fopen(path, "re");
	char t[4096];
	size_t n;

	if (!f)
		return -errno;
	while ((n = fread(t, 1, sizeof(t), f)))
		wr_buf_put(b, t, n);
	fclose(f);
	wr_buf_c(b, 0);
	if (b->cut)
		return -E2BIG;
	b->n--;
	return 0;
}

void wr_buf_printf(struct wr_buf *b, const char *fmt, ...)
{
	char t[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t, sizeof(t), fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(t)) {
		wr_buf_put(b, t, (size_t)n);
	} else if (n > 0 && wr_buf_room(b, (size_t)n + 1)) { /* and its end, which is not kept */
		va_start(ap, fmt);
		vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
		va_end(ap);
		b->n += (size_t)n;
	}
}

void wr_buf_u64(struct wr_buf *b, uint64_t v)
{
	char t[20];
	size_t i = sizeof(t);

	do {
		t[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	wr_buf_put(b, t + i, sizeof(t) - i);
}

/* Length of the well-formed UTF-8 sequence at @p (RFC 3629), 0 if there is none. */
static size_t utf8(const uint8_t *p, size_t n)
{
	size_t len = p[0] < 0x80   ? 1
		     : p[0] < 0xc2 ? 0
		     : p[0] < 0xe0 ? 2
		     : p[0] < 0xf0 ? 3
		     : p[0] < 0xf5 ? 4
				   : 0;

	if (!len || len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

void wr_buf_utf8(struct wr_buf *b, struct wr_str s)
{
	const uint8_t *p = (const uint8_t *)(s.n ? s.p : "");
	size_t i = 0, from = 0, len;

	while (i < s.n) {
		len = utf8(p + i, s.n - i);
		if (len) {
			i += len;
			continue;
		}
		wr_buf_put(b, p + from, i - from);
		wr_buf_lit(b, "\xef\xbf\xbd");
		from = ++i;
	}
	wr_buf_put(b, p + from, i - from);
}

bool wr_json_plain(struct wr_str s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	bool odd = false;

	for (size_t i = 0; i < s.n; i++)
		odd |= p[i] < 0x20 || p[i] >= 0x7f || p[i] == '"' || p[i] == '\\';
	return !odd;
}

void wr_buf_json(struct wr_buf *b, struct wr_str s)
{
	const uint8_t *p = (const uint8_t *)(s.n ? s.p : "");
	size_t i = 0, from = 0, len;

	wr_buf_c(b, '"');
	while (i < s.n) {
		if (p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\') {
			i++;
			continue;
		}
		len = utf8(p + i, s.n - i);
		if (len > 1) {
			i += len;
			continue;
		}
		wr_buf_put(b, p + from, i - from);
		if (p[i] == '"' || p[i] == '\\') {
			wr_buf_c(b, '\\');
			wr_buf_c(b, (char)p[i]);
		} else if (p[i] == '\n') {
			wr_buf_lit(b, "\\n");
		} else if (p[i] == '\t') {
			wr_buf_lit(b, "\\t");
		} else if (p[i] == '\r') {
			wr_buf_lit(b, "\\r");
		} else if (len) {
			wr_buf_printf(b, "\\u%04x", p[i]);
		} else {
			wr_buf_lit(b, "\xef\xbf\xbd");
		}
		from = ++i;
	}
	wr_buf_put(b, p + from, i - from);
	wr_buf_c(b, '"');
}

struct wr_str wr_json_text(struct wr_str json, const char *name)
{
	char key[40];
	const char *at, *end;
	int n = snprintf(key, sizeof(key), "\"%s\":\"", name);

	at = json.n ? memmem(json.p, json.n, key, (size_t)n) : NULL;
	if (!at)
		return (struct wr_str){"", 0};
	at += n;
	end = memchr(at, '"', json.n - (size_t)(at - json.p));
	return end ? (struct wr_str){at, (size_t)(end - at)} : (struct wr_str){"", 0};
}

struct wr_str wr_json_member(struct wr_str json, struct wr_str name, char *buf, size_t n)
{
	const char *at = json.p, *end = json.p + json.n;
	char key[72];
	int len = snprintf(key, sizeof(key), "\"%.*s\":", (int)wr_min(name.n, (size_t)64), name.p);
	size_t k = 0;

	at = json.n ? memmem(json.p, json.n, key, (size_t)len) : NULL;
	if (!at)
		return (struct wr_str){"", 0};
	at += len;
	if (at < end && *at != '"') {
		const char *from = at;

		while (at < end && *at != ',' && *at != '}' && *at != '[' && *at != '{')
			at++;
		return (struct wr_str){from, (size_t)(at - from)};
	}
	for (at++; at < end && *at != '"' && k + 1 < n; at++) {
		if (*at != '\\' || at + 1 == end) {
			buf[k++] = *at;
			continue;
		}
		at++;
		buf[k++] = *at == 'n' ? '\n' : *at == 't' ? '\t' : *at == 'u' ? '?' : *at;
		if (*at == 'u')
			at += wr_min((size_t)4, (size_t)(end - at - 1));
	}
	return (struct wr_str){buf, k};
}

size_t wr_buf_text(struct wr_buf *b, struct wr_str s, size_t max)
{
	const uint8_t *p = (const uint8_t *)s.p;
	size_t i = 0, cols = 0;

	while (i < s.n && cols < max) {
		size_t len = utf8(p + i, s.n - i);

		if (!len || p[i] < 0x20 || p[i] == 0x7f ||
			(len == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0)) {
			wr_buf_c(b, '?');
			i += len ? len : 1;
		} else {
			wr_buf_put(b, p + i, len);
			i += len;
		}
		cols++;
	}
	return cols;
}

void wr_buf_csv(struct wr_buf *b, struct wr_str s, bool always)
{
	bool quote = always;

	for (size_t i = 0; i < s.n && !quote; i++)
		quote = s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r';
	if (!quote) {
		wr_buf_str(b, s);
		return;
	}
	wr_buf_c(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			wr_buf_c(b, '"');
		wr_buf_c(b, s.p[i]);
	}
	wr_buf_c(b, '"');
}
