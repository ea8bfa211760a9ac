// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = NULL, *best = NULL;
	char ip[WR_IP_TEXT], in[80];
	bool lost = why_failed(f);

	while ((d = why_drop(c, f, "NETFILTER_DROP", d))) {
		if (!strncmp(d->location, "nf_hook_slow", 12) && !d->table[0])
			continue; /* NAT or connection tracking, not a rule */
		if (!best || (d->table[0] && !best->table[0]) || d->count > best->count)
			best = d;
	}
	if (!best || strstr(best->rule, "reject") || (!lost && !why_slow(f) && !f->retransmits))
		return false;
	if (f->err == ECONNREFUSED || f->err == EHOSTUNREACH || f->err == ENETUNREACH ||
		f->err == EACCES)
		return false; /* it was answered */
	d = best;
	why_evidence_drop(r, c, d);
	if (f->re_syn)
		why_evidence(r, "the SYN was sent %" PRIu64 " times", f->re_syn + 1);
	why_inside(c, d->netns, in, sizeof(in));
	if (!d->table[0]) {
		why_fix(r, "%snft list ruleset; %siptables -vnL: find the rule whose counter grows",
			in, in);
		return why_say(r, 0.9, "%s %s:%u are dropped by the firewall of namespace %s",
			d->by_client ? "packets to" : "answers of", why_ip(&f->server, ip),
			f->server_port, why_place_name(c, d->netns));
	}
	snprintf(r->rule, sizeof(r->rule), "%s %s %s handle %" PRIu64, d->family, d->table,
		d->chain, d->handle);
	if (d->handle)
		why_fix(r, "%snft delete rule %s %s %s handle %" PRIu64, in, d->family, d->table,
			d->chain, d->handle);
	else
		why_fix(r, "%snft add rule %s %s %s %s %s %u accept", in, d->family, d->table,
			d->chain, f->proto == 6 ? "tcp" : "udp", d->by_client ? "dport" : "sport",
			f->server_port);
	why_evidence(r, "rule %s %s %s handle %" PRIu64 ": %s", d->family, d->table, d->chain,
		d->handle, d->rule);
	return why_say(r, lost ? 0.97 : 0.8,
		"%s%s %s:%u are dropped in namespace %s by the nftables rule \"%s\" (%s %s, chain %s)",
		lost ? "" : "some ", d->by_client ? "packets to" : "answers of",
		why_ip(&f->server, ip), f->server_port, why_place_name(c, d->netns), d->rule,
		d->family, d->table, d->chain);
}

const struct wr_cause wr_cause_firewall_drop = {
	.name = "firewall_drop",
	.layer = "policy",
	.help = "a firewall rule, or the policy of a chain, drops the packets",
	.judge = judge,
};
