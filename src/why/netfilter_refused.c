// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = NULL;
	char ip[WR_IP_TEXT], in[80];

	while ((d = why_drop_near(c, f, "NETFILTER_DROP", d)) &&
		(strncmp(d->location, "nf_hook_slow", 12) || d->table[0]))
		;
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
	.help = "NAT has no port left, or connection tracking refuses",
	.judge = judge,
};
