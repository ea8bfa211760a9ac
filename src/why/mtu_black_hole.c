// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = why_drop(c, f, "PKT_TOO_BIG", NULL), *icmp = NULL;
	char in[80];

	if (!d)
		return false;
	while ((icmp = why_drop_near(c, f, NULL, icmp))) {
		if ((icmp->proto == 1 && icmp->icmp_type == 3 && icmp->icmp_code == 4) ||
			(icmp->proto == 58 && icmp->icmp_type == 2))
			break;
	}
	/* one too large packet, then smaller ones: the path's MTU was learned, and all is well */
	if (!icmp && (d->count < 3 || (!f->re_timeout && !why_failed(f))))
		return false;
	why_evidence_drop(r, c, d);
	if (icmp)
		why_evidence_drop(r, c, icmp);
	if (f->re_timeout)
		why_evidence(r,
			"%" PRIu64 " retransmissions after a timeout, %" PRIu64
			" bytes not acknowledged",
			f->re_timeout, f->max_send_queue);
	if (icmp && icmp->rule[0]) {
		why_evidence(
			r, "rule %s %s %s: %s", icmp->family, icmp->table, icmp->chain, icmp->rule);
		snprintf(r->rule, sizeof(r->rule), "%s %s %s handle %" PRIu64, icmp->family,
			icmp->table, icmp->chain, icmp->handle);
	}
	why_fix(r,
		"%slet ICMP \"fragmentation needed\" (type 3 code 4; ICMPv6 type 2) pass, or clamp the MSS to the path's MTU",
		why_inside(c, icmp ? icmp->netns : d->netns, in, sizeof(in)));
	return why_say(r, 0.97,
		"a path MTU black hole: full-size packets are too large for the link behind %s in namespace %s, and %s",
		d->interface[0] ? d->interface : "?", why_place_name(c, d->netns),
		icmp ? "the ICMP message that would tell the sender is dropped"
		     : "the sender never learns it");
}

const struct wr_cause wr_cause_mtu_black_hole = {
	.name = "mtu_black_hole",
	.layer = "network",
	.help = "packets are too large for the way, and the sender is not told",
	.judge = judge,
};
