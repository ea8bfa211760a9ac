// SPDX-License-Identifier: Apache-2.0
#include "why.h"

#include <linux/neighbour.h>

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = why_drop_near(c, f, "OTHERHOST", NULL);
	char ip[WR_IP_TEXT], in[80];

	if (!d || !why_failed(f))
		return false;
	why_evidence_drop(r, c, d);
	why_fix(r, "ip neigh: two hosts may have one address, or an entry is old");
	for (unsigned i = 0; i < c->there.n; i++) {
		const struct why_hop *h = &c->there.hop[i];

		if (!(h->neigh.state & NUD_PERMANENT))
			continue;
		why_evidence(r, "a permanent neighbour entry in namespace %s: %s is at %s",
			h->place->name, why_ip(&h->next, ip), h->neigh.mac);
		why_fix(r, "%sip neigh del %s dev %s",
			why_inside(c, h->place->inode, in, sizeof(in)), why_ip(&h->next, ip),
			h->out->name);
	}
	return why_say(r, 0.95,
		"the packets reach namespace %s with a MAC address that is not its own",
		why_place_name(c, d->netns));
}

const struct wr_cause wr_cause_wrong_mac = {
	.name = "wrong_mac",
	.layer = "network",
	.help = "packets go to a MAC address that nobody has",
	.judge = judge,
};
