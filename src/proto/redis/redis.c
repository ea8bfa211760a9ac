// SPDX-License-Identifier: Apache-2.0
/*
 * Redis: RESP2 and RESP3 (https://redis.io/docs/reference/protocol-spec). Replies pair in order; what the
 * server pushes (messages of subscriptions, RESP3 pushes) is no reply.
 */
#include "../proto.h"

#include <strings.h>

#define DEPTH 8
#define WORD 256 /* bytes of an argument that are kept: command, key */
#define LINE 65536

/* wr_request.flags */
enum { F_SUBSCRIBE = 1, F_SECRET = 2 };

struct redis {
	/* a command that is under way */
	uint32_t args_left, arg;
	struct wr_request *cmd;
	/* a reply that is under way: how many values are missing at each depth */
	uint32_t left[DEPTH];
	uint8_t depth;
	bool in_bulk[2], push, replying, error;
	uint8_t reply_off; /* CLIENT REPLY: 1 OFF, 2 SKIP */
	uint32_t subscriptions;
	uint64_t pushes;
	uint8_t resync[2];
};

static bool is(struct wr_str s, const char *lit)
{
	return s.n == strlen(lit) && !strncasecmp(s.p, lit, s.n);
}

static bool number(struct wr_str s, int64_t *ret)
{
	uint64_t v;
	bool neg = s.n && s.p[0] == '-';

	if (neg) {
		s.p++;
		s.n--;
	}
	if (s.n > 18 || wr_parse_u64(s, &v))
		return false;
	*ret = neg ? -(int64_t)v : (int64_t)v;
	return true;
}

/* Which argument is the key of commands that do not have it first. */
static unsigned key_at(struct wr_str cmd)
{
	static const char *const second[] = {"OBJECT", "XGROUP", "XINFO", "MEMORY", "BITOP"};
	static const char *const third[] = {"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL"};

	for (unsigned i = 0; i < WR_N(second); i++) {
		if (is(cmd, second[i]))
			return 2;
	}
	for (unsigned i = 0; i < WR_N(third); i++) {
		if (is(cmd, third[i]))
			return 3;
	}
	return 1;
}

static struct wr_str op_of(const struct wr_request *r)
{
	return (struct wr_str){r->text + r->op, r->op_n};
}

static void argument(struct wr_session *s, struct redis *st, struct wr_str a, bool whole)
{
	struct wr_request *r = st->cmd;
	struct wr_str op;

	if (!r)
		return;
	if (!st->arg) {
		char up[64];
		size_t n = wr_min(a.n, sizeof(up));

		for (size_t i = 0; i < n; i++)
			up[i] = (char)(a.p[i] >= 'a' && a.p[i] <= 'z' ? a.p[i] - 32 : a.p[i]);
		wr_req_op(r, (struct wr_str){up, n});
		op = op_of(r);
		if (is(op, "SUBSCRIBE") || is(op, "PSUBSCRIBE") || is(op, "SSUBSCRIBE"))
			r->flags |= F_SUBSCRIBE;
		if (is(op, "AUTH") || is(op, "HELLO") || is(op, "ACL") || is(op, "MIGRATE"))
			r->flags |= F_SECRET;
		return;
	}
	op = op_of(r);
	if (!(r->flags & F_SECRET) && st->arg == key_at(op)) {
		r->truncated |= !whole;
		wr_req_resource(r, a);
	}
	if (is(op, "CLIENT") && st->arg == 2 && whole &&
		wr_str_eq((struct wr_str){r->text + r->resource, r->resource_n}, WR_STR("REPLY")))
		st->reply_off = is(a, "OFF") ? 1 : is(a, "SKIP") ? 2 : 0;
	(void)s;
}

/* All arguments of the command are there. */
static void command(struct wr_session *s, struct redis *st)
{
	struct wr_request *r = st->cmd;

	st->cmd = NULL;
	st->args_left = st->arg = 0;
	if (!r)
		return;
	r->t_last = wr_ts(s);
	if (st->reply_off) {
		if (st->reply_off == 3)
			st->reply_off = 0; /* SKIP reached the next command */
		else if (st->reply_off == 2)
			st->reply_off = 3;
		wr_req_status(r, WR_STR("no_response"));
		wr_req_done(s, r);
	}
}

static ssize_t inline_command(struct wr_session *s, struct redis *st, struct wr_bytes b)
{
	struct wr_str l;
	size_t n = wr_line(b, LINE, &l), i = 0;

	if (!n)
		return b.n >= LINE ? -EBADMSG : 0;
	st->cmd = NULL;
	while (i < l.n) {
		size_t from;

		while (i < l.n && l.p[i] == ' ')
			i++;
		from = i;
		while (i < l.n && l.p[i] != ' ') {
			if ((uint8_t)l.p[i] < 32)
				return -EBADMSG;
			i++;
		}
		if (i == from)
			break;
		if (!st->cmd) {
			st->cmd = wr_req_new(s, 0);
			if (!st->cmd)
				break;
			st->cmd->request_bytes = n;
		}
		argument(s, st, (struct wr_str){l.p + from, i - from}, true);
		st->arg++;
	}
	command(s, st);
	return (ssize_t)n;
}

static ssize_t feed_command(struct wr_session *s, struct redis *st, struct wr_bytes b)
{
	struct wr_str l;
	int64_t v;
	size_t n;

	if (st->in_bulk[0]) { /* a long argument is through */
		st->in_bulk[0] = false;
		st->arg++;
		if (!--st->args_left)
			command(s, st);
		return 0;
	}
	if (!b.n)
		return 0;
	if (!st->args_left) {
		if (b.p[0] != '*')
			return inline_command(s, st, b);
		n = wr_line(b, LINE, &l);
		if (!n)
			return b.n > 32 ? -EBADMSG : 0;
		l.p++;
		l.n--;
		if (!number(l, &v) || v > 1 << 20)
			return -EBADMSG;
		if (v <= 0)
			return (ssize_t)n;
		st->args_left = (uint32_t)v;
		st->arg = 0;
		st->cmd = wr_req_new(s, 0);
		if (st->cmd)
			st->cmd->request_bytes = n;
		return (ssize_t)n;
	}
	if (b.p[0] != '$')
		return -EBADMSG;
	n = wr_line(b, LINE, &l);
	if (!n)
		return b.n > 32 ? -EBADMSG : 0;
	l.p++;
	l.n--;
	if (!number(l, &v) || v < 0 || v > 1ll << 32)
		return -EBADMSG;
	if (v <= WORD || st->arg > 3) {
		if (v <= WORD) {
			if (b.n < n + (size_t)v + 2)
				return 0;
			argument(s, st, (struct wr_str){(const char *)b.p + n, (size_t)v}, true);
			n += (size_t)v + 2;
			if (st->cmd)
				st->cmd->request_bytes += n;
			st->arg++;
			if (!--st->args_left)
				command(s, st);
			return (ssize_t)n;
		}
	} else {
		if (b.n < n + WORD)
			return 0;
		argument(s, st, (struct wr_str){(const char *)b.p + n, WORD}, false);
	}
	if (st->cmd)
		st->cmd->request_bytes += n;
	st->in_bulk[0] = true;
	wr_session_skip(s, 0, (uint64_t)v + 2, st->cmd);
	return (ssize_t)n;
}

/* One value of a reply is complete; so may be those that hold it. */
static void value_done(struct wr_session *s, struct redis *st)
{
	struct wr_request *r;

	while (st->depth) {
		if (--st->left[st->depth - 1])
			return;
		st->depth--;
	}
	if (!st->replying)
		return;
	st->replying = false;
	if (st->push) {
		st->push = false;
		st->pushes++;
		return;
	}
	r = wr_req_oldest(s);
	if (!r)
		return;
	if (st->cmd == r)
		return; /* a reply before its command ended: not ours to pair */
	if (r->flags & F_SUBSCRIBE && !st->error) {
		st->subscriptions++;
		if (++r->n > 1)
			return;
	}
	if (!r->status_n)
		wr_req_status(r, WR_STR("ok"));
	wr_req_done(s, r);
}

/* Does a message of a subscription begin here? ["message", channel, payload]; more than one word may be missing. */
static int pushed(const struct redis *st, struct wr_bytes b)
{
	static const char *const words[] = {"message", "pmessage", "smessage"};
	struct wr_str l;
	size_t n = wr_line(b, LINE, &l);

	if (b.p[0] == '>')
		return 1;
	if (!st->subscriptions || b.p[0] != '*')
		return 0;
	if (!n || b.n < n + 14)
		return -1;
	for (unsigned i = 0; i < WR_N(words); i++) {
		size_t k = strlen(words[i]);

		if (b.p[n] == '$' && b.p[n + 2] == '\r' && b.n >= n + 4 + k &&
			!memcmp(b.p + n + 4, words[i], k))
			return 1;
	}
	return 0;
}

static ssize_t feed_reply(struct wr_session *s, struct redis *st, struct wr_bytes b)
{
	struct wr_request *r = wr_req_oldest(s);
	struct wr_str l;
	int64_t v = 0;
	size_t n;
	char type;

	if (st->in_bulk[1]) {
		st->in_bulk[1] = false;
		value_done(s, st);
		return 0;
	}
	if (!b.n)
		return 0;
	n = wr_line(b, LINE, &l);
	if (!n)
		return b.n >= LINE ? -EBADMSG : 0;
	type = (char)b.p[0];
	if (!type || !strchr("+-:$*_#,(!=%~>|.", type))
		return -EBADMSG;
	if (!st->replying) {
		int p = pushed(st, b);

		if (p < 0)
			return 0;
		st->push = p;
		st->replying = true;
		st->error = false;
		if (!st->push && !r) { /* its command was not seen */
			r = wr_req_new(s, 0);
			if (r)
				r->no_request = true;
		}
	}
	if (st->push)
		r = NULL;
	if (r)
		wr_req_answer(s, r, n);
	l.p++;
	l.n--;
	switch (type) {
	case '-':
	case '!':
		if (r && !st->depth) {
			const char *sp = memchr(l.p, ' ', l.n);

			st->error = r->error = true;
			if (type == '-') {
				wr_req_status(
					r, (struct wr_str){l.p, sp ? (size_t)(sp - l.p) : l.n});
				wr_req_detail(r, "error", l);
			} else {
				wr_req_status(r, WR_STR("error"));
			}
		}
		if (type == '-')
			break;
		__attribute__((fallthrough));
	case '$':
	case '=':
		if (l.n == 1 && l.p[0] == '?')
			return -EBADMSG; /* streamed strings: no server sends them */
		if (!number(l, &v) || v > 1ll << 32)
			return -EBADMSG;
		if (v < 0)
			break;
		st->in_bulk[1] = true;
		wr_session_skip(s, 1, (uint64_t)v + 2, r);
		return (ssize_t)n;
	case '*':
	case '~':
	case '>':
	case '%':
	case '|':
		if (!number(l, &v) || v > 1 << 30)
			return -EBADMSG;
		if (type == '%' || type == '|')
			v *= 2;
		if (type == '|')
			v++; /* attributes, then the value that they are about */
		if (v <= 0)
			break;
		if (st->depth == DEPTH)
			return -EBADMSG;
		if (r && !st->depth && type == '*')
			wr_req_detail_u64(r, "elements", (uint64_t)v);
		st->left[st->depth++] = (uint32_t)v;
		return (ssize_t)n;
	case ':':
		if (!number(l, &v))
			return -EBADMSG;
		break;
	default:
		break;
	}
	value_done(s, st);
	return (ssize_t)n;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined);

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct redis *st = wr_state(s);

	if (st->resync[dir] && b.n) { /* after a gap: a message begins where a segment does */
		if (probe(b, dir, false) < 50)
			return (ssize_t)b.n;
		st->resync[dir] = 0;
	}
	return dir ? feed_reply(s, st, b) : feed_command(s, st, b);
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	static const char *const inlines[] = {"PING", "AUTH ", "SELECT ", "GET ", "SET ", "INFO",
		"CLIENT ", "COMMAND", "HELLO ", "QUIT"};
	struct wr_str l;
	int64_t v;
	size_t n;

	(void)joined;
	if (!dir && b.p[0] != '*') {
		n = wr_line(b, LINE, &l);
		if (!n)
			return b.n < 64 && b.p[0] >= 'A' && b.p[0] <= 'z' ? WR_PROBE_MORE
									  : WR_PROBE_NO;
		for (size_t i = 0; i < l.n; i++) {
			if ((uint8_t)l.p[i] < 32)
				return WR_PROBE_NO;
		}
		if (l.n < 4 || ((l.p[0] | 32) < 'a' || (l.p[0] | 32) > 'z') ||
			memmem(l.p, l.n, "HTTP/", 5))
			return WR_PROBE_NO;
		for (unsigned i = 0; i < WR_N(inlines); i++) {
			size_t k = strlen(inlines[i]);

			if (l.n >= k && !strncasecmp(l.p, inlines[i], k))
				return 45; /* with its reply or its port it is believed */
		}
		return 20;
	}
	if (!strchr("+-:$*_%~>", b.p[0]) || !b.p[0])
		return WR_PROBE_NO;
	n = wr_line(b, LINE, &l);
	if (!n)
		return b.n < (dir ? 512u : 24u) ? WR_PROBE_MORE : WR_PROBE_NO;
	if (n < 2 || b.p[n - 2] != '\r')
		return WR_PROBE_NO;
	l.p++;
	l.n--;
	if (!dir) {
		if (!number(l, &v) || v < 1 || v > 1 << 20)
			return WR_PROBE_NO;
		if (b.n < n + 3)
			return WR_PROBE_MORE;
		return b.p[n] == '$' && b.p[n + 1] >= '0' && b.p[n + 1] <= '9' ? 80 : WR_PROBE_NO;
	}
	if (b.p[0] == '+')
		return wr_str_eq(l, WR_STR("OK")) || wr_str_eq(l, WR_STR("PONG")) ||
				       wr_str_eq(l, WR_STR("QUEUED"))
			       ? 55
			       : 20;
	if (b.p[0] == '-')
		return !strncmp(l.p, "ERR ", wr_min(l.n, (size_t)4)) ||
				       !strncmp(l.p, "NOAUTH", wr_min(l.n, (size_t)6)) ||
				       !strncmp(l.p, "WRONG", wr_min(l.n, (size_t)5))
			       ? 55
			       : 10;
	if (!number(l, &v))
		return WR_PROBE_NO;
	return b.p[0] == ':' ? 30 : 50;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct redis *st = wr_state(s);

	wr_req_give_up(s, lost);
	st->cmd = NULL;
	st->args_left = st->arg = 0;
	st->depth = 0;
	st->in_bulk[dir] = st->replying = st->push = false;
	st->resync[dir] = 1;
	return true;
}

static void finish(struct wr_session *s)
{
	struct redis *st = wr_state(s);
	struct wr_request *r;

	if (!st->pushes)
		return;
	r = wr_req_new(s, 0);
	if (!r)
		return;
	r->no_request = true;
	wr_req_op(r, WR_STR("(pushed messages)"));
	wr_req_status(r, WR_STR("no_response"));
	wr_req_detail_u64(r, "pushes", st->pushes);
	wr_req_done(s, r);
}

const struct wr_proto wr_proto_redis = {
	.name = "redis",
	.help = "a command and its reply; what a subscription got is counted",
	.over = WR_TCP,
	.fixed_roles = false,
	.whole = true,
	.ports = {6379, 6380, 26379},
	.state = sizeof(struct redis),
	.probe = probe,
	.feed = feed,
	.gap = gap,
	.finish = finish,
};
