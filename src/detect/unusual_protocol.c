// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

/* What is spoken at these ports, by their registration (IANA Service Name and Port Number Registry). */
static const struct {
	uint16_t port;
	const char *protocols; /* words */
} ports[] = {{21, "ftp"}, {22, "ssh"}, {25, "smtp tls"}, {53, "dns tls http2"},
	{80, "http http2 websocket"}, {123, "ntp"}, {389, "ldap tls"},
	{443, "tls quic http http2 websocket"}, {445, "smb"}, {465, "tls smtp"}, {502, "modbus"},
	{587, "smtp tls"}, {636, "tls ldap"}, {853, "tls dns quic"}, {993, "tls"}, {995, "tls"},
	{1883, "mqtt"}, {2049, "nfs"}, {3306, "mysql tls"}, {3389, "rdp tls"},
	{5432, "postgresql tls"}, {5672, "amqp"}, {6379, "redis tls"}, {8883, "mqtt tls"},
	{9042, "cassandra tls"}, {9092, "kafka tls"}, {11211, "memcached"}, {27017, "mongodb tls"}};

struct pair {
	uint64_t n, first;
};

static const char *due_at(uint64_t port)
{
	for (unsigned i = 0; i < WR_N(ports); i++) {
		if (ports[i].port == port)
			return ports[i].protocols;
	}
	return NULL;
}

static bool has_word(const char *words, struct wr_str w)
{
	for (const char *p = words; *p;) {
		size_t n = strcspn(p, " ");

		if (n == w.n && !memcmp(p, w.p, n))
			return true;
		p += n + (p[n] == ' ');
	}
	return false;
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;
	char source[WR_IP_TEXT], target[WR_TARGET_TEXT];
	struct wr_incident *i;
	const char *due;
	struct pair *p;

	if (e->kind != WR_KIND_conn || !r->protocol.n || !wr_ev_has(e, WR_I_conn_client_ip))
		return;
	due = due_at(r->server_port);
	/* what rides inside another protocol is told by that */
	if (!due || has_word(due, r->protocol) || wr_str_eq(r->protocol, WR_STR("grpc")))
		return;
	p = wr_detect_entry(d, self,
		wr_hash(&r->client_ip, 16, wr_hash(&r->server_ip, 16, r->server_port)), r->last);
	if (!p)
		return;
	p->first = p->n++ ? p->first : r->first;
	source[wr_ip_text(&r->client_ip, source)] = 0;
	wr_detect_target(target, &r->server_ip, (uint16_t)r->server_port);
	i = wr_incident(d, self, source, target);
	if (!i)
		return;
	wr_incident_is(i, p->first, r->last, p->n, "low", 0.7);
	snprintf(i->summary, sizeof(i->summary), "%s speaks %.*s with %s, where %.*s is due",
		source, (int)wr_min(r->protocol.n, (size_t)20), r->protocol.p, target,
		(int)strcspn(due, " "), due);
	snprintf(i->evidence, sizeof(i->evidence), "{\"protocol\":\"%.*s\",\"due\":\"%s\"}",
		(int)wr_min(r->protocol.n, (size_t)20), r->protocol.p, due);
	wr_incident_owner(i, e, false);
}

const struct wr_detector wr_detector_unusual_protocol = {
	.name = "unusual_protocol",
	.help = "another protocol than the one that a well-known port is for",
	.attack_id = "T1571",
	.advice =
		"a tunnel through what the firewall lets pass, or a service on a borrowed port: look who serves there",
	.impact = "who uses the borrowed port for good reason",
	.entry = sizeof(struct pair),
	.entries = 2048,
	.quiet = 3600000000000ull,
	.event = event,
};
