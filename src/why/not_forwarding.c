// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	bool v4 = wr_ip_is4(&f->server);
	const struct why_way *ways[] = {&c->there, &c->back};
	const char *key = v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
	char in[80];

	if (!why_failed(f))
		return false;
	for (unsigned w = 0; w < 2; w++) {
		for (unsigned i = 1; i < ways[w]->n; i++) {
			const struct why_hop *h = &ways[w]->hop[i];
			const struct why_drop *d = why_drop(c, f, "IP_INADDRERRORS", NULL);

			if (h->local || (v4 ? h->place->forward4 : h->place->forward6))
				continue;
			if (d)
				why_evidence_drop(r, c, d);
			why_evidence(r, "%s is 0 in namespace %s", key, h->place->name);
			why_fix(r, "%ssysctl -w %s=1",
				why_inside(c, h->place->inode, in, sizeof(in)), key);
			return why_say(r, d ? 0.98 : 0.93,
				"namespace %s is on the way%s, but does not forward packets",
				h->place->name, w ? " back" : "");
		}
	}
	return false;
}

const struct wr_cause wr_cause_not_forwarding = {
	.name = "not_forwarding",
	.layer = "network",
	.help = "a host on the way does not forward",
	.judge = judge,
};
