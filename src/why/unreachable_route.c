// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_hop *h = why_route(c, f, EHOSTUNREACH, r);
	char ip[WR_IP_TEXT], in[80];

	/* a host that does not forward answers the same */
	if (!h || (h->in && !(wr_ip_is4(&f->server) ? h->place->forward4 : h->place->forward6)))
		return false;
	why_fix(r, "%sip route show to match %s: delete the unreachable route",
		why_inside(c, h->place->inode, in, sizeof(in)), why_ip(&f->server, ip));
	return why_say(r, 0.96, "a route says that %s is unreachable, in namespace %s",
		why_ip(&f->server, ip), h->place->name);
}

const struct wr_cause wr_cause_unreachable_route = {
	.name = "unreachable_route",
	.layer = "network",
	.help = "an unreachable route refuses the packets",
	.judge = judge,
};
