// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/sensor.h"

static const char *const all[] = {"own_create", "own_connect4", "own_connect6", "own_accept4",
	"own_accept6", "own_release", "own_read", "own_exec", "own_cgroup", "own_seed", NULL};
static const char *const no_cgroup[] = {"own_read", "own_exec", "own_cgroup", "own_seed", NULL};

static const struct wr_variant variants[] = {
	{"cgroup sock_create, connect, getpeername, sock_release + tp_btf + iter/task_file",
		WR_FEAT_BTF | WR_FEAT_CGROUP2 | WR_FEAT_CGROUP_SOCK | WR_FEAT_TP_BTF |
			WR_FEAT_SK_STORAGE | WR_FEAT_ITER | WR_FEAT_RINGBUF,
		all},
	{"tp_btf tcp_rcv_space_adjust + iter/task_file",
		WR_FEAT_BTF | WR_FEAT_TP_BTF | WR_FEAT_SK_STORAGE | WR_FEAT_ITER | WR_FEAT_RINGBUF,
		no_cgroup},
};

struct wr_sensor wr_sensor_owner = {
	.name = "owner",
	.help = "the process, user, cgroup and namespace of every socket",
	.without = "connections have no owner",
	.variants = variants,
	.n_variants = WR_N(variants),
};
