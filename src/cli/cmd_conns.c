// SPDX-License-Identifier: Apache-2.0
#include "cells.h"

static void on_event(void *ctx, const struct wr_event *e)
{
	struct wr_view *v = ctx;

	if (wr_view_wants(v, e))
		wr_view_put(v, e);
}

static int run(int argc, char **argv)
{
	struct wr_view v;
	int n, rc = wr_view_init(
		       &v, &wr_cmd_conns, WR_KIND_conn, WR_KIND_conn, NULL, argc, argv, &n);

	if (rc) {
		wr_view_free(&v);
		return rc - 1;
	}
	if (n) {
		wr_view_free(&v);
		return wr_die(v.cmd, WR_EXIT_USAGE,
			"unexpected argument '%s'; a filter goes behind -w", argv[0]);
	}
	v.cols = wr_conn_cols;
	v.n_cols = wr_n_conn_cols;
	v.sink = on_event;
	v.sink_ctx = &v;
	rc = wr_view_open(&v, WR_NEED_ALL, true);
	if (!rc)
		wr_view_run(&v, 0, NULL, NULL);
	wr_view_free(&v);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_conns = {
	.name = "conns",
	.args = "",
	.help = "connections as they open, change and close",
	.more = "Begins with the connections that exist (event update), then one record for each that opens, once a\n"
		"second for each that changed, and one when it closes. A connection with both ends on this host is one\n"
		"record with two owners. Listening sockets are connections without a client in state listen.",
	.examples = "  weir conns -w 'port 443'\n"
		    "  weir conns --json --for 10s -w 'event = close and retransmits > 0'\n"
		    "  weir conns --once -w 'state = listen' -f server,server.process",
	.view = true,
	.run = run,
};
