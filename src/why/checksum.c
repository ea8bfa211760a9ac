// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = NULL;

	while ((d = why_drop(c, f, NULL, d)) && !strstr(d->reason, "_CSUM"))
		;
	if (!d || (!why_failed(f) && !why_slow(f)))
		return false;
	why_evidence_drop(r, c, d);
	why_fix(r,
		"a device on the way changes packets, or offloads wrongly: ethtool -K %s rx off tx off",
		d->interface);
	return why_say(r, 0.93, "packets arrive damaged at %s in namespace %s: %s", d->interface,
		why_place_name(c, d->netns), d->meaning);
}

const struct wr_cause wr_cause_checksum = {
	.name = "checksum",
	.layer = "network",
	.help = "packets arrive with wrong checksums",
	.judge = judge,
};
