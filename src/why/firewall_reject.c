// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = NULL;
	char ip[WR_IP_TEXT], in[80];

	while ((d = why_drop(c, f, "NETFILTER_DROP", d)) && !strstr(d->rule, "reject"))
		;
	/* it was answered, and netfilter took the packet: no closed port does that */
	if (!d && (f->err == ECONNREFUSED || f->err == EHOSTUNREACH || f->err == ENETUNREACH ||
			  f->err == EACCES))
		d = why_drop(c, f, "NETFILTER_DROP", NULL);
	if (!d || !why_failed(f) || (!d->rule[0] && !strncmp(d->location, "nf_hook_slow", 12)))
		return false;
	why_evidence_drop(r, c, d);
	if (f->err)
		why_evidence(r, "the application got: %s", strerror(f->err));
	if (f->icmp[0])
		why_evidence(r, "%s", f->icmp);
	why_inside(c, d->netns, in, sizeof(in));
	if (d->table[0]) {
		snprintf(r->rule, sizeof(r->rule), "%s %s %s handle %" PRIu64, d->family, d->table,
			d->chain, d->handle);
		why_fix(r, "%snft delete rule %s %s %s handle %" PRIu64, in, d->family, d->table,
			d->chain, d->handle);
	} else {
		why_fix(r, "%snft list ruleset: find the rule that rejects", in);
	}
	return why_say(r, d->table[0] ? 0.98 : 0.9,
		"%s:%u is refused by a firewall rule in namespace %s, not by a closed port%s%s",
		why_ip(&f->server, ip), f->server_port, why_place_name(c, d->netns),
		d->rule[0] ? ": " : "", d->rule);
}

const struct wr_cause wr_cause_firewall_reject = {
	.name = "firewall_reject",
	.layer = "policy",
	.help = "a firewall rule answers with a refusal",
	.judge = judge,
};
