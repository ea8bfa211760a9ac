// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define QUIET 900000000000ull /* ns: a source that rests so long begins anew */
#define SLOW 7200000000000ull /* ns a scan may take for so few */

/* One source: whom it asked without an answer. */
struct source {
	struct wr_distinct ports, hosts, targets;
	uint64_t asked, answered, first, last;
	uint16_t port; /* the last one; several: 0 */
	bool many_ports, many_hosts;
	struct wr_ip host;
	const char *how; /* tcp, udp, icmp */
};

static void tell(struct wr_detect *d, const struct wr_detector *self, const struct source *s,
	const struct wr_ip *from, const struct wr_event *e)
{
	unsigned ports = wr_distinct_count(&s->ports), hosts = wr_distinct_count(&s->hosts);
	bool wide = hosts >= wr_detect_limits(d)->port_scan_hosts && hosts > ports;
	char ip[WR_IP_TEXT], to[WR_IP_TEXT], target[96];
	struct wr_incident *i;

	ip[wr_ip_text(from, ip)] = 0;
	to[wr_ip_text(&s->host, to)] = 0;
	/* one incident a source, however it goes on */
	i = wr_incident(d, self, ip, "");
	if (!i)
		return;
	if (!strcmp(s->how, "icmp"))
		snprintf(target, sizeof(target), "%u hosts", hosts);
	else if (wide)
		snprintf(target, sizeof(target), "%u hosts, port %u", hosts, s->port);
	else
		snprintf(target, sizeof(target), "%s", s->many_hosts ? "several hosts" : to);
	i->first = s->first;
	i->last = s->last;
	i->count = s->asked;
	i->severity = ports + hosts > 200 ? "high" : "medium";
	i->confidence = s->answered * 10 < s->asked ? 0.95 : 0.8;
	snprintf(i->summary, sizeof(i->summary),
		wide ? "%s asked about %u hosts on %u port%s (%s), and %" PRIu64 " of %" PRIu64
		       " attempts were answered"
		     : "%s tried %u ports of %u host%s (%s), and %" PRIu64 " of %" PRIu64
		       " attempts were answered",
		ip, wide ? hosts : ports, wide ? ports : hosts,
		(wide ? ports : hosts) == 1 ? "" : "s", s->how, s->answered, s->asked);
	if (!strcmp(s->how, "icmp"))
		snprintf(i->summary, sizeof(i->summary),
			"%s pinged %u hosts, and %" PRIu64 " of %" PRIu64 " answered", ip, hosts,
			s->answered, s->asked);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"ports\":%u,\"hosts\":%u,\"attempts\":%" PRIu64 ",\"answered\":%" PRIu64
		",\"target\":\"%s\",\"variant\":\"%s\"}",
		ports, hosts, s->asked, s->answered, target, wide ? "horizontal" : "vertical");
	wr_incident_owner(i, e, false);
}

/* Who is there? A ping asks no port. ICMP without its type is of a process that asks: errors are the kernel's. */
static bool ping_of(const struct wr_event *e, struct wr_attempt *ret)
{
	const struct wr_ev_conn *r = (const void *)e;

	if (e->kind != WR_KIND_conn || r->transport.n < 4 ||
		memcmp(r->transport.p, "icmp", 4) != 0 || !wr_ev_has(e, WR_I_conn_client_ip) ||
		(wr_ev_has(e, WR_I_conn_icmp_type) && r->icmp_type != 8 && r->icmp_type != 128 &&
			r->icmp_type != 13 && r->icmp_type != 17))
		return false;
	*ret = (struct wr_attempt){.from = &r->client_ip,
		.to = &r->server_ip,
		.at = r->first,
		.answered = r->packets_to_client};
	return true;
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_limits *l = wr_detect_limits(d);
	struct wr_attempt a;
	struct source *s;
	unsigned ports, hosts;
	bool ping = ping_of(e, &a);

	if (!ping && !wr_attempt_of(e, &a))
		return;
	s = wr_detect_entry(d, self, wr_hash(a.from, 16, ping ? 2 : a.tcp), a.at);
	if (!s)
		return;
	s->many_ports |= s->asked && s->port != a.port;
	s->many_hosts |= s->asked && memcmp(&s->host, a.to, 16);
	s->port = a.port;
	s->host = *a.to;
	s->how = ping ? "icmp" : a.tcp ? "tcp" : "udp";
	s->first = s->first ? wr_min(s->first, a.at) : a.at;
	s->last = wr_max(s->last, a.at);
	s->asked++;
	if (a.answered) {
		s->answered++;
		return; /* who speaks does not scan */
	}
	wr_distinct_add(&s->ports, wr_hash64(a.port + 1u));
	wr_distinct_add(&s->hosts, wr_hash(a.to, 16, 7));
	ports = wr_distinct_count(&s->ports);
	hosts = wr_distinct_count(&s->hosts);
	if ((ports < l->port_scan_ports && hosts < l->port_scan_hosts) ||
		s->answered * 2 > s->asked || s->last - s->first > SLOW)
		return;
	/* a client of many hosts that are down asks the same few ports again; it is not many of both */
	if (!a.tcp && !ping && ports < l->port_scan_ports)
		return;
	tell(d, self, s, a.from, e);
}

const struct wr_detector wr_detector_port_scan = {
	.name = "port_scan",
	.help = "one source asks many ports or many hosts that do not answer",
	.attack_id = "T1046",
	.advice =
		"look who owns the source; drop it for some time, or let nothing but what is needed be reached",
	.impact = "a drop cuts whatever else the source does here, and who shares its address",
	.entry = sizeof(struct source),
	.entries = 2048,
	.quiet = QUIET,
	.event = event,
};
