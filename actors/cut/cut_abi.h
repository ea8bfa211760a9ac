/* SPDX-License-Identifier: Apache-2.0 */
/* What the block's program and user space share. */
#ifndef WR_CUT_ABI_H
#define WR_CUT_ABI_H

#define WR_CUTK_RULES 64 /* at once */
#define WR_CUTK_PIDS 8192
#define WR_CUTK_NAMES 64
#define WR_CUTK_GROUPS 256
#define WR_CUTK_SPARED 64
#define WR_CUTK_DEPTH 10 /* control groups above one that are asked */

/* Who is refused, by which rule, up to when (boottime ns; 0: until it is cleared). */
struct wr_cut_entry {
	__u64 until;
	__u32 rule, unused;
};

struct wr_cut_hits {
	__u64 hits, last; /* last: boottime ns */
};

#endif
