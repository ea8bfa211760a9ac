/* SPDX-License-Identifier: Apache-2.0 */
/* Every BPF program and map of the host, whoever loaded it: hook, owner, cost, fill. Needs root. */
#ifndef WR_PROGS_H
#define WR_PROGS_H

#include "../base/base.h"

struct wr_prog {
	uint32_t id, uid, bytes, maps; /* bytes: of machine code */
	char type[32], name[20];
	char hook[160]; /* what it is attached to, where the kernel says so; several with commas */
	char owner
		[96]; /* processes that hold it: "name/pid", with commas; "" = pinned, or held by the kernel alone */
	uint64_t loaded_ns; /* since boot */
	uint64_t runs, run_ns; /* of the time between wr_progs_begin() and now */
};

struct wr_bpf_map {
	uint32_t id, max, key, value; /* entries at most; bytes */
	char type[32], name[20], owner[96];
	uint64_t bytes; /* that the kernel holds for it */
	int64_t entries; /* -1: this type does not say */
};

struct wr_progs;

/* Lets the kernel count runs (kernel.bpf_stats_enabled) for as long as it is open. -EPERM, -errno and @e. */
int wr_progs_begin(struct wr_progs **ret, struct wr_err *e);
/* Hands on every program with what it did since then; by id. */
int wr_progs_each(struct wr_progs *p, void (*fn)(void *ctx, const struct wr_prog *v), void *ctx,
	struct wr_err *e);
int wr_progs_maps(struct wr_progs *p, void (*fn)(void *ctx, const struct wr_bpf_map *v), void *ctx,
	struct wr_err *e);
void wr_progs_end(struct wr_progs *p);

#endif
