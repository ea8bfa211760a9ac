// SPDX-License-Identifier: Apache-2.0
#include "query.h"
#include "../agg/table.h"
#include "../event/filter.h"

#define SECOND 1000000000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

const char *wr_query_show(enum wr_kind_id kind)
{
	switch (kind) {
	case WR_KIND_traffic:
		return "sum(bytes_to_server),sum(bytes_to_client),sum(retransmits),sum(count),sum(errors),"
		       "p50(histogram),p99(histogram)";
	case WR_KIND_request:
		return "count,rate,sum(error),p50(duration_us),p99(duration_us)";
	case WR_KIND_conn:
		return "distinct(conn),p50(rtt_us)";
	case WR_KIND_drop:
	case WR_KIND_loss:
		return "sum(count)";
	default:
		return "count";
	}
}

enum wr_kind_id wr_query_kind(const char *name, struct wr_err *e)
{
	struct wr_buf b = WR_BUF(512);
	enum wr_kind_id k;

	for (k = 0; k < WR_KINDS; k++) {
		if (!strcmp(name, wr_kinds[k].name) && wr_store_keeps(k))
			return k;
	}
	for (k = 0; k < WR_KINDS; k++) {
		if (wr_store_keeps(k))
			wr_buf_printf(&b, "%s%s", b.n ? ", " : "", wr_kinds[k].name);
	}
	wr_fail(e, -EINVAL, "history holds no '%s' records; there are %.*s", name, (int)b.n, b.p);
	wr_buf_free(&b);
	return WR_KINDS;
}

uint64_t wr_query_step(enum wr_kind_id kind, uint64_t from, uint64_t to, uint64_t every)
{
	uint64_t finest = every ? every : (to - from) / 10;

	if (kind != WR_KIND_traffic)
		return 0;
	if (finest >= HOUR && finest % HOUR == 0 && to - from > 48 * HOUR)
		return HOUR;
	return finest >= MINUTE && to - from > 15 * MINUTE ? MINUTE : SECOND;
}

static int compile(
	const struct wr_query *q, enum wr_kind_id k, struct wr_filter **ret, struct wr_err *e)
{
	return q->expr && q->expr[0] ? wr_filter_compile(&wr_kinds[k], q->expr, ret, e) : 0;
}

struct adding {
	struct wr_table *t;
	struct wr_filter *f;
};

static bool add(void *ctx, const struct wr_event *e)
{
	struct adding *a = ctx;

	if (wr_filter_match(a->f, e))
		wr_table_add(a->t, e);
	return true;
}

struct seen {
	struct adding a;
	uint64_t to; /* end of the last window */
};

static bool add_window(void *ctx, const struct wr_event *e)
{
	struct seen *s = ctx;

	s->to = wr_max(s->to, ((const struct wr_ev_traffic *)(const void *)e)->to);
	return add(&s->a, e);
}

/* The next shorter windows; 0: there are none. */
static uint64_t shorter(uint64_t step)
{
	return step == HOUR ? MINUTE : step == MINUTE ? SECOND : 0;
}

/*
 * Traffic from @from up to (not including) @to by windows of @step; what they do not cover, before the first
 * whole one and behind the last that is over, by shorter ones.
 */
static int windows(struct wr_history *h, uint64_t step, uint64_t from, uint64_t to,
	const uint64_t need[2], const struct adding *a)
{
	uint64_t first = (from + step - 1) / step * step, with_to[2] = {need[0], need[1]};
	struct wr_range r = {WR_KIND_traffic, step, first, to - 1, false};
	struct seen s = {*a, first};
	int rc = 0;

	if (from >= to)
		return 0;
	with_to[WR_I_traffic_to >> 6] |= 1ull << (WR_I_traffic_to & 63);
	if (shorter(step) && first > from)
		rc = windows(h, shorter(step), from, wr_min(first, to), need, a);
	if (!rc && first < to)
		rc = wr_history_read(h, &r, with_to, add_window, &s);
	if (!rc && shorter(step) && s.to < to)
		rc = windows(h, shorter(step), wr_max(s.to, from), to, need, a);
	return rc;
}

static int sums(struct wr_history *h, const struct wr_query *q, enum wr_kind_id k,
	const struct wr_grid *out, struct wr_err *e)
{
	const char *show = q->show && q->show[0] ? q->show : wr_query_show(k);
	struct wr_range r = {k, wr_query_step(k, q->from, q->to, q->every), q->from, q->to, false};
	struct adding a = {NULL, NULL};
	uint64_t need[2] = {0, 0};
	const char *const *names;
	unsigned n;
	int rc = compile(q, k, &a.f, e);

	if (!rc)
		rc = wr_table_new(&wr_kinds[k], wr_str(q->by), wr_str(show), q->every, &a.t, e);
	if (rc)
		goto out;
	wr_filter_need(a.f, need);
	wr_table_need(a.t, need);
	if (r.step)
		rc = windows(h, r.step, q->from, q->to, need, &a);
	else
		rc = wr_history_read(h, &r, need, add, &a);
	if (rc) {
		wr_fail(e, rc, "cannot read history: %s", strerror(-rc));
		goto out;
	}
	n = wr_table_columns(a.t, &names);
	out->head(out->ctx, n, names);
	wr_table_rows(a.t, (unsigned)q->top, q->from, q->to, out->row, out->ctx);
out:
	wr_table_free(a.t);
	wr_filter_free(a.f);
	return rc;
}

int wr_query_table(struct wr_history *h, const struct wr_query *q, const struct wr_grid *out,
	struct wr_complete *ret, struct wr_err *e)
{
	enum wr_kind_id k = WR_KIND_conn;
	int rc;

	if (q->sql && q->sql[0]) {
		rc = wr_history_sql(h, q->sql, q->from, q->to, out, e);
	} else {
		k = wr_query_kind(q->kind, e);
		rc = k == WR_KINDS ? -EINVAL : sums(h, q, k, out, e);
	}
	if (!rc && ret)
		wr_history_complete(
			h, k == WR_KIND_traffic ? WR_KIND_conn : k, q->from, q->to, ret);
	return rc;
}

struct passing {
	struct wr_filter *f;
	wr_history_fn fn;
	void *ctx;
};

static bool pass(void *ctx, const struct wr_event *e)
{
	const struct passing *p = ctx;

	return !wr_filter_match(p->f, e) || p->fn(p->ctx, e);
}

int wr_query_records(struct wr_history *h, const struct wr_query *q, bool newest_first,
	wr_history_fn fn, void *ctx, struct wr_err *e)
{
	enum wr_kind_id k = wr_query_kind(q->kind, e);
	struct wr_range r = {k, 0, q->from, q->to, newest_first};
	struct passing p = {NULL, fn, ctx};
	int rc;

	if (k == WR_KINDS)
		return -EINVAL;
	r.step = wr_query_step(k, q->from, q->to, q->every);
	rc = compile(q, k, &p.f, e);
	if (!rc) {
		rc = wr_history_read(h, &r, NULL, pass, &p);
		if (rc)
			wr_fail(e, rc, "cannot read history: %s", strerror(-rc));
	}
	wr_filter_free(p.f);
	return rc;
}
