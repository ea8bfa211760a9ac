// SPDX-License-Identifier: Apache-2.0
#include "group.h"

struct key {
	char name[64];
	int field[2]; /* of either end; [1] = -1: the same for both */
};

/* What was already added of a connection, for each end: an end may become known later than the other. */
struct last {
	struct wr_hnode node;
	uint64_t id, v[2][5], window[2];
};

struct wr_group {
	const struct wr_kind *k;
	struct key key[WR_GROUP_KEYS];
	unsigned n;
	bool per_end, packets;
	struct wr_htab rows, conns;
	struct wr_slab row_slab, conn_slab;
	struct wr_group_row **sorted;
	uint64_t window, overflow;
	struct wr_buf text, json;
};

int wr_group_new(
	const struct wr_kind *k, struct wr_str keys, struct wr_group **ret, struct wr_err *e)
{
	struct wr_group *g = wr_alloc(sizeof(*g));
	struct wr_str w;

	if (!g)
		return wr_fail(e, -ENOMEM, "no memory");
	g->k = k;
	g->packets = k == &wr_kinds[WR_KIND_packet];
	g->window = 1;
	g->row_slab = WR_SLAB(struct wr_group_row, WR_MAX_FLOWS_KEYS);
	g->conn_slab = WR_SLAB(struct last, WR_MAX_CONNS);
	g->text = WR_BUF(8192);
	g->json = WR_BUF(16384);
	while (wr_next_word(&keys, &w)) {
		struct key *key;
		char t[96];

		if (g->n == WR_GROUP_KEYS || w.n >= sizeof(key->name)) {
			wr_group_free(g);
			return wr_fail(e, -EINVAL, "at most %u keys", WR_GROUP_KEYS);
		}
		key = &g->key[g->n++];
		wr_copy(key->name, sizeof(key->name), w);
		key->field[0] = wr_field_find(k, w);
		key->field[1] = -1;
		if (key->field[0] < 0) {
			snprintf(t, sizeof(t), "%s.%s", k->end_a, key->name);
			key->field[0] = wr_field_find(k, wr_str(t));
			snprintf(t, sizeof(t), "%s.%s", k->end_b, key->name);
			key->field[1] = wr_field_find(k, wr_str(t));
			g->per_end = true;
		}
		if (key->field[0] < 0) {
			const char *near = wr_field_near(k, w);

			wr_fail(e, -EINVAL, "a %s record has no field '%s'%s%s%s", k->name,
				key->name, near ? "; did you mean '" : "", near ? near : "",
				near ? "'?" : "");
			wr_group_free(g);
			return -EINVAL;
		}
	}
	if (!g->n) {
		wr_group_free(g);
		return wr_fail(e, -EINVAL, "no keys");
	}
	*ret = g;
	return 0;
}

void wr_group_free(struct wr_group *g)
{
	if (!g)
		return;
	wr_htab_each (&g->rows, i, n)
		free(wr_container(n, struct wr_group_row, node)->key);
	wr_htab_free(&g->rows);
	wr_htab_free(&g->conns);
	wr_slab_free(&g->row_slab);
	wr_slab_free(&g->conn_slab);
	wr_buf_free(&g->text);
	wr_buf_free(&g->json);
	free(g->sorted);
	free(g);
}

/* The key of one end as text; false when that end has none of the per-end values. */
static bool make_key(struct wr_group *g, const struct wr_event *e, unsigned end)
{
	bool any = !g->per_end;

	g->text.n = 0;
	for (unsigned i = 0; i < g->n; i++) {
		const struct key *key = &g->key[i];
		unsigned f = (unsigned)(key->field[1] >= 0 ? key->field[end] : key->field[0]);

		if (i)
			wr_buf_c(&g->text, 0x1f);
		if (key->field[1] >= 0 && wr_ev_has(e, f))
			any = true;
		wr_plain(&g->text, e, f);
	}
	return any;
}

static struct wr_group_row *row_get(struct wr_group *g, struct wr_str key)
{
	static const char other[] = "(other)";
	uint64_t h = wr_hash(key.p, key.n, 1);
	struct wr_group_row *r;

	for (struct wr_hnode *n = wr_htab_first(&g->rows, h); n; n = wr_htab_next(n->next, h)) {
		r = wr_container(n, struct wr_group_row, node);
		if (wr_str_eq(key, (struct wr_str){r->key, r->key_n}))
			return r;
	}
	r = g->rows.n + 1 < WR_MAX_FLOWS_KEYS || wr_str_eq(key, WR_STR(other))
		    ? wr_slab_get(&g->row_slab)
		    : NULL;
	if (r)
		r->key = wr_alloc(key.n + 1);
	if (!r || !r->key) {
		wr_slab_put(&g->row_slab, r);
		g->overflow++;
		return wr_str_eq(key, WR_STR(other)) ? NULL : row_get(g, WR_STR(other));
	}
	wr_copy(r->key, key.n + 1, key);
	r->key_n = key.n;
	if (wr_htab_add(&g->rows, &r->node, h)) {
		free(r->key);
		wr_slab_put(&g->row_slab, r);
		return NULL;
	}
	return r;
}

static void row_add(struct wr_group_row *r, const uint64_t d[5], bool fresh)
{
	r->bytes_to_server += d[0];
	r->bytes_to_client += d[1];
	r->packets_to_server += d[2];
	r->packets_to_client += d[3];
	r->retransmits += d[4];
	r->connections += fresh;
}

static void row_rtt(struct wr_group_row *r, const struct wr_ev_conn *c, uint64_t packets)
{
	if (!packets || !wr_ev_has(&c->ev, WR_I_conn_rtt_us))
		return;
	r->rtt_sum += c->rtt_us * packets;
	r->rtt_var_sum += c->rtt_var_us * packets;
	r->rtt_packets += packets;
	if (wr_ev_has(&c->ev, WR_I_conn_rtt_min_us) && (!r->rtt_min || c->rtt_min_us < r->rtt_min))
		r->rtt_min = c->rtt_min_us;
}

static struct last *last_get(struct wr_group *g, uint64_t id, bool *ret_fresh)
{
	struct last *l;

	for (struct wr_hnode *n = wr_htab_first(&g->conns, id); n; n = wr_htab_next(n->next, id)) {
		l = wr_container(n, struct last, node);
		if (l->id == id) {
			*ret_fresh = false;
			return l;
		}
	}
	*ret_fresh = true;
	l = wr_slab_get(&g->conn_slab);
	if (!l)
		return NULL;
	l->id = id;
	if (wr_htab_add(&g->conns, &l->node, id)) {
		wr_slab_put(&g->conn_slab, l);
		return NULL;
	}
	return l;
}

static void add_packet(struct wr_group *g, const struct wr_ev_packet *p)
{
	const uint64_t d[5] = {p->length, 0, 1, 0, 0};
	struct wr_group_row *r;
	char first[1024];
	size_t first_n = 0;

	for (unsigned end = 0; end < (g->per_end ? 2u : 1u); end++) {
		if (!make_key(g, &p->ev, end))
			continue;
		if (end && first_n &&
			wr_str_eq(wr_buf_view(&g->text), (struct wr_str){first, first_n}))
			continue; /* from a value to itself: once */
		first_n = wr_min(g->text.n, sizeof(first));
		if (first_n)
			memcpy(first, g->text.p, first_n);
		r = row_get(g, wr_buf_view(&g->text));
		if (r)
			row_add(r, d, false);
	}
}

void wr_group_add(struct wr_group *g, const struct wr_event *e, bool existing)
{
	const struct wr_ev_conn *c = (const void *)e;
	struct last *l, none = {.id = 0};
	char first[1024];
	size_t first_n = 0;
	bool fresh;

	if (g->packets) {
		add_packet(g, (const void *)e);
		return;
	}
	if (!wr_ev_has(e, WR_I_conn_client_ip))
		return; /* a listener carries nothing */
	const uint64_t now[5] = {c->bytes_to_server, c->bytes_to_client, c->packets_to_server,
		c->packets_to_client, c->retransmits};
	l = last_get(g, wr_hash(c->conn.p, c->conn.n, 2), &fresh);
	if (!l) {
		g->overflow++;
		l = &none;
	}
	if (fresh && existing) {
		memcpy(l->v[0], now, sizeof(now));
		memcpy(l->v[1], now, sizeof(now));
	}
	for (unsigned end = 0; end < (g->per_end ? 2u : 1u); end++) {
		uint64_t d[5], moved = 0;
		struct wr_group_row *r;

		if (!make_key(g, e, end))
			continue;
		if (end && first_n &&
			wr_str_eq(wr_buf_view(&g->text), (struct wr_str){first, first_n}))
			continue; /* both ends of one process: once */
		first_n = wr_min(g->text.n, sizeof(first));
		if (first_n)
			memcpy(first, g->text.p, first_n);
		for (unsigned i = 0; i < 5; i++) {
			d[i] = now[i] > l->v[end][i] ? now[i] - l->v[end][i] : 0;
			moved |= d[i];
			l->v[end][i] = now[i];
		}
		if (!moved)
			continue;
		r = row_get(g, wr_buf_view(&g->text));
		if (r) {
			row_add(r, d, l->window[end] != g->window);
			row_rtt(r, c, d[2] + d[3]);
		}
		l->window[end] = g->window;
	}
	if (l != &none && wr_str_eq(c->event, WR_STR("close"))) {
		wr_htab_del(&g->conns, &l->node);
		wr_slab_put(&g->conn_slab, l);
	}
}

static int by_bytes(const void *a, const void *b)
{
	const struct wr_group_row *x = *(struct wr_group_row *const *)a,
				  *y = *(struct wr_group_row *const *)b;
	uint64_t p = x->bytes_to_server + x->bytes_to_client,
		 q = y->bytes_to_server + y->bytes_to_client;

	if (p != q)
		return p < q ? 1 : -1;
	p = x->packets_to_server + x->packets_to_client;
	q = y->packets_to_server + y->packets_to_client;
	if (p != q)
		return p < q ? 1 : -1;
	return strcmp(x->key, y->key);
}

unsigned wr_group_top(struct wr_group *g, struct wr_group_row ***ret, unsigned max)
{
	unsigned n = 0;

	free(g->sorted);
	g->sorted = wr_alloc(g->rows.n * sizeof(*g->sorted));
	*ret = g->sorted;
	if (!g->sorted)
		return 0;
	wr_htab_each (&g->rows, i, node)
		g->sorted[n++] = wr_container(node, struct wr_group_row, node);
	qsort(g->sorted, n, sizeof(*g->sorted), by_bytes);
	return max ? wr_min(n, max) : n;
}

struct wr_str wr_group_value(const struct wr_group *g, const struct wr_group_row *r, unsigned i)
{
	const char *p = r->key, *end = r->key + r->key_n, *to;

	(void)g;
	while (i-- && p) {
		p = memchr(p, 0x1f, (size_t)(end - p));
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return (struct wr_str){"", 0};
	to = memchr(p, 0x1f, (size_t)(end - p));
	return (struct wr_str){p, (size_t)((to ? to : end) - p)};
}

void wr_group_record(struct wr_group *g, const struct wr_group_row *r, struct wr_ev_flow *f)
{
	g->json.n = g->text.n = 0;
	wr_buf_c(&g->json, '{');
	for (unsigned i = 0; i < g->n; i++) {
		struct wr_str v = wr_group_value(g, r, i);
		const struct wr_field *fd = &g->k->fields[g->key[i].field[0]];

		if (i) {
			wr_buf_c(&g->json, ',');
			wr_buf_lit(&g->text, ", ");
		}
		wr_buf_json(&g->json, wr_str(g->key[i].name));
		wr_buf_c(&g->json, ':');
		if (!v.n)
			wr_buf_lit(&g->json, "null");
		else if (fd->type == WR_U64 || fd->type == WR_F64 || fd->type == WR_BOOL)
			wr_buf_str(&g->json, v);
		else
			wr_buf_json(&g->json, v);
		wr_buf_str(&g->text, v.n ? v : WR_STR("-"));
	}
	wr_buf_c(&g->json, '}');
	WR_INIT(f, flow);
	WR_SET(f, flow, key, wr_buf_view(&g->text));
	WR_SET(f, flow, keys, wr_buf_view(&g->json));
	WR_SET(f, flow, bytes, r->bytes_to_server + r->bytes_to_client);
	WR_SET(f, flow, packets, r->packets_to_server + r->packets_to_client);
	if (!g->packets) { /* a packet has a direction, but no client */
		WR_SET(f, flow, bytes_to_server, r->bytes_to_server);
		WR_SET(f, flow, bytes_to_client, r->bytes_to_client);
		WR_SET(f, flow, packets_to_server, r->packets_to_server);
		WR_SET(f, flow, packets_to_client, r->packets_to_client);
		WR_SET(f, flow, connections, r->connections);
		WR_SET(f, flow, retransmits, r->retransmits);
	}
	if (r->rtt_packets) {
		WR_SET(f, flow, rtt_us, r->rtt_sum / r->rtt_packets);
		WR_SET(f, flow, rtt_var_us, r->rtt_var_sum / r->rtt_packets);
	}
	if (r->rtt_min)
		WR_SET(f, flow, rtt_min_us, r->rtt_min);
}

void wr_group_reset(struct wr_group *g)
{
	wr_htab_each (&g->rows, i, n) {
		struct wr_group_row *r = wr_container(n, struct wr_group_row, node);

		wr_htab_del(&g->rows, n);
		free(r->key);
		wr_slab_put(&g->row_slab, r);
	}
	g->window++;
}

unsigned wr_group_n_keys(const struct wr_group *g)
{
	return g->n;
}

const char *wr_group_key_name(const struct wr_group *g, unsigned i)
{
	return g->key[i].name;
}

uint64_t wr_group_overflow(const struct wr_group *g)
{
	return g->overflow;
}
