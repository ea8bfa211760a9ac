// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/kern.h"

static const char *const all[] = {"burst_in", "burst_out", NULL};

static const struct wr_variant variants[] = {
	{"tp_btf netif_receive_skb, net_dev_start_xmit", WR_FEAT_BTF | WR_FEAT_TP_BTF, all},
};

static bool wanted(struct wr_kern *k)
{
	return wr_kern_wants_bursts(k);
}

struct wr_sensor wr_sensor_burst = {
	.name = "burst",
	.help = "traffic of each interface by the millisecond, and whose it is",
	.without = "`weir bursts` has nothing to show",
	.variants = variants,
	.n_variants = WR_N(variants),
	.wanted = wanted,
};
