// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/sensor.h"

static const char *const why[] = {"tcp_ops", "tcp_state", "tcp_retransmit", "tcp_reset_in",
	"tcp_reset_out_why", "tcp_dump", NULL};
static const char *const plain[] = {"tcp_ops", "tcp_state", "tcp_retransmit", "tcp_reset_in",
	"tcp_reset_out", "tcp_dump", NULL};
static const char *const traced[] = {
	"tcp_state_alone", "tcp_retransmit", "tcp_reset_in", "tcp_reset_out", "tcp_dump", NULL};

#define NEEDS (WR_FEAT_BTF | WR_FEAT_TP_BTF | WR_FEAT_SK_STORAGE | WR_FEAT_ITER | WR_FEAT_RINGBUF)

static const struct wr_variant variants[] = {
	{"sockops, tp_btf inet_sock_set_state, ... with reset reasons + iter/bpf_sk_storage_map",
		NEEDS | WR_FEAT_CGROUP2 | WR_FEAT_SOCKOPS | WR_FEAT_RST_REASON, why},
	{"sockops, tp_btf inet_sock_set_state, ... + iter/bpf_sk_storage_map",
		NEEDS | WR_FEAT_CGROUP2 | WR_FEAT_SOCKOPS, plain},
	{"tp_btf inet_sock_set_state, ... + iter/bpf_sk_storage_map", NEEDS, traced},
};

struct wr_sensor wr_sensor_tcp = {
	.name = "tcp",
	.help = "TCP connections: states, bytes, handshakes, round trips, retransmissions, resets",
	.without = "no TCP connections, only UDP flows",
	.variants = variants,
	.n_variants = WR_N(variants),
};
