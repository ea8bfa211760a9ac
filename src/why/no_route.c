// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_hop *h = why_route(c, f, ENETUNREACH, r);
	char ip[WR_IP_TEXT], in[80];

	if (h) {
		why_fix(r, "%sip route add %s via GATEWAY",
			why_inside(c, h->place->inode, in, sizeof(in)), why_ip(&f->server, ip));
		return why_say(r, 0.97,
			h->in ? "namespace %s, on the way, has no route onward to %s"
			      : "namespace %s has no route to %s",
			h->place->name, why_ip(&f->server, ip));
	}
	if (c->there.n || f->err != ENETUNREACH)
		return false;
	why_evidence(r, "the system call failed with ENETUNREACH");
	why_fix(r, "ip route get %s", why_ip(&f->server, ip));
	return why_say(r, 0.9, "there is no route to %s", why_ip(&f->server, ip));
}

const struct wr_cause wr_cause_no_route = {
	.name = "no_route",
	.layer = "network",
	.help = "no route leads there",
	.judge = judge,
};
