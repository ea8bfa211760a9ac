// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_hop *h = why_route(c, f, EINVAL, r);
	char ip[WR_IP_TEXT], in[80];

	if (!h)
		return false;
	why_fix(r, "%sip route show to match %s: delete the blackhole route",
		why_inside(c, h->place->inode, in, sizeof(in)), why_ip(&f->server, ip));
	return why_say(r, 0.96,
		"a blackhole route for %s in namespace %s takes the packets without a word",
		why_ip(&f->server, ip), h->place->name);
}

const struct wr_cause wr_cause_blackhole_route = {
	.name = "blackhole_route",
	.layer = "network",
	.help = "a blackhole route takes the packets",
	.judge = judge,
};
