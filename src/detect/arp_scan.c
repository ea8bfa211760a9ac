// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define QUIET 3600000000000ull /* ns */
#define SOON 60000000000ull

/* Who asks, and for whom; whose answer came. */
struct asker {
	struct wr_distinct asked, answered, soon; /* soon: asked since @begun */
	uint64_t first, last, begun;
};

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_neighbor *r = (const void *)e;
	const struct wr_limits *l = wr_detect_limits(d);
	unsigned hosts, there;
	char ip[WR_IP_TEXT];
	struct wr_incident *i;
	struct asker *a;
	uint64_t target;

	if (e->kind != WR_KIND_neighbor)
		return;
	a = wr_detect_entry(d, self,
		wr_hash(&r->ip, sizeof(r->ip), wr_hash(r->interface.p, r->interface.n, 7)),
		r->last);
	if (!a)
		return;
	a->first = a->first ? wr_min(a->first, r->first) : r->first;
	a->last = wr_max(a->last, r->last);
	target = wr_hash(&r->target_ip, sizeof(r->target_ip), 8);
	wr_distinct_add(&a->asked, target);
	if (r->answered)
		wr_distinct_add(&a->answered, target);
	if (r->last > a->begun + SOON) {
		a->begun = r->last;
		a->soon = (struct wr_distinct){.bit = {0}};
	}
	wr_distinct_add(&a->soon, target);
	hosts = wr_distinct_count(&a->asked);
	there = wr_distinct_count(&a->answered);
	/*
	 * A router asks for many, too: those are there. Answers go to who asked alone; where none is seen, it is
	 * the haste that tells.
	 */
	if (hosts < l->arp_scan_hosts || there * 4 > hosts * 3 ||
		(!there && wr_distinct_count(&a->soon) < l->arp_scan_hosts))
		return;
	ip[wr_ip_text(&r->ip, ip)] = 0;
	i = wr_incident(d, self, ip, "");
	if (!i)
		return;
	wr_incident_is(i, a->first, a->last, hosts,
		hosts >= 5 * l->arp_scan_hosts ? "medium" : "low", 0.9);
	snprintf(i->summary, sizeof(i->summary),
		"%s (%.*s) asked by ARP for about %u addresses in %" PRIu64
		" s; answers of %u were seen",
		ip, (int)wr_min(r->mac.n, (size_t)17), r->mac.p, hosts,
		(a->last - a->first) / 1000000000, there);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"mac\":\"%.*s\",\"asked\":%u,\"answered\":%u,\"interface\":\"%.*s\"}",
		(int)wr_min(r->mac.n, (size_t)17), r->mac.p, hosts, there,
		(int)wr_min(r->interface.n, (size_t)15), r->interface.p ? r->interface.p : "");
}

const struct wr_detector wr_detector_arp_scan = {
	.name = "arp_scan",
	.help = "one station asks by ARP for many addresses, and few of which answer",
	.attack_id = "T1018",
	.advice =
		"find the port of the switch by its MAC; an inventory does so, too, and a router behind which somebody scans",
	.impact = "a station that is shut out has no network at all",
	.entry = sizeof(struct asker),
	.entries = 1024,
	.quiet = QUIET,
	.event = event,
};
