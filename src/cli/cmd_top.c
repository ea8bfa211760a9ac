// SPDX-License-Identifier: Apache-2.0
#include "../tui/tui.h"
#include "view.h"

struct top {
	struct wr_view v;
	struct wr_client *requests; /* a second stream of the agent */
	struct wr_tui *t;
};

static void on_event(void *ctx, const struct wr_event *e)
{
	struct top *t = ctx;

	/* the filter is about connections */
	if (e->kind == WR_KIND_request || wr_view_wants(&t->v, e))
		wr_tui_record(t->t, e);
}

/* An agent that does not read requests is no error: the screen of requests stays empty. */
static void open_requests(struct top *t)
{
	struct wr_err e;
	char line[64];
	int fd;

	if (!t->v.client)
		return;
	snprintf(line, sizeof(line), "watch request %016" PRIx64 " \n", wr_schema_hash());
	fd = wr_client_open(t->v.cfg.socket, line, &e);
	if (fd < 0)
		return;
	t->requests = wr_alloc(sizeof(*t->requests));
	if (t->requests)
		t->requests->fd = fd;
	else
		close(fd);
}

static void close_client(struct wr_client **c)
{
	if (*c)
		close((*c)->fd);
	free(*c);
	*c = NULL;
}

static bool feed(void *ctx)
{
	struct top *t = ctx;

	if (t->v.pipe) {
		wr_pipe_step(t->v.pipe);
		return true;
	}
	for (unsigned i = 0; i < 64 && t->requests; i++) {
		int rc = wr_client_read(t->requests, on_event, t);

		if (rc < 0)
			close_client(&t->requests);
		if (rc <= 0)
			break;
	}
	if (!t->v.client)
		return true;
	for (unsigned i = 0; i < 64; i++) {
		int rc = wr_client_read(t->v.client, on_event, t);

		if (rc < 0) {
			close_client(&t->v.client);
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
	t.v.requests = true;
	rc = wr_view_open(&t.v, WR_NEED_ALL, true);
	if (rc)
		goto out;
	open_requests(&t);
	if (wr_tui_run(t.t, t.v.client ? t.v.client->fd : wr_pipe_fd(t.v.pipe), feed, &t,
		    t.v.cfg.duration))
		rc = 1 + wr_die("top", WR_EXIT_LACKS, "the terminal '%s' is not known; set TERM",
				 getenv("TERM") ? getenv("TERM") : "");
out:
	close_client(&t.requests);
	t.v.out.n = 0;
	wr_view_free(&t.v);
	wr_tui_free(t.t);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_top = {
	.name = "top",
	.args = "",
	.help = "live screens: connections, processes, containers, services, interfaces, requests",
	.more = "Keys: 1 to 6 and Tab for the screens, arrows to move, Enter for more of a line (a process: its connections;\n"
		"a connection: all its facts), Esc back, < > and r to sort, / to filter, p to pause, ? for help, q to quit.",
	.examples = "  weir top\n  weir top -w 'process nginx'",
	.view = true,
	.run = run,
};
