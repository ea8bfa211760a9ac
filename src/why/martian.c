// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	static const char *const reasons[] = {
		"IP_LOCAL_SOURCE", "IP_INVALID_SOURCE", "IP_INVALID_DEST", "IP_LOCALNET"};
	const struct why_drop *d = NULL;

	for (unsigned i = 0; i < WR_N(reasons) && !d; i++)
		d = why_drop_near(c, f, reasons[i], NULL);
	if (!d || !why_failed(f))
		return false;
	why_evidence_drop(r, c, d);
	why_fix(r, "look at the addresses of both ends: ip addr; two hosts may have the same one");
	return why_say(r, 0.93, "a martian packet: %s, in namespace %s", d->meaning,
		why_place_name(c, d->netns));
}

const struct wr_cause wr_cause_martian = {
	.name = "martian",
	.layer = "network",
	.help = "an address that cannot be there",
	.judge = judge,
};
