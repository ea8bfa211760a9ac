// SPDX-License-Identifier: Apache-2.0
/* WebSocket (RFC 6455) behind HTTP's 101: a message of either end is a record; what it says is not read. */
#include "../proto.h"

enum { CONTINUATION, TEXT, BINARY, CLOSE = 8, PING, PONG };

struct websocket {
	struct {
		struct wr_request *r; /* the message that is under way */
		bool final; /* its last frame is */
	} d[2];
};

static const char *opcode_name(unsigned op)
{
	switch (op) {
	case TEXT:
		return "text";
	case BINARY:
		return "binary";
	case CLOSE:
		return "close";
	case PING:
		return "ping";
	case PONG:
		return "pong";
	}
	return NULL;
}

static void done(struct wr_session *s, struct wr_request *r)
{
	wr_req_status(r, WR_STR("no_response"));
	wr_req_done(s, r);
}

static void count(struct wr_request *r, unsigned dir, uint64_t n)
{
	*(dir ? &r->response_bytes : &r->request_bytes) += n;
}

static struct wr_request *message(struct wr_session *s, unsigned dir, unsigned op, bool compressed)
{
	struct wr_request *r = wr_req_new(s, 0);

	if (!r)
		return NULL;
	wr_req_op(r, wr_str(opcode_name(op)));
	wr_req_resource(r, wr_session_carried(s));
	wr_req_detail(r, "sender", dir ? WR_STR("server") : WR_STR("client"));
	if (compressed)
		wr_req_detail(r, "compressed", WR_STR("true"));
	r->no_request = dir;
	if (dir)
		wr_req_answer(s, r, 0);
	return r;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct websocket *st = wr_state(s);
	struct wr_request *r;
	struct wr_rd rd = wr_rd(b.p, b.n);
	unsigned op;
	uint64_t len;
	bool control;

	if (st->d[dir].r && st->d[dir].final) { /* what was skipped is through */
		done(s, st->d[dir].r);
		st->d[dir].r = NULL;
	}
	r = st->d[dir].r;
	if (b.n < 2)
		return 0;
	op = b.p[0] & 15;
	control = op & 8;
	/* a client masks, a server does not (5.1); control frames are short and whole (5.5) */
	if ((b.p[0] & 0x30) || (op != CONTINUATION && !opcode_name(op)) || (b.p[1] >> 7) != !dir ||
		(control && (!(b.p[0] & 0x80) || (b.p[1] & 127) > 125)))
		return -EBADMSG;
	wr_rd_take(&rd, 2);
	len = b.p[1] & 127;
	if (len == 126)
		len = wr_rd_be16(&rd);
	else if (len == 127)
		len = (uint64_t)wr_rd_be32(&rd) << 32 | wr_rd_be32(&rd);
	if (!dir)
		wr_rd_take(&rd, 4);
	if (control)
		wr_rd_take(&rd, len);
	if (rd.bad)
		return 0;
	/* control frames may stand within a message, another message may not (5.4) */
	if (len >> 63 || (!control && (op == CONTINUATION) != (r != NULL)))
		return -EBADMSG;
	if (control) {
		struct wr_request *c = message(s, dir, op, false);

		if (!c)
			return rd.p - b.p;
		count(c, dir, (uint64_t)(rd.p - b.p));
		if (op == CLOSE && len >= 2) {
			uint8_t code[2] = {rd.p[-(ssize_t)len], rd.p[1 - (ssize_t)len]};
			const uint8_t *mask = rd.p - len - 4;

			for (unsigned i = 0; !dir && i < 2; i++)
				code[i] ^= mask[i];
			wr_req_detail_u64(c, "code", wr_be16(code));
			/* 1000 and 1001 are an end as it should be (7.4.1) */
			c->error = wr_be16(code) > 1001;
		}
		done(s, c);
		return rd.p - b.p;
	}
	if (op != CONTINUATION)
		st->d[dir].r = message(s, dir, op, b.p[0] & 0x40);
	r = st->d[dir].r;
	st->d[dir].final = b.p[0] & 0x80;
	if (r)
		count(r, dir, (uint64_t)(rd.p - b.p));
	if (len)
		wr_session_skip(s, dir, len, r);
	else if (r && st->d[dir].final) {
		done(s, r);
		st->d[dir].r = NULL;
	}
	return rd.p - b.p;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	(void)b;
	(void)dir;
	(void)joined;
	return WR_PROBE_NO; /* only behind an Upgrade */
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct websocket *st = wr_state(s);

	for (unsigned d = 0; d < 2; d++) {
		if (!st->d[d].r)
			continue;
		if (d == dir)
			st->d[d].r->gap += lost;
		wr_req_done(s, st->d[d].r);
		st->d[d].r = NULL;
	}
	return false; /* frames have no mark to find them by */
}

const struct wr_proto wr_proto_websocket = {
	.name = "websocket",
	.help = "a message of either end",
	.over = WR_TCP,
	.state = sizeof(struct websocket),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
