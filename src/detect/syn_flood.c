// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define QUIET 30000000000ull /* ns */

/* One target: connections to it that never came up. */
struct target {
	struct wr_distinct sources;
	uint64_t open, asked, first, last;
};

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_limits *l = wr_detect_limits(d);
	char target[WR_TARGET_TEXT], source[64];
	struct wr_incident *i;
	struct wr_attempt a;
	struct target *t;
	unsigned sources;
	uint64_t ms;

	if (!wr_attempt_of(e, &a) || !a.tcp)
		return;
	t = wr_detect_entry(d, self, wr_hash(a.to, 16, a.port), a.at);
	if (!t)
		return;
	t->first = t->first ? wr_min(t->first, a.at) : a.at;
	t->last = wr_max(t->last, a.at);
	t->asked++;
	if (a.answered)
		return;
	t->open++;
	wr_distinct_add(&t->sources, wr_hash(a.from, 16, 3));
	ms = (t->last - t->first) / 1000000 + 1000;
	if (t->open < l->syn_flood_connections || t->open * 1000 / ms < l->syn_flood_rate ||
		t->open * 10 < t->asked * 8)
		return;
	wr_detect_target(target, a.to, a.port);
	sources = wr_distinct_count(&t->sources);
	i = wr_incident(d, self, "", target);
	if (!i)
		return;
	wr_detect_sources(source, sizeof(source), &t->sources, a.from);
	i->first = t->first;
	i->last = t->last;
	i->count = t->open;
	i->severity = "high";
	i->confidence = t->open * 100 > t->asked * 95 ? 0.95 : 0.85;
	snprintf(i->summary, sizeof(i->summary),
		"%" PRIu64 " of %" PRIu64 " connections to %s never came up, %" PRIu64
		" a second, from %s",
		t->open, t->asked, target, t->open * 1000 / ms, source);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"incomplete\":%" PRIu64 ",\"connections\":%" PRIu64
		",\"sources\":%u,\"rate\":%" PRIu64 "}",
		t->open, t->asked, sources, t->open * 1000 / ms);
	wr_incident_owner(i, e, true);
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
