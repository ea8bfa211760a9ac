// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	static const char *const kinds[] = {
		"vxlan", "geneve", "gre", "gretap", "ipip", "sit", "ip6tnl"};
	const struct wr_link *out = c->there.n ? c->there.hop[c->there.n - 1].out : NULL;
	bool tunnel = false;
	const struct why_drop *d;

	for (unsigned i = 0; out && i < WR_N(kinds); i++)
		tunnel |= !strcmp(out->kind, kinds[i]);
	if (!tunnel || (!why_failed(f) && !why_slow(f)))
		return false;
	/* its packets have other addresses than what is inside */
	for (d = c->drop; d < c->drop + c->n_drops; d++) {
		if (strcmp(d->class, "tunnel"))
			continue;
		why_evidence_drop(r, c, d);
		why_fix(r,
			"ip -d link show type vxlan on both sides: the identifiers (VNI) must be the same");
		return why_say(r, 0.97, "a tunnel refuses the packets in namespace %s: %s",
			why_place_name(c, d->netns), d->meaning);
	}
	return false;
}

const struct wr_cause wr_cause_tunnel = {
	.name = "tunnel",
	.layer = "network",
	.help = "a tunnel does not take the packets",
	.judge = judge,
};
