// SPDX-License-Identifier: Apache-2.0
#include "why.h"

#include <linux/neighbour.h>

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_hop *h = c->there.n ? &c->there.hop[c->there.n - 1] : NULL;
	char ip[WR_IP_TEXT];

	if (!why_failed(f) || f->established || (f->err && f->err != ETIMEDOUT) ||
		why_drop_near(c, f, NULL, NULL) || !h || h->local || !h->out || h->route.err ||
		f->icmp[0] || h->neigh.state & (NUD_FAILED | NUD_INCOMPLETE))
		return false;
	why_evidence(r, "sent %" PRIu64 " times by %s in namespace %s; the next hop %s answers ARP",
		f->re_syn + 1, h->out->name, h->place->name, why_ip(&h->next, ip));
	why_evidence(r, "nothing on this host dropped it, no ICMP error and no reset came");
	why_fix(r,
		"ask whoever runs the network behind %s: a security group, an upstream firewall, or a host that is down",
		why_ip(&h->next, ip));
	return why_say(r, 0.75,
		"the packets leave this host by %s and nothing comes back: an upstream or cloud filter, or %s is down",
		h->out->name, why_ip(&f->server, ip));
}

const struct wr_cause wr_cause_upstream_silent = {
	.name = "upstream_silent",
	.layer = "outside",
	.help = "it left this host, and nothing came back",
	.judge = judge,
};
