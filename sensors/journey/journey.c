// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/kern.h"

static const char *const all[] = {"journey_rx", "journey_gro", "journey_stack", "journey_tcp",
	"journey_read", "journey_queue", "journey_sent", "journey_drop", NULL};
static const char *const routed[] = {"journey_rx", "journey_gro", "journey_stack", "journey_tcp",
	"journey_read", "journey_queue", "journey_sent", "journey_drop", "journey_route4",
	"journey_route6", NULL};

static const struct wr_variant variants[] = {
	{"tp_btf netif_rx, netif_receive_skb, ..., with what the routing tables answered (fib_table_lookup)",
		WR_FEAT_BTF | WR_FEAT_TP_BTF | WR_FEAT_RINGBUF | WR_FEAT_FIB, routed},
	{"tp_btf netif_rx, netif_receive_skb, tcp_probe, skb_copy_datagram_iovec, net_dev_queue, ...",
		WR_FEAT_BTF | WR_FEAT_TP_BTF | WR_FEAT_RINGBUF, all},
};

static bool wanted(struct wr_kern *k)
{
	return wr_kern_wants_journeys(k);
}

struct wr_sensor wr_sensor_journey = {
	.name = "journey",
	.help = "single packets at every stage of their way",
	.without = "`weir journey` has nothing to show",
	.variants = variants,
	.n_variants = WR_N(variants),
	.wanted = wanted,
};
