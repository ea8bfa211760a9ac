// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/sensor.h"

static const char *const why[] = {"tcp_state", "tcp_state_again", "tcp_destroy", "tcp_retransmit",
	"tcp_reset_in", "tcp_reset_out_why", "tcp_dump", NULL};
static const char *const plain[] = {"tcp_state", "tcp_state_again", "tcp_destroy", "tcp_retransmit",
	"tcp_reset_in", "tcp_reset_out", "tcp_dump", NULL};

#define NEEDS (WR_FEAT_BTF | WR_FEAT_TP_BTF | WR_FEAT_SK_STORAGE | WR_FEAT_ITER | WR_FEAT_RINGBUF)

static const struct wr_variant variants[] = {
	{"tp_btf inet_sock_set_state, ... with reset reasons + iter/bpf_sk_storage_map",
		NEEDS | WR_FEAT_RST_REASON, why},
	{"tp_btf inet_sock_set_state, ... + iter/bpf_sk_storage_map", NEEDS, plain},
};

struct wr_sensor wr_sensor_tcp = {
	.name = "tcp",
	.help = "TCP connections: states, bytes, handshakes, round trips, retransmissions, resets",
	.without = "no TCP connections, only UDP flows",
	.variants = variants,
	.n_variants = WR_N(variants),
};
