// SPDX-License-Identifier: Apache-2.0
#include "../tui/tui.h"
#include "view.h"

struct top {
	struct wr_view v;
	struct wr_tui *t;
};

static void on_event(void *ctx, const struct wr_event *e)
{
	struct top *t = ctx;

	if (wr_view_wants(&t->v, e))
		wr_tui_record(t->t, e);
}

static bool feed(void *ctx)
{
	struct top *t = ctx;

	if (t->v.pipe) {
		wr_pipe_step(t->v.pipe);
		return true;
	}
	if (!t->v.client)
		return true;
	for (unsigned i = 0; i < 64; i++) {
		int rc = wr_client_read(t->v.client, on_event, t);

		if (rc < 0) {
			close(t->v.client->fd);
			free(t->v.client);
			t->v.client = NULL;
			return false;
		}
		if (!rc)
			break;
	}
	return true;
}

static int run(int argc, char **argv)
{
	struct top t = {.t = NULL};
	int n, rc = wr_view_init(
		       &t.v, &wr_cmd_top, WR_KIND_conn, WR_KIND_conn, NULL, argc, argv, &n);

	if (!rc && n)
		rc = 1 + wr_die("top", WR_EXIT_USAGE, "unexpected argument '%s'", argv[0]);
	if (!rc && (t.v.cfg.json || t.v.cfg.csv))
		rc = 1 +
		     wr_die("top", WR_EXIT_USAGE,
			     "a screen has no JSON; `weir conns --json` and `weir flows --json` do");
	if (!rc && (!t.v.tty || !isatty(0)))
		rc = 1 +
		     wr_die("top", WR_EXIT_USAGE,
			     "wants a terminal; for a pipe there are `weir conns` and `weir flows`");
	if (rc)
		goto out;
	t.t = wr_tui_new(t.v.host, "");
	if (!t.t) {
		rc = 1 + wr_die("top", WR_EXIT_LACKS, "no memory");
		goto out;
	}
	t.v.sink = on_event;
	t.v.sink_ctx = &t;
	rc = wr_view_open(&t.v, WR_NEED_ALL, true);
	if (rc)
		goto out;
	if (wr_tui_run(t.t, t.v.client ? t.v.client->fd : wr_pipe_fd(t.v.pipe), feed, &t,
		    t.v.cfg.duration))
		rc = 1 + wr_die("top", WR_EXIT_LACKS, "the terminal '%s' is not known; set TERM",
				 getenv("TERM") ? getenv("TERM") : "");
out:
	t.v.out.n = 0;
	wr_view_free(&t.v);
	wr_tui_free(t.t);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_top = {
	.name = "top",
	.args = "",
	.help = "live screens: connections, processes, containers, services, interfaces",
	.more = "Keys: 1 to 5 and Tab for the screens, arrows to move, Enter for more of a line (a process: its connections;\n"
		"a connection: all its facts), Esc back, < > and r to sort, / to filter, p to pause, ? for help, q to quit.",
	.examples = "  weir top\n  weir top -w 'process nginx'",
	.view = true,
	.run = run,
};
