// SPDX-License-Identifier: Apache-2.0
#include "../agent/agent.h"
#include "../base/log.h"
#include "view.h"

#include <sys/socket.h>

struct ctl_opts {
	const char *socket;
	bool json;
};
static const struct wr_opt rows[] = {
	{"socket", 0, WR_OPT_TEXT, offsetof(struct ctl_opts, socket), WR_SOCKET, "PATH",
		"socket of the agent", 0, 0},
	{"json", 0, WR_OPT_BOOL, offsetof(struct ctl_opts, json), NULL, NULL,
		"counters and sensors as JSON", 0, 0},
};
static const struct wr_opts opts = {rows, WR_N(rows)};

static void print(void *ctx, const struct wr_event *e)
{
	const struct ctl_opts *o = ctx;
	struct wr_buf b = WR_BUF(WR_MAX_LINE);

	if (o->json) {
		wr_json(&b, e, NULL);
	} else if (e->kind == WR_KIND_metric) {
		const struct wr_ev_metric *m = (const void *)e;

		wr_buf_printf(&b, "%-30.*s %14.0f %.*s\n", (int)m->name.n, m->name.p, m->value,
			(int)m->unit.n, m->unit.p);
	} else if (e->kind == WR_KIND_loss) {
		const struct wr_ev_loss *l = (const void *)e;

		wr_buf_printf(&b, "lost: %.*s %.*s %" PRIu64 "\n", (int)l->where.n, l->where.p,
			(int)l->reason.n, l->reason.p, l->count);
	} else if (e->kind == WR_KIND_sensor) {
		const struct wr_ev_sensor *s = (const void *)e;

		wr_buf_printf(&b, "%-8.*s %-12.*s %.*s\n", (int)s->name.n, s->name.p,
			(int)s->state.n, s->state.p, (int)s->variant.n,
			s->variant.p ? s->variant.p : "");
	}
	fwrite(b.p, 1, b.n, stdout);
	wr_buf_free(&b);
}

static int records(const struct ctl_opts *o, const char *what)
{
	struct wr_client c = {.n = 0};
	struct wr_err e = {.text = ""};
	char line[64];

	snprintf(line, sizeof(line), "get %s\n", what);
	c.fd = wr_client_open(o->socket, line, &e);
	if (c.fd < 0)
		return wr_die("ctl", WR_EXIT_LACKS, "%s", e.text);
	for (;;) {
		char wait;
		ssize_t n = recv(c.fd, &wait, 1, MSG_PEEK);

		if (n <= 0 || wr_client_read(&c, print, (void *)(uintptr_t)o) < 0)
			break;
	}
	close(c.fd);
	return WR_EXIT_OK;
}

/* Sends a line and takes the text of the answer; an exit status. */
static int ask(const struct ctl_opts *o, const char *line, struct wr_buf *ret)
{
	struct wr_err e = {.text = ""};
	int rc = wr_client_ask(o->socket, line, ret, &e);

	return rc ? wr_die("ctl", rc == -EPROTO ? WR_EXIT_USAGE : WR_EXIT_LACKS, "%s", e.text)
		  : WR_EXIT_OK;
}

static int config(const struct ctl_opts *o, int n, char **argv)
{
	const char *verb = n > 1 ? argv[1] : "", *path = n > 2 ? argv[2] : WR_CONFIG_PATH;
	struct wr_config file, running;
	struct wr_err e = {.text = ""};
	struct wr_buf t = WR_BUF(1 << 20), d = WR_BUF(1 << 20);
	int rc;

	if (!strcmp(verb, "show")) {
		rc = ask(o, "get config\n", &t);
		fwrite(t.p, 1, t.n, stdout);
		wr_buf_free(&t);
		return rc;
	}
	if (strcmp(verb, "check") && strcmp(verb, "diff"))
		return wr_die(
			"ctl", WR_EXIT_USAGE, "config wants check [FILE], show, or diff [FILE]");
	if (wr_config_load(path, &file, &e))
		return wr_die("ctl", WR_EXIT_FOUND, "%s", e.text);
	if (!strcmp(verb, "check")) {
		wr_config_free(&file);
		fprintf(stderr, "%s is right\n", path);
		return WR_EXIT_OK;
	}
	rc = ask(o, "get config\n", &t);
	if (!rc) {
		rc = wr_config_parse("the agent", t.p, t.n, &running, &e) ? WR_EXIT_LACKS
									  : WR_EXIT_OK;
		if (!rc) {
			rc = wr_config_diff(&running, &file, &d) ? WR_EXIT_FOUND : WR_EXIT_OK;
			fwrite(d.p, 1, d.n, stdout);
			wr_config_free(&running);
		}
	}
	wr_config_free(&file);
	wr_buf_free(&t);
	wr_buf_free(&d);
	return rc;
}

static int run(int argc, char **argv)
{
	struct ctl_opts o = {.json = false};
	struct wr_opt_set set = {opts, &o};
	struct wr_buf t = WR_BUF(1 << 20);
	struct wr_err e = {.text = ""};
	char line[256];
	int n, rc;

	wr_opt_defaults(&opts, &o);
	n = wr_opt_parse(&set, 1, argc, argv, &e);
	if (n < 0)
		return wr_die("ctl", WR_EXIT_USAGE, "%s", e.text);
	if (!n)
		return wr_die("ctl", WR_EXIT_USAGE,
			"wants counters, sensors, log, config, reload, or stop");
	if (!strcmp(argv[0], "counters") || !strcmp(argv[0], "sensors"))
		return records(&o, argv[0]);
	if (!strcmp(argv[0], "config"))
		return config(&o, n, argv);
	if (!strcmp(argv[0], "log") && n == 1)
		snprintf(line, sizeof(line), "get log\n");
	else if (!strcmp(argv[0], "log") && n == 3)
		snprintf(line, sizeof(line), "set log %.60s %.60s\n", argv[1], argv[2]);
	else if ((!strcmp(argv[0], "reload") || !strcmp(argv[0], "stop")) && n == 1)
		snprintf(line, sizeof(line), "set %s\n", argv[0]);
	else
		return wr_die("ctl", WR_EXIT_USAGE,
			"cannot do '%s' with these arguments; see `weir ctl --help`", argv[0]);
	rc = ask(&o, line, &t);
	fwrite(t.p, 1, t.n, stdout);
	wr_buf_free(&t);
	return rc;
}

const struct wr_cmd wr_cmd_ctl = {
	.name = "ctl",
	.args = "VERB ...",
	.help = "the running agent: counters, sensors, log levels, configuration, stop",
	.more = "  counters                 the ledger: what came in, went out, was dropped, at each stage\n"
		"  sensors                  each sensor with the hook it got\n"
		"  log [MODULE LEVEL]       log levels; MODULE may be all\n"
		"  config show              the running configuration\n"
		"  config check [FILE]      is the file right? status 1 if not, with file:line\n"
		"  config diff [FILE]       what a reload would change; status 1 if anything\n"
		"  reload                   read the file again\n"
		"  stop                     end the agent",
	.opts = &opts,
	.run = run,
};
