// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *best = why_queue_drop(c, f);
	char in[80];

	if (!best || (!why_failed(f) && !f->retransmits && f->proto == 6))
		return false;
	why_evidence_drop(r, c, best);
	if (f->retransmits)
		why_evidence(r, "%" PRIu64 " segments were sent again", f->retransmits);
	why_fix(r,
		"%stc -s qdisc show dev %s: a larger limit, a higher rate, or a sender that slows down",
		why_inside(c, best->netns, in, sizeof(in)), best->interface);
	return why_say(r, 0.9, "the queue of interface %s in namespace %s overflows: %s",
		best->interface, why_place_name(c, best->netns), best->meaning);
}

const struct wr_cause wr_cause_queue_drop = {
	.name = "queue_drop",
	.layer = "network",
	.help = "an interface's queue overflows",
	.judge = judge,
};
