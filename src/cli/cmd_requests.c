// SPDX-License-Identifier: Apache-2.0
#include "cells.h"

struct requests_opts {
	bool unmasked;
};
static const struct wr_opt rows[] = {
	{"unmasked", 0, WR_OPT_BOOL, offsetof(struct requests_opts, unmasked), NULL, NULL,
		"do not mask secrets (without an agent; else its requests.unmasked decides)", 0, 0},
};
static const struct wr_opts opts = {rows, WR_N(rows)};

static void on_event(void *ctx, const struct wr_event *e)
{
	struct wr_view *v = ctx;

	if (wr_view_wants(v, e))
		wr_view_put(v, e);
}

static int run(int argc, char **argv)
{
	struct requests_opts o = {.unmasked = false};
	struct wr_view v;
	int n, rc = wr_view_init(
		       &v, &wr_cmd_requests, WR_KIND_request, WR_KIND_request, &o, argc, argv, &n);

	if (!rc && n)
		rc = 1 + wr_die(v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[0]);
	if (!rc) {
		v.cols = wr_request_cols;
		v.n_cols = wr_n_request_cols;
		v.sink = on_event;
		v.sink_ctx = &v;
		v.unmasked = o.unmasked;
		rc = wr_view_open(&v, WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP, true);
	}
	if (!rc)
		wr_view_run(&v, 0, NULL, NULL);
	wr_view_free(&v);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_requests = {
	.name = "requests",
	.args = "",
	.help = "API calls, queries, look-ups with their latency and status",
	.more = "One record for each request when its response is complete: HTTP, DNS, Redis, PostgreSQL, MySQL. Pipelined\n"
		"requests pair in order. What could not be read says so (truncated, gap, no status); `weir ctl counters`\n"
		"has the totals. Passwords, tokens and literals of statements are masked.",
	.examples =
		"  weir requests -w 'protocol = http and status >= 500'\n"
		"  weir requests --json -w 'duration_us > 100ms' --for 1m\n"
		"  weir requests -w 'protocol = dns and error = true' -f client,resource,status",
	.opts = &opts,
	.view = true,
	.run = run,
};
