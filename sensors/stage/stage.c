// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/kern.h"

static const char *const all[] = {"stage_netif_rx", "stage_gro", "stage_stack", "stage_tcp",
	"stage_copy", "stage_data_ready", "stage_recv", "stage_wake", "stage_runs", "stage_queue",
	"stage_xmit", NULL};
static const char *const packets[] = {"stage_netif_rx", "stage_gro", "stage_stack", "stage_tcp",
	"stage_copy", "stage_queue", "stage_xmit", NULL};

static const struct wr_variant variants[] = {
	{"tp_btf netif_rx ... skb_copy_datagram_iovec, sk_data_ready, sched_switch (6.2)",
		WR_FEAT_BTF | WR_FEAT_TP_BTF | WR_FEAT_SK_STORAGE | WR_FEAT_DATA_READY, all},
	{"tp_btf netif_rx ... skb_copy_datagram_iovec, without wake-ups and datagrams",
		WR_FEAT_BTF | WR_FEAT_TP_BTF | WR_FEAT_SK_STORAGE, packets},
};

static bool wanted(struct wr_kern *k)
{
	return wr_kern_wants_stages(k);
}

struct wr_sensor wr_sensor_stage = {
	.name = "stage",
	.help = "where packets spend their time, stage by stage",
	.without = "`weir latency` has nothing to show",
	.variants = variants,
	.n_variants = WR_N(variants),
	.wanted = wanted,
};
