// SPDX-License-Identifier: Apache-2.0
/* HTTP/1.0 and 1.1: RFC 9110, RFC 9112. One record a request; responses pair in order (9112 9.3). */
#include "../body.h"

#include <strings.h>

#define HEAD_MAX 65536

enum phase { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, TRAILER, TO_END, TUNNEL, RESYNC };

/* wr_request.flags */
extern const struct wr_proto wr_proto_websocket;

enum { F_HEAD = 1, F_CONNECT = 2, F_FINAL = 4, F_UPGRADE = 8 };

struct http {
	struct {
		uint8_t phase;
		struct wr_request *r; /* whose message it is */
	} d[2];
};

struct head {
	struct wr_str a, b, c; /* start line */
	uint64_t length;
	bool has_length, chunked, encoded, upgrade, websocket, close;
	struct wr_str host, type, agent, trace, b3, b3_span, coding, content_coding;
	size_t n; /* bytes of it, with the empty line */
	const char *broken; /* the first rule that it breaks; NULL: none */
	struct wr_str where; /* the bytes that do */
};

/* RFC 9110 5.6.2 */
static const bool token_char[256] = {['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
	['0' ... '9'] = true,
	['!'] = true,
	['#' ... '\''] = true,
	['*'] = true,
	['+'] = true,
	['-'] = true,
	['.'] = true,
	['^' ... '`'] = true,
	['|'] = true,
	['~'] = true};

static bool is_version(struct wr_str v)
{
	return v.n == 8 && !memcmp(v.p, "HTTP/1.", 7) && (v.p[7] == '0' || v.p[7] == '1');
}

/* Bytes up to and with the empty line; 0 = not there yet. A bare LF ends a line too (9112 2.2). */
static size_t head_end(struct wr_bytes b)
{
	for (size_t i = 0; i < b.n;) {
		const uint8_t *lf = memchr(b.p + i, '\n', b.n - i);
		size_t at;

		if (!lf)
			return 0;
		at = (size_t)(lf - b.p) + 1;
		if (at < b.n && b.p[at] == '\n')
			return at + 1;
		if (at + 1 < b.n && b.p[at] == '\r' && b.p[at + 1] == '\n')
			return at + 2;
		i = at;
	}
	return 0;
}

static struct wr_str trim(const char *p, const char *e)
{
	while (p < e && (*p == ' ' || *p == '\t'))
		p++;
	while (p < e && (e[-1] == ' ' || e[-1] == '\t' || e[-1] == '\r'))
		e--;
	return (struct wr_str){p, (size_t)(e - p)};
}

static inline __attribute__((always_inline)) bool named(struct wr_str n, const char *lit)
{
	return n.n == strlen(lit) && !strncasecmp(n.p, lit, n.n);
}

/* The last coding decides; any other than chunked and identity ends with the connection. */
static void coding(struct head *h, struct wr_str v)
{
	struct wr_str w;

	while (wr_next_word(&v, &w)) {
		struct wr_str t = trim(w.p, w.p + w.n);

		h->chunked = named(t, "chunked");
		h->encoded = !h->chunked && !named(t, "identity");
	}
}

static void broken(struct head *h, const char *rule, struct wr_str where)
{
	if (h->broken)
		return;
	h->broken = rule;
	h->where = where;
}

/* RFC 9110 5.1, 5.5; RFC 9112 5.1: what one server accepts and another one does not. */
static void check_field(struct head *h, struct wr_str n, struct wr_str v)
{
	bool token = n.n;

	for (size_t i = 0; i < n.n; i++)
		token &= token_char[(uint8_t)n.p[i]];
	if (!token)
		broken(h, "RFC 9110 5.1: a field name that is no token", n);
	for (size_t i = 0; i < v.n; i++) {
		if (((uint8_t)v.p[i] < ' ' && v.p[i] != '\t') || v.p[i] == 127) {
			broken(h, "RFC 9110 5.5: control characters in a field value",
				(struct wr_str){v.p + i, 1});
			break;
		}
	}
}

/* Of all values of a list the same one, and no other one before (RFC 9112 6.3). */
static void check_length(struct head *h, struct wr_str rest, uint64_t before)
{
	static const char rule[] = "RFC 9112 6.3: Content-Length with different values";
	struct wr_str all = rest, w;
	uint64_t n;

	while (wr_next_word(&rest, &w)) {
		w = trim(w.p, w.p + w.n);
		if (wr_parse_u64(w, &n) || n != h->length)
			broken(h, rule, w);
	}
	if (h->has_length && before != h->length)
		broken(h, rule, all);
}

static bool header(struct head *h, struct wr_str n, struct wr_str v)
{
	if (named(n, "content-length")) {
		struct wr_str first = v;
		uint64_t before = h->length;

		wr_next_word(&v, &first); /* a list of equal values is allowed (9112 6.3) */
		first = trim(first.p, first.p + first.n);
		if (!first.n || first.p[0] < '0' || first.p[0] > '9' ||
			wr_parse_u64(first, &h->length)) {
			h->broken = "RFC 9110 8.6: a Content-Length that is no number";
			h->where = first;
			return false;
		}
		check_length(h, v, before);
		h->has_length = true;
	} else if (named(n, "transfer-encoding")) {
		coding(h, v);
		h->coding = v;
	} else if (named(n, "content-encoding")) {
		h->content_coding = v;
	} else if (named(n, "host")) {
		if (h->host.p)
			broken(h, "RFC 9112 3.2: more than one Host field", v);
		h->host = v;
	} else if (named(n, "content-type")) {
		h->type = v;
	} else if (named(n, "user-agent")) {
		h->agent = v;
	} else if (named(n, "upgrade")) {
		h->upgrade = true;
		h->websocket = v.n == 9 && !strncasecmp(v.p, "websocket", 9);
	} else if (named(n, "traceparent")) {
		h->trace = v;
	} else if (named(n, "b3") || named(n, "x-b3-traceid")) {
		h->b3 = v;
	} else if (named(n, "x-b3-spanid")) {
		h->b3_span = v;
	}
	return true;
}

/* 0, or -EBADMSG where this is no head. */
static int parse_head(struct wr_bytes b, size_t n, struct head *h)
{
	const char *p = (const char *)b.p, *end = p + n, *lf = memchr(p, '\n', n), *sp;
	struct wr_str line = trim(p, lf);

	*h = (struct head){.n = n};
	sp = memchr(line.p, ' ', line.n);
	if (!sp)
		return -EBADMSG;
	h->a = (struct wr_str){line.p, (size_t)(sp - line.p)};
	line.n -= h->a.n + 1;
	line.p = sp + 1;
	sp = memchr(line.p, ' ', line.n);
	h->b = (struct wr_str){line.p, sp ? (size_t)(sp - line.p) : line.n};
	if (sp)
		h->c = (struct wr_str){sp + 1, line.n - h->b.n - 1};
	for (p = lf + 1; p < end; p = lf + 1) {
		const char *colon;

		lf = memchr(p, '\n', (size_t)(end - p));
		if (!lf)
			break;
		colon = memchr(p, ':', (size_t)(lf - p));
		if (*p == ' ' || *p == '\t')
			broken(h, "RFC 9112 5.2: a field line that is folded",
				(struct wr_str){p, 1});
		if (!colon)
			continue; /* the empty line, or an obsolete fold (9112 5.2) */
		if (colon > p && (colon[-1] == ' ' || colon[-1] == '\t'))
			broken(h, "RFC 9112 5.1: whitespace between field name and colon",
				(struct wr_str){colon - 1, 1});
		check_field(h, trim(p, colon), trim(colon + 1, lf));
		if (!header(h, trim(p, colon), trim(colon + 1, lf)))
			return -EBADMSG;
	}
	if (h->has_length && (h->chunked || h->encoded))
		broken(h, "RFC 9112 6.1: Content-Length beside Transfer-Encoding", h->coding);
	return 0;
}

static void request_texts(struct wr_session *s, struct wr_request *r, const struct head *h)
{
	wr_req_op(r, h->a);
	wr_req_url(s, r, h->b);
	if (!wr_req_traceparent(r, h->trace))
		wr_req_b3(r, h->b3, h->b3_span);
	wr_req_detail(r, "version", (struct wr_str){h->c.p + 5, h->c.n - 5});
	if (h->host.n)
		wr_req_detail(r, "host", h->host);
	if (h->agent.n)
		wr_req_detail(r, "user_agent", h->agent);
	if (h->type.n)
		wr_req_detail(r, "content_type", h->type);
	wr_body_request(s, r);
}

/* What follows the head of a message. */
static void body(
	struct wr_session *s, unsigned dir, const struct head *h, struct wr_request *r, bool none)
{
	struct http *st = wr_state(s);

	st->d[dir].r = r;
	if (none || (!h->chunked && !h->encoded && h->has_length && !h->length)) {
		st->d[dir].phase = HEAD;
	} else if (h->chunked) {
		st->d[dir].phase = CHUNK_SIZE;
	} else if (h->has_length && !h->encoded) {
		st->d[dir].phase = BODY;
		wr_body_expect(r, dir, h->length);
		wr_session_skip(s, dir, h->length, r);
	} else if (dir || h->encoded) {
		st->d[dir].phase = TO_END;
		wr_body_expect(r, dir, UINT64_MAX);
		wr_session_skip(s, dir, UINT64_MAX, r);
	} else {
		st->d[dir].phase = HEAD; /* a request without a length has no body */
	}
}

static void message_end(struct wr_session *s, unsigned dir)
{
	struct http *st = wr_state(s);
	struct wr_request *r = st->d[dir].r;

	st->d[dir].r = NULL;
	st->d[dir].phase = HEAD;
	if (!r)
		return;
	if (dir && st->d[0].r == r)
		r->flags |= F_FINAL; /* answered before its body was through: it is told then */
	else if (dir || (r->flags & F_FINAL))
		wr_req_done(s, r);
}

static size_t start_line(struct wr_bytes b)
{
	const uint8_t *lf = memchr(b.p, '\n', b.n);

	return lf ? (size_t)(lf - b.p) : b.n;
}

static ssize_t request_head(struct wr_session *s, struct wr_bytes b, size_t n)
{
	struct http *st = wr_state(s);
	struct wr_request *r;
	struct head h;

	if (parse_head(b, n, &h)) {
		wr_session_blame(s, h.broken, h.where);
		return -EBADMSG;
	}
	if (!h.a.n || !h.b.n || !is_version(h.c)) {
		wr_session_blame(s, "RFC 9112 3: a request line without method, target and version",
			(struct wr_str){(const char *)b.p, start_line(b)});
		return -EBADMSG;
	}
	for (size_t i = 0; i < h.a.n; i++) {
		if (token_char[(uint8_t)h.a.p[i]])
			continue;
		wr_session_blame(s, "RFC 9110 9.1: a method that is no token", h.a);
		return -EBADMSG;
	}
	if (!h.host.p && h.c.p[7] == '1')
		broken(&h, "RFC 9112 3.2: a request without a Host field", WR_STR(""));
	if (h.encoded)
		broken(&h,
			"RFC 9112 6.3: Transfer-Encoding of a request that does not end with chunked",
			h.coding);
	if (h.broken)
		wr_session_violation(s, 0, h.broken, h.where);
	r = wr_req_new(s, 0);
	if (r) {
		request_texts(s, r, &h);
		r->request_bytes = n;
		r->flags = (wr_str_eq(h.a, WR_STR("HEAD")) ? F_HEAD : 0) |
			   (wr_str_eq(h.a, WR_STR("CONNECT")) ? F_CONNECT : 0) |
			   (h.upgrade ? F_UPGRADE : 0);
	}
	body(s, 0, &h, r, false);
	if (st->d[0].phase == HEAD)
		st->d[0].r = NULL;
	return (ssize_t)n;
}

/* What the protocol behind an upgrade is told of the request; @whole: its method too. */
static void carry(struct wr_session *s, const struct wr_request *r, bool whole)
{
	char t[512];
	int n = snprintf(t, sizeof(t), "%.*s%s%.*s", whole ? (int)r->op_n : 0, r->text + r->op,
		whole ? " " : "", (int)wr_min(r->resource_n, 400u), r->text + r->resource);

	wr_session_carry(s, (struct wr_str){t, (size_t)n});
}

static ssize_t response_head(struct wr_session *s, struct wr_bytes b, size_t n)
{
	struct http *st = wr_state(s);
	struct wr_request *r = wr_req_oldest(s);
	struct head h;
	uint64_t code;
	bool none;

	if (parse_head(b, n, &h)) {
		wr_session_blame(s, h.broken, h.where);
		return -EBADMSG;
	}
	if (!is_version(h.a) || h.b.n != 3 || wr_parse_u64(h.b, &code) || code < 100) {
		wr_session_blame(s,
			"RFC 9112 4: a status line without version and status of three digits",
			(struct wr_str){(const char *)b.p, start_line(b)});
		return -EBADMSG;
	}
	if (code < 200 && code != 101)
		return (ssize_t)n; /* interim (RFC 9110 15.2): the final one follows */
	if (!r) { /* its request was not seen */
		r = wr_req_new(s, 0);
		if (r)
			r->no_request = true;
	}
	none = code == 204 || code == 304 || code == 101;
	if (r) {
		wr_req_answer(s, r, n);
		wr_req_status(r, h.b);
		r->error = code >= 400;
		none |= (r->flags & F_HEAD) || ((r->flags & F_CONNECT) && code < 300);
		if (h.type.n)
			wr_req_detail(r, "response_type", h.type);
		wr_body_response(s, r, h.type, h.content_coding);
	}
	if (r && (code == 101 || ((r->flags & F_CONNECT) && code < 300))) {
		carry(s, r, !h.websocket && code == 101);
		wr_req_done(s, r);
		st->d[0].r = st->d[1].r = NULL;
		wr_session_switch(s, h.websocket ? &wr_proto_websocket : NULL);
		return (ssize_t)n;
	}
	body(s, 1, &h, r, none);
	if (st->d[1].phase == HEAD)
		message_end(s, 1);
	return (ssize_t)n;
}

/* "1a;ext=x" CRLF; the chunk and its CRLF are skipped in one. */
static ssize_t chunk_size(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct http *st = wr_state(s);
	const uint8_t *lf = memchr(b.p, '\n', wr_min(b.n, (size_t)4096));
	uint64_t v = 0;
	size_t i = 0, n;

	if (!lf)
		return b.n >= 4096 ? -EBADMSG : 0;
	n = (size_t)(lf - b.p) + 1;
	for (; i < n && wr_hex_digit((char)b.p[i]) >= 0 && !(v >> 58); i++)
		v = v * 16 + (uint64_t)wr_hex_digit((char)b.p[i]);
	if (!i || v >> 58) {
		wr_session_blame(s, "RFC 9112 7.1: a chunk size that is no number",
			(struct wr_str){(const char *)b.p, n});
		return -EBADMSG;
	}
	if (st->d[dir].r) {
		if (dir)
			wr_req_answer(s, st->d[dir].r, n);
		else
			st->d[dir].r->request_bytes += n;
	}
	if (v) {
		st->d[dir].phase = CHUNK_DATA;
		wr_body_expect(st->d[dir].r, dir, v);
		wr_session_skip(s, dir, v + 2, st->d[dir].r);
	} else {
		st->d[dir].phase = TRAILER;
	}
	return (ssize_t)n;
}

static ssize_t trailer(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct http *st = wr_state(s);
	const uint8_t *lf = memchr(b.p, '\n', wr_min(b.n, (size_t)HEAD_MAX));
	size_t n;

	if (!lf)
		return b.n >= HEAD_MAX ? -EBADMSG : 0;
	n = (size_t)(lf - b.p) + 1;
	if (st->d[dir].r) {
		if (dir)
			wr_req_answer(s, st->d[dir].r, n);
		else {
			st->d[dir].r->request_bytes += n;
			st->d[dir].r->t_last = wr_ts(s);
		}
	}
	if (n == 1 || (n == 2 && b.p[0] == '\r'))
		message_end(s, dir);
	return (ssize_t)n;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined);

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct http *st = wr_state(s);
	size_t n;

	switch (st->d[dir].phase) {
	case RESYNC: /* after a gap: a message begins where a segment does */
		if (b.n && probe(b, dir, false) != WR_PROBE_NO) {
			st->d[dir].phase = HEAD;
			break;
		}
		return (ssize_t)b.n;
	case BODY:
		message_end(s, dir);
		return 0;
	case CHUNK_DATA:
		st->d[dir].phase = CHUNK_SIZE;
		return b.n ? chunk_size(s, dir, b) : 0;
	case CHUNK_SIZE:
		return chunk_size(s, dir, b);
	case TRAILER:
		return trailer(s, dir, b);
	case TO_END:
	case TUNNEL:
		return (ssize_t)b.n;
	}
	if (b.n && (b.p[0] == '\r' || b.p[0] == '\n')) /* empty lines before a request (9112 2.2) */
		return 1;
	n = b.n ? head_end(b) : 0;
	if (!n) {
		if (b.n > HEAD_MAX || (b.n && probe(b, dir, false) == WR_PROBE_NO))
			return -EBADMSG;
		return 0;
	}
	return dir ? response_head(s, b, n) : request_head(s, b, n);
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	const uint8_t *lf;
	size_t n, i;

	(void)joined;
	while (b.n && (b.p[0] == '\r' || b.p[0] == '\n')) {
		b.p++;
		b.n--;
	}
	if (dir) {
		n = wr_min(b.n, (size_t)7);
		if (memcmp(b.p, "HTTP/1.", n))
			return WR_PROBE_NO;
		return n < 7 ? WR_PROBE_MORE : 80;
	}
	for (i = 0; i < b.n && i < 24 && token_char[b.p[i]]; i++)
		;
	if (i == b.n && i < 24)
		return WR_PROBE_MORE;
	if (!i || b.p[i] != ' ')
		return WR_PROBE_NO;
	lf = memchr(b.p, '\n', b.n);
	if (!lf) {
		for (; i < b.n; i++) {
			if (b.p[i] < 32 && b.p[i] != '\r')
				return WR_PROBE_NO;
		}
		return WR_PROBE_MORE;
	}
	n = (size_t)(lf - b.p);
	if (n && b.p[n - 1] == '\r')
		n--;
	if (n < 14 || !is_version((struct wr_str){(const char *)b.p + n - 8, 8}) ||
		b.p[n - 9] != ' ')
		return WR_PROBE_NO;
	return 90;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct http *st = wr_state(s);

	/* which request a later response belongs to is not known any more: all of them end here */
	if (dir || !lost) {
		wr_req_give_up(s, lost);
		st->d[0].r = NULL;
	} else if (st->d[0].r) {
		st->d[0].r->gap += lost;
	}
	st->d[dir].r = NULL;
	st->d[dir].phase = RESYNC;
	return true;
}

static void finish(struct wr_session *s)
{
	struct http *st = wr_state(s);

	if (st->d[1].phase == TO_END)
		message_end(s, 1);
}

const struct wr_proto wr_proto_http = {
	.name = "http",
	.help = "HTTP/1.0 and 1.1: a request and its final response",
	.over = WR_TCP,
	.fixed_roles = true,
	.ports = {80, 8080, 8000, 8888},
	.state = sizeof(struct http),
	.probe = probe,
	.feed = feed,
	.gap = gap,
	.finish = finish,
};
