// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/sensor.h"

static const char *const both[] = {"tap_in", "tap_out", NULL};

static const struct wr_variant variants[] = {
	{"cgroup_skb ingress and egress at the cgroup v2 root",
		WR_FEAT_BTF | WR_FEAT_CGROUP2 | WR_FEAT_CGROUP_SKB | WR_FEAT_SK_STORAGE |
			WR_FEAT_RINGBUF,
		both},
};

struct wr_sensor wr_sensor_tap = {
	.name = "tap",
	.help = "UDP flows, closed windows, packet copies of every local socket",
	.without = "no UDP flows, no capture by owner, no zero windows",
	.variants = variants,
	.n_variants = WR_N(variants),
};
