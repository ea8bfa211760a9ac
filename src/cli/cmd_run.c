// SPDX-License-Identifier: Apache-2.0
#include "../agent/agent.h"
#include "cmd.h"
#include "edge.h"

struct run_opts {
	const char *config, *edge;
	uint64_t budget;
	bool quiet;
};

static const struct wr_opt rows[] = {
	{"config", 'c', WR_OPT_TEXT, offsetof(struct run_opts, config), NULL, "FILE",
		"configuration; without it " WR_CONFIG_PATH " if that is there", 0, 0},
	{"edge", 0, WR_OPT_TEXT, offsetof(struct run_opts, edge), NULL, "NAME:WHERE",
		"for small devices: little memory, no disk, no page; sums of each minute and alerts go there",
		0, 0},
	{"edge-budget", 0, WR_OPT_SIZE, offsetof(struct run_opts, budget), "64K", "SIZE",
		"... in at most so many bytes a minute", 8192, 1ull << 30},
	{"quiet", 'q', WR_OPT_BOOL, offsetof(struct run_opts, quiet), NULL, NULL,
		"say nothing at the start", 0, 0},
};
static const struct wr_opts opts = {rows, WR_N(rows)};
static struct run_opts given;
static const char *socket_path;

static void ready(struct wr_pipe *p, const char *url)
{
	struct wr_sensor_info info[16];
	unsigned n = wr_kern_info(wr_pipe_kern(p), info, WR_N(info)), works = 0, wanted = 0;
	struct wr_conns_stats s;

	wr_conns_stats(wr_pipe_conns(p), &s);
	for (unsigned i = 0; i < n; i++) {
		wanted += info[i].state != WR_OFF;
		works += info[i].state == WR_ACTIVE || info[i].state == WR_FALLBACK;
	}
	if (!given.quiet)
		fprintf(stderr,
			"weir " WR_VERSION
			": %u of %u sensors work, %u sockets known, listening on %s\n\n"
			"  weir top      live screens        weir conns    connections as they come and go\n"
			"  weir flows    traffic by any key  weir doctor   what works here, how complete it is\n\n"
			"Ctrl-C or `weir ctl stop` ends it; nothing stays in the kernel.\n",
			works, wanted, s.sides, socket_path);
	if (!given.quiet && url[0])
		fprintf(stderr, "\nThe page: %s\n", url);
	for (unsigned i = 0; i < n; i++) {
		if (info[i].state == WR_UNAVAILABLE)
			fprintf(stderr, "weir: sensor %s is unavailable (%s): %s\n",
				info[i].sensor->name, info[i].needs, info[i].sensor->without);
	}
}

/* The value of option @name when it is argument @i, "--config FILE" or "--config=FILE" or "-cFILE"; NULL: it is not. */
static const char *is_option(int argc, char **argv, int i, const char *name)
{
	size_t n = strlen(name);
	const char *rest = argv[i] + n;

	if (strncmp(argv[i], name, n))
		return NULL;
	if (!*rest)
		return i + 1 < argc ? argv[i + 1] : NULL;
	return name[1] != '-' ? rest : *rest == '=' ? rest + 1 : NULL;
}

static int run(int argc, char **argv)
{
	struct wr_config c, cli;
	struct wr_err e = {.text = ""};
	struct wr_opt_set sets[2] = {{opts, &given}, {wr_config_opts, &cli}};
	const char *said;
	pid_t child = 0;
	int rc, n;

	wr_opt_defaults(&opts, &given);
	wr_config_defaults(&c);
	wr_config_defaults(&cli);
	for (int i = 1; i < argc; i++) { /* the file first, so that options win */
		if (is_option(argc, argv, i, "--edge"))
			wr_edge_config(&c);
		said = is_option(argc, argv, i, "--config");
		said = said ? said : is_option(argc, argv, i, "-c");
		if (said)
			given.config = said;
	}
	if (!given.config && !access(WR_CONFIG_PATH, F_OK))
		given.config = WR_CONFIG_PATH;
	if (given.config && wr_config_load(given.config, &c, &e))
		return wr_die("run", WR_EXIT_USAGE, "%s", e.text);
	sets[1].to = &c;
	n = wr_opt_parse(sets, 2, argc, argv, &e);
	if (n < 0)
		return wr_die("run", WR_EXIT_USAGE, "%s", e.text);
	if (n)
		return wr_die("run", WR_EXIT_USAGE, "unexpected argument '%s'", argv[0]);
	socket_path = c.socket;
	if (given.edge && wr_edge_begin(given.edge, given.budget, c.socket, &child, &e))
		return wr_die("run", WR_EXIT_USAGE, "--edge: %s", e.text);
	rc = wr_agent_run(&c, given.config, ready, &e);
	wr_edge_end(child);
	wr_config_free(&c);
	if (rc)
		return wr_die(
			"run", rc == -EADDRINUSE ? WR_EXIT_FOUND : wr_exit_of(rc), "%s", e.text);
	return WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_run = {
	.name = "run",
	.args = "",
	.help = "the agent: sensors, connection table, socket for the other commands",
	.more = "Every row of the configuration is an option too: --conns.udp_idle 10s. SIGHUP or `weir ctl reload` reads\n"
		"the file again; a wrong one is refused with its line and the running one stays. `weir ctl config show`\n"
		"prints all rows with their meaning.\n"
		"With --edge a child without any right sends what `weir export --sums 1m --budget SIZE` sends; a file or an\n"
		"option says otherwise where more is wanted (--store.path, --api.listen, --rings.data).",
	.opts = &opts,
	.run = run,
};
