// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = why_drop_near(c, f, "IPV6DISABLED", NULL);
	char in[80];

	if (!d || !why_failed(f))
		return false;
	why_evidence_drop(r, c, d);
	why_fix(r, "%ssysctl -w net.ipv6.conf.%s.disable_ipv6=0",
		why_inside(c, d->netns, in, sizeof(in)), d->interface);
	return why_say(r, 0.98, "IPv6 is off on interface %s in namespace %s", d->interface,
		why_place_name(c, d->netns));
}

const struct wr_cause wr_cause_ipv6_off = {
	.name = "ipv6_off",
	.layer = "host",
	.help = "IPv6 is off at one end",
	.judge = judge,
};
