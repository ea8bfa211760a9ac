// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = why_refused(c, f);
	const struct why_place *p;

	p = d ? why_place(c, d->netns) : NULL;
	if (!p || !why_failed(f) || !p->conntrack_max || p->conntrack * 20 < p->conntrack_max * 19)
		return false;
	why_evidence_drop(r, c, d);
	why_evidence(r, "%" PRIu64 " of %" PRIu64 " connections are tracked", p->conntrack,
		p->conntrack_max);
	why_fix(r,
		"sysctl -w net.netfilter.nf_conntrack_max=%" PRIu64
		"; shorter: net.netfilter.nf_conntrack_tcp_timeout_established",
		p->conntrack_max * 2);
	return why_say(
		r, 0.95, "the table of tracked connections is full in namespace %s", p->name);
}

const struct wr_cause wr_cause_conntrack_full = {
	.name = "conntrack_full",
	.layer = "host",
	.help = "the table of tracked connections is full",
	.judge = judge,
};
