// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = NULL, *frag = NULL;

	while ((d = why_drop(c, f, NULL, d))) {
		if (!strncmp(d->reason, "FRAG_", 5))
			frag = d;
		else if (!frag && !d->client_port && !d->server_port)
			frag = d; /* a later fragment has no ports */
	}
	if (!frag || !why_failed(f))
		return false;
	why_evidence_drop(r, c, frag);
	if (frag->rule[0])
		why_evidence(
			r, "rule %s %s %s: %s", frag->family, frag->table, frag->chain, frag->rule);
	why_fix(r,
		"send less than the MTU in a datagram; let fragments pass, or track connections so that they are put together");
	return why_say(r, 0.98,
		"fragments of the packets are lost in namespace %s: only a part arrives",
		why_place_name(c, frag->netns));
}

const struct wr_cause wr_cause_fragments_lost = {
	.name = "fragments_lost",
	.layer = "network",
	.help = "some fragments never arrive",
	.judge = judge,
};
