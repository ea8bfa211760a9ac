// SPDX-License-Identifier: Apache-2.0
/* SMTP (RFC 5321): a command and its final reply; of a message only its size. */
#include "../proto.h"

#define LINE 4096

static const char *const verbs[] = {"HELO", "EHLO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET",
	"VRFY", "EXPN", "HELP", "NOOP", "QUIT", "AUTH", "STARTTLS", "ETRN", "XCLIENT"};

enum { COMMANDS, AUTH, DATA };

struct smtp {
	uint8_t phase; /* of the client's direction */
	struct wr_request *data; /* whose message passes */
	bool lost[2];
};

static const char *verb(struct wr_str l)
{
	return wr_verb(verbs, WR_N(verbs), l);
}

static bool is(const struct wr_request *r, const char *v)
{
	return r->op_n == strlen(v) && !memcmp(r->text + r->op, v, r->op_n);
}

/* "FROM:<a@b> SIZE=1" -> "a@b" */
static struct wr_str path(struct wr_str l)
{
	const char *a = memchr(l.p, '<', l.n),
		   *z = a ? memchr(a, '>', (size_t)(l.p + l.n - a)) : NULL;

	return z ? (struct wr_str){a + 1, (size_t)(z - a - 1)} : l;
}

/* A line with a dot ends it (RFC 5321 4.1.1.4); the last bytes stay, the end may be cut. */
static ssize_t body(struct smtp *st, struct wr_bytes b)
{
	static const char end[] = "\r\n.\r\n";
	const uint8_t *at = b.n >= 5 ? memmem(b.p, b.n, end, 5) : NULL;
	size_t n = at ? (size_t)(at - b.p) + 5 : b.n > 4 ? b.n - 4 : 0;

	if (b.n >= 3 && !at && st->data && !st->data->n &&
		!memcmp(b.p, ".\r\n", 3)) { /* an empty one */
		n = 3;
		at = b.p;
	}
	if (st->data && n) {
		st->data->request_bytes += n;
		st->data->n = 1;
	}
	if (at) {
		st->phase = COMMANDS;
		st->data = NULL;
	}
	return (ssize_t)n;
}

static ssize_t command(struct wr_session *s, struct wr_bytes b)
{
	struct smtp *st = wr_state(s);
	struct wr_request *r;
	struct wr_str l, rest;
	size_t n = b.n ? wr_line(b, LINE, &l) : 0, k;
	const char *v;
	uint64_t size;

	if (!n)
		return b.n >= LINE ? -EBADMSG : 0;
	if (st->phase == AUTH) { /* credentials: never looked at */
		r = wr_req_oldest(s);
		if (r)
			r->request_bytes += n;
		st->phase = COMMANDS;
		return (ssize_t)n;
	}
	v = verb(l);
	if (!v)
		return st->lost[0] ? (ssize_t)n : -EBADMSG;
	st->lost[0] = false;
	r = wr_req_new(s, 0);
	k = strlen(v);
	rest = l.n > k ? (struct wr_str){l.p + k + 1, l.n - k - 1} : (struct wr_str){l.p, 0};
	if (r) {
		r->request_bytes = n;
		wr_req_op(r, wr_str(v));
		if (!strcmp(v, "MAIL") || !strcmp(v, "RCPT")) {
			wr_req_resource(r, path(rest));
		} else if (!strcmp(v, "AUTH")) { /* the mechanism; what may follow is a password */
			const char *sp = memchr(rest.p, ' ', rest.n);

			wr_req_resource(
				r, (struct wr_str){rest.p, sp ? (size_t)(sp - rest.p) : rest.n});
		} else if (rest.n) {
			wr_req_resource(r, rest);
		}
	}
	if (!strcmp(v, "BDAT")) { /* RFC 3030: its length, and maybe LAST */
		const char *sp = memchr(rest.p, ' ', rest.n);

		if (wr_parse_u64(
			    (struct wr_str){rest.p, sp ? (size_t)(sp - rest.p) : rest.n}, &size))
			return -EBADMSG;
		wr_session_skip(s, 0, size, r);
	}
	return (ssize_t)n;
}

static ssize_t reply(struct wr_session *s, struct wr_bytes b)
{
	struct smtp *st = wr_state(s);
	struct wr_request *r = wr_req_oldest(s);
	struct wr_str l;
	size_t n = b.n ? wr_line(b, LINE, &l) : 0;

	if (!n)
		return b.n >= LINE ? -EBADMSG : 0;
	if (l.n < 3 || l.p[0] < '2' || l.p[0] > '5' || l.p[1] < '0' || l.p[1] > '5' ||
		l.p[2] < '0' || l.p[2] > '9')
		return st->lost[1] ? (ssize_t)n : -EBADMSG;
	st->lost[1] = false;
	if (!r)
		return (ssize_t)n; /* the greeting */
	wr_req_answer(s, r, n);
	if (l.n > 3 && l.p[3] == '-')
		return (ssize_t)n; /* goes on (4.2.1) */
	if (l.p[0] == '3') {
		if (is(r, "DATA")) {
			st->phase = DATA;
			st->data = r;
			return (ssize_t)n;
		}
		if (is(r, "AUTH")) {
			st->phase = AUTH;
			return (ssize_t)n;
		}
	}
	wr_req_status(r, (struct wr_str){l.p, 3});
	r->error = l.p[0] >= '4';
	if (r->error && l.n > 4)
		wr_req_detail(r, "error", (struct wr_str){l.p + 4, l.n - 4});
	if (st->data == r)
		st->data = NULL;
	if (is(r, "STARTTLS") && l.p[0] == '2') {
		wr_req_done(s, r);
		wr_session_switch(s, NULL);
		return (ssize_t)n;
	}
	wr_req_done(s, r);
	return (ssize_t)n;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct smtp *st = wr_state(s);

	if (dir)
		return reply(s, b);
	return st->phase == DATA ? body(st, b) : command(s, b);
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	struct wr_str l;
	const char *v;

	(void)joined;
	if (!wr_line(b, LINE, &l))
		return b.n < 512 && (b.p[0] == '2' || (b.p[0] | 32) >= 'a') ? WR_PROBE_MORE
									    : WR_PROBE_NO;
	if (!dir) {
		v = verb(l);
		return !v ? WR_PROBE_NO : !strcmp(v + 1, "HLO") || !strcmp(v, "HELO") ? 80 : 30;
	}
	if (l.n < 4 || memcmp(l.p, "220", 3) || (l.p[3] != ' ' && l.p[3] != '-'))
		return WR_PROBE_NO;
	return memmem(l.p, l.n, "SMTP", 4) ? 65 : memmem(l.p, l.n, "FTP", 3) ? WR_PROBE_NO : 20;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct smtp *st = wr_state(s);

	if (!dir && st->phase == DATA &&
		st->data) { /* within the message: its end may still come */
		st->data->gap += lost;
		return true;
	}
	wr_req_give_up(s, lost);
	st->data = NULL;
	st->phase = COMMANDS;
	st->lost[0] = st->lost[1] = true;
	return true;
}

const struct wr_proto wr_proto_smtp = {
	.name = "smtp",
	.help = "a command and its final reply",
	.over = WR_TCP,
	.ports = {25, 587, 2525},
	.state = sizeof(struct smtp),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
