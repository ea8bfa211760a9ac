/* SPDX-License-Identifier: GPL-2.0-only */
/* Log-linear buckets of ns, 16 for each power of two: the same as src/agg/hist.h counts in. */
#ifndef WR_HIST_BPF_H
#define WR_HIST_BPF_H

#include "wr_kernel.h"
#include "../abi/wr_abi.h"
#include <bpf/bpf_helpers.h>

static __always_inline __u32 bucket(__u64 v)
{
	__u32 msb = 0, i;
	__u64 x = v;

	if (v < 16)
		return v;
	if (x >> 32)
		msb += 32, x >>= 32;
	if (x >> 16)
		msb += 16, x >>= 16;
	if (x >> 8)
		msb += 8, x >>= 8;
	if (x >> 4)
		msb += 4, x >>= 4;
	if (x >> 2)
		msb += 2, x >>= 2;
	if (x >> 1)
		msb += 1;
	i = (msb - 3) * 16 + (__u32)(v >> (msb - 4)) - 16;
	return i < WR_STAGE_BUCKETS ? i : WR_STAGE_BUCKETS - 1;
}

#endif
