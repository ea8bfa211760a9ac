// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d;
	char in[80];

	if (!why_failed(f))
		return false;
	/* what it refuses first is ARP, which is no packet of the flow */
	for (d = c->drop; d < c->drop + c->n_drops; d++) {
		if (strcmp(d->reason, "BRIDGE_INGRESS_STP_STATE") || !why_on_way(c, d->netns))
			continue;
		why_evidence_drop(r, c, d);
		why_inside(c, d->netns, in, sizeof(in));
		why_fix(r, "%sbridge link show dev %s; %sbridge link set dev %s state 3", in,
			d->interface, in, d->interface);
		return why_say(r, 0.97,
			"bridge port %s in namespace %s is disabled or blocked by spanning tree",
			d->interface, why_place_name(c, d->netns));
	}
	return false;
}

const struct wr_cause wr_cause_bridge_port = {
	.name = "bridge_port",
	.layer = "network",
	.help = "a bridge port does not forward",
	.judge = judge,
};
