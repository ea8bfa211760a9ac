// SPDX-License-Identifier: Apache-2.0
/* Cassandra's native protocol, versions 3 and 4 (github.com/apache/cassandra, doc/native_protocol_v4.spec). */
#include "../proto.h"

#define KEPT 4096
#define HEAD 9

enum {
	ERROR,
	STARTUP,
	READY,
	AUTHENTICATE,
	OPTIONS = 5,
	SUPPORTED,
	QUERY,
	RESULT,
	PREPARE,
	EXECUTE,
	REGISTER,
	EVENT,
	BATCH,
	AUTH_CHALLENGE,
	AUTH_RESPONSE,
	AUTH_SUCCESS,
	OPCODES
};
static const char *const names[OPCODES] = {"ERROR", "STARTUP", "READY", "AUTHENTICATE", "",
	"OPTIONS", "SUPPORTED", "QUERY", "RESULT", "PREPARE", "EXECUTE", "REGISTER", "EVENT",
	"BATCH", "AUTH_CHALLENGE", "AUTH_RESPONSE", "AUTH_SUCCESS"};

struct cql {
	bool lost[2];
	struct wr_request *large;
};

static bool plausible(const uint8_t *p, unsigned dir)
{
	uint8_t v = p[0] & 127, op = p[4];

	if (p[0] >> 7 != dir || v < 3 || v > 4 || op >= OPCODES || !names[op][0] ||
		wr_be32(p + 5) > 256u << 20 || p[1] > 31)
		return false;
	return dir ? op == ERROR || op == READY || op == AUTHENTICATE || op == SUPPORTED ||
			       op == RESULT || op == EVENT || op == AUTH_CHALLENGE ||
			       op == AUTH_SUCCESS
		   : op == STARTUP || op == OPTIONS || op == QUERY || op == PREPARE ||
			       op == EXECUTE || op == REGISTER || op == BATCH ||
			       op == AUTH_RESPONSE;
}

static void request(struct wr_session *s, const uint8_t *h, struct wr_rd r, uint64_t bytes)
{
	struct wr_request *q = wr_req_new(s, wr_be16(h + 2));
	uint32_t n;

	if (!q)
		return;
	q->request_bytes = bytes;
	if (h[1] & 1) {
		wr_req_detail(q, "compressed", WR_STR("true"));
	} else if (h[4] == QUERY || h[4] == PREPARE) {
		n = wr_rd_be32(&r);
		n = wr_min(n, (uint32_t)wr_rd_left(&r));
		wr_req_sql(s, q, names[h[4]], (struct wr_str){(const char *)r.p, n}, false);
	}
	wr_req_op(q, wr_str(names[h[4]])); /* the frame's name; the verb is in the statement */
	wr_req_detail_u64(q, "version", h[0] & 127);
	wr_req_detail_u64(q, "stream", wr_be16(h + 2));
}

static struct wr_request *response(
	struct wr_session *s, const uint8_t *h, struct wr_rd r, uint64_t bytes)
{
	struct wr_request *q = wr_req_find(s, wr_be16(h + 2));
	char t[16];

	if (!q || h[4] == EVENT)
		return NULL;
	wr_req_answer(s, q, bytes);
	wr_req_detail(q, "reply", wr_str(names[h[4]]));
	q->error = h[4] == ERROR;
	if (h[4] == ERROR && !(h[1] & 1)) {
		uint32_t code = wr_rd_be32(&r);
		uint16_t n = wr_rd_be16(&r);

		snprintf(t, sizeof(t), "0x%04x", code);
		wr_req_status(q, wr_str(t));
		wr_req_detail(q, "error",
			(struct wr_str){(const char *)r.p, wr_min((size_t)n, wr_rd_left(&r))});
	} else {
		wr_req_status(q, h[4] == ERROR ? WR_STR("error") : WR_STR("ok"));
	}
	return q;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct cql *st = wr_state(s);
	struct wr_request *q = NULL;
	uint32_t len, have;

	if (dir && st->large) {
		wr_req_done(s, st->large);
		st->large = NULL;
	}
	if (!b.n)
		return 0;
	if (st->lost[dir]) {
		if (b.n < HEAD || !plausible(b.p, dir))
			return (ssize_t)b.n;
		st->lost[dir] = false;
	}
	if (b.n < HEAD)
		return 0;
	if (!plausible(b.p, dir))
		return -EBADMSG;
	len = wr_be32(b.p + 5);
	have = wr_min(len, (uint32_t)KEPT);
	if (b.n < HEAD + have)
		return 0;
	if (!dir)
		request(s, b.p, wr_rd(b.p + HEAD, have), HEAD + have);
	else
		q = response(s, b.p, wr_rd(b.p + HEAD, have), HEAD + have);
	if (len > have) {
		st->large = q;
		wr_session_skip(s, dir, len - have, dir ? q : wr_req_find(s, wr_be16(b.p + 2)));
	} else if (q) {
		wr_req_done(s, q);
	}
	return HEAD + (ssize_t)have;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	if (b.n < HEAD)
		return (b.p[0] & 127) == 3 || (b.p[0] & 127) == 4 ? WR_PROBE_MORE : WR_PROBE_NO;
	if (!plausible(b.p, dir))
		return WR_PROBE_NO;
	if (!dir && !joined && b.p[4] != STARTUP && b.p[4] != OPTIONS)
		return WR_PROBE_NO;
	return wr_be32(b.p + 5) + HEAD <= b.n ? 75 : 40;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct cql *st = wr_state(s);

	(void)lost;
	st->large = NULL;
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_cassandra = {
	.name = "cassandra",
	.help = "a request frame and the response of its stream",
	.over = WR_TCP,
	.ports = {9042, 9142},
	.state = sizeof(struct cql),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
