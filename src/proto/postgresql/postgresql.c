// SPDX-License-Identifier: Apache-2.0
/*
 * PostgreSQL, protocol 3.0 (https://www.postgresql.org/docs/15/protocol.html). A simple query is one request, so is
 * each Execute of the extended protocol, pipelined or not; a Sync ends a batch and an error skips to it.
 */
#include "../proto.h"

#define KEPT 8192 /* bytes of a message that are looked at */
#define STATEMENTS 64 /* prepared statements remembered; more: the oldest goes */
#define PORTALS 16
#define STATEMENT_MAX 1024

enum { PROTOCOL_3 = 196608, CANCEL = 80877102, SSL = 80877103, GSS = 80877104 };
enum { F_QUERY = 1, F_LOGIN = 2, F_EXECUTE = 4, F_ANSWERED = 8 };

struct statement {
	uint64_t name;
	char *text;
	uint16_t n;
};

struct pg {
	bool started[2], negotiating, resync[2];
	uint64_t sent, seen; /* batches: ended by Sync or a simple query; by ReadyForQuery */
	uint64_t rows;
	struct statement st[STATEMENTS];
	unsigned n_st, at_st;
	struct {
		uint64_t portal, statement;
	} portal[PORTALS];
	unsigned at_portal;
	struct wr_request *copy; /* takes CopyData */
};

/* A string that ends with NUL, without it. */
static bool cstr(struct wr_rd *r, struct wr_str *ret)
{
	const uint8_t *nul = memchr(r->p, 0, wr_rd_left(r));

	if (!nul)
		return false;
	*ret = (struct wr_str){(const char *)r->p, (size_t)(nul - r->p)};
	r->p = nul + 1;
	return true;
}

static uint64_t key(struct wr_str name)
{
	return wr_hash(name.p, name.n, 1) | 1;
}

static struct statement *statement(struct pg *st, uint64_t name)
{
	for (unsigned i = 0; i < st->n_st; i++) {
		if (st->st[i].name == name)
			return &st->st[i];
	}
	return NULL;
}

static void remember(struct pg *st, struct wr_str name, struct wr_str text)
{
	uint64_t k = key(name);
	struct statement *e = statement(st, k);
	size_t n = wr_min(text.n, (size_t)STATEMENT_MAX);

	if (!e) {
		if (st->n_st < STATEMENTS)
			e = &st->st[st->n_st++];
		else
			e = &st->st[st->at_st++ % STATEMENTS];
	}
	free(e->text);
	e->name = k;
	e->n = 0;
	e->text = wr_alloc(n ? n : 1);
	if (!e->text)
		return;
	memcpy(e->text, text.p, n);
	e->n = (uint16_t)n;
}

static void bind(struct pg *st, uint64_t portal, uint64_t name)
{
	unsigned i;

	for (i = 0; i < PORTALS && st->portal[i].portal != portal; i++)
		;
	if (i == PORTALS)
		i = st->at_portal++ % PORTALS;
	st->portal[i].portal = portal;
	st->portal[i].statement = name;
}

static void login(struct wr_session *s, struct pg *st, struct wr_rd r, uint64_t bytes)
{
	struct wr_request *q = wr_req_new(s, st->sent);
	struct wr_str k, v, user = {0}, db = {0};
	char t[300];
	int n;

	while (cstr(&r, &k) && k.n && cstr(&r, &v)) {
		if (wr_str_eq(k, WR_STR("user")))
			user = v;
		else if (wr_str_eq(k, WR_STR("database")))
			db = v;
	}
	st->sent++;
	if (!q)
		return;
	n = snprintf(t, sizeof(t), "user=%.*s database=%.*s", (int)wr_min(user.n, (size_t)100),
		user.p, (int)wr_min(db.n ? db.n : user.n, (size_t)100), db.n ? db.p : user.p);
	q->flags = F_LOGIN;
	q->request_bytes = bytes;
	wr_req_op(q, WR_STR("LOGIN"));
	wr_req_resource(q, db.n ? db : user);
	wr_req_detail(q, "command", WR_STR("login"));
	wr_req_detail(q, "statement", (struct wr_str){t, (size_t)n});
	wr_req_detail(q, "user", user);
}

/* The first message: it has no type. */
static ssize_t startup(struct wr_session *s, struct pg *st, struct wr_bytes b)
{
	struct wr_rd r = wr_rd(b.p, b.n);
	uint32_t len = wr_rd_be32(&r), code = wr_rd_be32(&r);
	struct wr_request *q;

	if (r.bad)
		return 0;
	if (len < 8 || len > 10000)
		return -EBADMSG;
	if (b.n < len)
		return 0;
	switch (code) {
	case SSL:
	case GSS:
		st->negotiating = true;
		return len;
	case CANCEL:
		q = wr_req_new(s, 0);
		if (q) {
			q->request_bytes = len;
			wr_req_op(q, WR_STR("CANCEL"));
			wr_req_detail(q, "command", WR_STR("cancel"));
			wr_req_status(q, WR_STR("no_response"));
			wr_req_done(s, q);
		}
		return len;
	}
	if (code >> 16 != 3)
		return -EBADMSG;
	r.end = b.p + len;
	st->started[0] = true;
	login(s, st, r, len);
	return len;
}

static void query(struct wr_session *s, struct pg *st, const char *command, uint32_t flags,
	struct wr_str text, uint64_t bytes)
{
	struct wr_request *q = wr_req_new(s, st->sent);

	if (!q)
		return;
	q->flags = flags;
	q->request_bytes = bytes;
	wr_req_sql(s, q, command, text, false);
	st->copy = q;
}

static void frontend(struct wr_session *s, struct pg *st, char type, struct wr_rd r, uint64_t bytes)
{
	struct wr_str a, b;
	struct statement *e;
	struct wr_request *q;
	uint64_t k;

	switch (type) {
	case 'Q':
		if (!cstr(&r, &a))
			a = (struct wr_str){
				(const char *)r.p, wr_rd_left(&r)}; /* longer than what is kept */
		query(s, st, "query", F_QUERY, a, bytes);
		st->sent++;
		break;
	case 'P':
		if (!cstr(&r, &a))
			break;
		if (!cstr(&r, &b))
			b = (struct wr_str){(const char *)r.p, wr_rd_left(&r)};
		remember(st, a, b);
		break;
	case 'B':
		if (cstr(&r, &a) && cstr(&r, &b))
			bind(st, key(a), key(b));
		break;
	case 'E':
		if (!cstr(&r, &a))
			break;
		k = 0;
		for (unsigned i = 0; i < PORTALS; i++) {
			if (st->portal[i].portal == key(a))
				k = st->portal[i].statement;
		}
		e = k ? statement(st, k) : NULL;
		/* prepared before the agent came: the text is not known, and not guessed */
		query(s, st, "execute", F_EXECUTE, e ? (struct wr_str){e->text, e->n} : WR_STR(""),
			bytes);
		break;
	case 'F':
		query(s, st, "function", F_QUERY, WR_STR(""), bytes);
		break;
	case 'S':
		st->sent++;
		break;
	case 'X':
		q = wr_req_new(s, st->sent);
		if (q) {
			wr_req_op(q, WR_STR("TERMINATE"));
			wr_req_detail(q, "command", WR_STR("terminate"));
			wr_req_status(q, WR_STR("no_response"));
			q->request_bytes = bytes;
			wr_req_done(s, q);
		}
		break;
	default:
		break;
	}
}

static void error(struct wr_session *s, struct pg *st, struct wr_request *q, struct wr_rd r)
{
	struct wr_str v, code = {0}, text = {0};

	while (wr_rd_left(&r) && *r.p) {
		char f = (char)wr_rd_u8(&r);

		if (!cstr(&r, &v))
			break;
		if (f == 'C')
			code = v;
		else if (f == 'M')
			text = v;
	}
	if (!q && st->n_st) { /* a Parse without an Execute failed */
		struct statement *e = &st->st[st->n_st - 1];

		q = wr_req_new(s, st->seen);
		if (!q)
			return;
		q->flags = F_EXECUTE;
		wr_req_sql(s, q, "prepare", (struct wr_str){e->text, e->n}, false);
		wr_req_answer(s, q, 0);
	}
	if (!q)
		return;
	q->error = true;
	if (!(q->flags & F_ANSWERED) || !q->status_n)
		wr_req_status(q, code.n ? code : WR_STR("error"));
	wr_req_detail(q, "error", text);
	q->flags |= F_ANSWERED;
	if (q->flags & F_EXECUTE)
		wr_req_done(s, q);
}

static void complete(
	struct wr_session *s, struct pg *st, struct wr_request *q, struct wr_rd r, bool tag)
{
	struct wr_str t;

	if (!q)
		return;
	if (tag && cstr(&r, &t) && !(q->flags & F_ANSWERED)) {
		const char *sp = memrchr(t.p, ' ', t.n);
		uint64_t rows;

		wr_req_detail(q, "tag", t);
		if (sp &&
			!wr_parse_u64((struct wr_str){sp + 1, (size_t)(t.p + t.n - sp - 1)}, &rows))
			wr_req_detail_u64(q, "rows", rows);
	}
	if (!q->status_n)
		wr_req_status(q, WR_STR("ok"));
	q->flags |= F_ANSWERED;
	st->rows = 0;
	if (st->copy == q)
		st->copy = NULL;
	if (q->flags & F_EXECUTE)
		wr_req_done(s, q);
}

static void ready(struct wr_session *s, struct pg *st)
{
	struct wr_request *q, *next;

	if (st->seen >= st->sent)
		return; /* joined in the middle: of a query that was not seen */
	for (q = wr_req_oldest(s); q; q = next) {
		next = q->next;
		if (q->key > st->seen)
			break;
		if (!(q->flags & F_ANSWERED)) {
			if (q->flags & F_EXECUTE) {
				wr_req_detail(q, "skipped",
					WR_STR("an error came before it in the batch"));
			} else {
				wr_req_status(q, WR_STR("ok"));
			}
		}
		wr_req_done(s, q);
	}
	st->copy = NULL;
	st->seen++;
}

static void backend(struct wr_session *s, struct pg *st, char type, struct wr_rd r, uint64_t bytes)
{
	struct wr_request *q = wr_req_oldest(s);

	if (q && q->key > st->seen && type != 'N' && type != 'S' && type != 'A')
		q = NULL; /* of a batch that is not answered yet */
	if (q && type != 'N' && type != 'A')
		wr_req_answer(s, q, bytes);
	switch (type) {
	case 'C':
	case 's':
		complete(s, st, q, r, type == 'C');
		break;
	case 'I':
		complete(s, st, q, r, false);
		break;
	case 'E':
		error(s, st, q, r);
		break;
	case 'Z':
		ready(s, st);
		break;
	}
}

static bool front_type(uint8_t c)
{
	return c && strchr("QPBEDSHCXpdcfF", c);
}

static bool back_type(uint8_t c)
{
	return c && strchr("RZCTD123nItESKAGHWNVsdcv", c);
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct pg *st = wr_state(s);
	uint32_t len, have;
	struct wr_rd r;

	if (!b.n)
		return 0;
	if (st->resync[dir]) {
		/* a message begins where a segment does, and ends there too */
		if (b.n < 5 || !(dir ? back_type(b.p[0]) : front_type(b.p[0])) ||
			wr_be32(b.p + 1) < 4 || wr_be32(b.p + 1) > b.n - 1)
			return (ssize_t)b.n;
		st->resync[dir] = false;
	}
	if (dir && st->negotiating) {
		st->negotiating = false;
		if (b.p[0] == 'S' || b.p[0] == 'G')
			wr_session_switch(s, NULL);
		else if (b.p[0] != 'N')
			return -EBADMSG;
		return 1;
	}
	if (!dir && !st->started[0]) {
		if (!wr_joined(s) || !front_type(b.p[0]))
			return startup(s, st, b);
		st->started[0] = true;
	}
	if (b.n < 5)
		return 0;
	len = wr_be32(b.p + 1);
	if (!(dir ? back_type(b.p[0]) : front_type(b.p[0])) || len < 4 || len > 1u << 30)
		return -EBADMSG;
	have = (uint32_t)wr_min(len, KEPT);
	/* rows and copied data are only counted */
	if ((dir && b.p[0] == 'D') || b.p[0] == 'd') {
		have = 4;
		if (dir && b.p[0] == 'D')
			st->rows++;
	}
	if (b.n < 1 + have)
		return 0;
	r = wr_rd(b.p + 5, have - 4);
	if (dir)
		backend(s, st, (char)b.p[0], r, 1 + have);
	else
		frontend(s, st, (char)b.p[0], r, 1 + have);
	if (!dir && st->copy && (b.p[0] == 'd' || b.p[0] == 'c'))
		st->copy->request_bytes += 1 + have;
	if (len > have)
		wr_session_skip(s, dir, len - have, dir ? wr_req_oldest(s) : st->copy);
	return 1 + (ssize_t)have;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	size_t at = 0;
	int n = 0;

	if (!dir && b.n >= 8) {
		uint32_t len = wr_be32(b.p), code = wr_be32(b.p + 4);

		if (len >= 8 && len <= 10000 && (code == SSL || code == GSS || code == CANCEL))
			return len == (code == CANCEL ? 16 : 8) ? 95 : WR_PROBE_NO;
		if (len >= 8 && len <= 10000 && code == PROTOCOL_3)
			return 95;
	}
	if (!dir && b.n < 8 && !b.p[0])
		return WR_PROBE_MORE;
	if (dir && b.n == 1)
		return b.p[0] == 'S' || b.p[0] == 'N' ? WR_PROBE_MORE : WR_PROBE_NO;
	/* a chain of messages that fits exactly, or at least two of them */
	while (at + 5 <= b.n && n < 4) {
		uint32_t len = wr_be32(b.p + at + 1);
		uint8_t c = b.p[at];

		if (!(dir ? back_type(c) : front_type(c)) || len < 4 || len > 1u << 24)
			return WR_PROBE_NO;
		if (dir && c == 'R' && len == 8)
			return 70;
		if (dir && c == 'Z' && len == 5 && at + 6 <= b.n && b.p[at + 5] &&
			strchr("ITE", b.p[at + 5]))
			return 70;
		if (!dir && !joined && c != 'p')
			return 20;
		if (!dir && c == 'Q' && at + 1 + len <= b.n)
			return len > 5 && !b.p[at + len] && !memchr(b.p + at + 5, 0, len - 5)
				       ? 65
				       : WR_PROBE_NO;
		at += 1 + len;
		n++;
	}
	if (!n)
		return b.n < 5 ? WR_PROBE_MORE : WR_PROBE_NO;
	return n > 1 ? 50 : at == b.n ? 30 : 10;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct pg *st = wr_state(s);

	/* while it copies in, a client asks nothing else: only its data is incomplete */
	if (!dir && st->copy && lost) {
		st->copy->gap += lost;
		st->resync[0] = true;
		return true;
	}
	wr_req_give_up(s, lost);
	st->copy = NULL;
	st->seen = st->sent;
	st->started[0] = true;
	st->negotiating = false;
	st->resync[dir] = true;
	return true;
}

static void fini(void *state)
{
	struct pg *st = state;

	for (unsigned i = 0; i < st->n_st; i++)
		free(st->st[i].text);
}

const struct wr_proto wr_proto_postgresql = {
	.name = "postgresql",
	.help = "login, a simple query, an Execute of the extended protocol",
	.over = WR_TCP,
	.whole = true,
	.ports = {5432, 6432},
	.state = sizeof(struct pg),
	.probe = probe,
	.feed = feed,
	.gap = gap,
	.fini = fini,
};
