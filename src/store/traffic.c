// SPDX-License-Identifier: Apache-2.0
#include "traffic.h"
#include "../base/htab.h"
#include "../base/slab.h"

#define MAX_TEXT 64 /* bytes of a name that tell services apart */
#define MAX_LAST (1u << 17) /* connections whose totals are remembered; more: not counted here */

/* Fixed size, zeroed before it is filled: compared as bytes. */
struct key {
	char client[MAX_TEXT], server[MAX_TEXT], name[MAX_TEXT], protocol[24], transport[8];
	struct wr_ip client_ip, server_ip;
	uint64_t port;
};

struct row {
	struct wr_hnode node;
	struct key k;
	uint64_t connections, bytes_to_server, bytes_to_client, packets_to_server,
		packets_to_client, retransmits;
	uint64_t count, errors, unanswered;
	struct wr_hist *us; /* NULL: no durations */
};

/* Totals of a connection as they were counted last. */
struct last {
	struct wr_hnode node;
	uint64_t id, v[5];
	bool told;
};

struct wr_traffic {
	struct wr_htab rows, conns;
	struct wr_slab row_slab, last_slab;
	struct wr_buf json;
};

struct wr_traffic *wr_traffic_new(void)
{
	struct wr_traffic *t = wr_alloc(sizeof(*t));

	if (!t)
		return NULL;
	t->row_slab = WR_SLAB(struct row, WR_MAX_TRAFFIC + 1);
	t->last_slab = WR_SLAB(struct last, MAX_LAST);
	t->json = WR_BUF(65536);
	return t;
}

static void rows_free(struct wr_traffic *t)
{
	wr_htab_each (&t->rows, i, n) {
		struct row *r = wr_container(n, struct row, node);

		wr_htab_del(&t->rows, n);
		free(r->us);
		wr_slab_put(&t->row_slab, r);
	}
}

void wr_traffic_free(struct wr_traffic *t)
{
	if (!t)
		return;
	rows_free(t);
	wr_htab_free(&t->rows);
	wr_htab_free(&t->conns);
	wr_slab_free(&t->row_slab);
	wr_slab_free(&t->last_slab);
	wr_buf_free(&t->json);
	free(t);
}

static const struct key OTHER = {.client = "(other)", .server = "(other)"};

static struct row *row_of(struct wr_traffic *t, const struct key *k)
{
	uint64_t h = wr_hash(k, sizeof(*k), 3);
	struct row *r;

	for (struct wr_hnode *n = wr_htab_first(&t->rows, h); n; n = wr_htab_next(n->next, h)) {
		r = wr_container(n, struct row, node);
		if (!memcmp(&r->k, k, sizeof(*k)))
			return r;
	}
	if (t->rows.n >= WR_MAX_TRAFFIC && memcmp(k, &OTHER, sizeof(*k)) != 0)
		return row_of(t, &OTHER);
	r = wr_slab_get(&t->row_slab);
	if (!r)
		return NULL;
	r->k = *k;
	if (wr_htab_add(&t->rows, &r->node, h)) {
		wr_slab_put(&t->row_slab, r);
		return NULL;
	}
	return r;
}

/* conn and request records have the same ends under other offsets */
#define FILL_KEY(k, e, r)                                                                          \
	do {                                                                                       \
		memset((k), 0, sizeof(*(k)));                                                      \
		wr_copy((k)->client, MAX_TEXT, (r)->client_service);                               \
		wr_copy((k)->server, MAX_TEXT, (r)->server_service);                               \
		if (!(k)->client[0])                                                               \
			(k)->client_ip = (r)->client_ip;                                           \
		if (!(k)->server[0])                                                               \
			wr_copy((k)->name, MAX_TEXT, (r)->server_host_name);                       \
		if (!(k)->server[0] && !(k)->name[0])                                              \
			(k)->server_ip = (r)->server_ip;                                           \
		(k)->port = (r)->server_port;                                                      \
		wr_copy((k)->protocol, sizeof((k)->protocol), (r)->protocol);                      \
	} while (0)

/* rows and records have the same sums under the same names */
#define ADD_SUMS(to, from)                                                                         \
	do {                                                                                       \
		(to)->connections += (from)->connections;                                          \
		(to)->bytes_to_server += (from)->bytes_to_server;                                  \
		(to)->bytes_to_client += (from)->bytes_to_client;                                  \
		(to)->packets_to_server += (from)->packets_to_server;                              \
		(to)->packets_to_client += (from)->packets_to_client;                              \
		(to)->retransmits += (from)->retransmits;                                          \
		(to)->count += (from)->count;                                                      \
		(to)->errors += (from)->errors;                                                    \
		(to)->unanswered += (from)->unanswered;                                            \
	} while (0)

static struct last *last_of(struct wr_traffic *t, uint64_t id, bool *ret_fresh)
{
	struct last *l;

	*ret_fresh = false;
	for (struct wr_hnode *n = wr_htab_first(&t->conns, id); n; n = wr_htab_next(n->next, id)) {
		l = wr_container(n, struct last, node);
		if (l->id == id)
			return l;
	}
	*ret_fresh = true;
	l = wr_slab_get(&t->last_slab);
	if (!l)
		return NULL;
	l->id = id;
	if (wr_htab_add(&t->conns, &l->node, id)) {
		wr_slab_put(&t->last_slab, l);
		return NULL;
	}
	return l;
}

static void add_conn(struct wr_traffic *t, const struct wr_ev_conn *c, uint64_t since)
{
	const uint64_t now[5] = {c->bytes_to_server, c->bytes_to_client, c->packets_to_server,
		c->packets_to_client, c->retransmits};
	bool fresh, ends = wr_str_eq(c->event, WR_STR("close"));
	struct last *l, none = {.id = 0};
	uint64_t d[5], moved;
	struct key k;
	struct row *r;

	/* a listener carries nothing; at its opening a connection has not moved, and its server no name yet */
	if (!wr_ev_has(&c->ev, WR_I_conn_client_ip) || wr_str_eq(c->event, WR_STR("open")))
		return;
	l = last_of(t, wr_hash(c->conn.p, c->conn.n, 2), &fresh);
	if (!l && !(ends && c->first >= since))
		return; /* too many: those that begin and end at once are still known */
	l = l ? l : &none;
	fresh &= c->first >= since;
	if (!fresh && !l->told)
		memcpy(l->v, now, sizeof(now)); /* older than the store */
	l->told = true;
	moved = fresh;
	for (unsigned i = 0; i < 5; i++) {
		d[i] = now[i] > l->v[i] ? now[i] - l->v[i] : 0;
		moved |= d[i];
		l->v[i] = now[i];
	}
	if (moved) {
		FILL_KEY(&k, &c->ev, c);
		if (!k.protocol[0]) /* else it is in one row with its requests, which do not know it */
			wr_copy(k.transport, sizeof(k.transport), c->transport);
		r = row_of(t, &k);
		if (r) {
			r->bytes_to_server += d[0];
			r->bytes_to_client += d[1];
			r->packets_to_server += d[2];
			r->packets_to_client += d[3];
			r->retransmits += d[4];
			r->connections += fresh;
		}
	}
	if (ends && l != &none) {
		wr_htab_del(&t->conns, &l->node);
		wr_slab_put(&t->last_slab, l);
	}
}

static struct wr_hist *hist_of(struct row *r)
{
	if (!r->us)
		r->us = wr_alloc(sizeof(*r->us));
	return r->us;
}

static void add_request(struct wr_traffic *t, const struct wr_ev_request *q)
{
	struct key k;
	struct row *r;

	FILL_KEY(&k, &q->ev, q);
	r = row_of(t, &k);
	if (!r)
		return;
	r->count++;
	r->errors += wr_ev_has(&q->ev, WR_I_request_error) && q->error;
	if (!wr_ev_has(&q->ev, WR_I_request_duration_us))
		r->unanswered++;
	else if (hist_of(r))
		wr_hist_add(r->us, q->duration_us);
}

void wr_traffic_event(struct wr_traffic *t, const struct wr_event *e, uint64_t since)
{
	if (e->kind == WR_KIND_conn)
		add_conn(t, (const void *)e, since);
	else if (e->kind == WR_KIND_request)
		add_request(t, (const void *)e);
}

void wr_traffic_add(struct wr_traffic *t, const struct wr_ev_traffic *f)
{
	struct key k;
	struct row *r;

	FILL_KEY(&k, &f->ev, f);
	wr_copy(k.transport, sizeof(k.transport), f->transport);
	r = row_of(t, &k);
	if (!r)
		return;
	ADD_SUMS(r, f);
	if (f->histogram.n && hist_of(r))
		wr_hist_add_json(r->us, f->histogram, f->sum_us, f->max_us);
}

static int by_bytes(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
	uint64_t m = x->bytes_to_server + x->bytes_to_client,
		 n = y->bytes_to_server + y->bytes_to_client;

	return m < n ? 1 : m > n ? -1 : 0;
}

static void merge(struct row *to, const struct row *r)
{
	ADD_SUMS(to, r);
	if (r->us && hist_of(to))
		wr_hist_merge(to->us, r->us);
}

unsigned wr_traffic_fold(struct wr_traffic *t, unsigned keep)
{
	unsigned n = t->rows.n, had = 0;
	struct row **all, *other;

	if (n <= keep)
		return 0;
	all = wr_alloc(n * sizeof(*all));
	other = all ? row_of(t, &OTHER) : NULL;
	if (!other) {
		free(all);
		return 0;
	}
	wr_htab_each (&t->rows, i, node) {
		struct row *r = wr_container(node, struct row, node);

		if (r != other && had < n)
			all[had++] = r;
	}
	qsort(all, had, sizeof(*all), by_bytes);
	for (unsigned i = keep; i < had; i++) {
		merge(other, all[i]);
		wr_htab_del(&t->rows, &all[i]->node);
		free(all[i]->us);
		wr_slab_put(&t->row_slab, all[i]);
	}
	free(all);
	return had > keep ? had - keep : 0;
}

static void record(struct wr_traffic *t, const struct row *r, struct wr_ev_traffic *f)
{
	WR_INIT(f, traffic);
	if (r->k.client[0])
		WR_SET(f, traffic, client_service, wr_str(r->k.client));
	else
		WR_SET(f, traffic, client_ip, r->k.client_ip);
	if (r->k.server[0])
		WR_SET(f, traffic, server_service, wr_str(r->k.server));
	else if (r->k.name[0])
		WR_SET(f, traffic, server_host_name, wr_str(r->k.name));
	else
		WR_SET(f, traffic, server_ip, r->k.server_ip);
	WR_SET(f, traffic, server_port, r->k.port);
	if (r->k.transport[0])
		WR_SET(f, traffic, transport, wr_str(r->k.transport));
	if (r->k.protocol[0])
		WR_SET(f, traffic, protocol, wr_str(r->k.protocol));
	if (r->connections || r->packets_to_server || r->packets_to_client || r->bytes_to_server ||
		r->bytes_to_client) {
		WR_SET(f, traffic, connections, r->connections);
		WR_SET(f, traffic, bytes_to_server, r->bytes_to_server);
		WR_SET(f, traffic, bytes_to_client, r->bytes_to_client);
		WR_SET(f, traffic, packets_to_server, r->packets_to_server);
		WR_SET(f, traffic, packets_to_client, r->packets_to_client);
		WR_SET(f, traffic, retransmits, r->retransmits);
	}
	if (r->count) {
		WR_SET(f, traffic, count, r->count);
		WR_SET(f, traffic, errors, r->errors);
		WR_SET(f, traffic, unanswered, r->unanswered);
	}
	if (r->us && r->us->n) {
		t->json.n = 0;
		wr_hist_json(r->us, &t->json);
		WR_SET(f, traffic, p50_us, wr_hist_quantile(r->us, 0.5));
		WR_SET(f, traffic, p99_us, wr_hist_quantile(r->us, 0.99));
		WR_SET(f, traffic, sum_us, r->us->sum);
		WR_SET(f, traffic, max_us, r->us->max);
		WR_SET(f, traffic, histogram, wr_buf_view(&t->json));
	}
}

unsigned wr_traffic_tell(struct wr_traffic *t, struct wr_str host, uint64_t from, uint64_t to,
	wr_sink_fn fn, void *ctx)
{
	unsigned n = t->rows.n;

	wr_htab_each (&t->rows, i, node) {
		struct wr_ev_traffic f;

		record(t, wr_container(node, struct row, node), &f);
		WR_SET(&f, traffic, time, from);
		WR_SET(&f, traffic, host, host);
		WR_SET(&f, traffic, from, from);
		WR_SET(&f, traffic, to, to);
		WR_SET(&f, traffic, step_s, (to - from) / 1000000000u);
		fn(ctx, &f.ev);
	}
	rows_free(t);
	return n;
}
