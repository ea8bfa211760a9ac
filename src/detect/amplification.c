// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define WINDOW 10000000000ull /* ns */

/* Services over UDP whose answers can be far larger than the question (US-CERT TA14-017A). */
static const struct {
	uint16_t port;
	const char *name;
} services[] = {{17, "QOTD"}, {19, "chargen"}, {53, "DNS"}, {69, "TFTP"}, {111, "portmapper"},
	{123, "NTP"}, {137, "NetBIOS"}, {161, "SNMP"}, {389, "CLDAP"}, {427, "SLP"}, {520, "RIP"},
	{1434, "SQL Server"}, {1900, "SSDP"}, {3283, "ARMS"}, {3702, "WS-Discovery"},
	{5093, "Sentinel"}, {5353, "mDNS"}, {5683, "CoAP"}, {11211, "memcached"}, {27960, "Quake"}};

/* One victim and service, or one server here that is used against it. */
struct victim {
	struct wr_distinct servers;
	uint64_t begun, first, last, asked, answered, packets, told;
};

static const char *service_of(uint64_t port)
{
	for (unsigned i = 0; i < WR_N(services); i++) {
		if (services[i].port == port)
			return services[i].name;
	}
	return NULL;
}

static void add(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e,
	const struct wr_ip *victim, const struct wr_ip *server, uint64_t port, uint64_t first,
	uint64_t last, uint64_t asked, uint64_t answered, uint64_t packets)
{
	const struct wr_limits *l = wr_detect_limits(d);
	const char *service = service_of(port);
	char target[WR_IP_TEXT], source[64], text[80];
	struct wr_incident *i;
	struct victim *v;

	if (!service)
		return;
	v = wr_detect_entry(d, self, wr_hash(victim, 16, port), last);
	if (!v)
		return;
	if (!v->begun || last > v->begun + WINDOW) {
		v->told = v->answered < l->amplification_bytes ? 0 : v->told + v->packets;
		v->first = v->told ? v->first : 0;
		memset(&v->servers, 0, sizeof(v->servers));
		v->asked = v->answered = v->packets = v->last = 0;
		v->begun = last - first < WINDOW ? first : last;
	}
	v->first = v->first ? wr_min(v->first, first) : first;
	v->last = wr_max(v->last, last);
	v->asked += asked;
	v->answered += answered;
	v->packets += packets;
	wr_distinct_add(&v->servers, wr_hash(server, 16, 3));
	if (v->answered < l->amplification_bytes ||
		v->answered < v->asked * l->amplification_factor)
		return;
	target[wr_ip_text(victim, target)] = 0;
	snprintf(text, sizeof(text), "%s", service);
	i = wr_incident(d, self, text, target);
	if (!i)
		return;
	wr_detect_sources(source, sizeof(source), wr_distinct_count(&v->servers), server);
	wr_incident_is(i, v->first, v->last, v->told + v->packets, "high", v->asked ? 0.85 : 0.95);
	snprintf(i->summary, sizeof(i->summary),
		"%s answers of %" PRIu64 " bytes to %s, which asked %" PRIu64
		" bytes, from %s: %s is hit by reflection",
		service, v->answered, target, v->asked, source, target);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"service\":\"%s\",\"answered\":%" PRIu64 ",\"asked\":%" PRIu64
		",\"packets\":%" PRIu64 ",\"servers\":%u}",
		service, v->answered, v->asked, v->packets, wr_distinct_count(&v->servers));
	wr_incident_owner(i, e, true);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_moved *m = wr_detect_moved(d);

	if (e->kind == WR_KIND_conn) {
		const struct wr_ev_conn *r = (const void *)e;

		if (!wr_str_eq(r->transport, WR_STR("udp")) || !wr_ev_has(e, WR_I_conn_client_ip))
			return;
		add(d, self, e, &r->client_ip, &r->server_ip, r->server_port, r->first, r->last,
			m->to_server, m->to_client, m->packets_to_client);
		/* what was never asked for comes first: whoever sends it is taken for the client */
		if (!service_of(r->server_port) && !r->packets_to_client)
			add(d, self, e, &r->server_ip, &r->client_ip, r->client_port, r->first,
				r->last, 0, m->to_server, m->packets_to_server);
	} else if (e->kind == WR_KIND_drop) {
		const struct wr_ev_drop *r = (const void *)e;
		bool server = wr_str_eq(r->sender, WR_STR("server"));

		/* answers to ports that nobody here has open */
		if (!wr_str_eq(r->transport, WR_STR("udp")) || r->conn.n ||
			!wr_str_eq(r->reason, WR_STR("NO_SOCKET")))
			return;
		add(d, self, e, server ? &r->client_ip : &r->server_ip,
			server ? &r->server_ip : &r->client_ip,
			server ? r->server_port : r->client_port, r->time, r->time, 0, r->bytes,
			r->count);
	}
}

const struct wr_detector wr_detector_amplification = {
	.name = "amplification",
	.help = "large answers of DNS, NTP, memcached and such to who hardly asked",
	.attack_id = "T1498.002",
	.advice =
		"the victim: `weir guard drop 'udp and src.port = PORT'`; the server: answer your own networks only",
	.impact = "answers to questions of your own are dropped with the others",
	.entry = sizeof(struct victim),
	.entries = 2048,
	.quiet = 60000000000ull,
	.grows = true,
	.event = event,
};
