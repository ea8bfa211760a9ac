/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BPF object of the user's: loaded, attached by its sections, its events and maps as JSON by their BTF types.
 * Held by descriptors alone. One thread.
 */
#ifndef WR_RUN_H
#define WR_RUN_H

#include "../base/buf.h"

struct wr_run;

struct wr_run_config {
	const char *path;
	const char *interfaces; /* for xdp and tc programs, with commas; "" or NULL: none */
	const char *types; /* "MAP=STRUCT,...": what a ring carries; NULL: found by its name */
};

/* @json is one object, without a line's end. @map: where it came from. */
typedef void (*wr_run_fn)(void *ctx, struct wr_str map, struct wr_str json);

/*
 * -ENOENT, -EINVAL: no BPF object; -EACCES: the verifier refused a program, @e says which, where and what to do;
 * -ENOTSUP: nothing of it could be attached; -EPERM; -errno.
 */
int wr_run_open(const struct wr_run_config *c, struct wr_run **ret, struct wr_err *e);
void wr_run_close(struct wr_run *r);
/* What was attached, a line each; programs that were not, with the reason. */
void wr_run_told(const struct wr_run *r, struct wr_buf *b);
/* Hands on what the rings hold, waits at most @ms; their number, -errno. */
int wr_run_poll(struct wr_run *r, int ms, wr_run_fn fn, void *ctx);
/* Every entry of every map, and the global variables. */
void wr_run_maps(struct wr_run *r, wr_run_fn fn, void *ctx);
uint64_t wr_run_lost(const struct wr_run *r); /* events that perf buffers dropped */

#endif
