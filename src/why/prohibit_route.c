// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_hop *h = why_route(c, f, EACCES, r);
	char ip[WR_IP_TEXT], in[80];

	if (!h)
		return false;
	why_inside(c, h->place->inode, in, sizeof(in));
	why_fix(r,
		"%sip rule; %sip route show table all to match %s: delete the prohibit rule or route",
		in, in, why_ip(&f->server, ip));
	return why_say(r, 0.96, "a prohibit rule or route for %s in namespace %s forbids it",
		why_ip(&f->server, ip), h->place->name);
}

const struct wr_cause wr_cause_prohibit_route = {
	.name = "prohibit_route",
	.layer = "network",
	.help = "a prohibit route or rule forbids it",
	.judge = judge,
};
