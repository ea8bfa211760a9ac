// SPDX-License-Identifier: Apache-2.0
#include "red.h"

struct wr_red {
	struct wr_htab rows;
	unsigned n;
	int field[WR_RED_KEYS];
	char name[WR_RED_KEYS][64];
	struct wr_str
		member[WR_RED_KEYS]; /* of a field of JSON, within name; empty: the field itself */
	struct wr_red_row **sorted;
	struct wr_buf key, text, json;
};

static const struct wr_kind *kind(void)
{
	return &wr_kinds[WR_KIND_request];
}

int wr_red_new(struct wr_str keys, struct wr_red **ret, struct wr_err *e)
{
	struct wr_red *g = wr_alloc(sizeof(*g));
	struct wr_str w;

	if (!g)
		return wr_fail(e, -ENOMEM, "no memory");
	g->key = WR_BUF(8192);
	g->text = WR_BUF(8192);
	g->json = WR_BUF(16384);
	while (wr_next_word(&keys, &w)) {
		const char *near;
		char *name, t[80];
		int f;

		if (g->n == WR_RED_KEYS || w.n >= sizeof(g->name[0])) {
			wr_red_free(g);
			return wr_fail(e, -EINVAL, "at most %u keys", WR_RED_KEYS);
		}
		name = g->name[g->n];
		wr_copy(name, sizeof(g->name[0]), w);
		f = wr_field_find(kind(), w);
		if (f < 0) {
			snprintf(t, sizeof(t), "server.%s", name);
			f = wr_field_find(kind(), wr_str(t));
		}
		if (f < 0)
			f = wr_field_member(kind(), wr_str(name), &g->member[g->n]);
		if (f < 0) {
			near = wr_field_near(kind(), w);
			wr_fail(e, -EINVAL, "a request record has no field '%s'%s%s%s", name,
				near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
			wr_red_free(g);
			return -EINVAL;
		}
		g->field[g->n++] = f;
	}
	if (!g->n) {
		wr_red_free(g);
		return wr_fail(e, -EINVAL, "no keys");
	}
	*ret = g;
	return 0;
}

void wr_red_reset(struct wr_red *g)
{
	wr_htab_each (&g->rows, i, n) {
		struct wr_red_row *r = wr_container(n, struct wr_red_row, node);

		wr_htab_del(&g->rows, n);
		free(r->key);
		free(r);
	}
	free(g->sorted);
	g->sorted = NULL;
}

void wr_red_free(struct wr_red *g)
{
	if (!g)
		return;
	wr_red_reset(g);
	wr_htab_free(&g->rows);
	wr_buf_free(&g->key);
	wr_buf_free(&g->text);
	wr_buf_free(&g->json);
	free(g);
}

static struct wr_red_row *row(struct wr_red *g, struct wr_str key)
{
	uint64_t h = wr_hash(key.p, key.n, 5);
	struct wr_red_row *r;

	for (struct wr_hnode *n = wr_htab_first(&g->rows, h); n; n = wr_htab_next(n->next, h)) {
		r = wr_container(n, struct wr_red_row, node);
		if (wr_str_eq((struct wr_str){r->key, r->key_n}, key))
			return r;
	}
	if (g->rows.n >= WR_MAX_RED && !wr_str_eq(key, WR_STR("(other)")))
		return row(g, WR_STR("(other)"));
	r = wr_alloc(sizeof(*r));
	if (!r)
		return NULL;
	r->key = wr_alloc(key.n + 1);
	if (!r->key || wr_htab_add(&g->rows, &r->node, h)) {
		free(r->key);
		free(r);
		return NULL;
	}
	memcpy(r->key, key.p, key.n);
	r->key_n = key.n;
	return r;
}

void wr_red_add(struct wr_red *g, const struct wr_ev_request *q)
{
	char t[512];

	g->key.n = 0;
	for (unsigned i = 0; i < g->n; i++) {
		if (i)
			wr_buf_c(&g->key, 0x1f);
		if (g->member[i].n)
			wr_buf_str(&g->key, wr_json_member(*(const struct wr_str *)wr_ev_at(&q->ev,
								   &kind()->fields[g->field[i]]),
						    g->member[i], t, sizeof(t)));
		else if (wr_ev_has(&q->ev, (unsigned)g->field[i]))
			wr_plain(&g->key, &q->ev, (unsigned)g->field[i]);
	}
	wr_red_add_to(g, wr_buf_view(&g->key), q);
}

void wr_red_add_to(struct wr_red *g, struct wr_str key, const struct wr_ev_request *q)
{
	struct wr_red_row *r = row(g, key);

	if (!r)
		return;
	r->count++;
	r->errors += wr_ev_has(&q->ev, WR_I_request_error) && q->error;
	r->request_bytes += wr_ev_has(&q->ev, WR_I_request_request_bytes) ? q->request_bytes : 0;
	r->response_bytes += wr_ev_has(&q->ev, WR_I_request_response_bytes) ? q->response_bytes : 0;
	r->retransmits += wr_ev_has(&q->ev, WR_I_request_retransmits) ? q->retransmits : 0;
	if (wr_ev_has(&q->ev, WR_I_request_duration_us))
		wr_hist_add(&r->us, q->duration_us);
	else
		r->unanswered++;
}

static int larger(const void *a, const void *b)
{
	const struct wr_red_row *x = *(struct wr_red_row *const *)a,
				*y = *(struct wr_red_row *const *)b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return memcmp(x->key, y->key, wr_min(x->key_n, y->key_n));
}

unsigned wr_red_top(struct wr_red *g, struct wr_red_row ***ret, unsigned max)
{
	unsigned n = 0;

	free(g->sorted);
	g->sorted = wr_alloc((g->rows.n + 1) * sizeof(*g->sorted));
	if (!g->sorted)
		return 0;
	wr_htab_each (&g->rows, i, node)
		g->sorted[n++] = wr_container(node, struct wr_red_row, node);
	qsort(g->sorted, n, sizeof(*g->sorted), larger);
	*ret = g->sorted;
	return max ? wr_min(n, max) : n;
}

struct wr_str wr_red_value(const struct wr_red_row *r, unsigned i)
{
	const char *p = r->key, *end = p + r->key_n, *sep;

	for (; i; i--) {
		sep = memchr(p, 0x1f, (size_t)(end - p));
		if (!sep)
			return (struct wr_str){"", 0};
		p = sep + 1;
	}
	sep = memchr(p, 0x1f, (size_t)(end - p));
	return (struct wr_str){p, (size_t)((sep ? sep : end) - p)};
}

void wr_red_record(struct wr_red *g, const struct wr_red_row *r, uint64_t from, uint64_t to,
	struct wr_ev_requests *ret)
{
	double s = to > from ? (double)(to - from) / 1e9 : 1;

	WR_INIT(ret, requests);
	g->text.n = g->json.n = 0;
	wr_buf_c(&g->json, '{');
	for (unsigned i = 0; i < g->n; i++) {
		struct wr_str v = wr_red_value(r, i);

		if (i) {
			wr_buf_lit(&g->text, ", ");
			wr_buf_c(&g->json, ',');
		}
		wr_buf_str(&g->text, v.n ? v : WR_STR("-"));
		wr_buf_json(&g->json, wr_str(g->name[i]));
		wr_buf_c(&g->json, ':');
		wr_buf_json(&g->json, v);
	}
	wr_buf_c(&g->json, '}');
	WR_SET(ret, requests, time, to);
	WR_SET(ret, requests, key, wr_buf_view(&g->text));
	WR_SET(ret, requests, keys, wr_buf_view(&g->json));
	WR_SET(ret, requests, count, r->count);
	WR_SET(ret, requests, rate, (double)r->count / s);
	WR_SET(ret, requests, errors, r->errors);
	WR_SET(ret, requests, error_rate, r->count ? (double)r->errors / (double)r->count : 0);
	WR_SET(ret, requests, unanswered, r->unanswered);
	WR_SET(ret, requests, retransmits, r->retransmits);
	if (r->us.n) {
		WR_SET(ret, requests, p50_us, wr_hist_quantile(&r->us, 0.5));
		WR_SET(ret, requests, p90_us, wr_hist_quantile(&r->us, 0.9));
		WR_SET(ret, requests, p99_us, wr_hist_quantile(&r->us, 0.99));
		WR_SET(ret, requests, max_us, r->us.max);
	}
	WR_SET(ret, requests, request_bytes, r->request_bytes);
	WR_SET(ret, requests, response_bytes, r->response_bytes);
	WR_SET(ret, requests, from, from);
	WR_SET(ret, requests, to, to);
}
