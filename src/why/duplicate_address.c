// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	char ip[WR_IP_TEXT], in[80];

	if (!why_failed(f))
		return false;
	for (unsigned i = 0; i < c->there.n; i++) {
		const struct why_hop *h = &c->there.hop[i];

		if (h->stations < 2)
			continue;
		why_evidence(r, "asked by ARP on %s in namespace %s who has %s: %s and %s answer",
			h->out->name, h->place->name, why_ip(&h->next, ip), h->station[0],
			h->station[1]);
		why_evidence(r, "in use now: %s", h->neigh.mac[0] ? h->neigh.mac : "none");
		why_fix(r,
			"give one of them another address; until then `%sip neigh replace %s lladdr MAC dev %s`",
			why_inside(c, h->place->inode, in, sizeof(in)), why_ip(&h->next, ip),
			h->out->name);
		return why_say(r, 0.97,
			"%s belongs to two stations, %s and %s: packets reach one or the other",
			why_ip(&h->next, ip), h->station[0], h->station[1]);
	}
	return false;
}

const struct wr_cause wr_cause_duplicate_address = {
	.name = "duplicate_address",
	.layer = "network",
	.help = "two stations answer for one address (RFC 5227)",
	.judge = judge,
};
