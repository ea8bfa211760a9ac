// SPDX-License-Identifier: Apache-2.0
/* HTTP/2 (RFC 9113) and gRPC on it (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md): a stream, a request. */
#include "../body.h"
#include "../grpc.h"
#include "hpack.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PREFACE_N 24
#define FRAME_MAX                                                                                  \
	(1u << 20) /* larger ones, but for DATA, are no frames; the default limit is 16,384 (4.2) */

enum {
	DATA,
	HEADERS,
	PRIORITY,
	RST_STREAM,
	SETTINGS,
	PUSH_PROMISE,
	PING,
	GOAWAY,
	WINDOW_UPDATE,
	CONTINUATION
};
enum { END_STREAM = 1, END_HEADERS = 4, PADDED = 8, HAS_PRIORITY = 32 };
enum { F_REQUEST_END = 1, F_STATUS = 2 };

struct http2 {
	struct wr_hpack hp[2];
	struct {
		struct wr_buf block; /* HEADERS and its CONTINUATIONs */
		uint32_t stream, promised, end_stream;
		uint32_t data_end; /* stream that ends behind the DATA that is skipped now */
		bool open, preface, lost;
	} d[2];
	bool begun;
};

static void init(struct wr_session *s, struct http2 *st)
{
	if (st->begun)
		return;
	st->begun = true;
	for (unsigned i = 0; i < 2; i++) {
		wr_hpack_init(&st->hp[i], wr_joined(s));
		st->d[i].block = WR_BUF(WR_HPACK_BLOCK);
	}
}

/* What a header block says. */
struct fields {
	struct wr_session *s;
	struct wr_request *r;
	bool response, seen_status, unknown;
	bool has_method, has_path;
	unsigned status;
	char type[48], coding[16]; /* of the response's content */
};

static bool is(struct wr_str s, const char *lit)
{
	return s.n == strlen(lit) && !memcmp(s.p, lit, s.n);
}

static struct wr_str value(const struct wr_hpack_field *f)
{
	return f->value_unknown ? WR_STR("?") : f->value;
}

static void path(struct fields *x, struct wr_str v)
{
	x->has_path = true;
	wr_req_url(x->s, x->r, v);
}

static void field(void *ctx, const struct wr_hpack_field *f)
{
	struct fields *x = ctx;
	struct wr_request *r = x->r;
	struct wr_str v = value(f);
	uint64_t n;

	if (f->name_unknown)
		x->unknown = true;
	if (!r || f->name_unknown)
		return;
	if (x->response) {
		if (is(f->name, ":status") && !wr_parse_u64(v, &n) && n < 1000) {
			x->seen_status = true;
			x->status = (unsigned)n;
		} else if (is(f->name, "grpc-status") && !wr_parse_u64(v, &n)) {
			wr_req_detail_u64(r, "grpc_status", n);
			r->protocol = "grpc";
			r->error |= n != 0;
		} else if (is(f->name, "grpc-message")) {
			wr_req_detail(r, "grpc_message", v);
		} else if (is(f->name, "content-type")) {
			if (v.n >= 16 && !memcmp(v.p, "application/grpc", 16))
				r->protocol = "grpc";
			else
				wr_req_detail(r, "response_type", v);
			snprintf(x->type, sizeof(x->type), "%.*s", (int)v.n, v.p);
		} else if (is(f->name, "content-encoding")) {
			snprintf(x->coding, sizeof(x->coding), "%.*s", (int)v.n, v.p);
		}
		return;
	}
	if (is(f->name, ":method")) {
		x->has_method = true;
		wr_req_op(r, v);
	} else if (is(f->name, ":path")) {
		path(x, v);
	} else if (is(f->name, ":authority")) {
		wr_req_detail(r, "host", v);
	} else if (is(f->name, "content-type")) {
		if (v.n >= 16 && !memcmp(v.p, "application/grpc", 16)) {
			r->protocol = "grpc";
			if (!memmem(v.p, v.n, "-text", 5)) /* gRPC-Web in base64 */
				wr_grpc_begin(r);
		} else {
			wr_req_detail(r, "content_type", v);
		}
	} else if (is(f->name, "user-agent")) {
		wr_req_detail(r, "user_agent", v);
	} else if (is(f->name, "traceparent")) {
		wr_req_traceparent(r, v);
	} else if (is(f->name, "b3") || is(f->name, "x-b3-traceid")) {
		wr_req_b3(r, v, WR_STR(""));
	}
}

/* An END_STREAM of a direction. */
static void stream_end(struct wr_session *s, unsigned dir, uint32_t id)
{
	struct wr_request *r = wr_req_find(s, id);

	if (!r)
		return;
	if (dir)
		wr_req_done(s, r);
	else
		r->flags |= F_REQUEST_END;
}

static struct wr_request *stream_request(struct wr_session *s, uint32_t id, bool response)
{
	struct wr_request *r = wr_req_find(s, id);

	if (r)
		return r;
	r = wr_req_new(s, id);
	if (r) {
		wr_req_detail_u64(r, "stream", id);
		r->no_request = response;
	}
	return r;
}

/* The answer to the HTTP/1.1 request that asked for HTTP/2 (RFC 7540 3.2): "METHOD TARGET", as it left them. */
static void upgraded(struct wr_session *s, struct wr_request *r)
{
	struct wr_str asked = wr_session_carried(s);
	const char *blank = asked.n ? memchr(asked.p, ' ', asked.n) : NULL;

	if (!blank)
		return;
	wr_req_op(r, (struct wr_str){asked.p, (size_t)(blank - asked.p)});
	wr_req_resource(r, (struct wr_str){blank + 1, (size_t)(asked.p + asked.n - blank) - 1});
}

static void headers(struct wr_session *s, struct http2 *st, unsigned dir)
{
	uint32_t id = st->d[dir].promised ? st->d[dir].promised : st->d[dir].stream;
	bool response = dir && !st->d[dir].promised, fresh = !wr_req_find(s, id);
	struct fields x = {.s = s, .response = response, .r = stream_request(s, id, response)};
	struct wr_bytes b = {(const uint8_t *)st->d[dir].block.p, st->d[dir].block.n};
	char t[8];

	st->d[dir].open = false;
	if (st->d[dir].block.cut ||
		(b.n && wr_hpack_decode(&st->hp[dir], b, field, &x) == -EBADMSG)) {
		wr_session_violation(
			s, dir, "RFC 7541: a header block that cannot be decoded", WR_STR(""));
		wr_hpack_lost(&st->hp[dir]);
		x.unknown = true;
	}
	if (!x.r)
		return;
	if (response && fresh && id == 1)
		upgraded(s, x.r);
	if (!response) {
		x.r->request_bytes += b.n + 9;
		x.r->t_last = wr_ts(s);
		if (fresh && !x.has_method && x.unknown)
			wr_req_op(x.r, WR_STR("?"));
		if (fresh && !x.has_path && x.unknown)
			wr_req_resource(x.r, WR_STR("?"));
		if (st->d[dir].promised)
			wr_req_detail(x.r, "pushed", WR_STR("true"));
		if (fresh && !x.r->body)
			wr_body_request(s, x.r);
	} else if (!(x.seen_status && x.status < 200)) { /* not of an interim response (8.1) */
		wr_req_answer(s, x.r, b.n + 9);
		if (x.seen_status) {
			snprintf(t, sizeof(t), "%u", x.status);
			wr_req_status(x.r, wr_str(t));
			x.r->error |= x.status >= 400;
			wr_body_response(s, x.r, wr_str(x.type), wr_str(x.coding));
		}
	}
	if (st->d[dir].end_stream)
		stream_end(s, dir, st->d[dir].stream);
}

static ssize_t header_frame(struct wr_session *s, struct http2 *st, unsigned dir, uint8_t type,
	uint8_t flags, uint32_t id, struct wr_rd r)
{
	unsigned pad = 0;

	if (type != CONTINUATION) {
		pad = flags & PADDED ? wr_rd_u8(&r) : 0;
		if (type == HEADERS && (flags & HAS_PRIORITY))
			wr_rd_take(&r, 5);
		st->d[dir].block.n = 0;
		st->d[dir].block.cut = false;
		st->d[dir].stream = id;
		st->d[dir].promised = type == PUSH_PROMISE ? wr_rd_be32(&r) & 0x7fffffff : 0;
		st->d[dir].end_stream = type == HEADERS && (flags & END_STREAM);
		st->d[dir].open = true;
	}
	if (r.bad || pad > wr_rd_left(&r) || !st->d[dir].open)
		return st->d[dir].open ? -EBADMSG : 0;
	wr_buf_put(&st->d[dir].block, r.p, wr_rd_left(&r) - pad);
	if (flags & END_HEADERS)
		headers(s, st, dir);
	return 0;
}

static void reset(struct wr_session *s, unsigned dir, uint32_t id, uint32_t code)
{
	struct wr_request *r = wr_req_find(s, id);

	if (!r)
		return;
	wr_req_detail_u64(r, "rst_stream", code);
	wr_req_detail(r, "reset_by", dir ? WR_STR("server") : WR_STR("client"));
	if (code)
		r->error = true;
	if (dir && !r->r_first)
		wr_req_answer(s, r, 13);
	wr_req_done(s, r);
}

static bool plausible(const uint8_t *p)
{
	uint32_t len = wr_be32(p) >> 8, id = wr_be32(p + 5);
	uint8_t type = p[3];

	if (type > CONTINUATION || len > 16384 || id >> 31)
		return false;
	switch (type) {
	case DATA:
	case HEADERS:
	case CONTINUATION:
	case PUSH_PROMISE:
		return id != 0;
	case PRIORITY:
		return id && len == 5;
	case RST_STREAM:
		return id && len == 4;
	case SETTINGS:
		return !id && len % 6 == 0;
	case PING:
		return !id && len == 8;
	case GOAWAY:
		return !id && len >= 8;
	default:
		return len == 4;
	}
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct http2 *st = wr_state(s);
	struct wr_request *r;
	uint32_t len, id;
	uint8_t type, flags;

	init(s, st);
	if (st->d[dir].data_end) { /* what was skipped is through */
		id = st->d[dir].data_end;
		st->d[dir].data_end = 0;
		stream_end(s, dir, id);
		return 0;
	}
	if (!b.n)
		return 0;
	if (st->d[dir].lost) {
		if (b.n < 9 || !plausible(b.p))
			return (ssize_t)b.n;
		st->d[dir].lost = false;
	}
	if (!dir && !st->d[0].preface) {
		size_t n = wr_min(b.n, (size_t)PREFACE_N);

		if (!memcmp(b.p, PREFACE, n)) {
			if (n < PREFACE_N)
				return 0;
			st->d[0].preface = true;
			return PREFACE_N;
		}
		if (!wr_joined(s))
			return -EBADMSG;
		st->d[0].preface = true;
	}
	if (b.n < 9)
		return 0;
	len = wr_be32(b.p) >> 8;
	type = b.p[3];
	flags = b.p[4];
	id = wr_be32(b.p + 5) & 0x7fffffff;
	if (len > FRAME_MAX && type != DATA)
		return -EBADMSG;
	if (type == DATA) {
		r = wr_req_find(s, id);
		if (r && dir)
			wr_req_answer(s, r, 0);
		if (flags & END_STREAM)
			st->d[dir].data_end = id;
		/* padding (6.1) has its length in front of the content, which nobody sends */
		wr_body_expect(r, dir, flags & PADDED ? 0 : len);
		wr_session_skip(s, dir, len, r);
		return 9;
	}
	if (type > CONTINUATION) { /* unknown types are ignored (4.1) */
		wr_session_skip(s, dir, len, NULL);
		return 9;
	}
	if (b.n < 9 + len)
		return 0;
	if (type == HEADERS || type == PUSH_PROMISE || type == CONTINUATION) {
		if (header_frame(s, st, dir, type, flags, id, wr_rd(b.p + 9, len)))
			return -EBADMSG;
	} else if (type == RST_STREAM && len == 4) {
		reset(s, dir, id, wr_be32(b.p + 9));
	}
	return 9 + (ssize_t)len;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	size_t n = wr_min(b.n, (size_t)PREFACE_N), at = 0;
	unsigned frames = 0;

	if (!dir && !memcmp(b.p, PREFACE, n))
		return n < PREFACE_N ? WR_PROBE_MORE : 100;
	if (!dir && !joined)
		return WR_PROBE_NO;
	if (b.n < 9)
		return b.p[0] ? WR_PROBE_NO : WR_PROBE_MORE;
	if (dir && b.p[3] == SETTINGS && plausible(b.p))
		return 60;
	if (!joined)
		return WR_PROBE_NO;
	/* in the middle: a chain of frames that ends where the bytes do, with a header block among them */
	while (at + 9 <= b.n) {
		if (!plausible(b.p + at))
			return WR_PROBE_NO;
		if (b.p[at + 3] == HEADERS && (b.p[at + 4] & END_HEADERS))
			frames += 2;
		frames++;
		at += 9 + (wr_be32(b.p + at) >> 8);
	}
	return at == b.n && frames > 2 ? 65 : frames > 2 ? 30 : WR_PROBE_MORE;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct http2 *st = wr_state(s);

	init(s, st);
	wr_hpack_lost(&st->hp[dir]);
	st->d[dir].open = false;
	st->d[dir].data_end = 0;
	st->d[dir].lost = true;
	for (struct wr_request *r = wr_req_oldest(s); r; r = r->next)
		r->gap += lost;
	return true;
}

static void fini(void *state)
{
	struct http2 *st = state;

	for (unsigned i = 0; i < 2; i++) {
		wr_hpack_free(&st->hp[i]);
		wr_buf_free(&st->d[i].block);
	}
}

const struct wr_proto wr_proto_http2 = {
	.name = "http2",
	.help = "a stream of HTTP/2; with the content type of gRPC: a call, its protocol is grpc, with its messages",
	.over = WR_TCP,
	.fixed_roles = false,
	.whole = true,
	.framed = true,
	.ports = {80, 8080, 50051},
	.state = sizeof(struct http2),
	.probe = probe,
	.feed = feed,
	.gap = gap,
	.fini = fini,
};
