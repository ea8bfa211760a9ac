// SPDX-License-Identifier: Apache-2.0
/* The data behind the screen: rows, rates, sums. No terminal here. */
#include "tui_impl.h"

#define SECOND 1000000000ull
#define STALE (SECOND * 5 / 2)
#define KEEP_CLOSED (3 * SECOND) /* a closed connection stays visible so long */

/* Requests of one kind to one service. */
struct request {
	struct wr_hnode node;
	char service[48], what[64];
	uint64_t count, errors, max_us;
	uint64_t n, us; /* since the last tick */
	double rate;
	uint64_t avg_us;
};

struct wr_tui *wr_tui_new(const char *host, const char *source)
{
	struct wr_tui *t = wr_alloc(sizeof(*t));

	if (!t)
		return NULL;
	t->host = host;
	t->source = source;
	t->slab = WR_SLAB(struct wr_tui_row, WR_MAX_CONNS / 4);
	t->now = wr_now();
	return t;
}

static void row_free(struct wr_tui *t, struct wr_tui_row *r)
{
	wr_htab_del(&t->rows, &r->node);
	free(r->packed);
	wr_slab_put(&t->slab, r);
}

void wr_tui_free(struct wr_tui *t)
{
	if (!t)
		return;
	wr_htab_each (&t->rows, i, n)
		free(wr_container(n, struct wr_tui_row, node)->packed);
	wr_htab_each (&t->requests, i, n) {
		wr_htab_del(&t->requests, n);
		free(wr_container(n, struct request, node));
	}
	wr_htab_free(&t->requests);
	wr_htab_free(&t->rows);
	wr_slab_free(&t->slab);
	wr_filter_free(t->filter);
	free(t->lines);
	free(t);
}

#define MAX_REQUEST_ROWS 1024 /* more: one row "(other)" */

static struct request *request_get(struct wr_tui *t, const char *service, const char *what)
{
	uint64_t h = wr_hash(service, strlen(service), 7) ^ wr_hash(what, strlen(what), 8);
	struct request *r;

	for (struct wr_hnode *n = wr_htab_first(&t->requests, h); n; n = wr_htab_next(n->next, h)) {
		r = wr_container(n, struct request, node);
		if (!strcmp(r->service, service) && !strcmp(r->what, what))
			return r;
	}
	if (t->requests.n >= MAX_REQUEST_ROWS && strcmp(service, "(other)"))
		return request_get(t, "(other)", "");
	r = wr_alloc(sizeof(*r));
	if (!r)
		return NULL;
	wr_copy(r->service, sizeof(r->service), wr_str(service));
	wr_copy(r->what, sizeof(r->what), wr_str(what));
	if (wr_htab_add(&t->requests, &r->node, h)) {
		free(r);
		return NULL;
	}
	return r;
}

static void clean(char *to, size_t n, struct wr_str s);
static void addr(char *to, size_t n, const struct wr_ip *ip, uint64_t port);

static void request(struct wr_tui *t, const struct wr_ev_request *q)
{
	char service[48], what[64], proto[16], op[40];
	struct request *r;

	if (wr_ev_has(&q->ev, WR_I_request_server_service))
		clean(service, sizeof(service), q->server_service);
	else
		addr(service, sizeof(service), &q->server_ip, q->server_port);
	clean(proto, sizeof(proto), q->protocol);
	clean(op, sizeof(op), q->operation);
	snprintf(what, sizeof(what), "%s %s", proto, op);
	r = request_get(t, service, what);
	if (!r)
		return;
	r->count++;
	r->n++;
	r->errors += q->error;
	r->us += q->duration_us;
	r->max_us = wr_max(r->max_us, q->duration_us);
}

void wr_tui_requests(struct wr_tui *t, void (*add)(struct wr_tui *t, const struct wr_tui_line *l))
{
	wr_htab_each (&t->requests, i, n) {
		struct request *r = wr_container(n, struct request, node);
		struct wr_tui_line l = {.conns = r->count,
			.errors = r->errors,
			.tx_rate = r->rate,
			.rtt_us = r->avg_us,
			.max_us = r->max_us};

		wr_copy(l.key, sizeof(l.key), wr_str(r->service));
		wr_copy(l.extra, sizeof(l.extra), wr_str(r->what));
		add(t, &l);
	}
}

static struct wr_tui_row *row_get(struct wr_tui *t, struct wr_str conn)
{
	uint64_t h = wr_hash(conn.p, conn.n, 5);
	struct wr_tui_row *r;

	for (struct wr_hnode *n = wr_htab_first(&t->rows, h); n; n = wr_htab_next(n->next, h)) {
		r = wr_container(n, struct wr_tui_row, node);
		if (r->key == h)
			return r;
	}
	r = wr_slab_get(&t->slab);
	if (!r) {
		t->refused++;
		return NULL;
	}
	r->key = h;
	if (wr_htab_add(&t->rows, &r->node, h)) {
		wr_slab_put(&t->slab, r);
		return NULL;
	}
	return r;
}

/* Text from elsewhere onto a terminal: control characters become '?'. */
static void clean(char *to, size_t n, struct wr_str s)
{
	struct wr_buf b = WR_BUF(512);

	wr_buf_text(&b, s, n - 1);
	while (b.n >= n)
		b.n--;
	wr_copy(to, n, wr_buf_view(&b));
	wr_buf_free(&b);
}

static void addr(char *to, size_t n, const struct wr_ip *ip, uint64_t port)
{
	char t[WR_IP_TEXT];

	wr_ip_text(ip, t);
	snprintf(to, n, port ? (wr_ip_is4(ip) ? "%s:%" PRIu64 : "[%s]:%" PRIu64) : "%s", t, port);
}

static void end_fill(struct wr_tui_end *e, const struct wr_event *ev, unsigned first,
	const struct wr_ip *ip, uint64_t port, uint64_t pid, struct wr_str process,
	struct wr_str container, struct wr_str service, struct wr_str name)
{
	if (wr_ev_has(ev, first))
		addr(e->addr, sizeof(e->addr), ip, port);
	if (wr_ev_has(ev, first + 3)) {
		clean(e->process, sizeof(e->process), process);
		e->pid = pid;
	}
	if (container.n)
		clean(e->container, sizeof(e->container), container);
	if (service.n)
		clean(e->service, sizeof(e->service), service);
	if (name.n)
		clean(e->name, sizeof(e->name), name);
}

static void keep(struct wr_tui_row *r, const struct wr_event *e)
{
	struct wr_buf b = WR_BUF(WR_MAX_FRAME);

	wr_pack(&b, e);
	free(r->packed);
	r->packed = b.p;
	r->packed_n = (uint32_t)b.n;
}

void wr_tui_record(struct wr_tui *t, const struct wr_event *e)
{
	const struct wr_ev_conn *c = (const void *)e;
	uint64_t now = wr_now();
	struct wr_tui_row *r;
	bool close;

	if (e->kind == WR_KIND_loss) {
		t->lost += ((const struct wr_ev_loss *)(const void *)e)->count;
		return;
	}
	if (e->kind == WR_KIND_request)
		request(t, (const struct wr_ev_request *)(const void *)e);
	if (e->kind != WR_KIND_conn)
		return;
	r = row_get(t, c->conn);
	if (!r)
		return;
	close = wr_str_eq(c->event, WR_STR("close"));
	t->opened += wr_str_eq(c->event, WR_STR("open"));
	if (!r->packed) { /* if it was there before us only what comes now is a rate */
		bool old = wr_str_eq(c->event, WR_STR("update"));

		r->seen_at = now;
		r->seen_up = old ? c->bytes_to_server : 0;
		r->seen_down = old ? c->bytes_to_client : 0;
	}
	if (now - r->seen_at > SECOND / 3 || close) {
		double dt = wr_max((double)(now - r->seen_at) / 1e9, 1.0 / 3);

		r->up_rate = c->bytes_to_server > r->seen_up
				     ? (double)(c->bytes_to_server - r->seen_up) / dt
				     : 0;
		r->down_rate = c->bytes_to_client > r->seen_down
				       ? (double)(c->bytes_to_client - r->seen_down) / dt
				       : 0;
		r->seen_at = now;
		r->seen_up = c->bytes_to_server;
		r->seen_down = c->bytes_to_client;
	}
	t->closed += close;
	if (close && wr_ev_has(e, WR_I_conn_error))
		t->failed++;
	if (c->retransmits > r->retr)
		t->retransmits += c->retransmits - r->retr;
	r->up = c->bytes_to_server;
	r->down = c->bytes_to_client;
	r->packets = c->packets_to_client + c->packets_to_server;
	r->retr = c->retransmits;
	r->rtt_us = c->rtt_us;
	if (close)
		r->closed = t->now;
	clean(r->proto, sizeof(r->proto), c->transport);
	clean(r->state, sizeof(r->state),
		close && wr_ev_has(e, WR_I_conn_close_reason) ? c->close_reason : c->state);
	r->listener = !wr_ev_has(e, WR_I_conn_client_ip);
	end_fill(&r->end[0], e, WR_I_conn_client_ip, &c->client_ip, c->client_port, c->client_pid,
		c->client_process, c->client_container, c->client_service, c->client_host_name);
	end_fill(&r->end[1], e, WR_I_conn_server_ip, &c->server_ip, c->server_port, c->server_pid,
		c->server_process, c->server_container, c->server_service, c->server_host_name);
	keep(r, e);
}

void wr_tui_tick(struct wr_tui *t, uint64_t now)
{
	double dt = (double)(now - t->now) / 1e9;

	if (dt < 0.2)
		return;
	t->up_rate = t->down_rate = 0;
	wr_htab_each (&t->rows, i, n) {
		struct wr_tui_row *r = wr_container(n, struct wr_tui_row, node);

		if (r->seen_at + STALE < now) /* readings come once a second, for what changed */
			r->up_rate = r->down_rate = 0;
		t->up_rate += r->up_rate;
		t->down_rate += r->down_rate;
		if (r->closed && r->closed + KEEP_CLOSED < now)
			row_free(t, r);
	}
	wr_htab_each (&t->requests, i, n) {
		struct request *r = wr_container(n, struct request, node);

		r->rate = (double)r->n / dt;
		if (r->n)
			r->avg_us = r->us / r->n;
		r->n = r->us = 0;
	}
	t->opened_s = (double)(t->opened - t->was_opened) / dt;
	t->closed_s = (double)(t->closed - t->was_closed) / dt;
	t->was_opened = t->opened;
	t->was_closed = t->closed;
	t->now = now;
}

uint64_t wr_tui_now(const struct wr_tui *t)
{
	return t->now;
}

/* Does a row pass the filter that the user typed? */
static bool wants(struct wr_tui *t, const struct wr_tui_row *r)
{
	_Alignas(16) char ev[WR_EVENT_MAX];

	if (!t->filter || !r->packed)
		return true;
	if (wr_unpack((struct wr_bytes){r->packed, r->packed_n}, ev, sizeof(ev)) < 0)
		return true;
	return wr_filter_match(t->filter, (const struct wr_event *)(void *)ev);
}

void wr_tui_each(struct wr_tui *t,
	void (*fn)(struct wr_tui *t, const struct wr_tui_row *r, void *ctx), void *ctx)
{
	wr_htab_each (&t->rows, i, n) {
		struct wr_tui_row *r = wr_container(n, struct wr_tui_row, node);

		if (wants(t, r))
			fn(t, r, ctx);
	}
}

struct sum {
	struct wr_htab t;
	const char *(*get)(const struct wr_tui_row *r, unsigned end, char *buf, size_t n);
};

struct sum_line {
	struct wr_hnode node;
	struct wr_tui_line l;
	uint64_t rtt_sum, rtt_n;
};

static struct sum_line *sum_get(struct sum *s, const char *key)
{
	uint64_t h = wr_hash(key, strlen(key), 6);
	struct sum_line *l;

	for (struct wr_hnode *n = wr_htab_first(&s->t, h); n; n = wr_htab_next(n->next, h)) {
		l = wr_container(n, struct sum_line, node);
		if (!strcmp(l->l.key, key))
			return l;
	}
	l = wr_alloc(sizeof(*l));
	if (!l)
		return NULL;
	wr_copy(l->l.key, sizeof(l->l.key), wr_str(key));
	if (wr_htab_add(&s->t, &l->node, h)) {
		free(l);
		return NULL;
	}
	return l;
}

static void sum_row(struct wr_tui *t, const struct wr_tui_row *r, void *ctx)
{
	struct sum *s = ctx;
	char buf[2][64];

	(void)t;
	for (unsigned end = 0; end < 2; end++) {
		const char *key = s->get(r, end, buf[end], sizeof(buf[end]));
		struct sum_line *l;

		if (!key || !key[0] || !(l = sum_get(s, key)))
			continue;
		/* a client sends to the server: what is up for one end is down for the other */
		l->l.conns +=
			!r->listener && !(end && r->end[0].addr[0] &&
						!strcmp(key, s->get(r, 0, buf[0], sizeof(buf[0]))));
		l->l.tx += end ? r->down : r->up;
		l->l.rx += end ? r->up : r->down;
		l->l.tx_rate += end ? r->down_rate : r->up_rate;
		l->l.rx_rate += end ? r->up_rate : r->down_rate;
		l->l.retr += r->retr;
		if (r->rtt_us) {
			l->rtt_sum += r->rtt_us;
			l->rtt_n++;
		}
	}
}

void wr_tui_sum(struct wr_tui *t,
	const char *(*get)(const struct wr_tui_row *r, unsigned end, char *buf, size_t n),
	void (*add)(struct wr_tui *t, const struct wr_tui_line *l))
{
	struct sum s = {.get = get};

	wr_tui_each(t, sum_row, &s);
	wr_htab_each (&s.t, i, n) {
		struct sum_line *l = wr_container(n, struct sum_line, node);

		l->l.rtt_us = l->rtt_n ? l->rtt_sum / l->rtt_n : 0;
		add(t, &l->l);
		free(l);
	}
	wr_htab_free(&s.t);
}
