// SPDX-License-Identifier: Apache-2.0
/* MQTT 3.1.1 and 5.0 (OASIS). A PUBLISH of QoS 2 with its PUBREC, PUBREL, PUBCOMP is one exchange. */
#include "../proto.h"

#define KEPT 4096

enum {
	CONNECT = 1,
	CONNACK,
	PUBLISH,
	PUBACK,
	PUBREC,
	PUBREL,
	PUBCOMP,
	SUBSCRIBE,
	SUBACK,
	UNSUBSCRIBE,
	UNSUBACK,
	PINGREQ,
	PINGRESP,
	DISCONNECT,
	AUTH
};
static const char *const names[] = {"", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC",
	"PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ",
	"PINGRESP", "DISCONNECT", "AUTH"};

struct mqtt {
	uint8_t level; /* 5 = properties and reasons */
	bool lost[2];
};

static uint64_t key(unsigned sender, unsigned type, unsigned id)
{
	return (uint64_t)sender << 32 | type << 16 | id;
}

/* Fixed header: bytes of it, 0 = more, -1 = none; @ret_len: what follows. */
static int head(struct wr_bytes b, uint32_t *ret_len)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++) {
		if (b.n < 2 + i)
			return 0;
		v |= (uint32_t)(b.p[1 + i] & 127) << 7 * i;
		if (!(b.p[1 + i] & 128)) {
			*ret_len = v;
			return 2 + (int)i;
		}
	}
	return -1;
}

static struct wr_str string(struct wr_rd *r)
{
	uint16_t n = wr_rd_be16(r);
	const uint8_t *p = wr_rd_take(r, n);

	return (struct wr_str){(const char *)p, p ? n : 0};
}

static void properties(struct mqtt *st, struct wr_rd *r)
{
	uint32_t n = 0;

	if (st->level < 5)
		return;
	for (unsigned i = 0; i < 4; i++) {
		uint8_t c = wr_rd_u8(r);

		n |= (uint32_t)(c & 127) << 7 * i;
		if (!(c & 128))
			break;
	}
	wr_rd_take(r, n);
}

static void silent(struct wr_session *s, struct wr_request *q)
{
	wr_req_status(q, WR_STR("no_response"));
	wr_req_done(s, q);
}

static void asked(struct wr_session *s, struct mqtt *st, unsigned dir, uint8_t first,
	struct wr_rd r, uint64_t bytes)
{
	unsigned type = first >> 4, qos = first >> 1 & 3, id = 0;
	struct wr_str topic = {0};
	struct wr_request *q;
	uint8_t flags;

	if (type == PUBLISH) {
		topic = string(&r);
		id = qos ? wr_rd_be16(&r) : 0;
	} else if (type == SUBSCRIBE || type == UNSUBSCRIBE) {
		id = wr_rd_be16(&r);
		properties(st, &r);
		topic = string(&r);
	}
	q = wr_req_new(s, key(dir, type, id));
	if (!q)
		return;
	q->request_bytes = bytes;
	q->truncated |= r.bad;
	wr_req_op(q, wr_str(names[type]));
	if (topic.n)
		wr_req_resource(q, topic);
	if (dir)
		wr_req_detail(q, "sender", WR_STR("server"));
	switch (type) {
	case PUBLISH:
		wr_req_detail_u64(q, "qos", qos);
		if (!qos)
			silent(s, q);
		break;
	case CONNECT:
		string(&r);
		st->level = wr_rd_u8(&r);
		flags = wr_rd_u8(&r);
		wr_rd_be16(&r);
		properties(st, &r);
		topic = string(&r);
		wr_req_resource(q, topic);
		wr_req_detail(q, "client_id", topic);
		wr_req_detail_u64(q, "protocol_level", st->level);
		if (flags & 4) { /* the will */
			properties(st, &r);
			string(&r);
			string(&r);
		}
		if (flags & 128)
			wr_req_detail(q, "username", string(&r));
		break;
	case DISCONNECT:
	case AUTH:
		silent(s, q);
		break;
	}
}

static void answered(struct wr_session *s, struct mqtt *st, unsigned dir, unsigned type,
	struct wr_rd r, uint32_t len, uint64_t bytes)
{
	static const uint8_t of[] = {[CONNACK] = CONNECT,
		[PUBACK] = PUBLISH,
		[PUBREC] = PUBLISH,
		[PUBCOMP] = PUBLISH,
		[SUBACK] = SUBSCRIBE,
		[UNSUBACK] = UNSUBSCRIBE,
		[PINGRESP] = PINGREQ};
	unsigned id = 0, code = 0;
	struct wr_request *q;
	char t[16];

	if (type == CONNACK) {
		wr_rd_u8(&r);
		code = wr_rd_u8(&r);
	} else if (type != PINGRESP) {
		id = wr_rd_be16(&r);
		if (type == SUBACK || type == UNSUBACK) {
			properties(st, &r);
			code = wr_rd_left(&r) ? wr_rd_u8(&r) : 0;
		} else if (len > 2) {
			code = wr_rd_u8(&r);
		}
	}
	q = wr_req_find(s, key(!dir, of[type], id));
	if (!q)
		return;
	wr_req_answer(s, q, bytes);
	/* below 0x80 a reason means success; CONNACK of 3.1.1: anything but 0 is a refusal */
	q->error = code >= 128 || (type == CONNACK && st->level < 5 && code);
	if (type == PUBREC && !q->error)
		return;
	snprintf(t, sizeof(t), "%u", code);
	wr_req_status(q, q->error ? wr_str(t) : WR_STR("ok"));
	wr_req_detail(q, "reply", wr_str(names[type]));
	wr_req_detail_u64(q, "code", code);
	wr_req_done(s, q);
}

static bool plausible(struct wr_bytes b, unsigned dir)
{
	unsigned type = b.p[0] >> 4, flags = b.p[0] & 15;

	if (!type || (type == PUBLISH ? (flags & 6) == 6
				      : flags != (type == PUBREL || type == SUBSCRIBE ||
									 type == UNSUBSCRIBE
								 ? 2
								 : 0)))
		return false;
	return dir ? type != CONNECT && type != SUBSCRIBE && type != UNSUBSCRIBE && type != PINGREQ
		   : type != CONNACK && type != SUBACK && type != UNSUBACK && type != PINGRESP;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct mqtt *st = wr_state(s);
	uint32_t len, have;
	unsigned type;
	int h;

	if (!b.n)
		return 0;
	if (st->lost[dir]) {
		h = head(b, &len);
		if (!plausible(b, dir) || h <= 0 || (uint32_t)h + len != b.n)
			return (ssize_t)b.n;
		st->lost[dir] = false;
	}
	if (!plausible(b, dir))
		return -EBADMSG;
	h = head(b, &len);
	if (h <= 0)
		return h ? -EBADMSG : 0;
	have = wr_min(len, (uint32_t)KEPT);
	if (b.n < (uint32_t)h + have)
		return 0;
	type = b.p[0] >> 4;
	if (type == CONNECT || type == PUBLISH || type == SUBSCRIBE || type == UNSUBSCRIBE ||
		type == PINGREQ || type == DISCONNECT || type == AUTH)
		asked(s, st, dir, b.p[0], wr_rd(b.p + h, have), (uint32_t)h + len);
	else if (type != PUBREL)
		answered(s, st, dir, type, wr_rd(b.p + h, have), len, (uint32_t)h + len);
	if (len > have)
		wr_session_skip(s, dir, len - have, NULL);
	return h + (ssize_t)have;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	uint32_t len;
	int h = head(b, &len);

	if (!plausible(b, dir) || h < 0)
		return WR_PROBE_NO;
	if (!h)
		return WR_PROBE_MORE;
	if (!dir && b.p[0] >> 4 == CONNECT) {
		if (b.n < (size_t)h + 6)
			return WR_PROBE_MORE;
		return !memcmp(b.p + h, "\0\4MQTT", 6) || !memcmp(b.p + h, "\0\6MQIs", 6)
			       ? 95
			       : WR_PROBE_NO;
	}
	if (dir && b.p[0] >> 4 == CONNACK)
		return len >= 2 && len < 256 ? 50 : WR_PROBE_NO;
	return joined && (uint32_t)h + len == b.n && len < 4096 ? 30 : WR_PROBE_NO;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct mqtt *st = wr_state(s);

	(void)lost;
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_mqtt = {
	.name = "mqtt",
	.help = "CONNECT, PUBLISH, SUBSCRIBE, PINGREQ with what answers them",
	.over = WR_TCP,
	.whole = true,
	.ports = {1883},
	.state = sizeof(struct mqtt),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
