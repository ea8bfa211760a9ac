// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define PACKETS 20

struct pair {
	uint64_t to, back, packets_to, packets_back, first, last;
};

/* An echo reply returns the data of its request (RFC 792, RFC 4443 4.2): what does not carries something else. */
static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;
	const struct wr_moved *m = wr_detect_moved(d);
	char source[WR_IP_TEXT], target[WR_IP_TEXT];
	struct wr_incident *i;
	struct pair *p;
	uint64_t odd;

	if (e->kind != WR_KIND_conn || !wr_ev_has(e, WR_I_conn_server_ip) || r->transport.n < 4 ||
		memcmp(r->transport.p, "icmp", 4))
		return;
	p = wr_detect_entry(
		d, self, wr_hash(&r->client_ip, 16, wr_hash(&r->server_ip, 16, 1)), r->last);
	if (!p)
		return;
	p->first = p->first ? p->first : r->first;
	p->last = wr_max(p->last, r->last);
	p->to += m->to_server;
	p->back += m->to_client;
	p->packets_to += m->packets_to_server;
	p->packets_back += m->packets_to_client;
	odd = p->to > p->back ? p->to - p->back : p->back - p->to;
	/* lost packets make a difference, too: as large as so many of them */
	if (p->packets_to < PACKETS || p->packets_back < PACKETS ||
		odd < wr_detect_limits(d)->icmp_tunnel_bytes)
		return;
	if (p->packets_to > p->packets_back) {
		uint64_t lost = (p->packets_to - p->packets_back) * (p->to / p->packets_to);

		odd = p->to > p->back + lost ? p->to - p->back - lost : 0;
	}
	if (odd < wr_detect_limits(d)->icmp_tunnel_bytes || odd * 20 < p->to + p->back)
		return;
	source[wr_ip_text(&r->client_ip, source)] = 0;
	target[wr_ip_text(&r->server_ip, target)] = 0;
	i = wr_incident(d, self, source, target);
	if (!i)
		return;
	wr_incident_is(i, p->first, p->last, p->packets_to + p->packets_back, "high", 0.85);
	snprintf(i->summary, sizeof(i->summary),
		"%s sent %" PRIu64 " bytes in echo requests to %s and got %" PRIu64
		" back: answers that do not mirror what was asked carry data",
		source, p->to, target, p->back);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"bytes_to\":%" PRIu64 ",\"bytes_back\":%" PRIu64 ",\"packets_to\":%" PRIu64
		",\"packets_back\":%" PRIu64 "}",
		p->to, p->back, p->packets_to, p->packets_back);
	wr_incident_owner(i, e, false);
}

const struct wr_detector wr_detector_icmp_tunnel = {
	.name = "icmp_tunnel",
	.help = "data in ICMP echo packets",
	.attack_id = "T1095",
	.advice =
		"`weir guard limit 'icmp' --rate 10/s --per src`; look which process opened the socket",
	.impact = "ping and traceroute are limited, too",
	.entry = sizeof(struct pair),
	.entries = 2048,
	.quiet = 600000000000ull,
	.grows = true,
	.event = event,
};
