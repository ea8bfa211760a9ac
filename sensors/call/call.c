// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/kern.h"

static const char *const progs[] = {"call_exit", NULL};

static const struct wr_variant variants[] = {
	{"tp_btf sys_exit", WR_FEAT_BTF | WR_FEAT_TP_BTF | WR_FEAT_RINGBUF, progs},
};

static bool wanted(struct wr_kern *k)
{
	return wr_kern_wants_calls(k);
}

struct wr_sensor wr_sensor_call = {
	.name = "call",
	.help = "system calls that fail, of one command, while it is diagnosed",
	.without = "`weir why` does not see what failed before a packet was made",
	.variants = variants,
	.n_variants = WR_N(variants),
	.wanted = wanted,
};
