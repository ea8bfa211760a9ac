// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define WINDOW 10000000000ull /* ns */
#define FAST 50000 /* packets a second that are a flood of whatever source */

/* One target: datagrams in this window that nothing answered. */
struct target {
	struct wr_distinct sources, ports;
	uint64_t begun, first, last, packets, all,
		told; /* told: of the windows before, of this incident */
	struct wr_ip to;
};

static void judge(struct wr_detect *d, const struct wr_detector *self, struct target *t,
	const struct wr_ip *from, const struct wr_event *e)
{
	const struct wr_limits *l = wr_detect_limits(d);
	uint64_t ms = wr_max((t->last - wr_min(t->last, t->begun)) / 1000000, 1000ull);
	unsigned sources = wr_distinct_count(&t->sources), ports = wr_distinct_count(&t->ports);
	char target[WR_IP_TEXT], source[64];
	struct wr_incident *i;

	/* a stream of one camera is no flood */
	if (t->packets < l->udp_flood_packets || t->packets * 10 < t->all * 8 ||
		(sources < l->udp_flood_sources && ports < l->udp_flood_sources &&
			t->packets * 1000 / ms < FAST))
		return;
	target[wr_ip_text(&t->to, target)] = 0;
	i = wr_incident(d, self, "", target);
	if (!i)
		return;
	wr_detect_sources(source, sizeof(source), wr_distinct_count(&t->sources), from);
	wr_incident_is(i, t->first, t->last, t->told + t->packets, "high", 0.9);
	snprintf(i->summary, sizeof(i->summary),
		"%" PRIu64 " datagrams in %.1f s to %u port%s of %s that nothing answered, from %s",
		t->packets, (double)ms / 1000, ports, ports == 1 ? "" : "s", target, source);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"unanswered\":%" PRIu64 ",\"packets\":%" PRIu64
		",\"sources\":%u,\"ports\":%u,\"rate\":%" PRIu64 "}",
		t->packets, t->all, sources, ports, t->packets * 1000 / ms);
	wr_incident_owner(i, e, true);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_moved *m = wr_detect_moved(d);
	uint64_t sent, lost, first, last, port;
	const struct wr_ip *from, *to;
	struct target *t;

	if (e->kind == WR_KIND_conn) {
		const struct wr_ev_conn *r = (const void *)e;

		if (!wr_str_eq(r->transport, WR_STR("udp")) || !wr_ev_has(e, WR_I_conn_client_ip))
			return;
		from = &r->client_ip;
		to = &r->server_ip;
		port = r->server_port;
		first = r->first;
		last = r->last;
		sent = m->packets_to_server;
		lost = sent - wr_min(sent, m->packets_to_client);
	} else if (e->kind == WR_KIND_drop) {
		const struct wr_ev_drop *r = (const void *)e;

		/* closed ports; in a flood the kernel half tells no flows, then there is nobody to name */
		if (!wr_str_eq(r->transport, WR_STR("udp")) || r->conn.n ||
			!wr_str_eq(r->sender, WR_STR("client")) ||
			!wr_str_eq(r->reason, WR_STR("NO_SOCKET")))
			return;
		from = &r->client_ip;
		to = &r->server_ip;
		port = r->server_port;
		first = last = r->time;
		sent = lost = r->count;
	} else {
		return;
	}
	t = wr_detect_entry(d, self, wr_hash(to, 16, 5), last);
	if (!t)
		return;
	t->to = *to;
	if (!t->begun || last > t->begun + WINDOW) {
		if (t->packets < wr_detect_limits(d)->udp_flood_packets)
			t->told = t->first = 0;
		else
			t->told += t->packets;
		memset(&t->sources, 0, sizeof(t->sources));
		memset(&t->ports, 0, sizeof(t->ports));
		t->packets = t->all = t->last = 0;
		t->begun = e->kind == WR_KIND_conn && last - first < WINDOW ? first : last;
	}
	t->first = t->first ? wr_min(t->first, first) : first;
	t->last = wr_max(t->last, last);
	t->all += sent;
	t->packets += lost;
	wr_distinct_add(&t->sources, wr_hash(from, 16, 3));
	wr_distinct_add(&t->ports, wr_hash64(port + 1));
	judge(d, self, t, from, e);
}

const struct wr_detector wr_detector_udp_flood = {
	.name = "udp_flood",
	.help = "very many datagrams to one host that nothing answers",
	.attack_id = "T1498.001",
	.advice =
		"`weir guard limit 'udp and dst ADDRESS' --rate N --per src`, or drop what nobody here serves",
	.impact = "a limit per source spares the quiet ones; a drop by port ends that service",
	.entry = sizeof(struct target),
	.entries = 1024,
	.quiet = 60000000000ull,
	.grows = true,
	.event = event,
};
