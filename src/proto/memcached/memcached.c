// SPDX-License-Identifier: Apache-2.0
/* Memcached (github.com/memcached/memcached, doc/protocol.txt, protocol-binary.txt): text and binary. */
#include "../proto.h"

#include <strings.h>

#define LINE 8192
#define UDP_HEAD 8 /* request id, sequence number, datagrams, reserved */

struct memcached {
	bool binary, decided, in_data[2], lost[2];
	struct wr_request *large;
};

static const char *const opcodes[] = {"get", "set", "add", "replace", "delete", "increment",
	"decrement", "quit", "flush", "getq", "noop", "version", "getk", "getkq", "append",
	"prepend", "stat", "setq", "addq", "replaceq", "deleteq", "incrementq", "decrementq",
	"quitq", "flushq", "appendq", "prependq", "verbosity", "touch", "gat", "gatq", "",
	"sasl_list_mechs", "sasl_auth", "sasl_step"};
static const char *const statuses[] = {"ok", "key_not_found", "key_exists", "value_too_large",
	"invalid_arguments", "not_stored", "delta_badval"};
/* commands of the text form: S takes a value, G answers with values, 1 with one line, 0 not at all */
static const struct {
	const char *name;
	char kind;
} commands[] = {{"get", 'G'}, {"gets", 'G'}, {"gat", 'G'}, {"gats", 'G'}, {"set", 'S'},
	{"add", 'S'}, {"replace", 'S'}, {"append", 'S'}, {"prepend", 'S'}, {"cas", 'S'},
	{"delete", '1'}, {"incr", '1'}, {"decr", '1'}, {"touch", '1'}, {"stats", 'G'},
	{"version", '1'}, {"verbosity", '1'}, {"flush_all", '1'}, {"quit", '0'}, {"mg", 'M'},
	{"ms", 'N'}, {"md", 'M'}, {"ma", 'M'}, {"mn", 'M'}};

static struct wr_str word(struct wr_str *rest)
{
	size_t i = 0, from;
	struct wr_str w;

	while (i < rest->n && rest->p[i] == ' ')
		i++;
	from = i;
	while (i < rest->n && rest->p[i] != ' ')
		i++;
	w = (struct wr_str){rest->p + from, i - from};
	*rest = (struct wr_str){rest->p + i, rest->n - i};
	return w;
}

static bool is(struct wr_str s, const char *lit)
{
	return s.n == strlen(lit) && !memcmp(s.p, lit, s.n);
}

static int command(struct wr_str w)
{
	for (unsigned i = 0; i < WR_N(commands); i++) {
		if (is(w, commands[i].name))
			return (int)i;
	}
	return -1;
}

static ssize_t text_request(struct wr_session *s, struct memcached *st, struct wr_bytes b)
{
	struct wr_request *q;
	struct wr_str l, op, key, w, size = {0};
	size_t n = wr_line(b, LINE, &l);
	uint64_t bytes = 0;
	bool noreply = false;
	unsigned i = 0;
	int c;

	if (!n)
		return b.n >= LINE ? -EBADMSG : 0;
	op = word(&l);
	c = command(op);
	if (c < 0)
		return -EBADMSG;
	key = word(&l);
	for (w = word(&l); w.n; w = word(&l), i++) {
		if ((commands[c].kind == 'S' && i == 2) || (commands[c].kind == 'N' && i == 0))
			size = w;
		noreply = is(w, "noreply");
	}
	q = wr_req_new(s, 0);
	if (q) {
		q->request_bytes = n;
		q->n = (uint64_t)commands[c].kind;
		wr_req_op(q, op);
		if (key.n)
			wr_req_resource(q, key);
	}
	if (commands[c].kind == 'S' || commands[c].kind == 'N') {
		if (wr_parse_u64(size, &bytes) || bytes > 1u << 30)
			return -EBADMSG;
		st->in_data[0] = true;
		wr_session_skip(s, 0, bytes + 2, noreply ? NULL : q);
	}
	if (q && (noreply || commands[c].kind == '0')) {
		q->request_bytes += bytes ? bytes + 2 : 0;
		wr_req_status(q, WR_STR("no_response"));
		wr_req_done(s, q);
	}
	return (ssize_t)n;
}

static void text_done(struct wr_session *s, struct wr_request *q, struct wr_str status, bool error)
{
	if (!q)
		return;
	q->error = error;
	if (!q->status_n)
		wr_req_status(q, status);
	if (q->n == 'G')
		wr_req_detail_u64(q, "hits", q->flags);
	wr_req_done(s, q);
}

static ssize_t text_response(struct wr_session *s, struct memcached *st, struct wr_bytes b)
{
	struct wr_request *q = wr_req_oldest(s);
	struct wr_str l, w, whole;
	size_t n = wr_line(b, LINE, &l);
	uint64_t size;

	if (!n)
		return b.n >= LINE ? -EBADMSG : 0;
	whole = l;
	w = word(&l);
	if (q)
		wr_req_answer(s, q, n);
	if (is(w, "VALUE") || is(w, "VA")) {
		bool meta = is(w, "VA");

		if (!meta) {
			word(&l);
			word(&l);
		}
		if (wr_parse_u64(word(&l), &size) || size > 1u << 30)
			return -EBADMSG;
		if (q)
			q->flags++;
		st->in_data[1] = true;
		if (meta)
			st->large = q;
		wr_session_skip(s, 1, size + 2, q);
	} else if (is(w, "STAT")) {
		if (q)
			q->flags++;
	} else if (is(w, "ERROR") || is(w, "CLIENT_ERROR") || is(w, "SERVER_ERROR")) {
		if (q && whole.n > w.n)
			wr_req_detail(q, "error", whole);
		text_done(s, q, w, true);
	} else if (is(w, "END") || is(w, "OK") || is(w, "VERSION") ||
		   (w.n && w.p[0] >= '0' && w.p[0] <= '9')) {
		text_done(s, q, WR_STR("ok"), false);
	} else {
		text_done(s, q, w, false);
	}
	return (ssize_t)n;
}

static ssize_t binary(struct wr_session *s, struct memcached *st, unsigned dir, struct wr_bytes b)
{
	uint32_t body, opaque;
	uint16_t key_n, status;
	struct wr_request *q;
	uint8_t op, extra;
	uint64_t key;
	char t[16];

	if (b.n < 24)
		return 0;
	op = b.p[1];
	key_n = wr_be16(b.p + 2);
	extra = b.p[4];
	status = wr_be16(b.p + 6);
	body = wr_be32(b.p + 8);
	opaque = wr_be32(b.p + 12);
	if (b.p[0] != (dir ? 0x81 : 0x80) || op >= WR_N(opcodes) || body > 1u << 30 ||
		key_n + extra > body || key_n > 250)
		return -EBADMSG;
	if (b.n < 24u + extra + key_n)
		return 0;
	key = (uint64_t)op << 32 | opaque;
	if (!dir) {
		q = wr_req_new(s, key);
		if (q) {
			q->request_bytes = 24u + extra + key_n;
			wr_req_op(q, wr_str(opcodes[op]));
			if (key_n && !(op >= 32)) /* SASL: no names, no secrets */
				wr_req_resource(
					q, (struct wr_str){(const char *)b.p + 24 + extra, key_n});
		}
	} else {
		q = wr_req_find(s, key);
		if (q) {
			/* quiet ones before it that were not answered went well */
			wr_req_answer(s, q, 24u + extra + key_n);
			q->error = status != 0;
			snprintf(t, sizeof(t), "0x%04x", status);
			wr_req_status(q, wr_str(status < WR_N(statuses) ? statuses[status] : t));
			wr_req_detail_u64(q, "status_code", status);
		}
	}
	if (body > extra + key_n) {
		st->in_data[dir] = true;
		if (dir)
			st->large = q;
		wr_session_skip(s, dir, body - extra - key_n, q);
	} else if (dir && q && !(op == 16 && body)) {
		wr_req_done(s, q);
	}
	return 24 + (ssize_t)extra + key_n;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct memcached *st = wr_state(s);
	ssize_t n;

	if (st->in_data[dir]) {
		st->in_data[dir] = false;
		if (dir && st->large) {
			if (!st->large->status_n)
				wr_req_status(st->large, WR_STR("ok"));
			wr_req_done(s, st->large);
			st->large = NULL;
		}
		if (wr_over(s) == WR_TCP)
			return 0;
	}
	if (!b.n)
		return 0;
	if (wr_over(s) == WR_UDP) {
		if (b.n <= UDP_HEAD)
			return -EBADMSG;
		b.p += UDP_HEAD;
		b.n -= UDP_HEAD;
	}
	if (!st->decided) {
		st->decided = true;
		st->binary = (b.p[0] & 0xfe) == 0x80;
	}
	if (st->lost[dir]) {
		struct wr_str l, w;

		if (st->binary ? b.p[0] != (dir ? 0x81 : 0x80)
			       : !wr_line(b, LINE, &l) || (w = word(&l), !dir && command(w) < 0))
			return (ssize_t)b.n;
		st->lost[dir] = false;
	}
	n = st->binary ? binary(s, st, dir, b)
	    : dir      ? text_response(s, st, b)
		       : text_request(s, st, b);
	if (wr_over(s) == WR_UDP) { /* the value is in the same datagram */
		st->in_data[dir] = false;
		wr_session_skip(s, dir, 0, NULL);
	}
	return n;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	struct wr_str l, w;
	int c;

	(void)joined;
	/* the frame header of UDP: sequence 0 of 1, reserved 0 */
	if (b.n > UDP_HEAD && !memcmp(b.p + 2, "\0\0\0\1\0\0", 6)) {
		b.p += UDP_HEAD;
		b.n -= UDP_HEAD;
	}
	if (b.p[0] == (dir ? 0x81 : 0x80)) {
		if (b.n < 24)
			return WR_PROBE_MORE;
		return b.p[1] < WR_N(opcodes) && b.p[5] == 0 &&
				       wr_be32(b.p + 8) >= wr_be16(b.p + 2) + b.p[4] &&
				       wr_be32(b.p + 8) < 1u << 30 && wr_be16(b.p + 2) <= 250
			       ? 70
			       : WR_PROBE_NO;
	}
	if (b.p[0] < 'A' || b.p[0] > 'z')
		return dir && b.p[0] >= '0' && b.p[0] <= '9' ? 5 : WR_PROBE_NO;
	if (!wr_line(b, LINE, &l))
		return b.n < 300 ? WR_PROBE_MORE : WR_PROBE_NO;
	w = word(&l);
	if (dir)
		return is(w, "VALUE") || is(w, "STORED") || is(w, "NOT_STORED") ||
				       is(w, "DELETED") || is(w, "NOT_FOUND") || is(w, "END") ||
				       is(w, "STAT") || is(w, "EXISTS") || is(w, "TOUCHED") ||
				       is(w, "HD")
			       ? 55
		       : is(w, "OK") || is(w, "VERSION") || is(w, "ERROR") ? 20
									   : WR_PROBE_NO;
	c = command(w);
	if (c < 0)
		return WR_PROBE_NO;
	w = word(&l);
	if (commands[c].kind == 'S') {
		uint64_t v;

		return w.n && w.n <= 250 && !wr_parse_u64(word(&l), &v) && word(&l).n &&
				       !wr_parse_u64(word(&l), &v)
			       ? 75
			       : WR_PROBE_NO;
	}
	return w.n && w.n <= 250 ? 50 : 25;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct memcached *st = wr_state(s);

	wr_req_give_up(s, lost);
	st->large = NULL;
	st->in_data[dir] = false;
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_memcached = {
	.name = "memcached",
	.help = "a command and its response; text, meta and binary form, over UDP too",
	.over = WR_TCP | WR_UDP,
	.whole = true,
	.ports = {11211},
	.state = sizeof(struct memcached),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
