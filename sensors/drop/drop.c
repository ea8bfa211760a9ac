// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/sensor.h"

static const char *const progs_for[] = {"drop_for", NULL};
static const char *const progs_any[] = {"drop_any", NULL};
static const char *const progs_bare[] = {"drop_bare", NULL};

static const struct wr_variant variants[] = {
	{"tp_btf kfree_skb with the socket that it was for (6.11)",
		WR_FEAT_BTF | WR_FEAT_TP_BTF | WR_FEAT_SK_STORAGE | WR_FEAT_DROP_SOCKET, progs_for},
	{"tp_btf kfree_skb, owner by the packet's socket",
		WR_FEAT_BTF | WR_FEAT_TP_BTF | WR_FEAT_SK_STORAGE, progs_any},
	{"tp_btf kfree_skb without owner", WR_FEAT_BTF | WR_FEAT_TP_BTF, progs_bare},
};

struct wr_sensor wr_sensor_drop = {
	.name = "drop",
	.help = "packets that the kernel dropped: reason, place, flow, owner",
	.without =
		"dropped packets are not seen (5.17 and later have the tracepoint with its reason)",
	.variants = variants,
	.n_variants = WR_N(variants),
};
