// SPDX-License-Identifier: Apache-2.0
/* NATS client protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol): a record a verb. */
#include "../proto.h"

#include <strings.h>

#define LINE 65536

struct nats {
	bool verbose, in_payload[2], lost[2];
};

/* Verbs of each direction; @sized: which word tells how many bytes follow (from the end). */
static const struct {
	const char *name;
	uint8_t dirs; /* 1: client, 2: server */
	bool payload;
} verbs[] = {{"INFO", 2, false}, {"CONNECT", 1, false}, {"PUB", 1, true}, {"HPUB", 1, true},
	{"SUB", 1, false}, {"UNSUB", 1, false}, {"MSG", 2, true}, {"HMSG", 2, true},
	{"PING", 3, false}, {"PONG", 3, false}, {"+OK", 2, false}, {"-ERR", 2, false}};
enum {
	V_INFO,
	V_CONNECT,
	V_PUB,
	V_HPUB,
	V_SUB,
	V_UNSUB,
	V_MSG,
	V_HMSG,
	V_PING,
	V_PONG,
	V_OK,
	V_ERR
};

static int verb(struct wr_bytes b, unsigned dir, size_t *ret_n)
{
	for (unsigned i = 0; i < WR_N(verbs); i++) {
		size_t n = strlen(verbs[i].name);

		if ((verbs[i].dirs >> dir & 1) && b.n > n &&
			!strncasecmp((const char *)b.p, verbs[i].name, n) &&
			(b.p[n] == ' ' || b.p[n] == '\t' || b.p[n] == '\r' || b.p[n] == '\n')) {
			*ret_n = n;
			return (int)i;
		}
	}
	return -1;
}

static struct wr_str word(struct wr_str *rest)
{
	size_t i = 0, from;
	struct wr_str w;

	while (i < rest->n && (rest->p[i] == ' ' || rest->p[i] == '\t'))
		i++;
	from = i;
	while (i < rest->n && rest->p[i] != ' ' && rest->p[i] != '\t')
		i++;
	w = (struct wr_str){rest->p + from, i - from};
	*rest = (struct wr_str){rest->p + i, rest->n - i};
	return w;
}

static void silent(struct wr_session *s, struct wr_request *q)
{
	wr_req_status(q, WR_STR("no_response"));
	wr_req_done(s, q);
}

/* An answer to the oldest request of the kind @key. */
static void answer(
	struct wr_session *s, uint64_t key, struct wr_str status, bool error, uint64_t bytes)
{
	struct wr_request *q = wr_req_find(s, key);

	if (!q)
		return;
	wr_req_answer(s, q, bytes);
	wr_req_status(q, status);
	q->error = error;
	wr_req_done(s, q);
}

enum { K_VERB = 1, K_PING };

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct nats *st = wr_state(s);
	const uint8_t *lf;
	struct wr_request *q;
	struct wr_str rest, w, last = {0};
	uint64_t size = 0;
	size_t n, k;
	int v;

	if (st->in_payload[dir]) {
		st->in_payload[dir] = false;
		return 0;
	}
	if (!b.n)
		return 0;
	if (st->lost[dir]) {
		if (verb(b, dir, &k) < 0)
			return (ssize_t)b.n;
		st->lost[dir] = false;
	}
	lf = memchr(b.p, '\n', wr_min(b.n, (size_t)LINE));
	if (!lf)
		return b.n >= LINE ? -EBADMSG : 0;
	n = (size_t)(lf - b.p) + 1;
	v = verb(b, dir, &k);
	if (v < 0)
		return -EBADMSG;
	rest = (struct wr_str){(const char *)b.p + k, n - k - 1};
	while (rest.n && rest.p[rest.n - 1] == '\r')
		rest.n--;
	if (v == V_OK || v == V_ERR) {
		w = word(&rest);
		answer(s, K_VERB, v == V_OK ? WR_STR("ok") : WR_STR("error"), v == V_ERR, n);
		return (ssize_t)n;
	}
	if (v == V_PONG && !dir) {
		/* the client answers: nothing is asked */
		q = wr_req_new(s, 0);
		if (q) {
			wr_req_op(q, WR_STR("PONG"));
			silent(s, q);
		}
		return (ssize_t)n;
	}
	if (v == V_PONG) {
		answer(s, K_PING, WR_STR("ok"), false, n);
		return (ssize_t)n;
	}
	if (v == V_INFO || (dir && v == V_PING))
		return (ssize_t)n;
	q = wr_req_new(s, v == V_PING ? K_PING : K_VERB);
	if (q) {
		q->request_bytes = n;
		wr_req_op(q, wr_str(verbs[v].name));
		if (dir)
			wr_req_detail(q, "sender", WR_STR("server"));
	}
	if (v == V_CONNECT) {
		/* the options are JSON, with password and token: only this word is read */
		st->verbose = memmem(rest.p, rest.n, "\"verbose\":true", 14) != NULL;
	} else if (v != V_PING) {
		w = word(&rest);
		if (q)
			wr_req_resource(q, w);
		for (unsigned i = 0; i < 4; i++) {
			w = word(&rest);
			if (!w.n)
				break;
			last = w;
		}
	}
	if (verbs[v].payload) {
		if (wr_parse_u64(last, &size) || size > 1u << 30)
			return -EBADMSG;
		if (q)
			q->request_bytes += size + 2;
		st->in_payload[dir] = true;
		wr_session_skip(s, dir, size + 2, NULL);
	}
	if (q && v != V_PING && (!st->verbose || dir))
		silent(s, q);
	return (ssize_t)n;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	size_t n;
	int v;

	(void)joined;
	if (b.n < 6)
		return b.p[0] >= '+' && b.p[0] <= 'z' ? WR_PROBE_MORE : WR_PROBE_NO;
	v = verb(b, dir, &n);
	switch (v) {
	case V_INFO:
		return memmem(b.p, wr_min(b.n, (size_t)64), "{\"server", 8) ? 95 : WR_PROBE_NO;
	case V_CONNECT:
		return b.p[8] == '{' ? 90 : WR_PROBE_NO;
	case V_PUB:
	case V_HPUB:
	case V_SUB:
	case V_MSG:
	case V_HMSG:
		return 50;
	case V_PING:
	case V_PONG:
		return 15;
	}
	return v < 0 ? WR_PROBE_NO : 10;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct nats *st = wr_state(s);

	(void)lost;
	st->in_payload[dir] = false;
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_nats = {
	.name = "nats",
	.help = "each verb that a client sends, each message that it gets",
	.over = WR_TCP,
	.whole = true,
	.ports = {4222},
	.state = sizeof(struct nats),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
