// SPDX-License-Identifier: Apache-2.0
/* MySQL and MariaDB (https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html). */
#include "../proto.h"

#define KEPT 4096 /* bytes of a packet that are looked at */
#define STATEMENTS 64
#define STATEMENT_MAX 1024

enum {
	CAP_COMPRESS = 1u << 5,
	CAP_SSL = 1u << 11,
	CAP_ZSTD = 1u << 26,
	CAP_DEPRECATE_EOF = 1u << 24,
	CAP_ATTRIBUTES = 1u << 27
};
enum { MORE_RESULTS = 8 };
enum {
	COM_QUIT = 1,
	COM_INIT_DB,
	COM_QUERY,
	COM_FIELD_LIST,
	COM_STATISTICS = 9,
	COM_PING = 14,
	COM_CHANGE_USER = 17,
	COM_PREPARE = 22,
	COM_EXECUTE,
	COM_LONG_DATA,
	COM_CLOSE,
	COM_RESET_STMT,
	COM_SET_OPTION,
	COM_FETCH,
	COM_RESET = 31,
	COM_N
};
static const char *const names[COM_N + 1] = {"sleep", "quit", "init_db", "query", "field_list",
	"create_db", "drop_db", "refresh", "shutdown", "statistics", "process_info", "connect",
	"process_kill", "debug", "ping", "time", "delayed_insert", "change_user", "binlog_dump",
	"table_dump", "connect_out", "register_slave", "prepare", "execute", "long_data", "close",
	"reset_stmt", "set_option", "fetch", "daemon", "binlog_dump_gtid", "reset_connection"};

enum answer { FIRST, COLUMNS, COLUMNS_END, ROWS, PACKETS, FIELDS, TEXT };

struct my {
	uint32_t caps;
	bool caps_known, logged_in, greeted, lost[2], infile;
	uint8_t answer;
	uint64_t left; /* packets of COLUMNS and PACKETS */
	uint64_t rows;
	struct {
		uint32_t id;
		uint16_t n;
		char *text;
	} st[STATEMENTS];
	unsigned n_st, at_st;
	char *preparing; /* text of the statement that waits for its id */
	uint16_t preparing_n;
};

static uint64_t le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

static uint64_t take(struct wr_rd *r, unsigned n)
{
	const uint8_t *p = wr_rd_take(r, n);

	return p ? le(p, n) : 0;
}

static uint64_t lenenc(struct wr_rd *r)
{
	uint8_t c = wr_rd_u8(r);

	return c < 0xfb	   ? c
	       : c == 0xfc ? take(r, 2)
	       : c == 0xfd ? take(r, 3)
	       : c == 0xfe ? take(r, 8)
			   : 0;
}

/* One value of a query attribute, by its type. */
static void value(struct wr_rd *r, unsigned type)
{
	switch (type & 0xff) {
	case 1:
		wr_rd_take(r, 1);
		break;
	case 2:
	case 13:
		wr_rd_take(r, 2);
		break;
	case 3:
	case 4:
	case 9:
		wr_rd_take(r, 4);
		break;
	case 5:
	case 8:
		wr_rd_take(r, 8);
		break;
	case 6:
		break;
	case 7:
	case 10:
	case 11:
	case 12:
		wr_rd_take(r, wr_rd_u8(r));
		break;
	default:
		wr_rd_take(r, (size_t)lenenc(r));
		break;
	}
}

/* In front of the text of COM_QUERY (CLIENT_QUERY_ATTRIBUTES, 8.0.23). */
static void attributes(struct wr_rd *r)
{
	uint64_t n = lenenc(r);
	uint16_t type[64];
	const uint8_t *null;

	lenenc(r); /* sets: always 1 */
	if (!n)
		return;
	null = wr_rd_take(r, (size_t)(n + 7) / 8);
	if (n > WR_N(type) || !null || !wr_rd_u8(r)) {
		r->bad = true;
		return;
	}
	for (uint64_t i = 0; i < n; i++) {
		type[i] = (uint16_t)take(r, 2);
		wr_rd_take(r, (size_t)lenenc(r));
	}
	for (uint64_t i = 0; i < n && !r->bad; i++) {
		if (!(null[i / 8] >> i % 8 & 1))
			value(r, type[i]);
	}
}

static void login(struct wr_session *s, struct my *st, struct wr_rd r, uint64_t bytes)
{
	struct wr_request *q;
	const uint8_t *nul;

	st->caps = (uint32_t)take(&r, 4);
	st->caps_known = true;
	if ((st->caps & CAP_SSL) && bytes == 36) {
		wr_session_switch(s, NULL);
		return;
	}
	wr_rd_take(&r, 28);
	q = wr_req_new(s, 0);
	if (!q)
		return;
	nul = r.bad ? NULL : memchr(r.p, 0, wr_rd_left(&r));
	q->n = 256;
	q->request_bytes = bytes;
	wr_req_op(q, WR_STR("LOGIN"));
	wr_req_detail(q, "command", WR_STR("login"));
	if (nul) {
		struct wr_str user = {(const char *)r.p, (size_t)(nul - r.p)};

		wr_req_resource(q, user);
		wr_req_detail(q, "statement", user);
	}
	st->answer = FIRST;
}

static void prepare(struct my *st, struct wr_str text)
{
	size_t n = wr_min(text.n, (size_t)STATEMENT_MAX);

	free(st->preparing);
	st->preparing = wr_alloc(n ? n : 1);
	st->preparing_n = st->preparing ? (uint16_t)n : 0;
	if (st->preparing)
		memcpy(st->preparing, text.p, n);
}

static void command(struct wr_session *s, struct my *st, struct wr_rd r, uint64_t bytes)
{
	struct wr_request *q;
	uint8_t com = wr_rd_u8(&r);
	struct wr_str text = WR_STR("");
	uint32_t id;

	/* strictly one at a time: what is not answered now will not be read */
	while ((q = wr_req_oldest(s)))
		wr_req_done(s, q);
	st->lost[1] = false;
	st->answer = com == COM_FIELD_LIST ? FIELDS : com == COM_STATISTICS ? TEXT : FIRST;
	st->rows = 0;
	if (com == COM_LONG_DATA)
		return;
	if (com == COM_QUERY) {
		const uint8_t *at = r.p;

		/* with unknown capabilities: no text begins with these two bytes */
		if (st->caps_known ? st->caps & CAP_ATTRIBUTES
				   : wr_rd_left(&r) > 2 && !at[0] && at[1] == 1)
			attributes(&r);
	}
	q = wr_req_new(s, 0);
	if (!q)
		return;
	q->n = com;
	q->request_bytes = bytes;
	if (com == COM_QUERY || com == COM_PREPARE || com == COM_INIT_DB) {
		if (r.bad)
			q->truncated = true;
		else
			text = (struct wr_str){(const char *)r.p, wr_rd_left(&r)};
	}
	if (com == COM_PREPARE)
		prepare(st, text);
	if (com == COM_EXECUTE || com == COM_CLOSE || com == COM_RESET_STMT || com == COM_FETCH) {
		id = (uint32_t)take(&r, 4);
		for (unsigned i = 0; i < st->n_st; i++) {
			if (st->st[i].id == id)
				text = (struct wr_str){st->st[i].text, st->st[i].n};
		}
		wr_req_detail_u64(q, "statement_id", id);
	}
	wr_req_sql(s, q, com < COM_N && names[com] ? names[com] : "command", text, true);
	if (com == COM_QUIT || com == COM_CLOSE) {
		wr_req_status(q, WR_STR("no_response"));
		wr_req_done(s, q);
	}
}

static void done(struct wr_session *s, struct my *st, struct wr_request *q, unsigned status)
{
	if (status & MORE_RESULTS) {
		st->answer = FIRST;
		return;
	}
	if (!q->status_n)
		wr_req_status(q, WR_STR("ok"));
	if (st->rows)
		wr_req_detail_u64(q, "rows", st->rows);
	wr_req_done(s, q);
}

static void failed(struct wr_session *s, struct wr_request *q, struct wr_rd r)
{
	char code[8];
	unsigned n = (unsigned)take(&r, 2);

	if (n == 0xffff)
		return; /* MariaDB's progress report */
	snprintf(code, sizeof(code), "%u", n);
	q->error = true;
	wr_req_status(q, wr_str(code));
	if (wr_rd_left(&r) > 6 && *r.p == '#') {
		wr_req_detail(q, "sqlstate", (struct wr_str){(const char *)r.p + 1, 5});
		r.p += 6;
	}
	wr_req_detail(q, "error", (struct wr_str){(const char *)r.p, wr_rd_left(&r)});
	wr_req_done(s, q);
}

static void prepared(struct wr_session *s, struct my *st, struct wr_request *q, struct wr_rd r)
{
	uint32_t id = (uint32_t)take(&r, 4), cols = (uint32_t)take(&r, 2),
		 params = (uint32_t)take(&r, 2);
	unsigned i, eof = st->caps & CAP_DEPRECATE_EOF ? 0 : 1;

	for (i = 0; i < st->n_st && st->st[i].id != id; i++)
		;
	if (i == st->n_st) {
		if (st->n_st < STATEMENTS)
			st->n_st++;
		else
			i = st->at_st++ % STATEMENTS;
	}
	free(st->st[i].text);
	st->st[i].id = id;
	st->st[i].text = st->preparing;
	st->st[i].n = st->preparing_n;
	st->preparing = NULL;
	st->preparing_n = 0;
	wr_req_detail_u64(q, "statement_id", id);
	st->left = (params ? params + eof : 0) + (cols ? cols + eof : 0);
	st->answer = PACKETS;
	if (!st->left)
		done(s, st, q, 0);
}

/* OK, and what ends rows in its place: affected rows, last id, status. */
static unsigned ok_status(struct wr_request *q, struct wr_rd *r, bool rows)
{
	uint64_t affected = lenenc(r);

	lenenc(r);
	if (!rows && affected)
		wr_req_detail_u64(q, "affected_rows", affected);
	return (unsigned)take(r, 2);
}

static void answer(struct wr_session *s, struct my *st, struct wr_rd r, uint32_t len)
{
	struct wr_request *q = wr_req_oldest(s);
	uint8_t c = wr_rd_left(&r) ? *r.p : 0;
	bool eof = c == 0xfe && len == 5,
	     end = c == 0xfe && (len < 9 || (st->caps & CAP_DEPRECATE_EOF));
	struct wr_rd body = r;

	wr_rd_u8(&body);
	switch (st->answer) {
	case TEXT:
		done(s, st, q, 0);
		return;
	case FIELDS:
		if (c == 0xff)
			failed(s, q, body);
		else if (end)
			done(s, st, q, 0);
		return;
	case PACKETS:
		if (!--st->left)
			done(s, st, q, 0);
		return;
	case COLUMNS:
		if (!--st->left)
			st->answer = COLUMNS_END;
		return;
	case COLUMNS_END: /* an EOF packet, or already the first row */
		st->answer = ROWS;
		if (eof)
			return;
		__attribute__((fallthrough));
	case ROWS:
		if (c == 0xff) {
			failed(s, q, body);
		} else if (end) {
			unsigned status;

			if (eof) {
				take(&body, 2);
				status = (unsigned)take(&body, 2);
			} else {
				status = ok_status(q, &body, true);
			}
			done(s, st, q, status);
		} else {
			st->rows++;
		}
		return;
	}
	/* the first packet of an answer */
	if (c == 0xff) {
		failed(s, q, body);
	} else if (q->n == 256 || q->n == COM_CHANGE_USER) {
		if (c == 0) {
			st->logged_in = true;
			done(s, st, q, 0);
		} /* 0x01, 0xfe: more of the authentication */
	} else if (c == 0 && q->n == COM_PREPARE) {
		prepared(s, st, q, body);
	} else if (c == 0 || (c == 0xfe && len < 9)) {
		done(s, st, q, c ? 0 : ok_status(q, &body, false));
	} else if (c == 0xfb) {
		st->infile = true; /* the client sends a file now; then an OK comes */
	} else {
		st->left = lenenc(&r);
		if (st->left > 65535 || r.bad) {
			wr_session_violation(s, 1,
				"a result set with more columns than there can be", WR_STR(""));
			return;
		}
		wr_req_detail_u64(q, "columns", st->left);
		st->answer = COLUMNS;
	}
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct my *st = wr_state(s);
	struct wr_request *q = wr_req_oldest(s);
	uint32_t len, have;
	struct wr_rd r;
	uint8_t seq;

	if (!b.n)
		return 0;
	if (st->lost[dir]) {
		if (dir) { /* rows after a gap: their bounds are not known until the next command */
			if (q)
				wr_req_answer(s, q, b.n);
			return (ssize_t)b.n;
		}
		if (b.n < 5 || b.p[3] || b.p[4] >= COM_N || le(b.p, 3) != b.n - 4)
			return (ssize_t)b.n;
		st->lost[0] = false;
	}
	if (b.n < 4)
		return 0;
	len = (uint32_t)le(b.p, 3);
	seq = b.p[3];
	have = wr_min(len, (uint32_t)KEPT);
	if (b.n < 4 + have)
		return 0;
	r = wr_rd(b.p + 4, have);
	if (!dir) {
		if (seq == 0 && len) {
			st->infile = false;
			if (b.p[4] >= COM_N && !(b.p[4] == 0xfa))
				return -EBADMSG;
			command(s, st, r, 4 + have);
		} else if (seq == 1 && !st->logged_in && !q && !wr_joined(s)) {
			login(s, st, r, 4 + have);
		} else if (q) {
			q->request_bytes += 4 + have; /* authentication, or a file */
			q->t_last = wr_ts(s);
		}
		if (st->caps_known && (st->caps & (CAP_COMPRESS | CAP_ZSTD)) && st->logged_in)
			return -EBADMSG;
	} else if (!q) {
		/* the greeting, or an answer whose command was not seen */
		if (seq == 0 && len && b.p[4] == 10)
			st->greeted = true;
	} else {
		wr_req_answer(s, q, 4 + have);
		answer(s, st, r, len);
	}
	if (len > have)
		wr_session_skip(s, dir, len - have, wr_req_oldest(s));
	return 4 + (ssize_t)have;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	uint32_t len;

	if (b.n < 5)
		return b.n > 2 && b.p[2] ? WR_PROBE_NO : WR_PROBE_MORE;
	len = (uint32_t)le(b.p, 3);
	if (!len)
		return WR_PROBE_NO;
	if (dir) {
		const uint8_t *nul;

		if (b.p[3] == 0 && b.p[4] == 10 && len < 512) {
			nul = memchr(b.p + 5, 0, wr_min(b.n - 5, (size_t)64));
			if (!nul)
				return b.n < 69 ? WR_PROBE_MORE : WR_PROBE_NO;
			return nul > b.p + 5 && b.p[5] >= '0' && b.p[5] <= '9' ? 90 : WR_PROBE_NO;
		}
		if (b.p[3] == 0 && b.p[4] == 0xff && len < 512 && b.n >= 8)
			return 50; /* refused at once: too many connections */
		if (!joined || b.p[3] != 1 || len > 65536)
			return WR_PROBE_NO;
		return b.p[4] == 0xff && b.n > 8 && b.p[7] == '#' ? 65
		       : len == 1				  ? 40
		       : b.p[4] == 0				  ? 30
								  : 10;
	}
	if (b.p[3] == 1 && !joined && len >= 32 && len < 4096 && b.n >= 36) {
		for (unsigned i = 13; i < 32; i++) {
			if (b.p[i])
				return 20;
		}
		return 60;
	}
	if (!joined || b.p[3] != 0 || b.p[4] >= COM_N)
		return WR_PROBE_NO;
	if (b.p[4] == COM_QUERY || b.p[4] == COM_PREPARE) {
		for (size_t i = 8; i < b.n && i < 4 + len; i++) {
			if (b.p[i] < 9)
				return WR_PROBE_NO;
		}
		return len == b.n - 4 ? 60 : 30;
	}
	return len == b.n - 4 && len < 64 ? 30 : WR_PROBE_NO;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct my *st = wr_state(s);
	struct wr_request *q = wr_req_oldest(s);

	if (q)
		q->gap += lost;
	st->lost[dir] = true;
	st->logged_in = true;
	return true;
}

static void finish(struct wr_session *s)
{
	struct my *st = wr_state(s);
	struct wr_request *q = wr_req_oldest(s);

	if (q && st->rows)
		wr_req_detail_u64(q, "rows", st->rows);
}

static void fini(void *state)
{
	struct my *st = state;

	for (unsigned i = 0; i < st->n_st; i++)
		free(st->st[i].text);
	free(st->preparing);
}

const struct wr_proto wr_proto_mysql = {
	.name = "mysql",
	.help = "login and each command: query, prepare, execute, ping, ...",
	.over = WR_TCP,
	.whole = true,
	.ports = {3306, 33060},
	.state = sizeof(struct my),
	.probe = probe,
	.feed = feed,
	.gap = gap,
	.finish = finish,
	.fini = fini,
};
