// SPDX-License-Identifier: Apache-2.0
#include "proto.h"

#include <strings.h>

/* Parts of a parameter's name that make its value a secret. */
static const char *const secret[] = {"pass", "pwd", "secret", "token", "auth", "api_key", "apikey",
	"api-key", "access_key", "accesskey", "session", "sid", "signature", "credential", "jwt",
	"code", "otp", "pin"};

static bool is_secret(const char *p, size_t n)
{
	for (unsigned i = 0; i < WR_N(secret); i++) {
		size_t k = strlen(secret[i]);

		/* short words only as the whole name: "pin" is one, "shipping" is none */
		if (k <= 4 && strcmp(secret[i], "pass") && strcmp(secret[i], "auth")) {
			if (n == k && !strncasecmp(p, secret[i], k))
				return true;
			continue;
		}
		for (size_t j = 0; j + k <= n; j++) {
			if (!strncasecmp(p + j, secret[i], k))
				return true;
		}
	}
	return false;
}

void wr_mask_url(struct wr_buf *b, struct wr_str u)
{
	const char *q = u.n ? memchr(u.p, '?', u.n) : NULL, *end = u.p + u.n, *at;
	const char *scheme = u.n ? memmem(u.p, u.n, "://", 3) : NULL;

	/* user:password@ of the absolute form */
	if (scheme && (!q || scheme < q)) {
		const char *host = scheme + 3, *slash = memchr(host, '/', (size_t)(end - host)),
			   *e = slash ? slash : end;

		at = memrchr(host, '@', (size_t)(e - host));
		if (at) {
			wr_buf_put(b, u.p, (size_t)(host - u.p));
			wr_buf_lit(b, "***@");
			u.n -= (size_t)(at + 1 - u.p);
			u.p = at + 1;
		}
	}
	if (!q) {
		wr_buf_str(b, u);
		return;
	}
	wr_buf_put(b, u.p, (size_t)(q + 1 - u.p));
	for (const char *p = q + 1; p < end;) {
		const char *amp = p, *eq;

		while (amp < end && *amp != '&' && *amp != ';')
			amp++;
		eq = memchr(p, '=', (size_t)(amp - p));
		if (eq && is_secret(p, (size_t)(eq - p))) {
			wr_buf_put(b, p, (size_t)(eq + 1 - p));
			wr_buf_lit(b, "***");
		} else {
			wr_buf_put(b, p, (size_t)(amp - p));
		}
		if (amp < end)
			wr_buf_c(b, *amp++);
		p = amp;
	}
}

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$' || (uint8_t)c >= 0x80;
}

/* Behind a quoted literal that begins at @i. */
static size_t quoted(struct wr_str s, size_t i)
{
	char q = s.p[i++];

	while (i < s.n) {
		if (s.p[i] == '\\' && q == '\'' && i + 1 < s.n) {
			i += 2;
		} else if (s.p[i] == q) {
			if (i + 1 < s.n && s.p[i + 1] == q)
				i += 2;
			else
				return i + 1;
		} else {
			i++;
		}
	}
	return i;
}

/* $tag$ ... $tag$ of PostgreSQL; 0 = none begins at @i. */
static size_t dollar(struct wr_str s, size_t i)
{
	size_t j = i + 1, n;
	const char *e;

	if (j < s.n && s.p[j] >= '0' && s.p[j] <= '9')
		return 0; /* a parameter: $1 */
	while (j < s.n && s.p[j] != '$' && word_char(s.p[j]))
		j++;
	if (j >= s.n || s.p[j] != '$')
		return 0;
	n = j + 1 - i;
	e = memmem(s.p + j + 1, s.n - j - 1, s.p + i, n);
	return e ? (size_t)(e - s.p) + n : s.n;
}

void wr_mask_sql(struct wr_buf *b, struct wr_str s, bool dq)
{
	bool blank = false;

	for (size_t i = 0; i < s.n;) {
		char c = s.p[i];
		size_t j = 0;

		if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			blank = b->n > 0;
			i++;
			continue;
		}
		if (c == '-' && i + 1 < s.n && s.p[i + 1] == '-') {
			while (i < s.n && s.p[i] != '\n')
				i++;
			continue;
		}
		if (c == '/' && i + 1 < s.n && s.p[i + 1] == '*') {
			const char *e = memmem(s.p + i + 2, s.n - i - 2, "*/", 2);

			i = e ? (size_t)(e - s.p) + 2 : s.n;
			continue;
		}
		if (blank)
			wr_buf_c(b, ' ');
		blank = false;
		if (c == '\'' || (dq && c == '"')) {
			j = quoted(s, i);
		} else if (c == '$') {
			j = dollar(s, i);
		} else if (c >= '0' && c <= '9') {
			for (j = i; j < s.n && (word_char(s.p[j]) || s.p[j] == '.'); j++)
				;
		}
		if (j) {
			wr_buf_c(b, '?');
			i = j;
		} else if (c == '"' || c == '`') { /* a name */
			j = quoted(s, i);
			wr_buf_put(b, s.p + i, j - i);
			i = j;
		} else if (word_char(c)) {
			for (j = i; j < s.n && word_char(s.p[j]); j++)
				;
			wr_buf_put(b, s.p + i, j - i);
			i = j;
		} else {
			wr_buf_c(b, c);
			i++;
		}
	}
}
