// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d;
	char ip[WR_IP_TEXT], ip2[WR_IP_TEXT];

	if (f->proto != 6 || f->established || !f->client_port)
		return false;
	for (d = c->drop; d < c->drop + c->n_drops; d++) {
		if (strcmp(d->reason, "NO_SOCKET") || strcmp(d->flags, "SA") ||
			memcmp(&d->client, &f->client, 16) || d->client_port != f->client_port ||
			!memcmp(&d->server, &f->server, 16))
			continue;
		why_evidence_drop(r, c, d);
		why_evidence(r, "a SYN+ACK came from %s, the SYN went to %s",
			why_ip(&d->server, ip), why_ip(&f->server, ip2));
		why_fix(r,
			"let the answers go back through the host that translates: masquerade there, or the route of %s",
			why_ip(&d->server, ip));
		return why_say(r, 0.97,
			"asymmetric NAT: %s answers itself, past the host that translated %s to it",
			why_ip(&d->server, ip), why_ip(&f->server, ip2));
	}
	return false;
}

const struct wr_cause wr_cause_asymmetric_nat = {
	.name = "asymmetric_nat",
	.help = "the answer comes from another address than was asked",
	.judge = judge,
};
