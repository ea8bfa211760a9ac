// SPDX-License-Identifier: Apache-2.0
/* AMQP 0-9-1 (https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf): a method that the client sends. */
#include "../proto.h"

#define KEPT 4096

static const struct method {
	uint16_t class, id;
	const char *name;
	int8_t nowait; /* bit of the flags, -1 = there is none */
	uint8_t skip; /* short strings in front of the flags */
	char answer; /* 'y': one comes; 'n': none; 'r': is one itself */
} methods[] = {{10, 10, "connection.start", -1, 0, 'n'},
	{10, 11, "connection.start-ok", -1, 0, 'r'}, {10, 20, "connection.secure", -1, 0, 'n'},
	{10, 21, "connection.secure-ok", -1, 0, 'r'}, {10, 30, "connection.tune", -1, 0, 'n'},
	{10, 31, "connection.tune-ok", -1, 0, 'r'}, {10, 40, "connection.open", -1, 0, 'y'},
	{10, 41, "connection.open-ok", -1, 0, 'r'}, {10, 50, "connection.close", -1, 0, 'y'},
	{10, 51, "connection.close-ok", -1, 0, 'r'}, {20, 10, "channel.open", -1, 0, 'y'},
	{20, 11, "channel.open-ok", -1, 0, 'r'}, {20, 20, "channel.flow", -1, 0, 'y'},
	{20, 21, "channel.flow-ok", -1, 0, 'r'}, {20, 40, "channel.close", -1, 0, 'y'},
	{20, 41, "channel.close-ok", -1, 0, 'r'}, {40, 10, "exchange.declare", 4, 2, 'y'},
	{40, 11, "exchange.declare-ok", -1, 0, 'r'}, {40, 20, "exchange.delete", 1, 1, 'y'},
	{40, 21, "exchange.delete-ok", -1, 0, 'r'}, {40, 30, "exchange.bind", 0, 3, 'y'},
	{40, 31, "exchange.bind-ok", -1, 0, 'r'}, {40, 40, "exchange.unbind", 0, 3, 'y'},
	{40, 51, "exchange.unbind-ok", -1, 0, 'r'}, {50, 10, "queue.declare", 4, 1, 'y'},
	{50, 11, "queue.declare-ok", -1, 0, 'r'}, {50, 20, "queue.bind", 0, 3, 'y'},
	{50, 21, "queue.bind-ok", -1, 0, 'r'}, {50, 30, "queue.purge", 0, 1, 'y'},
	{50, 31, "queue.purge-ok", -1, 0, 'r'}, {50, 40, "queue.delete", 2, 1, 'y'},
	{50, 41, "queue.delete-ok", -1, 0, 'r'}, {50, 50, "queue.unbind", -1, 3, 'y'},
	{50, 51, "queue.unbind-ok", -1, 0, 'r'}, {60, 10, "basic.qos", -1, 0, 'y'},
	{60, 11, "basic.qos-ok", -1, 0, 'r'}, {60, 20, "basic.consume", 3, 2, 'y'},
	{60, 21, "basic.consume-ok", -1, 0, 'r'}, {60, 30, "basic.cancel", 0, 1, 'y'},
	{60, 31, "basic.cancel-ok", -1, 0, 'r'}, {60, 40, "basic.publish", -1, 2, 'n'},
	{60, 50, "basic.return", -1, 0, 'n'}, {60, 60, "basic.deliver", -1, 0, 'n'},
	{60, 70, "basic.get", -1, 1, 'y'}, {60, 71, "basic.get-ok", -1, 0, 'r'},
	{60, 72, "basic.get-empty", -1, 0, 'r'}, {60, 80, "basic.ack", -1, 0, 'n'},
	{60, 90, "basic.reject", -1, 0, 'n'}, {60, 100, "basic.recover-async", -1, 0, 'n'},
	{60, 110, "basic.recover", -1, 0, 'y'}, {60, 111, "basic.recover-ok", -1, 0, 'r'},
	{60, 120, "basic.nack", -1, 0, 'n'}, {85, 10, "confirm.select", 0, 0, 'y'},
	{85, 11, "confirm.select-ok", -1, 0, 'r'}, {90, 10, "tx.select", -1, 0, 'y'},
	{90, 11, "tx.select-ok", -1, 0, 'r'}, {90, 20, "tx.commit", -1, 0, 'y'},
	{90, 21, "tx.commit-ok", -1, 0, 'r'}, {90, 30, "tx.rollback", -1, 0, 'y'},
	{90, 31, "tx.rollback-ok", -1, 0, 'r'}};

struct amqp {
	bool begun, lost[2];
};

static const struct method *method(uint16_t class, uint16_t id)
{
	for (unsigned i = 0; i < WR_N(methods); i++) {
		if (methods[i].class == class && methods[i].id == id)
			return &methods[i];
	}
	return NULL;
}

static struct wr_str shortstr(struct wr_rd *r)
{
	uint8_t n = wr_rd_u8(r);
	const uint8_t *p = wr_rd_take(r, n);

	return (struct wr_str){(const char *)p, p ? n : 0};
}

static void silent(struct wr_session *s, struct wr_request *q)
{
	wr_req_status(q, WR_STR("no_response"));
	wr_req_done(s, q);
}

static void sent(struct wr_session *s, uint16_t channel, const struct method *m, struct wr_rd r,
	uint64_t bytes)
{
	struct wr_request *q;
	struct wr_str a[3] = {{0}};
	uint8_t flags;

	if (m->answer == 'r')
		return;
	q = wr_req_new(s, channel);
	if (!q)
		return;
	q->request_bytes = bytes;
	q->n = (uint64_t)m->class << 16 | m->id;
	wr_req_op(q, wr_str(m->name));
	wr_req_detail_u64(q, "channel", channel);
	if (m->class >= 40 && m->class <= 60 && m->skip) {
		wr_rd_be16(&r); /* reserved */
		for (unsigned i = 0; i < m->skip && i < 3; i++)
			a[i] = shortstr(&r);
		flags = wr_rd_u8(&r);
		if (m->class == 60 && m->id == 40) { /* publish: exchange, routing key */
			wr_req_resource(q, a[1].n ? a[1] : a[0]);
			if (a[0].n)
				wr_req_detail(q, "exchange", a[0]);
			if (a[1].n)
				wr_req_detail(q, "routing_key", a[1]);
		} else {
			wr_req_resource(q, a[0]);
			wr_req_detail(q, m->class == 40 ? "exchange" : "queue", a[0]);
			if (m->class == 50 && m->skip == 3)
				wr_req_detail(q, "exchange", a[1]);
		}
		if (m->nowait >= 0 && !r.bad && (flags >> m->nowait & 1)) {
			silent(s, q);
			return;
		}
	} else if (m->class == 85) {
		if (wr_rd_u8(&r) & 1) {
			silent(s, q);
			return;
		}
	}
	if (m->answer == 'n')
		silent(s, q);
}

static void received(struct wr_session *s, uint16_t channel, const struct method *m, struct wr_rd r,
	uint64_t bytes)
{
	struct wr_request *q = wr_req_find(s, channel);
	char t[8];

	if ((m->class == 20 && m->id == 40) || (m->class == 10 && m->id == 50)) {
		/* the server closes instead of an answer: that is the error */
		uint16_t code = wr_rd_be16(&r);
		struct wr_str why = shortstr(&r);

		if (m->class == 10)
			q = q ? q : wr_req_oldest(s);
		if (!q)
			return;
		snprintf(t, sizeof(t), "%u", code);
		wr_req_answer(s, q, bytes);
		q->error = true;
		wr_req_status(q, wr_str(t));
		wr_req_detail(q, "error", why);
		wr_req_done(s, q);
		return;
	}
	if (!q || m->answer != 'r' || m->class != q->n >> 16)
		return;
	wr_req_answer(s, q, bytes);
	wr_req_status(q, WR_STR("ok"));
	wr_req_detail(q, "reply", wr_str(m->name));
	wr_req_done(s, q);
}

static bool plausible(const uint8_t *p)
{
	return (p[0] == 1 || p[0] == 2 || p[0] == 3 || p[0] == 8) && wr_be32(p + 3) < 1u << 27;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct amqp *st = wr_state(s);
	const struct method *m;
	uint32_t len;

	if (!b.n)
		return 0;
	if (!dir && !st->begun) {
		st->begun = true;
		if (b.n < 8 && b.p[0] == 'A') {
			st->begun = false;
			return 0;
		}
		if (!memcmp(b.p, "AMQP", wr_min(b.n, (size_t)4)))
			return 8;
	}
	if (st->lost[dir]) {
		if (b.n < 8 || !plausible(b.p) ||
			(b.p[0] == 1 && !method(wr_be16(b.p + 7), b.n > 10 ? wr_be16(b.p + 9) : 0)))
			return (ssize_t)b.n;
		st->lost[dir] = false;
	}
	if (b.n < 7)
		return 0;
	if (dir && b.p[0] == 'A') { /* the server wants another version */
		wr_session_violation(
			s, 0, "AMQP 0-9-1 4.2.2: a version that the server refuses", WR_STR(""));
		return (ssize_t)b.n;
	}
	if (!plausible(b.p))
		return -EBADMSG;
	len = wr_be32(b.p + 3);
	if (b.p[0] != 1 || len > KEPT * 4) { /* content, heartbeats: not read */
		wr_session_skip(s, dir, len + 1, NULL);
		return 7;
	}
	if (b.n < 8 + len)
		return 0;
	if (b.p[7 + len] != 0xce)
		return -EBADMSG;
	m = len >= 4 ? method(wr_be16(b.p + 7), wr_be16(b.p + 9)) : NULL;
	if (m && !dir)
		sent(s, wr_be16(b.p + 1), m, wr_rd(b.p + 11, len - 4), 8 + len);
	else if (m)
		received(s, wr_be16(b.p + 1), m, wr_rd(b.p + 11, len - 4), 8 + len);
	return 8 + (ssize_t)len;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	if (!dir && !memcmp(b.p, "AMQP\0\0\x9\1", wr_min(b.n, (size_t)8)))
		return b.n < 8 ? WR_PROBE_MORE : 100;
	if (b.n < 11)
		return plausible(b.p) && b.p[0] != 8 ? WR_PROBE_MORE : WR_PROBE_NO;
	if (!plausible(b.p) || b.p[0] != 1 || !method(wr_be16(b.p + 7), wr_be16(b.p + 9)))
		return WR_PROBE_NO;
	return dir || joined ? 60 : WR_PROBE_NO;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct amqp *st = wr_state(s);

	(void)lost;
	st->begun = true;
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_amqp = {
	.name = "amqp",
	.help = "a method of the client and its answer; channel.close instead of one is the error",
	.over = WR_TCP,
	.whole = true,
	.ports = {5672},
	.state = sizeof(struct amqp),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
