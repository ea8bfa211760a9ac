// SPDX-License-Identifier: Apache-2.0
#include "../ctl/ctl.h"
#include "../store/query.h"
#include "http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>

#define SECOND 1000000000ull
#define QUESTIONS 4 /* to history, at once; more: 503 */
#define KEEP_ALIVE 15 /* s */
#define MAX_SAME 100000 /* records of one time that a cursor can count */
#define SLACK (120 * SECOND) /* records are at most so much out of order */

static atomic_int asking;

static const char *text(const struct wr_call *c, enum wr_param p)
{
	return c->p[p] ? c->p[p] : "";
}

static uint64_t utc(void)
{
	return wr_now() + (uint64_t)wr_utc_offset();
}

/* Times and numbers of a question; false: refused. */
static bool question(struct wr_call *c, struct wr_query *q)
{
	uint64_t now = utc();
	const char *what = "since";

	*q = (struct wr_query){.kind = text(c, WR_P_kind)[0] ? c->p[WR_P_kind] : "traffic",
		.expr = c->p[WR_P_where],
		.by = text(c, WR_P_by),
		.show = c->p[WR_P_show],
		.sql = c->p[WR_P_sql],
		.from = now - 3600 * SECOND,
		.to = now};
	if (c->p[WR_P_since] && wr_parse_when(wr_str(c->p[WR_P_since]), now, &q->from))
		goto bad;
	what = "until";
	if (c->p[WR_P_until] && wr_parse_when(wr_str(c->p[WR_P_until]), now, &q->to))
		goto bad;
	what = "every";
	if (text(c, WR_P_every)[0] &&
		(wr_parse_duration(wr_str(c->p[WR_P_every]), &q->every) || q->every < SECOND))
		goto bad;
	what = "top";
	if (text(c, WR_P_top)[0] && wr_parse_u64(wr_str(c->p[WR_P_top]), &q->top))
		goto bad;
	if (q->from <= q->to)
		return true;
	what = "since (later than until)";
bad:
	wr_call_fail(c, 400, "cannot understand '%s'", what);
	return false;
}

static struct wr_history *open_history(struct wr_call *c)
{
	struct wr_err e = {.text = ""};
	struct wr_history *h = NULL;

	if (!c->cfg->store[0])
		wr_call_fail(c, 404, "this agent keeps no history (store.path)");
	else if (atomic_fetch_add(&asking, 1) >= QUESTIONS)
		wr_call_fail(c, 503, "%u questions are being answered already", QUESTIONS);
	else if (wr_history_open(c->cfg->store, &h, &e))
		wr_call_fail(c, 404, "%s", e.text);
	else
		return h;
	if (c->cfg->store[0])
		atomic_fetch_sub(&asking, 1);
	return NULL;
}

static void close_history(struct wr_history *h)
{
	wr_history_close(h);
	atomic_fetch_sub(&asking, 1);
}

/* query -------------------------------------------------------------------------------------------- */

enum form { JSON, NDJSON, CSV };

static bool form_of(struct wr_call *c, enum form *ret)
{
	const char *f = text(c, WR_P_format);

	*ret = !strcmp(f, "csv") ? CSV : !strcmp(f, "ndjson") ? NDJSON : JSON;
	if (f[0] && *ret == JSON && strcmp(f, "json") != 0) {
		wr_call_fail(c, 400, "format is json, ndjson or csv");
		return false;
	}
	c->type = *ret == CSV	   ? "text/csv"
		  : *ret == NDJSON ? "application/x-ndjson"
				   : "application/json";
	return true;
}

struct table {
	struct wr_buf *b;
	enum form form;
	char name[128][96];
	unsigned n;
	bool any;
};

static void on_head(void *ctx, unsigned n, const char *const *names)
{
	struct table *t = ctx;

	t->n = wr_min(n, 128u);
	if (t->form == JSON)
		wr_buf_lit(t->b, "{\"columns\":[");
	for (unsigned i = 0; i < t->n; i++) {
		wr_copy(t->name[i], sizeof(t->name[i]), wr_str(names[i]));
		if (i && t->form != NDJSON)
			wr_buf_c(t->b, ',');
		if (t->form == JSON)
			wr_buf_json(t->b, wr_str(names[i]));
		else if (t->form == CSV)
			wr_buf_csv(t->b, wr_str(names[i]), true);
	}
	if (t->form == JSON)
		wr_buf_lit(t->b, "],\"rows\":[");
	else if (t->form == CSV)
		wr_buf_lit(t->b, "\r\n");
}

static bool on_row(void *ctx, unsigned n, const struct wr_str *v, const bool *number)
{
	struct table *t = ctx;

	if (t->form == JSON)
		wr_buf_put(t->b, t->any ? ",[" : "[", t->any ? 2 : 1);
	else if (t->form == NDJSON)
		wr_buf_c(t->b, '{');
	t->any = true;
	for (unsigned i = 0; i < n && i < t->n; i++) {
		if (i)
			wr_buf_c(t->b, ',');
		if (t->form == NDJSON) {
			wr_buf_json(t->b, wr_str(t->name[i]));
			wr_buf_c(t->b, ':');
		}
		if (t->form == CSV) {
			if (number[i])
				wr_buf_str(t->b, v[i]);
			else if (v[i].p)
				wr_buf_csv(t->b, v[i], true);
		} else if (!v[i].p) {
			wr_buf_lit(t->b, "null");
		} else if (number[i]) {
			wr_buf_str(t->b, v[i]);
		} else {
			wr_buf_json(t->b, v[i]);
		}
	}
	if (t->form == JSON)
		wr_buf_c(t->b, ']');
	else if (t->form == NDJSON)
		wr_buf_lit(t->b, "}\n");
	else
		wr_buf_lit(t->b, "\r\n");
	return !t->b->cut;
}

static void completeness(struct wr_buf *b, const struct wr_complete *w)
{
	wr_buf_printf(b,
		"\"completeness\":{\"share\":%.6f,\"kept\":%" PRIu64 ",\"lost\":%" PRIu64
		",\"damaged\":%u}",
		w->share, w->kept, w->lost, w->damaged);
}

void wr_route_query(struct wr_call *c)
{
	struct table t = {.b = &c->body};
	const struct wr_grid out = {&t, on_head, on_row};
	struct wr_complete whole = {.share = 1};
	struct wr_err e = {.text = ""};
	struct wr_history *h;
	struct wr_query q;
	int rc;

	if (!question(c, &q) || !form_of(c, &t.form))
		return;
	h = open_history(c);
	if (!h)
		return;
	rc = wr_query_table(h, &q, &out, &whole, &e);
	close_history(h);
	if (rc) {
		wr_call_fail(c,
			rc == -EINVAL || rc == -EPERM ? 400
			: rc == -ETIMEDOUT	      ? 504
						      : 500,
			"%s", e.text);
		return;
	}
	if (t.form != JSON)
		return;
	wr_buf_lit(&c->body, "],");
	completeness(&c->body, &whole);
	wr_buf_lit(&c->body, "}\n");
}

/* records ------------------------------------------------------------------------------------------ */

struct kept {
	uint64_t time, order; /* order: in which it was read */
	unsigned block;
	char *json;
};

struct page {
	struct kept *v;
	unsigned n, max, old; /* old: records in a row that are too old by far */
	uint64_t order, before, skip;
	struct wr_history *h;
	struct wr_buf text;
};

/* By time; of the same time by arrival: blocks are read the newest first, the records in one as they came. */
static bool newer(const struct kept *a, const struct kept *b)
{
	if (a->time != b->time)
		return a->time > b->time;
	return a->block != b->block ? a->block < b->block : a->order > b->order;
}

static int by_time(const void *a, const void *b)
{
	return newer(a, b) ? -1 : 1;
}

/* A heap whose root is the oldest that is kept. */
static void sift(struct page *p, unsigned i)
{
	for (;;) {
		unsigned child = 2 * i + 1;
		struct kept t;

		if (child >= p->n)
			return;
		if (child + 1 < p->n && newer(&p->v[child], &p->v[child + 1]))
			child++;
		if (!newer(&p->v[i], &p->v[child]))
			return;
		t = p->v[i];
		p->v[i] = p->v[child];
		p->v[child] = t;
		i = child;
	}
}

static void up(struct page *p, unsigned i)
{
	while (i && newer(&p->v[(i - 1) / 2], &p->v[i])) {
		struct kept t = p->v[i];

		p->v[i] = p->v[(i - 1) / 2];
		p->v[(i - 1) / 2] = t;
		i = (i - 1) / 2;
	}
}

static bool on_record(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_conn *common = (const void *)e; /* the common fields come first */
	struct page *p = ctx;
	struct kept k = {common->time, p->order++, wr_history_blocks(p->h), NULL};

	if (p->n == p->max && !newer(&k, &p->v[0])) {
		p->old = k.time + SLACK < p->v[0].time ? p->old + 1 : 0;
		return p->old < WR_MAX_STORE_RECORDS; /* what comes now is older still */
	}
	p->text.n = 0;
	wr_json(&p->text, e, NULL);
	k.json = strndup(p->text.p, p->text.n - 1); /* without the newline */
	if (!k.json)
		return false;
	if (p->n == p->max) {
		free(p->v[0].json);
		p->v[0] = k;
		sift(p, 0);
	} else {
		p->v[p->n] = k;
		up(p, p->n++);
	}
	return true;
}

/* "TIME.COUNT": the time of the last record of the page before, and how many of that time were told. */
static bool cursor(struct wr_call *c, struct wr_query *q, struct page *p)
{
	const char *t = c->p[WR_P_cursor], *dot = t ? strchr(t, '.') : NULL;

	if (!t)
		return true;
	if (!dot || wr_parse_u64((struct wr_str){t, (size_t)(dot - t)}, &p->before) ||
		wr_parse_u64(wr_str(dot + 1), &p->skip) || p->skip > MAX_SAME) {
		wr_call_fail(c, 400, "cannot understand 'cursor'");
		return false;
	}
	q->to = wr_min(q->to, p->before);
	return true;
}

static void put_page(struct wr_call *c, struct page *p, enum form form)
{
	bool full = p->n == p->max, any = false;
	uint64_t last = 0, same = 0;

	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), by_time);
	if (form == JSON)
		wr_buf_lit(&c->body, "{\"records\":[");
	for (unsigned i = 0; i < p->n; i++) {
		same = p->v[i].time == last ? same + 1 : 1;
		last = p->v[i].time;
		if (last == p->before && same <= p->skip)
			continue;
		if (any && form == JSON)
			wr_buf_c(&c->body, ',');
		any = true;
		wr_buf_str(&c->body, wr_str(p->v[i].json));
		if (form != JSON)
			wr_buf_c(&c->body, '\n');
	}
	if (form != JSON)
		return;
	wr_buf_lit(&c->body, "],\"next\":");
	if (full && any)
		wr_buf_printf(&c->body, "\"%" PRIu64 ".%" PRIu64 "\"", last, same);
	else
		wr_buf_lit(&c->body, "null");
}

void wr_route_records(struct wr_call *c)
{
	struct page p = {.max = 100, .before = UINT64_MAX, .text = WR_BUF(WR_MAX_LINE)};
	struct wr_complete whole;
	struct wr_err e = {.text = ""};
	uint64_t limit = p.max;
	struct wr_history *h;
	struct wr_query q;
	enum form form;
	int rc;

	if (!question(c, &q) || !form_of(c, &form) || !cursor(c, &q, &p))
		return;
	if (c->p[WR_P_limit] &&
		(wr_parse_u64(wr_str(c->p[WR_P_limit]), &limit) || !limit || limit > WR_API_PAGE)) {
		wr_call_fail(c, 400, "limit is 1 to %u", WR_API_PAGE);
		return;
	}
	if (form == CSV) {
		wr_call_fail(c, 400, "records are json or ndjson");
		return;
	}
	q.kind = c->tail;
	if (wr_query_kind(q.kind, &e) == WR_KINDS) {
		wr_call_fail(c, 404, "%s", e.text);
		return;
	}
	h = open_history(c);
	if (!h)
		return;
	/* what the page before had of the cursor's time is kept too, and then left out */
	p.h = h;
	p.max = (unsigned)limit + (unsigned)p.skip;
	p.v = wr_alloc(sizeof(*p.v) * p.max);
	rc = p.v ? wr_query_records(h, &q, true, on_record, &p, &e) : -ENOMEM;
	if (rc) {
		wr_call_fail(c, rc == -EINVAL ? 400 : 500, "%s", e.text);
	} else {
		put_page(c, &p, form);
		wr_history_complete(h, wr_query_kind(q.kind, NULL), q.from, q.to, &whole);
		if (form == JSON) {
			wr_buf_c(&c->body, ',');
			completeness(&c->body, &whole);
			wr_buf_lit(&c->body, "}\n");
		}
	}
	close_history(h);
	for (unsigned i = 0; i < p.n; i++)
		free(p.v[i].json);
	free(p.v);
	wr_buf_free(&p.text);
}

/* live --------------------------------------------------------------------------------------------- */

struct stream {
	struct wr_client c;
	struct wr_buf out;
	size_t sent;
	uint64_t spoke;
	int kind;
};

static void on_live(void *ctx, const struct wr_event *e)
{
	struct stream *s = ctx;

	if (e->kind == WR_KIND_loss && s->kind != WR_KIND_loss)
		wr_buf_lit(&s->out, "event: loss\n");
	wr_buf_lit(&s->out, "data: ");
	wr_json(&s->out, e, NULL);
	wr_buf_c(&s->out, '\n');
}

/*
 * Waits in the thread of its connection; the agent's queue for this client is where records wait, or are lost.
 */
static ssize_t read_stream(void *cls, uint64_t pos, char *to, size_t max)
{
	struct stream *s = cls;
	size_t n;

	(void)pos;
	while (s->sent == s->out.n) {
		struct pollfd p = {s->c.fd, POLLIN, 0};

		s->out.n = s->sent = 0;
		s->out.cut = false;
		if (wr_now() - s->spoke > KEEP_ALIVE * SECOND)
			wr_buf_lit(&s->out, ": nothing\n\n");
		else if (poll(&p, 1, 1000) > 0 && wr_client_read(&s->c, on_live, s) < 0)
			return MHD_CONTENT_READER_END_OF_STREAM;
	}
	s->spoke = wr_now();
	n = wr_min(s->out.n - s->sent, max);
	memcpy(to, s->out.p + s->sent, n);
	s->sent += n;
	return (ssize_t)n;
}

static void end_stream(void *cls)
{
	struct stream *s = cls;

	close(s->c.fd);
	wr_buf_free(&s->out);
	free(s);
}

/* A line to the agent; its descriptor, or refused. */
static int ask_agent(struct wr_call *c, const char *line)
{
	struct wr_err e = {.text = ""};
	int fd = wr_client_open(c->cfg->agent, line, &e);

	if (fd < 0)
		wr_call_fail(c, fd == -EPROTO ? 400 : 503, "%s", e.text);
	return fd;
}

void wr_route_live(struct wr_call *c)
{
	char line[WR_MAX_EXPR + 80];
	struct stream *s;
	int k, fd;

	for (k = 0; k < WR_KINDS && strcmp(c->tail, wr_kinds[k].name) != 0; k++)
		;
	if (k == WR_KINDS) {
		wr_call_fail(c, 404, "there is no kind '%s'", c->tail);
		return;
	}
	if (strlen(text(c, WR_P_where)) > WR_MAX_EXPR || strchr(text(c, WR_P_where), '\n')) {
		wr_call_fail(c, 400,
			"an expression of more than %u bytes, or of more than one line",
			WR_MAX_EXPR);
		return;
	}
	snprintf(line, sizeof(line), "watch %s %016" PRIx64 " %s\n", c->tail, wr_schema_hash(),
		text(c, WR_P_where));
	fd = ask_agent(c, line);
	if (fd < 0)
		return;
	s = wr_alloc(sizeof(*s));
	if (!s) {
		close(fd);
		wr_call_fail(c, 503, "no memory");
		return;
	}
	s->c.fd = fd;
	s->kind = k;
	s->out = WR_BUF(8u << 20);
	s->spoke = wr_now();
	wr_buf_lit(&s->out, ": weir\n\n"); /* the head goes out at once */
	c->type = "text/event-stream";
	c->read = read_stream;
	c->end = end_stream;
	c->stream = s;
}

/* the agent ---------------------------------------------------------------------------------------- */

static void put_record(void *ctx, const struct wr_event *e)
{
	struct wr_buf *b = ctx;

	if (b->n && b->p[b->n - 1] == '\n')
		b->p[b->n - 1] = ',';
	wr_json(b, e, NULL);
}

/* All records of "get NAME" to @fn; false: refused. */
static bool get_all(struct wr_call *c, const char *name, wr_sink_fn fn, void *ctx)
{
	struct wr_client client = {.n = 0};
	uint64_t ends = wr_now() + 5 * SECOND;
	char line[64];

	snprintf(line, sizeof(line), "get %s\n", name);
	client.fd = ask_agent(c, line);
	if (client.fd < 0)
		return false;
	while (wr_now() < ends) {
		struct pollfd p = {client.fd, POLLIN, 0};

		if (poll(&p, 1, 1000) > 0 && wr_client_read(&client, fn, ctx) < 0)
			break;
	}
	close(client.fd);
	return true;
}

static void list(struct wr_call *c, const char *name)
{
	wr_buf_lit(&c->body, "{\"records\":[");
	if (!get_all(c, name, put_record, &c->body))
		return;
	if (c->body.n && c->body.p[c->body.n - 1] == '\n')
		c->body.n--;
	wr_buf_lit(&c->body, "]}\n");
}

/* packets ------------------------------------------------------------------------------------------ */

/* A file that the agent made; or makes: then it grows until @ends, and is taken away when it was read. */
struct file {
	int fd, client;
	uint64_t ends; /* 0: it does not grow */
	const char *agent;
	char id[33], path[640];
};

static ssize_t read_file(void *cls, uint64_t pos, char *to, size_t max)
{
	struct file *f = cls;
	struct pollfd gone = {f->client, POLLRDHUP, 0};
	ssize_t n;

	for (;;) {
		n = pread(f->fd, to, max, (off_t)pos);
		if (n > 0)
			return n;
		if (n < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (wr_now() > f->ends + 2 * SECOND) /* the agent ends it within a second */
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (poll(&gone, 1, 200) > 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
}

static void end_file(void *cls)
{
	struct file *f = cls;
	struct wr_buf said = WR_BUF(1024);
	struct wr_err e = {.text = ""};
	char line[64];

	close(f->fd);
	if (f->ends && wr_now() < f->ends) { /* nobody listens any more */
		snprintf(line, sizeof(line), "set capture stop %s\n", f->id);
		wr_client_ask(f->agent, line, &said, &e);
		wr_buf_free(&said);
	}
	if (f->ends)
		unlink(f->path);
	free(f);
}

/* The file of @id goes out as the answer. */
static void send_file(struct wr_call *c, const char *id, uint64_t ends)
{
	struct file *f = wr_alloc(sizeof(*f));

	if (!f) {
		wr_call_fail(c, 503, "no memory");
		return;
	}
	f->client = c->client;
	f->ends = ends;
	f->agent = c->cfg->agent;
	wr_copy(f->id, sizeof(f->id), wr_str(id));
	snprintf(f->path, sizeof(f->path), "%s/evidence/%s.pcapng", c->cfg->store, id);
	f->fd = open(f->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (f->fd < 0) {
		wr_call_fail(
			c, 404, "no packets of %s are kept (alerts.packets, guard.respond)", id);
		free(f);
		return;
	}
	c->type = "application/x-pcapng";
	c->read = read_file;
	c->end = end_file;
	c->stream = f;
}

void wr_route_packets(struct wr_call *c)
{
	if (!c->tail[0] || strlen(c->tail) > 32 || c->tail[strspn(c->tail, "0123456789abcdef")])
		wr_call_fail(c, 404, "an id is of hexadecimal digits: the field id of an alert");
	else if (!c->cfg->store[0])
		wr_call_fail(
			c, 404, "packets are kept beside the history (store.path), which is off");
	else
		send_file(c, c->tail, 0);
}

/* @where, without the connection that the packets go out by: each of its own would make another one. */
static void but_its_own(const struct wr_call *c, const char *where, struct wr_buf *b)
{
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	socklen_t n = sizeof(peer);
	char t[WR_IP_TEXT];
	struct wr_ip ip;

	if (getpeername(c->client, (void *)&peer, &n) || !wr_ip_of((const void *)&peer, &ip)) {
		wr_buf_printf(b, "%s\n", where);
		return;
	}
	t[wr_ip_text(&ip, t)] = 0;
	wr_buf_printf(b, where[0] ? "(%s) and " : "%s", where);
	wr_buf_printf(b, "not (host %s and port %u)\n", t,
		ntohs(((const struct sockaddr_in *)&peer)->sin_port)); /* as sin6_port */
}

void wr_route_capture(struct wr_call *c)
{
	const char *time = text(c, WR_P_for)[0] ? c->p[WR_P_for] : "10s";
	struct wr_buf said = WR_BUF(1024), line = WR_BUF(WR_MAX_EXPR + 160);
	const char *where = text(c, WR_P_where);
	struct wr_err e = {.text = ""};
	char id[33] = "";
	uint64_t ns;
	int rc;

	if (wr_parse_duration(wr_str(time), &ns) || strlen(where) > WR_MAX_EXPR - 100 ||
		strchr(where, '\n')) {
		wr_call_fail(c, 400, "for is a time as 10s, where an expression of one line");
		return;
	}
	wr_buf_printf(&line, "set capture %" PRIu64 "ms ", ns / 1000000);
	but_its_own(c, where, &line);
	wr_buf_c(&line, 0);
	rc = wr_client_ask(c->cfg->agent, line.p, &said, &e);
	wr_buf_free(&line);
	wr_copy(id, sizeof(id), wr_buf_view(&said));
	id[strspn(id, "0123456789abcdef")] = 0;
	if (rc)
		wr_call_fail(c, rc == -EPROTO ? 400 : 503, "%s", e.text);
	else
		send_file(c, id, wr_now() + ns);
	wr_buf_free(&said);
}

void wr_route_sensors(struct wr_call *c)
{
	list(c, "sensors");
}

void wr_route_counters(struct wr_call *c)
{
	list(c, "counters");
}

void wr_route_rules(struct wr_call *c)
{
	list(c, "rules");
}

void wr_route_status(struct wr_call *c)
{
	char t[32];
	bool any = false;

	wr_buf_lit(&c->body, "{\"version\":\"" WR_VERSION "\",\"host\":");
	wr_buf_json(&c->body, wr_str(c->cfg->host));
	wr_buf_printf(&c->body, ",\"time\":\"%s\",\"history\":%s,\"kinds\":[", wr_rfc3339(utc(), t),
		c->cfg->store[0] ? "true" : "false");
	for (unsigned k = 0; k < WR_KINDS; k++) {
		if (!wr_store_keeps((enum wr_kind_id)k))
			continue;
		wr_buf_printf(&c->body, "%s\"%s\"", any ? "," : "", wr_kinds[k].name);
		any = true;
	}
	wr_buf_lit(&c->body, "]}\n");
}

/* What the token to control may do: of the guard what ends by itself, and names no file and no process. */
static bool controls(const char *what)
{
	static const char *const words[] = {"log ", "guard drop ", "guard limit ", "guard cookie ",
		"guard reject ", "guard tarpit ", "guard allow ", "guard clear "};
	struct wr_str rest = wr_str(what), w;
	uint64_t ttl = 1;
	unsigned i = 0;

	if (!strcmp(what, "reload") || !strcmp(what, "stop"))
		return true;
	while (i < WR_N(words) && strncmp(what, words[i], strlen(words[i])) != 0)
		i++;
	for (w = wr_next_token(&rest); w.n; w = wr_next_token(&rest)) {
		if (wr_str_eq(w, WR_STR("list")))
			return false;
		if (wr_str_eq(w, WR_STR("ttl")) &&
			(wr_parse_duration(wr_next_token(&rest), &ttl) || !ttl))
			return false;
	}
	return i < WR_N(words);
}

void wr_route_control(struct wr_call *c)
{
	const char *what = text(c, WR_P_do);
	struct wr_buf answer = WR_BUF(16384);
	struct wr_err e = {.text = ""};
	char line[1100];
	int rc;

	if (!controls(what)) {
		wr_call_fail(c, 400,
			"do is reload, stop, log MODULE LEVEL, guard drop, reject, tarpit, limit, cookie, allow, "
			"or guard clear NUMBER; "
			"no list, and no rule without an end");
		return;
	}
	if (strlen(what) > 1000 || strchr(what, '\n')) {
		wr_call_fail(c, 400, "too long, or more than a line");
		return;
	}
	snprintf(line, sizeof(line), "set %s\n", what);
	rc = wr_client_ask(c->cfg->agent, line, &answer, &e);
	if (rc) {
		wr_call_fail(c, rc == -EPROTO ? 400 : 503, "%s", e.text);
	} else {
		wr_buf_lit(&c->body, "{\"done\":true,\"answer\":");
		wr_buf_json(&c->body, wr_buf_view(&answer));
		wr_buf_lit(&c->body, "}\n");
	}
	wr_buf_free(&answer);
}

/* OpenMetrics -------------------------------------------------------------------------------------- */

static void label(struct wr_buf *b, struct wr_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			wr_buf_c(b, '\\');
		wr_buf_c(b, s.p[i] == '\n' ? ' ' : s.p[i]);
	}
}

static void put_counter(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_metric *m = (const void *)e;
	struct wr_buf *b = ctx;

	if (e->kind != WR_KIND_metric)
		return;
	wr_buf_lit(b, "weir_ledger_total{name=\"");
	label(b, m->name);
	wr_buf_printf(b, "\"} %.0f\n", m->value);
}

static void put_sensor(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_sensor *s = (const void *)e;
	struct wr_buf *b = ctx;

	if (e->kind != WR_KIND_sensor)
		return;
	wr_buf_lit(b, "weir_sensor_completeness_ratio{name=\"");
	label(b, s->name);
	wr_buf_lit(b, "\",state=\"");
	label(b, s->state);
	wr_buf_printf(
		b, "\"} %.6f\n", wr_ev_has(e, WR_I_sensor_completeness) ? s->completeness : 0);
}

void wr_route_metrics(struct wr_call *c)
{
	struct wr_err e = {.text = ""};

	wr_buf_lit(&c->body,
		"# TYPE weir_ledger counter\n# HELP weir_ledger Records and bytes of every stage of weir.\n");
	if (!get_all(c, "counters", put_counter, &c->body))
		return;
	wr_buf_lit(&c->body,
		"# TYPE weir_sensor_completeness_ratio gauge\n# UNIT weir_sensor_completeness_ratio ratio\n"
		"# HELP weir_sensor_completeness_ratio Share of what a sensor saw that was read.\n");
	if (!get_all(c, "sensors", put_sensor, &c->body))
		return;
	if (wr_client_ask(c->cfg->agent, "get metrics\n", &c->body, &e)) {
		wr_call_fail(c, 503, "%s", e.text);
		return;
	}
	wr_buf_lit(&c->body, "# EOF\n");
	c->type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
}
