/* SPDX-License-Identifier: Apache-2.0 */
/* A subcommand: one file, one row in cmds.def. */
#ifndef WR_CMD_H
#define WR_CMD_H

#include "../base/base.h"
#include "../base/opt.h"

/* Exit status, as CONTRACT.md promises. */
enum {
	WR_EXIT_OK = 0,
	WR_EXIT_FOUND = 1,
	WR_EXIT_USAGE = 2,
	WR_EXIT_LACKS = 3,
	WR_EXIT_UNVERIFIED = 4
};

struct wr_cmd {
	const char *name, *args, *help;
	const char *more; /* MAY: paragraphs for help and the man page */
	const char *examples; /* MAY: lines */
	const struct wr_opts *opts; /* MAY: its own options */
	bool command; /* its arguments are a command: the first one ends the options */
	bool view; /* takes the options that every view has */
	int (*run)(
		int argc, char **argv); /* argv[0] is the command's name; returns an exit status */
};

#define WR_CMD(n, ...) extern const struct wr_cmd wr_cmd_##n;
#include "cmds.def"
#undef WR_CMD
extern const struct wr_cmd *const wr_cmds[];
extern const unsigned wr_n_cmds;

/* Prints "weir NAME: text" to stderr and returns @status. */
int wr_die(const char *cmd, int status, const char *fmt, ...) WR_PRINTF(3, 4);
/* -errno of opening a source to an exit status. */
int wr_exit_of(int rc);
/* Prints the help of one command to stdout. */
void wr_cmd_help(const struct wr_cmd *c);
bool wr_wants_help(const struct wr_cmd *c, int argc, char **argv);

#endif
