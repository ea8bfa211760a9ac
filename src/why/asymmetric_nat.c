// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = why_foreign_answer(c, f);
	char ip[WR_IP_TEXT], ip2[WR_IP_TEXT];

	if (!d)
		return false;
	why_evidence_drop(r, c, d);
	why_evidence(r, "a SYN+ACK came from %s, the SYN went to %s", why_ip(&d->server, ip),
		why_ip(&f->server, ip2));
	why_fix(r,
		"let the answers go back through the host that translates: masquerade there, or the route of %s",
		why_ip(&d->server, ip));
	return why_say(r, 0.97,
		"asymmetric NAT: %s answers itself, past the host that translated %s to it",
		why_ip(&d->server, ip), why_ip(&f->server, ip2));
}

const struct wr_cause wr_cause_asymmetric_nat = {
	.name = "asymmetric_nat",
	.layer = "network",
	.help = "the answer comes from another address than was asked",
	.judge = judge,
};
