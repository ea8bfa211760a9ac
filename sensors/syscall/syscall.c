// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/kern.h"

static const char *const all[] = {"syscall_enter", "syscall_exit", NULL};

static const struct wr_variant variants[] = {
	{"tp_btf sys_enter, sys_exit", WR_FEAT_BTF | WR_FEAT_TP_BTF | WR_FEAT_SK_STORAGE, all},
};

static bool wanted(struct wr_kern *k)
{
	return wr_kern_wants_syscalls(k);
}

struct wr_sensor wr_sensor_syscall = {
	.name = "syscall",
	.help = "system calls of the network by process: rate, size, duration, errors",
	.without = "`weir trace syscalls` has nothing to show",
	.variants = variants,
	.n_variants = WR_N(variants),
	.wanted = wanted,
};
