// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define QUIET 30000000000ull /* ns */

/*
 * One target: connections to it that never came up. The same attack may be seen twice, as connections and as
 * SYNs of a listener: the larger count counts.
 */
struct target {
	struct wr_distinct sources; /* of connections */
	uint64_t open, asked, first, last;
	uint64_t open_syns, syns, syn_sources;
};

static void judge(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e,
	const struct target *t, const struct wr_ip *from, const struct wr_ip *to, uint16_t port)
{
	const struct wr_limits *l = wr_detect_limits(d);
	uint64_t ms = (t->last - t->first) / 1000000 + 1000, rate;
	uint64_t open = wr_max(t->open, t->open_syns);
	uint64_t asked = t->open >= t->open_syns ? t->asked : t->syns;
	uint64_t sources = wr_max(t->syn_sources, (uint64_t)wr_distinct_count(&t->sources));
	char target[WR_TARGET_TEXT], source[64];
	struct wr_incident *i;

	rate = open * 1000 / ms;
	if (open < l->syn_flood_connections || rate < l->syn_flood_rate || open * 10 < asked * 8)
		return;
	wr_detect_target(target, to, port);
	i = wr_incident(d, self, "", target);
	if (!i)
		return;
	wr_detect_sources(source, sizeof(source), sources, from);
	i->first = t->first;
	i->last = t->last;
	i->count = open;
	i->severity = "high";
	i->confidence = open * 100 > asked * 95 ? 0.95 : 0.85;
	snprintf(i->summary, sizeof(i->summary),
		"%" PRIu64 " of %" PRIu64 " connections to %s never came up, %" PRIu64
		" a second, from %s",
		open, asked, target, rate, source);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"incomplete\":%" PRIu64 ",\"connections\":%" PRIu64 ",\"sources\":%" PRIu64
		",\"rate\":%" PRIu64 "}",
		open, asked, sources, rate);
	wr_incident_owner(i, e, true);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_syns *r = (const void *)e;
	struct wr_attempt a;
	struct target *t;

	if (e->kind == WR_KIND_syns)
		a = (struct wr_attempt){.from = &r->client_ip,
			.to = &r->server_ip,
			.port = (uint16_t)r->server_port,
			.at = r->to,
			.tcp = true};
	else if (!wr_attempt_of(e, &a) || !a.tcp)
		return;
	t = wr_detect_entry(d, self, wr_hash(a.to, 16, a.port), a.at);
	if (!t)
		return;
	if (e->kind == WR_KIND_syns) {
		t->first = t->first ? wr_min(t->first, r->from) : r->from;
		t->last = wr_max(t->last, r->to);
		t->syns += r->count;
		t->open_syns += r->count - wr_min(r->count, r->established);
		t->syn_sources = wr_max(t->syn_sources, r->sources);
	} else {
		t->first = t->first ? wr_min(t->first, a.at) : a.at;
		t->last = wr_max(t->last, a.at);
		t->asked++;
		if (a.answered)
			return;
		t->open++;
		wr_distinct_add(&t->sources, wr_hash(a.from, 16, 3));
	}
	judge(d, self, e, t, a.from, a.to, a.port);
}

const struct wr_detector wr_detector_syn_flood = {
	.name = "syn_flood",
	.help = "very many connections to one port that never come up",
	.attack_id = "T1499.001",
	.advice =
		"weir guard cookie 'tcp and dst.port = ...', net.ipv4.tcp_syncookies=1; drop the sources where they are few",
	.impact =
		"established connections go on; with cookies new ones lose TCP options for a time",
	.entry = sizeof(struct target),
	.entries = 2048,
	.quiet = QUIET,
	.event = event,
};
