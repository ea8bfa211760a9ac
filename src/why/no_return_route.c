// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	char ip[WR_IP_TEXT], in[80];

	if (!why_failed(f) || f->err == ECONNREFUSED)
		return false;
	for (unsigned i = 0; i < c->back.n; i++) {
		const struct why_hop *h = &c->back.hop[i];

		if (h->route.err != ENETUNREACH && h->route.err != EHOSTUNREACH &&
			h->route.err != EINVAL)
			continue;
		if (i && h->route.err != ENETUNREACH)
			return false;
		why_evidence(r, "the table of namespace %s answers for %s: %s", h->place->name,
			why_ip(&f->client, ip), strerror(h->route.err));
		if (f->re_syn)
			why_evidence(r, "the SYN was sent %" PRIu64 " times, no answer came",
				f->re_syn + 1);
		why_fix(r, "%sip route add %s via GATEWAY",
			why_inside(c, h->place->inode, in, sizeof(in)), why_ip(&f->client, ip));
		return why_say(r, 0.95,
			"the packets arrive, but namespace %s has no route back to %s",
			h->place->name, why_ip(&f->client, ip));
	}
	return false;
}

const struct wr_cause wr_cause_no_return_route = {
	.name = "no_return_route",
	.layer = "network",
	.help = "the answers find no way back",
	.judge = judge,
};
