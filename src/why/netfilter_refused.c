// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = why_refused(c, f);
	char ip[WR_IP_TEXT], in[80];

	if (!d || !why_failed(f))
		return false;
	why_evidence_drop(r, c, d);
	why_inside(c, d->netns, in, sizeof(in));
	why_fix(r,
		"%snft list table nat: give the source NAT more ports or addresses; %sconntrack -S",
		in, in);
	return why_say(r, 0.85,
		"packets to %s:%u are refused by NAT or connection tracking in namespace %s: its ports may be used up",
		why_ip(&f->server, ip), f->server_port, why_place_name(c, d->netns));
}

const struct wr_cause wr_cause_netfilter_refused = {
	.name = "netfilter_refused",
	.layer = "network",
	.help = "NAT has no port left, or connection tracking refuses",
	.judge = judge,
};
