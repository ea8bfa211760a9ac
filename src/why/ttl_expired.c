// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = why_drop(c, f, "IP_INHDR", NULL);

	if (!d || !strstr(d->location, "forward") || !why_failed(f))
		return false;
	why_evidence_drop(r, c, d);
	if (f->icmp[0])
		why_evidence(r, "%s", f->icmp);
	why_fix(r,
		"a larger TTL (net.ipv4.ip_default_ttl, IP_TTL); or a route that goes in a circle: mtr, ip route");
	return why_say(r, 0.95, "the time to live of the packets ends in namespace %s",
		why_place_name(c, d->netns));
}

const struct wr_cause wr_cause_ttl_expired = {
	.name = "ttl_expired",
	.layer = "network",
	.help = "the time to live ends on the way",
	.judge = judge,
};
