// SPDX-License-Identifier: Apache-2.0
#include "why.h"

#include <linux/neighbour.h>

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_way *ways[] = {&c->there, &c->back};
	const struct why_drop *d = NULL;
	char ip[WR_IP_TEXT], in[80];

	if (!why_failed(f))
		return false;
	while ((d = why_drop_near(c, f, NULL, d)) && strcmp(d->class, "neighbour"))
		;
	if (d)
		why_evidence_drop(r, c, d);
	if (f->err)
		why_evidence(r, "the application got: %s", strerror(f->err));
	for (unsigned w = 0; w < 2; w++) {
		for (unsigned i = 0; i < ways[w]->n; i++) {
			const struct why_hop *h = &ways[w]->hop[i];

			if (!h->out || !(h->neigh.state & (NUD_FAILED | NUD_INCOMPLETE)))
				continue;
			why_evidence(r, "neighbour %s on %s in namespace %s: %s",
				why_ip(&h->next, ip), h->out->name, h->place->name,
				h->neigh.state & NUD_FAILED ? "failed" : "incomplete");
			why_fix(r, "%sip neigh show dev %s; is %s up, and is it on this network?",
				why_inside(c, h->place->inode, in, sizeof(in)), h->out->name,
				why_ip(&h->next, ip));
			return why_say(r, 0.95, "%s %s does not answer %s on %s in namespace %s",
				h->route.via ? "the gateway" : "the host", why_ip(&h->next, ip),
				wr_ip_is4(&h->next) ? "ARP" : "neighbour discovery", h->out->name,
				h->place->name);
		}
	}
	if (!d)
		return false;
	why_fix(r, "%sip neigh", why_inside(c, d->netns, in, sizeof(in)));
	return why_say(r, 0.9, "the next hop cannot be reached from namespace %s: %s",
		why_place_name(c, d->netns), d->meaning);
}

const struct wr_cause wr_cause_no_neighbour = {
	.name = "no_neighbour",
	.layer = "network",
	.help = "the next hop does not answer ARP or neighbour discovery",
	.judge = judge,
};
