/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options as rows: the command line, the configuration file, help, man pages and completion are all
 * made from them. A row names a member of the caller's struct.
 */
#ifndef WR_OPT_H
#define WR_OPT_H

#include "base.h"
#include "buf.h"

enum wr_opt_type {
	WR_OPT_BOOL, /* bool */
	WR_OPT_U64, /* uint64_t */
	WR_OPT_TEXT, /* const char *, borrowed from argv or from the configuration's memory */
	WR_OPT_DURATION, /* uint64_t ns */
	WR_OPT_SIZE, /* uint64_t bytes */
};

struct wr_opt {
	const char *name; /* "json"; on the command line --json */
	char letter; /* 'w' for -w, 0 = none */
	uint8_t type; /* enum wr_opt_type */
	size_t off; /* in the caller's struct */
	const char *def; /* default as text, NULL = zero */
	const char *value; /* what the value is called in help, NULL for BOOL */
	const char *help;
	uint64_t min, max; /* of numbers; max 0 = none */
};

struct wr_opts {
	const struct wr_opt *v;
	unsigned n;
};

/* Writes the defaults of all rows into @to. */
void wr_opt_defaults(const struct wr_opts *o, void *to);
/* Sets one option from text. 0, -ENOENT (no such name; @e suggests one), -EINVAL. */
int wr_opt_set(const struct wr_opts *o, void *to, struct wr_str name, struct wr_str value,
	struct wr_err *e);
/*
 * Parses @argv[1..]; arguments that are not options are moved to the front of @argv. Several tables
 * may be given, each with its own struct. Returns the number of arguments or -EINVAL.
 */
struct wr_opt_set {
	struct wr_opts o;
	void *to;
};
int wr_opt_parse(
	const struct wr_opt_set *sets, unsigned n_sets, int argc, char **argv, struct wr_err *e);
/* The same, but the first argument ends the options: what is behind it belongs to another command. */
int wr_opt_parse_command(
	const struct wr_opt_set *sets, unsigned n_sets, int argc, char **argv, struct wr_err *e);
void wr_opt_help(const struct wr_opts *o, struct wr_buf *b);
/* The value of an option as text, as it would be written. */
void wr_opt_show(const struct wr_opt *o, const void *from, struct wr_buf *b);

#endif
