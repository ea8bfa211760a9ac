// SPDX-License-Identifier: Apache-2.0
#include "../agg/dnshealth.h"
#include "../agg/red.h"
#include "cells.h"
#include "dump.h"
#include "logs.h"

struct requests_opts {
	const char *by, *logs;
	uint64_t every, top;
	bool unmasked, dns, bytes;
};
static const struct wr_opt rows[] = {
	{"by", 'b', WR_OPT_TEXT, offsetof(struct requests_opts, by), NULL, "KEYS",
		"rate, errors and duration by these fields instead of each request", 0, 0},
	{"every", 'e', WR_OPT_DURATION, offsetof(struct requests_opts, every), NULL, "TIME",
		"with --by: a result for each such window; with --for the default is one for the whole",
		100000000, 0},
	{"top", 't', WR_OPT_U64, offsetof(struct requests_opts, top), NULL, "N",
		"with --by: only the N most frequent", 0, 0},
	{"dns", 0, WR_OPT_BOOL, offsetof(struct requests_opts, dns), NULL, NULL,
		"the health of name look-ups by process and resolver; status 1 when one is ill", 0,
		0},
	{"bytes", 0, WR_OPT_BOOL, offsetof(struct requests_opts, bytes), NULL, NULL,
		WR_DUMP_HELP " (without an agent)", 0, 0},
	{"logs", 0, WR_OPT_TEXT, offsetof(struct requests_opts, logs), NULL, "FILE,...",
		"lines of these logs that belong to each request; `journal` is systemd's", 0, 0},
	{"unmasked", 0, WR_OPT_BOOL, offsetof(struct requests_opts, unmasked), NULL, NULL,
		"do not mask secrets (without an agent; else its requests.unmasked decides)", 0, 0},
};
static const struct wr_opts opts = {rows, WR_N(rows)};

#define LOG_HOLD 700000000ull /* ns that a request waits for its lines */
#define LOG_LINES 8192
#define LOG_LINES_PAST 262144

struct requests {
	struct wr_view v;
	struct requests_opts o;
	struct wr_dump dump;
	struct wr_logs *logs;
	struct wr_logjoin *join;
	struct wr_red *red;
	struct wr_dnshealth *dns;
	uint64_t from;
};

static void on_event(void *ctx, const struct wr_event *e)
{
	struct requests *q = ctx;

	if (e->kind == WR_KIND_message) {
		wr_dump_put(&q->dump, &q->v, e);
		return;
	}
	if (e->kind == WR_KIND_request)
		q->dump.shown = !q->v.done && wr_view_wants(&q->v, e);
	if (!wr_view_wants(&q->v, e))
		return;
	if (q->join && e->kind == WR_KIND_request) {
		wr_logjoin_request(
			q->join, (const struct wr_ev_request *)(const void *)e, wr_view_utc(&q->v));
		if (q->v.past)
			wr_logjoin_turn(q->join, q->v.clock, false);
	} else if (q->dns && e->kind == WR_KIND_request)
		wr_dnshealth_add(q->dns, (const struct wr_ev_request *)(const void *)e);
	else if (q->red && e->kind == WR_KIND_request)
		wr_red_add(q->red, (const struct wr_ev_request *)(const void *)e);
	else
		wr_view_put(&q->v, e);
}

static void put(struct requests *q)
{
	uint64_t now = wr_view_utc(&q->v);
	struct wr_red_row **row;
	unsigned n = wr_red_top(q->red, &row, (unsigned)q->o.top);

	for (unsigned i = 0; i < n; i++) {
		struct wr_ev_requests r;

		wr_red_record(q->red, row[i], q->from, now, &r);
		WR_SET(&r, requests, host, wr_str(q->v.host));
		wr_view_put(&q->v, &r.ev);
	}
	wr_red_reset(q->red);
	q->from = now;
}

static void on_tick(void *ctx)
{
	struct requests *q = ctx;
	bool people = q->v.tty && !q->v.cfg.json && !q->v.cfg.csv;

	if (people)
		q->v.head = false; /* a new table a window */
	put(q);
	if (people)
		wr_buf_c(&q->v.out, '\n');
}

static void put_record(void *ctx, const struct wr_event *e)
{
	wr_view_put(&((struct requests *)ctx)->v, e);
}

static void put_line(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_log *l = (const void *)e;
	struct requests *q = ctx;
	struct wr_buf *b = &q->v.out;
	const char *slash = memrchr(l->source.p, '/', l->source.n);
	const char *name = slash ? slash + 1 : l->source.p;

	if (b->n + WR_MAX_LINE > WR_MAX_OUTPUT)
		return; /* its request was dropped, too, and counted */
	if (q->v.cfg.json) {
		wr_json(b, e, NULL);
		return;
	}
	wr_buf_lit(b, "    ");
	wr_buf_text(b, (struct wr_str){name, (size_t)(l->source.p + l->source.n - name)}, 64);
	if (wr_str_eq(l->by, WR_STR("time")))
		wr_buf_lit(b, " (by time)");
	wr_buf_lit(b, ": ");
	wr_buf_text(b, l->text, 1000);
	wr_buf_c(b, '\n');
}

static void take_line(void *ctx, const struct wr_logline *l)
{
	wr_logjoin_line(((struct requests *)ctx)->join, l);
}

/* What was written, then the requests that have waited long enough for it. */
static void on_logs(void *ctx)
{
	struct requests *q = ctx;
	uint64_t now = wr_view_utc(&q->v);

	if (!q->v.past)
		wr_logs_read(q->logs, now, take_line, q);
	wr_logjoin_turn(q->join, now, false);
}

static int open_logs(struct requests *q)
{
	struct wr_logjoin_config cfg = {.hold = LOG_HOLD,
		.lines = q->v.past ? LOG_LINES_PAST : LOG_LINES,
		.request = put_record,
		.line = put_line,
		.ctx = q};
	struct wr_err e = {.text = ""};
	int rc;

	if (q->o.by || q->dns || q->o.bytes)
		return 1 + wr_die(q->v.cmd, WR_EXIT_USAGE,
				   "--logs is of single requests, not with --%s",
				   q->o.by  ? "by"
				   : q->dns ? "dns"
					    : "bytes");
	rc = wr_view_with(&q->v, "--logs");
	if (rc)
		return rc;
	q->join = wr_logjoin_new(&cfg);
	if (!q->join)
		return 1 + wr_die(q->v.cmd, WR_EXIT_LACKS, "no memory");
	if (wr_logs_open(q->o.logs, q->v.past ? wr_max(q->v.from, (uint64_t)1) : 0, q->v.to,
		    &q->logs, &e))
		return 1 + wr_die(q->v.cmd, WR_EXIT_LACKS, "--logs: %s", e.text);
	if (q->v.past)
		wr_logs_read(q->logs, q->v.to, take_line, q);
	return 0;
}

static void close_logs(struct requests *q)
{
	struct wr_logjoin_stats s;

	if (!q->v.past)
		wr_logs_read(q->logs, wr_view_utc(&q->v), take_line, q);
	wr_logjoin_turn(q->join, 0, true);
	wr_view_flush(&q->v);
	s = wr_logjoin_stats(q->join);
	if (!q->v.cfg.json && !q->v.broken)
		fprintf(stderr,
			"%" PRIu64 " lines were read, %" PRIu64 " belong to a request shown\n",
			s.lines, s.joined);
}

static int run(int argc, char **argv)
{
	struct requests q = {.from = 0};
	struct wr_err e = {.text = ""};
	bool by = false, dns = false;
	unsigned faults = 0;
	int n, rc;

	for (int i = 1; i < argc; i++) {
		by |= !strcmp(argv[i], "--by") || !strncmp(argv[i], "--by=", 5) ||
		      !strcmp(argv[i], "-b");
		dns |= !strcmp(argv[i], "--dns");
	}
	rc = wr_view_init(&q.v, &wr_cmd_requests, WR_KIND_request,
		by    ? WR_KIND_requests
		: dns ? WR_KIND_diagnosis
		      : WR_KIND_request,
		&q.o, argc, argv, &n);
	if (!rc && n)
		rc = 1 + wr_die(q.v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[0]);
	if (!rc && by && wr_red_new(wr_str(q.o.by), &q.red, &e))
		rc = 1 + wr_die(q.v.cmd, WR_EXIT_USAGE, "--by: %s", e.text);
	if (!rc && by && dns)
		rc = 1 + wr_die(q.v.cmd, WR_EXIT_USAGE, "choose --by or --dns");
	if (!rc && q.o.bytes && (by || dns))
		rc = 1 + wr_die(q.v.cmd, WR_EXIT_USAGE,
				 "--bytes is of single requests, not of --%s", by ? "by" : "dns");
	if (!rc && q.o.bytes)
		rc = wr_dump_check(&q.v);
	if (!rc && dns) {
		q.dns = wr_dnshealth_new();
		if (!q.dns)
			rc = 1 + wr_die(q.v.cmd, WR_EXIT_LACKS, "no memory");
	}
	if (rc)
		goto out;
	if (dns && !q.v.cfg.duration && !q.v.past)
		q.v.cfg.duration = 10000000000u;
	q.v.cols = by ? wr_red_cols : wr_request_cols;
	q.v.n_cols = by ? wr_n_red_cols : wr_n_request_cols;
	q.v.sink = on_event;
	q.v.sink_ctx = &q;
	q.v.unmasked = q.o.unmasked;
	q.dump.on = q.o.bytes;
	q.v.raw = q.o.bytes ? WR_DUMP_BYTES : 0;
	if (by && q.v.cfg.once && !q.v.past) { /* one second's requests */
		q.v.cfg.once = false;
		q.v.cfg.duration = q.v.cfg.duration ? q.v.cfg.duration : 1000000000u;
	}
	if (by && !q.o.every && !q.v.cfg.duration && !q.v.past)
		q.o.every = 1000000000u;
	q.from = wr_view_utc(&q.v);
	rc = wr_view_open(&q.v, WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP | WR_NEED_DROP, true);
	if (rc)
		goto out;
	if (q.o.logs)
		rc = open_logs(&q);
	if (rc)
		goto out;
	if (q.join)
		wr_view_run(&q.v, 100000000, on_logs, &q);
	else
		wr_view_run(&q.v, by && q.o.every ? q.o.every : 0, by && q.o.every ? on_tick : NULL,
			&q);
	if (q.join)
		close_logs(&q);
	if (by)
		put(&q);
	if (dns) {
		q.v.cols = wr_diagnosis_cols;
		q.v.n_cols = wr_n_diagnosis_cols;
		q.v.head = false;
		faults = wr_dnshealth_report(q.dns, q.v.host, put_record, &q);
	}
out:
	wr_view_free(&q.v);
	wr_red_free(q.red);
	wr_dnshealth_free(q.dns);
	wr_logs_free(q.logs);
	wr_logjoin_free(q.join);
	return rc ? rc - 1 : faults ? WR_EXIT_FOUND : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_requests = {
	.name = "requests",
	.args = "",
	.help = "API calls, queries, look-ups with their latency and status",
	.more = "One record for each request when its response is complete; `weir docs protocols` lists what is understood.\n"
		"Pipelined requests pair in order. What could not be read says so (truncated, gap, no status);\n"
		"`weir ctl counters` has the totals. Passwords, tokens and literals of statements are masked.\n"
		"What `detail` holds is a field as well: -w 'detail.action = delete', --by detail.user,resource.",
	.examples =
		"  weir requests -w 'protocol = http and status >= 500'\n"
		"  weir requests --json -w 'duration_us > 100ms' --for 1m\n"
		"  weir requests --bytes -w 'status = 400'\n"
		"  weir requests --dns --for 30s\n"
		"  weir requests -w 'protocol in (nfs, smb)' --by detail.user,detail.action,resource --for 1m\n"
		"  weir requests -w 'protocol = dns and error = true' -f client,resource,status",
	.opts = &opts,
	.view = true,
	.run = run,
};
