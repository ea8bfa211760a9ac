// SPDX-License-Identifier: Apache-2.0
#include "../agg/table.h"
#include "../store/query.h"
#include "grid.h"
#include "syscalls.h"
#include "view.h"

struct trace_opts {
	const char *by, *show;
	uint64_t every, top;
};
#define O(f) offsetof(struct trace_opts, f)
static const struct wr_opt rows[] = {
	{"by", 'b', WR_OPT_TEXT, O(by), NULL, "KEYS", "a row for each value of these fields", 0, 0},
	{"show", 's', WR_OPT_TEXT, O(show), NULL, "LIST",
		"columns: count, rate, sum(F), rate(F), min, max, avg, p50 to p999, distinct, last",
		0, 0},
	{"every", 'e', WR_OPT_DURATION, O(every), NULL, "TIME",
		"a table for each such time; else one at the end", 100000000, 0},
	{"top", 't', WR_OPT_U64, O(top), NULL, "N", "only the N largest rows", 0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

/* What can be asked live, and the sensors that it takes. */
static const struct {
	enum wr_kind_id kind;
	uint32_t sensors;
} kinds[] = {
	{WR_KIND_conn, WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP | WR_NEED_ICMP},
	{WR_KIND_request, WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP | WR_NEED_TLS},
	{WR_KIND_drop, WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP | WR_NEED_DROP},
};

struct trace {
	struct wr_view v;
	struct trace_opts o;
	struct wr_table *t;
	enum wr_kind_id kind;
	uint64_t from;
};

static void on_event(void *ctx, const struct wr_event *e)
{
	struct trace *t = ctx;

	if (e->kind == WR_KIND_loss)
		wr_view_put(&t->v, e);
	else if (e->kind == t->kind && wr_view_wants(&t->v, e) &&
		 !(e->kind == WR_KIND_drop &&
			 wr_str_eq(((const struct wr_ev_drop *)(const void *)e)->class,
				 WR_STR("noise"))))
		wr_table_add(t->t, e);
}

static int fresh(struct trace *t)
{
	struct wr_err e = {.text = ""};
	int rc = wr_table_new(&wr_kinds[t->kind], wr_str(t->o.by ? t->o.by : ""),
		wr_str(t->o.show ? t->o.show : wr_query_show(t->kind)), 0, &t->t, &e);

	t->from = wr_now() + (uint64_t)wr_utc_offset();
	return rc ? 1 + wr_die("trace", rc == -EINVAL ? WR_EXIT_USAGE : WR_EXIT_LACKS, "%s", e.text)
		  : 0;
}

static void tell(struct trace *t)
{
	struct wr_out_grid g;
	const char *const *names;
	unsigned n = wr_table_columns(t->t, &names);

	wr_grid_init(&g, &t->v, "row");
	g.grid.head(g.grid.ctx, n, names);
	wr_table_rows(t->t, (unsigned)t->o.top, t->from, wr_now() + (uint64_t)wr_utc_offset(),
		g.grid.row, g.grid.ctx);
	wr_grid_end(&g);
	if (wr_table_overflow(t->t))
		fprintf(stderr, "weir trace: %" PRIu64 " records are in the row (other)\n",
			wr_table_overflow(t->t));
	wr_view_flush(&t->v);
	wr_table_free(t->t);
	t->t = NULL;
}

static void on_tick(void *ctx)
{
	struct trace *t = ctx;

	tell(t);
	if (fresh(t))
		t->v.done = true;
}

static int run(int argc, char **argv)
{
	struct trace *t = wr_alloc(sizeof(*t));
	uint32_t sensors = kinds[0].sensors;
	int n, rc;

	if (!t)
		return wr_die("trace", WR_EXIT_LACKS, "no memory");
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "syscalls")) {
			free(t);
			return wr_trace_syscalls(argc, argv);
		}
	}
	t->kind = kinds[0].kind;
	for (int i = 1; i < argc; i++) {
		for (unsigned k = 0; k < WR_N(kinds); k++) {
			if (!strcmp(argv[i], wr_kinds[kinds[k].kind].name)) {
				t->kind = kinds[k].kind;
				sensors = kinds[k].sensors;
			}
		}
	}
	rc = wr_view_init(&t->v, &wr_cmd_trace, t->kind, t->kind, &t->o, argc, argv, &n);
	if (!rc && (n > 1 || (n == 1 && strcmp(argv[0], wr_kinds[t->kind].name) != 0)))
		rc = 1 +
		     wr_die("trace", WR_EXIT_USAGE,
			     "'%s' cannot be traced; conn, request, drop and syscalls can. A filter goes behind -w",
			     argv[0]);
	if (!rc && t->v.past)
		rc = 1 + wr_die("trace", WR_EXIT_USAGE,
				 "is live; of the past `weir query` tells the same");
	if (!rc)
		rc = fresh(t);
	if (rc)
		goto out;
	t->v.sink = on_event;
	t->v.sink_ctx = t;
	t->v.cfg.once = false;
	t->v.requests = t->kind == WR_KIND_request;
	rc = wr_view_open(&t->v, sensors, false);
	if (rc)
		goto out;
	wr_view_run(
		&t->v, t->o.every ? t->o.every : UINT64_MAX / 2, t->o.every ? on_tick : NULL, t);
	if (t->t)
		tell(t);
out:
	wr_table_free(t->t);
	wr_view_free(&t->v);
	free(t);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_trace = {
	.name = "trace",
	.args = "[KIND | syscalls]",
	.help = "live: counts, sums, quantiles of any field of records by any key",
	.more = "What `weir query` asks history, of what happens now: records of KIND (conn, request or drop) that\n"
		"match -w, by the keys of --by, in the columns of --show; a table at the end, or for each --every.\n"
		"`weir trace syscalls` counts the system calls of the network by process: rate, errors, bytes, time.\n"
		"Connections tell their changes too: -w 'event = close' takes each once. `weir docs records` lists the\n"
		"fields.",
	.examples =
		"  weir trace request --by server.service,status --show 'count,p99(duration_us)' --every 5s\n"
		"  weir trace conn -w 'event = close' --by client.process --show 'count,max(rtt_us)' --for 1m\n"
		"  weir trace drop --by reason,interface\n"
		"  weir trace syscalls --for 5s -w 'owner.process = nginx'",
	.opts = &opts,
	.view = true,
	.run = run,
};
