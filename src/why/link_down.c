// SPDX-License-Identifier: Apache-2.0
#include "why.h"

#include <net/if.h>

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	char in[80];

	if (!why_failed(f))
		return false;
	for (unsigned i = 0; i < c->there.n + c->back.n; i++) {
		const struct why_hop *h =
			i < c->there.n ? &c->there.hop[i] : &c->back.hop[i - c->there.n];

		if (!h->out || (h->out->flags & IFF_UP && h->out->flags & IFF_RUNNING))
			continue;
		why_evidence(r, "interface %s in namespace %s: %s", h->out->name, h->place->name,
			h->out->flags & IFF_UP ? "up, without a carrier" : "down");
		why_fix(r, "%sip link set %s up", why_inside(c, h->place->inode, in, sizeof(in)),
			h->out->name);
		return why_say(r, 0.96, "interface %s in namespace %s is on the way and %s",
			h->out->name, h->place->name,
			h->out->flags & IFF_UP ? "has no carrier: its other end is down"
					       : "is down");
	}
	return false;
}

const struct wr_cause wr_cause_link_down = {
	.name = "link_down",
	.layer = "network",
	.help = "an interface on the way is down",
	.judge = judge,
};
