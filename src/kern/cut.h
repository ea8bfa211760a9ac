/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block's programs and maps, attached to the root of cgroup v2 while they are open. Held by descriptors alone:
 * when the process ends, however it ends, nothing is refused any more.
 */
#ifndef WR_KERN_CUT_H
#define WR_KERN_CUT_H

#include <linux/types.h>

#include "../../actors/cut/cut_abi.h"
#include "../base/base.h"

struct wr_cut_kern;

/* -EPERM, -ENOENT (no cgroup v2), or -errno with the kernel's reason. */
int wr_cut_kern_open(struct wr_cut_kern **ret, struct wr_err *e);
void wr_cut_kern_close(struct wr_cut_kern *b);

enum wr_cut_map { WR_CUTK_PID, WR_CUTK_NAME, WR_CUTK_GROUP, WR_CUTK_SPARE };
/* A key of that map: uint32_t, char[16], uint64_t, uint32_t. @entry NULL: not any more. */
int wr_cut_kern_put(struct wr_cut_kern *b, enum wr_cut_map m, const void *key,
	const struct wr_cut_entry *entry);
/* Takes the processes of a rule out that are not what it is about any more: @about says so. */
void wr_cut_kern_prune(struct wr_cut_kern *b, uint32_t rule, bool (*about)(void *ctx, uint32_t pid),
	void *ctx);
/* Takes every key of a rule out of all maps. */
void wr_cut_kern_forget(struct wr_cut_kern *b, uint32_t rule);
void wr_cut_kern_count(const struct wr_cut_kern *b, uint32_t rule, struct wr_cut_hits *ret);

#endif
