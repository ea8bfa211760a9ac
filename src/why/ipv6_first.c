// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	char ip[WR_IP_TEXT], ip4[WR_IP_TEXT];

	if (wr_ip_is4(&f->server) || !why_failed(f))
		return false;
	for (unsigned i = 0; i < c->n_flows; i++) {
		const struct why_flow *o = &c->flow[i];

		if (!wr_ip_is4(&o->server) || o->server_port != f->server_port ||
			o->proto != f->proto || why_failed(o))
			continue;
		why_evidence(r, "%s port %u failed: %s", why_ip(&f->server, ip), f->server_port,
			f->err ? strerror(f->err) : "no answer");
		why_evidence(r, "%s port %u works", why_ip(&o->server, ip4), o->server_port);
		why_fix(r, "repair the way to %s, or take the AAAA record away",
			why_ip(&f->server, ip));
		return why_say(r, 0.985,
			"the IPv6 address %s is tried first and fails, then IPv4 works",
			why_ip(&f->server, ip));
	}
	return false;
}

const struct wr_cause wr_cause_ipv6_first = {
	.name = "ipv6_first",
	.layer = "network",
	.help = "IPv6 is tried first and fails, IPv4 works",
	.judge = judge,
};
