// SPDX-License-Identifier: Apache-2.0
#include "../store/query.h"
#include "grid.h"
#include "view.h"

struct query_opts {
	const char *by, *show, *sql;
	uint64_t every, top;
};
static const struct wr_opt rows[] = {
	{"by", 'b', WR_OPT_TEXT, offsetof(struct query_opts, by), NULL, "KEYS",
		"a row for each value of these fields", 0, 0},
	{"show", 's', WR_OPT_TEXT, offsetof(struct query_opts, show), NULL, "LIST",
		"columns: count, rate, sum(F), rate(F), min, max, avg, p50 to p999, distinct, last",
		0, 0},
	{"every", 'e', WR_OPT_DURATION, offsetof(struct query_opts, every), NULL, "TIME",
		"a row for each such window", 1000000000, 0},
	{"top", 't', WR_OPT_U64, offsetof(struct query_opts, top), NULL, "N",
		"only the N largest rows of each window", 0, 0},
	{"sql", 0, WR_OPT_TEXT, offsetof(struct query_opts, sql), NULL, "SELECT",
		"SQL that reads; tables are kinds, columns fields with _ for dots", 0, 0},
};
static const struct wr_opts opts = {rows, WR_N(rows)};

static bool put(void *ctx, const struct wr_event *e)
{
	struct wr_view *v = ctx;

	wr_view_put(v, e);
	return !v->done;
}

/* The kind is the first argument that is no option; the options of the view are those of that kind. */
static const char *kind_of(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		for (unsigned k = 0; argv[i][0] != '-' && k < WR_KINDS; k++) {
			if (!strcmp(argv[i], wr_kinds[k].name))
				return argv[i];
		}
	}
	return "traffic";
}

static int run(int argc, char **argv)
{
	const char *name = kind_of(argc, argv);
	struct wr_err e = {.text = ""};
	enum wr_kind_id k = wr_query_kind(name, &e);
	struct wr_complete complete = {.share = 1};
	struct query_opts o = {.by = NULL};
	struct wr_query q;
	struct wr_view v;
	struct wr_out_grid g;
	int n, rc;

	if (k == WR_KINDS)
		return wr_die("query", WR_EXIT_USAGE, "%s", e.text);
	rc = wr_view_init(&v, &wr_cmd_query, k, k, &o, argc, argv, &n);
	if (!rc && (n > 1 || (n == 1 && strcmp(argv[0], name) != 0))) {
		wr_query_kind(argv[0], &e);
		rc = 1 + wr_die("query", WR_EXIT_USAGE, "%s; a filter goes behind -w", e.text);
	}
	if (rc)
		goto out;
	if (!v.past) {
		v.past = true;
		v.to = wr_now() + (uint64_t)wr_utc_offset();
		v.from = v.to - 3600000000000ull;
	}
	rc = wr_history_open(v.cfg.store, &v.history, &e);
	if (rc) {
		rc = 1 + wr_die("query", WR_EXIT_LACKS, "%s", e.text);
		goto out;
	}
	v.cmd_waits = true;
	q = (struct wr_query){name, v.cfg.expr, o.by, o.show, o.sql, v.from, v.to, o.every, o.top};
	if (o.by || o.show || o.every || o.sql || k == WR_KIND_traffic) {
		wr_grid_init(&g, &v, "row");
		rc = wr_query_table(v.history, &q, &g.grid, &complete, &e);
		wr_grid_end(&g);
	} else {
		rc = wr_query_records(v.history, &q, false, put, &v, &e);
		if (!rc)
			wr_history_complete(v.history, k, v.from, v.to, &complete);
	}
	if (rc) {
		rc = 1 + wr_die("query",
				 rc == -EINVAL || rc == -EPERM ? WR_EXIT_USAGE : WR_EXIT_LACKS,
				 "%s", e.text);
		goto out;
	}
	wr_view_flush(&v);
	if (v.cfg.json)
		printf("{\"kind\":\"metric\",\"name\":\"completeness\",\"value\":%.6f,\"unit\":\"1\","
		       "\"labels\":{\"kept\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"damaged\":%u}}\n",
			complete.share, complete.kept, complete.lost, complete.damaged);
	else
		fprintf(stderr, "%.6g %% of the records of this time were kept%s\n",
			complete.share * 100,
			complete.damaged ? "; parts of the store are damaged" : "");
out:
	wr_view_free(&v);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_query = {
	.name = "query",
	.args = "[KIND]",
	.help = "history: records, sums and quantiles by any key and time, SQL",
	.more = "Asks what the agent kept, of the last hour or of --since to --until; the agent need not run. KIND is conn,\n"
		"request, drop, match, alert, loss, or traffic (the default: what passed between services by second, minute and\n"
		"hour, kept longest). Without --by, --show and --every the records themselves are printed. Windows that are\n"
		"not seen whole count by the part that is. The end says how much of what was seen was kept. In SQL\n"
		"the tables \"drop\" and \"match\" are written with quotes.",
	.examples =
		"  weir query --since 24h --every 1h --by server.service\n"
		"  weir query request --since 1h --by operation,resource --show 'count,rate,p99(duration_us)' --top 10\n"
		"  weir query request -w 'status >= 500' --since 10:00 --until 10:30 --json\n"
		"  weir query --sql 'SELECT server_service, count(*) FROM request WHERE error GROUP BY 1'",
	.opts = &opts,
	.view = true,
	.run = run,
};
