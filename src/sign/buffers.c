// SPDX-License-Identifier: Apache-2.0
/*
 * Parts of a message: of HTTP/1 (RFC 9112), of a question of DNS (RFC 1035 4.1.2), of a ClientHello (RFC 8446
 * 4.1.2). What cannot be cut out is not there; nothing here judges a message.
 */
#include "sign_priv.h"
#include "../base/rd.h"

#include <ctype.h>
#include <strings.h>

static bool begins(struct wr_bytes b, const char *s)
{
	size_t n = strlen(s);

	return b.n >= n && !memcmp(b.p, s, n);
}

/* The line at the front of @b, without its end; what is behind it in @ret_rest. */
static bool line_of(struct wr_bytes b, struct wr_bytes *ret, struct wr_bytes *ret_rest)
{
	const uint8_t *lf = b.n ? memchr(b.p, '\n', b.n) : NULL;
	size_t n;

	if (!lf)
		return false;
	n = (size_t)(lf - b.p);
	*ret_rest = (struct wr_bytes){lf + 1, b.n - n - 1};
	*ret = (struct wr_bytes){b.p, n && b.p[n - 1] == '\r' ? n - 1 : n};
	return true;
}

/* The URI as servers read it: %41 is A. */
static void decode_uri(struct views *v, struct wr_bytes raw, size_t *used)
{
	uint8_t *to = v->text + *used;
	size_t n = 0, room = sizeof(v->text) - *used;
	bool changed = false;

	for (size_t i = 0; i < raw.n && n < room; i++) {
		int h = raw.p[i] == '%' && i + 2 < raw.n ? wr_hex_digit((char)raw.p[i + 1]) : -1;
		int l = h >= 0 ? wr_hex_digit((char)raw.p[i + 2]) : -1;

		if (l >= 0) {
			to[n++] = (uint8_t)(h << 4 | l);
			i += 2;
			changed = true;
		} else {
			to[n++] = raw.p[i];
		}
	}
	v->v[B_uri] = changed ? (struct wr_bytes){to, n} : raw;
	v->decoded |= changed;
	*used += changed ? n : 0;
}

static void lower(struct views *v, enum buffer b, struct wr_bytes raw, size_t *used)
{
	size_t n = wr_min(raw.n, sizeof(v->text) - *used);

	for (size_t i = 0; i < n; i++)
		v->text[*used + i] = (uint8_t)tolower(raw.p[i]);
	v->v[b] = (struct wr_bytes){v->text + *used, n};
	*used += n;
}

static const struct {
	const char *name;
	uint8_t buffer;
} fields[] = {{"host", B_raw_host}, {"user-agent", B_user_agent}, {"cookie", B_cookie},
	{"set-cookie", B_cookie}, {"referer", B_referer}, {"accept", B_accept},
	{"content-type", B_content_type}, {"server", B_server}, {"location", B_location}};

static void field(struct views *v, struct wr_bytes line, uint64_t *ret_length)
{
	const uint8_t *colon = memchr(line.p, ':', line.n);
	struct wr_bytes value;
	size_t n;

	if (!colon)
		return;
	n = (size_t)(colon - line.p);
	value = (struct wr_bytes){colon + 1, line.n - n - 1};
	while (value.n && (*value.p == ' ' || *value.p == '\t')) {
		value.p++;
		value.n--;
	}
	for (unsigned i = 0; i < WR_N(fields); i++) {
		if (strlen(fields[i].name) == n &&
			!strncasecmp((const char *)line.p, fields[i].name, n))
			v->v[fields[i].buffer] = value;
	}
	if (n == 14 && !strncasecmp((const char *)line.p, "content-length", n) &&
		wr_parse_u64((struct wr_str){(const char *)value.p, value.n}, ret_length))
		*ret_length = UINT64_MAX;
}

/* "GET /x HTTP/1.1": its three words. */
static bool words(struct wr_bytes line, struct wr_bytes ret[3])
{
	const uint8_t *a = memchr(line.p, ' ', line.n), *b;
	size_t n = a ? (size_t)(a - line.p) : 0;

	if (!a || !n)
		return false;
	b = memchr(a + 1, ' ', line.n - n - 1);
	ret[0] = (struct wr_bytes){line.p, n};
	ret[1] = (struct wr_bytes){a + 1, b ? (size_t)(b - a - 1) : line.n - n - 1};
	ret[2] = b ? (struct wr_bytes){b + 1, (size_t)(line.p + line.n - b - 1)}
		   : (struct wr_bytes){line.p + line.n, 0};
	return true;
}

static void http(struct views *v, struct wr_bytes m, unsigned dir)
{
	struct wr_bytes first, line, rest, w[3];
	const uint8_t *head;
	uint64_t length = dir ? UINT64_MAX : 0;
	size_t used = 0;
	bool through = false;

	if (!line_of(m, &first, &rest) || !words(first, w) ||
		!(dir ? begins(w[0], "HTTP/1.") : begins(w[2], "HTTP/1.")))
		return;
	head = rest.p;
	v->v[dir ? B_response_line : B_request_line] = first;
	if (dir) {
		v->v[B_version] = w[0];
		v->v[B_stat_code] = w[1];
		v->v[B_stat_msg] = w[2];
	} else {
		v->v[B_method] = w[0];
		v->v[B_raw_uri] = w[1];
		v->v[B_version] = w[2];
		decode_uri(v, w[1], &used);
	}
	while (line_of(rest, &line, &rest)) {
		if (!line.n) {
			through = true;
			break;
		}
		field(v, line, &length);
	}
	v->v[B_headers] = v->v[B_raw_headers] =
		(struct wr_bytes){head, (size_t)((through ? rest.p : m.p + m.n) - head)};
	if (v->v[B_raw_host].p)
		lower(v, B_host, v->v[B_raw_host], &used);
	if (!through)
		return;
	if (dir) {
		v->v[B_response_body] = v->v[B_file_data] = rest;
		return;
	}
	v->v[B_request_body] = (struct wr_bytes){rest.p, (size_t)wr_min(length, (uint64_t)rest.n)};
	if (length < rest.n)
		v->rest = (struct wr_bytes){rest.p + length, rest.n - length};
}

/* The first question, with dots. */
static void dns(struct views *v, struct wr_bytes m, bool udp)
{
	size_t at = udp ? 12 : 14, n = 0;

	if (m.n < at || !m.p[at - 7])
		return;
	while (at < m.n && m.p[at] && m.p[at] < 64 && at + m.p[at] < m.n && n + m.p[at] + 1 < 256) {
		if (n)
			v->text[n++] = '.';
		for (unsigned i = 1; i <= m.p[at]; i++)
			v->text[n++] = (uint8_t)tolower(m.p[at + i]);
		at += m.p[at] + 1u;
	}
	if (at < m.n && !m.p[at]) {
		v->v[B_query] = (struct wr_bytes){v->text, n};
		v->decoded = true;
	}
}

/* The name in a ClientHello (RFC 6066 3). */
static void tls(struct views *v, struct wr_bytes m)
{
	struct wr_rd r = wr_rd(m.p, m.n);
	size_t used = 0;

	if (m.n < 43 || m.p[1] != 3 || m.p[5] != 1)
		return;
	wr_rd_take(&r, 5 + 4 + 2 + 32);
	wr_rd_take(&r, wr_rd_u8(&r));
	wr_rd_take(&r, wr_rd_be16(&r));
	wr_rd_take(&r, wr_rd_u8(&r));
	wr_rd_be16(&r); /* of all extensions */
	while (!r.bad && wr_rd_left(&r) >= 4) {
		uint16_t type = wr_rd_be16(&r), n = wr_rd_be16(&r);
		const uint8_t *p = wr_rd_take(&r, n);

		if (p && !type && n > 5 && wr_be16(p + 3) + 5u <= n) {
			lower(v, B_sni, (struct wr_bytes){p + 5, wr_be16(p + 3)}, &used);
			return;
		}
	}
}

void views_of(struct views *v, struct wr_bytes m, unsigned dir, bool udp, const char *protocol)
{
	memset(v->v, 0, sizeof(v->v));
	v->rest = (struct wr_bytes){NULL, 0};
	v->decoded = false;
	v->v[B_raw] = m;
	if (!m.n)
		return;
	/* names are those that are asked for: answers repeat them */
	if (protocol && !strcmp(protocol, "dns") && !dir)
		dns(v, m, udp);
	else if (!udp && !dir && m.p[0] == 22)
		tls(v, m);
	else if (!udp)
		http(v, m, dir);
}
