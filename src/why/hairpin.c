// SPDX-License-Identifier: Apache-2.0
#include "why.h"

/* The client's own address came back to it as the source: it was translated to itself. */
static const struct why_drop *own_source(const struct wr_case *c, const struct why_flow *f)
{
	for (const struct why_drop *d = c->drop; d < c->drop + c->n_drops; d++) {
		if (!strcmp(d->reason, "IP_LOCAL_SOURCE") && d->netns == f->netns &&
			d->proto == f->proto && !memcmp(&d->server, &f->client, 16) &&
			!memcmp(&d->client, &f->client, 16))
			return d;
	}
	return NULL;
}

/*
 * A client asks for an address that is translated to a server of its own network, or to itself: the answer does
 * not come back through the translator.
 */
static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = why_foreign_answer(c, f), *own;
	char ip[WR_IP_TEXT], ip2[WR_IP_TEXT];

	if (!why_failed(f) || f->established)
		return false;
	own = own_source(c, f);
	if (own) {
		why_evidence_drop(r, c, own);
		why_evidence(r, "%s was asked for, and translated to the one who asks",
			why_ip(&f->server, ip));
		why_fix(r, "masquerade what is translated back into the network that it came from");
		return why_say(r, 0.985,
			"hairpin: %s is translated to the client itself, which refuses a packet from its own address",
			why_ip(&f->server, ip));
	}
	if (!d || !why_on_link(why_place(c, f->netns), &d->server))
		return false;
	why_evidence_drop(r, c, d);
	why_evidence(r, "a SYN+ACK came from %s, the SYN went to %s; both ends are in one network",
		why_ip(&d->server, ip), why_ip(&f->server, ip2));
	why_fix(r,
		"masquerade what is translated back into the network that it came from, or let its clients ask for %s",
		why_ip(&d->server, ip));
	return why_say(r, 0.98,
		"hairpin: %s is translated to %s, which is in the client's own network and answers it directly",
		why_ip(&f->server, ip2), why_ip(&d->server, ip));
}

const struct wr_cause wr_cause_hairpin = {
	.name = "hairpin",
	.layer = "network",
	.help = "NAT back into the network that the packet came from, without masquerading",
	.judge = judge,
};
