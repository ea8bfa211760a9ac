// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = why_drop_near(c, f, "IP_RPFILTER", NULL);
	char in[80], ip[WR_IP_TEXT];

	if (!d || (!why_failed(f) && !why_slow(f)))
		return false;
	why_evidence_drop(r, c, d);
	why_fix(r,
		"%ssysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.%s.rp_filter=2, or let the route back use %s",
		why_inside(c, d->netns, in, sizeof(in)), d->interface, d->interface);
	return why_say(r, 0.97,
		"the reverse path filter of namespace %s drops what comes in by %s: its route back to %s goes elsewhere",
		why_place_name(c, d->netns), d->interface,
		why_ip(d->by_client ? &f->client : &f->server, ip));
}

const struct wr_cause wr_cause_rp_filter = {
	.name = "rp_filter",
	.layer = "network",
	.help = "the reverse path filter drops the packets",
	.judge = judge,
};
