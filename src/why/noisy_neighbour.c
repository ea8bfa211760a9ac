// SPDX-License-Identifier: Apache-2.0
#include "why.h"

/*
 * Drops that are no accident. What is dropped where it is sent from is sent later, and counts as sent once: there
 * need not be a retransmission (tcp_transmit_skb() fails, and the segment stays the next one to send).
 */
#define DROPS 5

/* The queue that the flow suffers in: it overflows, or it is long. */
struct queue {
	uint64_t netns, drops;
	const char *interface, *does;
	unsigned ifindex;
};

static bool overflows(const struct wr_case *c, const struct why_flow *f, struct queue *ret)
{
	const struct why_drop *d = why_queue_drop(c, f);
	const struct why_place *p = d ? why_place(c, d->netns) : NULL;

	for (unsigned i = 0; p && i < p->n_links; i++) {
		if (!strcmp(p->links[i].name, d->interface)) {
			*ret = (struct queue){
				d->netns, d->count, d->interface, "overflows", p->links[i].index};
			return true;
		}
	}
	return false;
}

static bool is_long(const struct wr_case *c, const struct why_flow *f, struct queue *ret)
{
	const struct why_hop *h;

	if (!why_delayed(f) || !why_long_queue(c, &h))
		return false;
	*ret = (struct queue){h->place->inode, 0, h->out->name, "delays everybody", h->out->index};
	return true;
}

static bool ours(const struct wr_case *c, const struct why_talker *t)
{
	for (unsigned i = 0; i < c->n_flows; i++) {
		const struct why_flow *f = &c->flow[i];
		bool there = f->client_port == t->from_port && f->server_port == t->to_port,
		     back = f->client_port == t->to_port && f->server_port == t->from_port;

		if ((t->pid && t->pid == f->client_pid) ||
			(f->proto == t->proto && (there || back)))
			return true;
	}
	return false;
}

/* Who it is: by its process, where any interface that it passed knows it. */
static const struct why_talker *known(const struct wr_case *c, const struct why_talker *t)
{
	for (unsigned i = 0; i < WHY_TALKERS && !t->pid; i++) {
		const struct why_talker *u = &c->talker[i];

		if (u->pid && u->proto == t->proto && u->from_port == t->from_port &&
			u->to_port == t->to_port && !memcmp(&u->to, &t->to, sizeof(u->to)))
			return u;
	}
	return t;
}

static bool same(const struct why_talker *a, const struct why_talker *b)
{
	return a->pid ? a->pid == b->pid
		      : !b->pid && !memcmp(&a->from, &b->from, sizeof(a->from)) &&
				!memcmp(&a->to, &b->to, sizeof(a->to));
}

/* What left by the queue: of all, of the subject, and of the greatest other one, which it returns; NULL: none. */
static const struct why_talker *greatest(const struct wr_case *c, const struct queue *q,
	uint64_t *ret_all, uint64_t *ret_ours, uint64_t *ret_its)
{
	const struct why_talker *who[WHY_TALKERS] = {NULL}, *most = NULL; /* who: others, there */

	*ret_all = *ret_ours = *ret_its = 0;
	for (unsigned i = 0; i < WHY_TALKERS; i++) {
		const struct why_talker *t = &c->talker[i];

		if (!t->bytes || t->ifindex != q->ifindex || t->netns != q->netns)
			continue;
		*ret_all += t->bytes;
		if (ours(c, t))
			*ret_ours += t->bytes;
		else
			who[i] = known(c, t);
	}
	for (unsigned i = 0; i < WHY_TALKERS; i++) {
		uint64_t sum = 0;

		for (unsigned k = i; who[i] && k < WHY_TALKERS; k++)
			sum += who[k] && same(who[i], who[k]) ? c->talker[k].bytes : 0;
		if (sum > *ret_its) {
			*ret_its = sum;
			most = who[i];
		}
	}
	return most;
}

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	char in[80], who[160], a[WR_IP_TEXT], b[WR_IP_TEXT];
	uint64_t all, own, its;
	const struct why_talker *t;
	struct queue q;

	if (!(overflows(c, f, &q) && (why_failed(f) || f->retransmits || q.drops >= DROPS)) &&
		!is_long(c, f, &q))
		return false;
	t = greatest(c, &q, &all, &own, &its);
	if (!t || its < own * 3 || its * 2 < all)
		return false;
	if (t->pid)
		snprintf(who, sizeof(who), "%s[%" PRIu64 "]", t->process, t->pid);
	else
		snprintf(who, sizeof(who), "%s to %s", why_ip(&t->from, a), why_ip(&t->to, b));
	why_evidence(r, "by %s left meanwhile %" PRIu64 " kB of %s, %" PRIu64 " kB of this",
		q.interface, its / 1000, who, own / 1000);
	if (q.drops)
		why_evidence(r, "%" PRIu64 " packets of this were dropped there", q.drops);
	if (f->retransmits)
		why_evidence(r, "%" PRIu64 " segments were sent again", f->retransmits);
	why_fix(r,
		"%stc qdisc replace dev %s root fq_codel: each flow gets its turn; or give %s a rate",
		why_inside(c, q.netns, in, sizeof(in)), q.interface, who);
	return why_say(r, 0.95,
		"a noisy neighbour: %s takes %" PRIu64
		" %% of what leaves by %s in namespace %s, whose queue %s",
		who, its * 100 / all, q.interface, why_place_name(c, q.netns), q.does);
}

const struct wr_cause wr_cause_noisy_neighbour = {
	.name = "noisy_neighbour",
	.layer = "network",
	.help = "somebody else fills the queue of an interface",
	.judge = judge,
};
