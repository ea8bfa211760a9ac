// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define WINDOW 10000000000ull /* ns */

struct target {
	struct wr_distinct sources;
	uint64_t begun, first, last, packets, told;
};

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;
	uint64_t least = wr_detect_limits(d)->icmp_flood_packets, ms;
	char target[WR_IP_TEXT], source[64];
	struct wr_incident *i;
	struct target *t;

	if (e->kind != WR_KIND_conn || !wr_ev_has(e, WR_I_conn_server_ip) || r->transport.n < 4 ||
		memcmp(r->transport.p, "icmp", 4))
		return;
	t = wr_detect_entry(d, self, wr_hash(&r->server_ip, 16, 5), r->last);
	if (!t)
		return;
	if (!t->begun || r->last > t->begun + WINDOW) {
		t->told = t->packets < least ? 0 : t->told + t->packets;
		t->first = t->told ? t->first : 0;
		memset(&t->sources, 0, sizeof(t->sources));
		t->packets = t->last = 0;
		t->begun = r->last - r->first < WINDOW ? r->first : r->last;
	}
	t->first = t->first ? wr_min(t->first, r->first) : r->first;
	t->last = wr_max(t->last, r->last);
	t->packets += wr_detect_moved(d)->packets_to_server;
	wr_distinct_add(&t->sources, wr_hash(&r->client_ip, 16, 3));
	/* a single flow that lasts is told with its sum: its rate counts */
	ms = wr_max((t->last - wr_min(t->last, t->begun)) / 1000000, 1000ull);
	if (r->last - r->first > WINDOW)
		ms = wr_max(ms, (r->last - r->first) / 1000000);
	if (t->packets < least || t->packets * 10000 / ms < least)
		return;
	target[wr_ip_text(&r->server_ip, target)] = 0;
	i = wr_incident(d, self, "", target);
	if (!i)
		return;
	wr_detect_sources(source, sizeof(source), wr_distinct_count(&t->sources), &r->client_ip);
	wr_incident_is(i, t->first, t->last, t->told + t->packets, "medium", 0.9);
	snprintf(i->summary, sizeof(i->summary),
		"%" PRIu64 " ICMP packets in %.1f s to %s, from %s", t->packets, (double)ms / 1000,
		target, source);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"packets\":%" PRIu64 ",\"sources\":%u,\"rate\":%" PRIu64 "}", t->packets,
		wr_distinct_count(&t->sources), t->packets * 1000 / ms);
	wr_incident_owner(i, e, true);
}

const struct wr_detector wr_detector_icmp_flood = {
	.name = "icmp_flood",
	.help = "very many ICMP packets to one host",
	.attack_id = "T1498.001",
	.advice = "`weir guard limit 'icmp' --rate 100/s --per src`",
	.impact = "a limit spares what is below it, path MTU errors too",
	.entry = sizeof(struct target),
	.entries = 1024,
	.quiet = 60000000000ull,
	.grows = true,
	.event = event,
};
