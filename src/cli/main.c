// SPDX-License-Identifier: Apache-2.0
#include "cmd.h"

#include <sys/random.h>

int main(int argc, char **argv);

static void usage(FILE *f)
{
	fprintf(f,
		"weir " WR_VERSION
		": what happens to every connection of this host, who owns it, how healthy it is\n\n"
		"usage: weir COMMAND [OPTIONS]\n\n");
	for (unsigned i = 0; i < wr_n_cmds; i++)
		fprintf(f, "  %-10s %s\n", wr_cmds[i]->name, wr_cmds[i]->help);
	fprintf(f,
		"\n`weir COMMAND --help` tells more. Views attach to a running agent (`weir run`) or, as root, load\n"
		"what they need themselves; `weir read FILE` needs no rights.\n");
}

int main(int argc, char **argv)
{
	unsigned min = 4;
	const char *best = NULL;

	if (argc < 2) {
		usage(stderr);
		return WR_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		if (argc > 2) {
			for (unsigned i = 0; i < wr_n_cmds; i++) {
				if (!strcmp(argv[2], wr_cmds[i]->name)) {
					wr_cmd_help(wr_cmds[i]);
					return WR_EXIT_OK;
				}
			}
		}
		usage(stdout);
		return WR_EXIT_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V") ||
		!strcmp(argv[1], "version")) {
		puts("weir " WR_VERSION);
		return WR_EXIT_OK;
	}
	for (unsigned i = 0; i < wr_n_cmds; i++) {
		unsigned d = wr_distance(wr_str(argv[1]), wr_str(wr_cmds[i]->name), min);

		if (!strcmp(argv[1], wr_cmds[i]->name)) {
			if (wr_wants_help(wr_cmds[i], argc - 1, argv + 1)) {
				wr_cmd_help(wr_cmds[i]);
				return WR_EXIT_OK;
			}
			/* who cannot guess it cannot make keys that collide; a file gives the same twice */
			if (wr_cmds[i] != &wr_cmd_read && getrandom(&wr_seed, sizeof(wr_seed),
								  GRND_NONBLOCK) != sizeof(wr_seed))
				wr_seed ^= wr_now();
			return wr_cmds[i]->run(argc - 1, argv + 1);
		}
		if (d < min) {
			min = d;
			best = wr_cmds[i]->name;
		}
	}
	fprintf(stderr, "weir: there is no command '%s'%s%s%s; `weir --help` lists them\n", argv[1],
		best ? "; did you mean '" : "", best ? best : "", best ? "'?" : "");
	return WR_EXIT_USAGE;
}
