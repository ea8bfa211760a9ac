// SPDX-License-Identifier: Apache-2.0
/*
 * MongoDB wire protocol (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/): OP_MSG,
 * OP_COMPRESSED and the old opcodes. A reply names its request; moreToCome makes one-way and exhaust messages.
 */
#include "../proto.h"

#include <zlib.h>
#include <zstd.h>

#define KEPT 16384
#define MESSAGE_MAX (48u << 20) /* maxMessageSizeBytes */

enum {
	OP_REPLY = 1,
	OP_UPDATE = 2001,
	OP_INSERT,
	OP_QUERY = 2004,
	OP_GET_MORE,
	OP_DELETE,
	OP_KILL_CURSORS,
	OP_COMPRESSED = 2012,
	OP_MSG
};
enum { MORE_TO_COME = 2 };

struct mongo {
	bool lost[2];
	struct wr_request *large; /* its reply is being skipped */
};

static uint32_t le32(struct wr_rd *r)
{
	const uint8_t *p = wr_rd_take(r, 4);

	return p ? p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24 : 0;
}

static uint32_t u32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool cstr(struct wr_rd *r, struct wr_str *ret)
{
	const uint8_t *nul = memchr(r->p, 0, wr_rd_left(r));

	if (!nul) {
		r->bad = true;
		return false;
	}
	*ret = (struct wr_str){(const char *)r->p, (size_t)(nul - r->p)};
	r->p = nul + 1;
	return true;
}

struct element {
	uint8_t type;
	struct wr_str name;
	struct wr_bytes value;
};

/* The next element of a BSON document (bsonspec.org); false at its end or where the bytes end. */
static bool next(struct wr_rd *r, struct element *e)
{
	uint32_t n = 0;
	struct wr_str s;

	e->type = wr_rd_u8(r);
	if (!e->type || r->bad || !cstr(r, &e->name))
		return false;
	switch (e->type) {
	case 1:
	case 9:
	case 17:
	case 18:
		n = 8;
		break;
	case 2:
	case 13:
	case 14:
		n = wr_rd_left(r) >= 4 ? 4 + u32(r->p) : 4;
		break;
	case 3:
	case 4:
	case 15:
		n = wr_rd_left(r) >= 4 ? u32(r->p) : 4;
		break;
	case 5:
		n = wr_rd_left(r) >= 4 ? 5 + u32(r->p) : 4;
		break;
	case 7:
		n = 12;
		break;
	case 8:
		n = 1;
		break;
	case 11:
		e->value = (struct wr_bytes){r->p, 0};
		return cstr(r, &s) && cstr(r, &s);
	case 16:
		n = 4;
		break;
	case 19:
		n = 16;
		break;
	case 6:
	case 10:
	case 255:
	case 127:
		break;
	default:
		return false;
	}
	e->value = (struct wr_bytes){wr_rd_take(r, n), n};
	return e->value.p != NULL;
}

static struct wr_str text_of(const struct element *e)
{
	return e->type == 2 && e->value.n > 5
		       ? (struct wr_str){(const char *)e->value.p + 4, e->value.n - 5}
		       : (struct wr_str){NULL, 0};
}

static double number_of(const struct element *e)
{
	int64_t i;
	double d;

	switch (e->type) {
	case 1:
		memcpy(&d, e->value.p, 8);
		return d;
	case 8:
		return *e->value.p;
	case 16:
		return (int32_t)u32(e->value.p);
	case 18:
		memcpy(&i, e->value.p, 8);
		return (double)i;
	}
	return 0;
}

static bool is(struct wr_str s, const char *lit)
{
	return s.n == strlen(lit) && !memcmp(s.p, lit, s.n);
}

/* The first element of a command is its name, the value what it works on. */
static void command(struct wr_request *q, struct wr_rd doc)
{
	struct element e;

	le32(&doc);
	for (unsigned i = 0; i < 64 && next(&doc, &e); i++) {
		struct wr_str t = text_of(&e);

		if (!i) {
			wr_req_op(q, e.name);
			if (t.n)
				wr_req_resource(q, t);
		} else if (is(e.name, "$db")) {
			wr_req_detail(q, "database", t);
		} else if (is(e.name, "collection") && t.n && !q->resource_n) { /* getMore */
			wr_req_resource(q, t);
		}
	}
}

static void result(struct wr_request *q, struct wr_rd doc)
{
	struct wr_str error = {0}, name = {0};
	double ok = 1, code = 0;
	struct element e;
	char t[24];

	le32(&doc);
	for (unsigned i = 0; i < 256 && next(&doc, &e); i++) {
		if (is(e.name, "ok")) {
			ok = number_of(&e);
		} else if (is(e.name, "code")) {
			code = number_of(&e);
		} else if (is(e.name, "errmsg") || is(e.name, "$err")) {
			error = text_of(&e);
			if (is(e.name, "$err"))
				ok = 0;
		} else if (is(e.name, "codeName")) {
			name = text_of(&e);
		} else if (is(e.name, "writeErrors") && e.type == 4) {
			struct wr_rd list = wr_rd(e.value.p, e.value.n);
			struct element first, x;

			le32(&list);
			q->error = true; /* ok: 1, and yet not everything was written */
			if (next(&list, &first) && first.type == 3) {
				struct wr_rd in = wr_rd(first.value.p, first.value.n);

				le32(&in);
				while (next(&in, &x)) {
					if (is(x.name, "code"))
						code = number_of(&x);
					else if (is(x.name, "errmsg"))
						error = text_of(&x);
				}
			}
		} else if (is(e.name, "n") && e.type != 3) {
			wr_req_detail_u64(q, "documents", (uint64_t)wr_max(number_of(&e), 0.0));
		}
	}
	q->error |= ok == 0;
	if (q->error) {
		snprintf(t, sizeof(t), "%.0f", code);
		wr_req_status(q, name.n ? name : code != 0 ? wr_str(t) : WR_STR("error"));
		if (code != 0)
			wr_req_detail(q, "error_code", wr_str(t));
		wr_req_detail(q, "error", error);
	} else {
		wr_req_status(q, WR_STR("ok"));
	}
}

/* Body of the kind-0 section of an OP_MSG. */
static bool body(struct wr_rd *r)
{
	for (unsigned i = 0; i < 16 && wr_rd_left(r); i++) {
		uint8_t kind = wr_rd_u8(r);

		if (!kind)
			return true;
		if (kind != 1 || wr_rd_left(r) < 4 || !wr_rd_take(r, u32(r->p)))
			return false;
	}
	return false;
}

static void old_request(struct wr_session *s, struct wr_request *q, uint32_t op, struct wr_rd r)
{
	static const char *const names[] = {
		"update", "insert", "", "query", "getMore", "delete", "killCursors"};
	struct wr_str c;

	wr_rd_take(&r, 4);
	if (op != OP_KILL_CURSORS && !cstr(&r, &c))
		q->truncated = true;
	else if (op == OP_QUERY && c.n > 5 && !memcmp(c.p + c.n - 5, ".$cmd", 5)) {
		wr_rd_take(&r, 8);
		command(q, r);
		wr_req_detail(q, "database", (struct wr_str){c.p, c.n - 5});
		return;
	} else if (op != OP_KILL_CURSORS) {
		wr_req_resource(q, c);
	}
	wr_req_op(q, wr_str(names[op - OP_UPDATE]));
	if (op != OP_QUERY && op != OP_GET_MORE) {
		wr_req_status(q, WR_STR("no_response"));
		wr_req_done(s, q);
	}
}

/* OP_COMPRESSED: what is inside, as far as @out goes; 0 = a compressor that is not known. */
static size_t inflated(struct wr_rd *r, uint32_t *op, uint8_t *out, size_t max)
{
	uint8_t how;

	*op = le32(r);
	le32(r);
	how = wr_rd_u8(r);
	if (r->bad)
		return 0;
	if (how == 0) {
		size_t n = wr_min(wr_rd_left(r), max);

		memcpy(out, r->p, n);
		return n;
	}
	if (how == 2) {
		z_stream z = {.next_in = (Bytef *)(uintptr_t)r->p,
			.avail_in = (uInt)wr_rd_left(r),
			.next_out = out,
			.avail_out = (uInt)max};

		if (inflateInit(&z) != Z_OK)
			return 0;
		inflate(&z, Z_SYNC_FLUSH);
		inflateEnd(&z);
		return z.total_out;
	}
	if (how == 3) {
		ZSTD_DStream *z = ZSTD_createDStream();
		ZSTD_inBuffer in = {r->p, wr_rd_left(r), 0};
		ZSTD_outBuffer o = {out, max, 0};

		if (z)
			ZSTD_decompressStream(z, &o, &in);
		ZSTD_freeDStream(z);
		return o.pos;
	}
	return 0;
}

static void request(struct wr_session *s, uint32_t id, uint32_t op, struct wr_rd r, uint64_t bytes)
{
	struct wr_request *q = wr_req_new(s, id);
	uint8_t plain[KEPT];
	uint32_t flags;

	if (!q)
		return;
	q->request_bytes = bytes;
	if (op == OP_COMPRESSED) {
		size_t n = inflated(&r, &op, plain, sizeof(plain));

		wr_req_detail(q, "compressed", WR_STR("true"));
		r = wr_rd(plain, n);
		if (!n) {
			wr_req_op(q, WR_STR("?"));
			return;
		}
	}
	if (op != OP_MSG) {
		if (op >= OP_UPDATE && op <= OP_KILL_CURSORS)
			old_request(s, q, op, r);
		return;
	}
	flags = le32(&r);
	if (body(&r))
		command(q, r);
	else
		q->truncated = true;
	if (flags & MORE_TO_COME) {
		wr_req_status(q, WR_STR("no_response"));
		wr_req_done(s, q);
	}
}

/* The request, unless more replies to it come. */
static struct wr_request *reply(
	struct wr_session *s, uint32_t to, uint32_t id, uint32_t op, struct wr_rd r, uint64_t bytes)
{
	struct wr_request *q = wr_req_find(s, to);
	uint8_t plain[KEPT];
	uint32_t flags;

	if (!q)
		return NULL;
	wr_req_answer(s, q, bytes);
	if (op == OP_COMPRESSED) {
		r = wr_rd(plain, inflated(&r, &op, plain, sizeof(plain)));
		if (!wr_rd_left(&r))
			return q; /* what it says is not known */
	}
	flags = le32(&r);
	if (op == OP_REPLY) {
		wr_rd_take(&r, 16);
		if (!r.bad && !q->status_n)
			result(q, r);
		return q;
	}
	if (body(&r) && !q->status_n)
		result(q, r);
	if (flags & MORE_TO_COME) { /* exhaust: the next one names this reply */
		q->key = id;
		q->n++;
		return NULL;
	}
	if (q->n)
		wr_req_detail_u64(q, "replies", q->n + 1);
	return q;
}

static bool plausible(const uint8_t *p, unsigned dir)
{
	uint32_t len = u32(p), op = u32(p + 12);

	if (len < 16 || len > MESSAGE_MAX)
		return false;
	if (dir)
		return op == OP_REPLY || op == OP_MSG || op == OP_COMPRESSED;
	return (op >= OP_UPDATE && op <= OP_KILL_CURSORS && op != 2003) || op == OP_MSG ||
	       op == OP_COMPRESSED;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct mongo *st = wr_state(s);
	struct wr_request *q = NULL;
	uint32_t len, have;

	if (dir && st->large) {
		wr_req_done(s, st->large);
		st->large = NULL;
	}
	if (!b.n)
		return 0;
	if (st->lost[dir]) {
		if (b.n < 16 || !plausible(b.p, dir))
			return (ssize_t)b.n;
		st->lost[dir] = false;
	}
	if (b.n < 16)
		return 0;
	if (!plausible(b.p, dir))
		return -EBADMSG;
	len = u32(b.p);
	have = wr_min(len, (uint32_t)KEPT);
	if (b.n < have)
		return 0;
	if (!dir)
		request(s, u32(b.p + 4), u32(b.p + 12), wr_rd(b.p + 16, have - 16), have);
	else
		q = reply(s, u32(b.p + 8), u32(b.p + 4), u32(b.p + 12), wr_rd(b.p + 16, have - 16),
			have);
	if (len > have) {
		st->large = q;
		wr_session_skip(s, dir, len - have, dir ? q : wr_req_find(s, u32(b.p + 4)));
	} else if (q) {
		wr_req_done(s, q);
	}
	return (ssize_t)have;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	(void)joined;
	if (b.n < 16)
		return b.n < 4 || u32(b.p) >= 16 ? WR_PROBE_MORE : WR_PROBE_NO;
	return plausible(b.p, dir) ? 85 : WR_PROBE_NO;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct mongo *st = wr_state(s);

	(void)lost;
	st->large = NULL;
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_mongodb = {
	.name = "mongodb",
	.help = "a command and its reply; exhaust replies are one; OP_COMPRESSED with zlib and zstd",
	.over = WR_TCP,
	.ports = {27017, 27018, 27019},
	.state = sizeof(struct mongo),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
