// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/kern.h"

static const char *const all[] = {"recent_in_all", "recent_out_all", NULL};
static const char *const both[] = {"recent_in", "recent_out", NULL};

static const struct wr_variant variants[] = {
	{"tp_btf netif_receive_skb, net_dev_start_xmit", WR_FEAT_BTF | WR_FEAT_TP_BTF, all},
	{"the same without what is in pages: hardly more than headers of what is sent (before 6.12)",
		WR_FEAT_BTF | WR_FEAT_TP_BTF, both},
};

static bool wanted(struct wr_kern *k)
{
	return wr_kern_wants_recent(k);
}

struct wr_sensor wr_sensor_recent = {
	.name = "recent",
	.help = "the last packets of the host, kept for alerts (alerts.packets)",
	.without = "alerts have no packets from before them",
	.variants = variants,
	.n_variants = WR_N(variants),
	.wanted = wanted,
};
