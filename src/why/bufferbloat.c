// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_hop *h;
	const struct wr_qdisc *q;
	char in[80];

	if (!why_delayed(f))
		return false;
	why_evidence(r,
		"smoothed round trip up to %" PRIu64 " ms, smallest %" PRIu64 ".%03" PRIu64 " ms",
		f->max_rtt / 1000, f->rtt_min / 1000, f->rtt_min % 1000);
	q = why_long_queue(c, &h);
	if (q) {
		why_evidence(r, "qdisc %s of %s in namespace %s holds %u packets, %u bytes",
			q->kind, h->out->name, h->place->name, q->qlen, q->backlog);
		why_fix(r, "%stc qdisc replace dev %s root fq_codel, or a smaller limit",
			why_inside(c, h->place->inode, in, sizeof(in)), h->out->name);
		return why_say(r, 0.93,
			"the queue (%s) of %s in namespace %s delays packets by %" PRIu64
			" ms: bufferbloat",
			q->kind, h->out->name, h->place->name, (f->max_rtt - f->rtt_min) / 1000);
	}
	why_fix(r, "find the slow link on the way: its queue is too long");
	return why_say(r, 0.7,
		"a long queue on the way delays packets by %" PRIu64 " ms: bufferbloat",
		(f->max_rtt - f->rtt_min) / 1000);
}

const struct wr_cause wr_cause_bufferbloat = {
	.name = "bufferbloat",
	.layer = "network",
	.help = "a long queue on the way delays everything",
	.judge = judge,
};
