// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	char in[80];

	if (f->proto != 6 || !f->established || f->max_rtt < 50000 || !f->rtt_min ||
		f->max_rtt < f->rtt_min * 10)
		return false;
	why_evidence(r,
		"smoothed round trip up to %" PRIu64 " ms, smallest %" PRIu64 ".%03" PRIu64 " ms",
		f->max_rtt / 1000, f->rtt_min / 1000, f->rtt_min % 1000);
	for (unsigned i = 0; i < c->there.n + c->back.n; i++) {
		const struct why_hop *h =
			i < c->there.n ? &c->there.hop[i] : &c->back.hop[i - c->there.n];

		for (unsigned k = 0; h->out && k < h->place->n_qdiscs; k++) {
			const struct wr_qdisc *q = &h->place->qdiscs[k];

			if (q->ifindex != h->out->index || q->backlog < 20000)
				continue;
			why_evidence(r, "qdisc %s of %s in namespace %s holds %u packets, %u bytes",
				q->kind, h->out->name, h->place->name, q->qlen, q->backlog);
			why_fix(r, "%stc qdisc replace dev %s root fq_codel, or a smaller limit",
				why_inside(c, h->place->inode, in, sizeof(in)), h->out->name);
			return why_say(r, 0.93,
				"the queue (%s) of %s in namespace %s delays packets by %" PRIu64
				" ms: bufferbloat",
				q->kind, h->out->name, h->place->name,
				(f->max_rtt - f->rtt_min) / 1000);
		}
	}
	why_fix(r, "find the slow link on the way: its queue is too long");
	return why_say(r, 0.7,
		"a long queue on the way delays packets by %" PRIu64 " ms: bufferbloat",
		(f->max_rtt - f->rtt_min) / 1000);
}

const struct wr_cause wr_cause_bufferbloat = {
	.name = "bufferbloat",
	.help = "a long queue on the way delays everything",
	.judge = judge,
};
