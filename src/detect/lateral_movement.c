// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define QUIET 600000000000ull /* ns */

static const struct {
	uint16_t port;
	const char *name;
} admin[] = {{22, "SSH"}, {23, "telnet"}, {135, "RPC"}, {445, "SMB"}, {512, "rexec"},
	{513, "rlogin"}, {514, "rsh"}, {623, "IPMI"}, {2375, "Docker"}, {2376, "Docker"},
	{3389, "RDP"}, {5900, "VNC"}, {5985, "WinRM"}, {5986, "WinRM"}, {6443, "Kubernetes"},
	{10250, "kubelet"}};

struct client {
	struct wr_distinct hosts;
	uint64_t first, last, n;
	uint32_t used; /* bits of admin[] */
};

/* What is spoken counts more than the port; -1: no such service. */
static int row_of(const struct wr_ev_conn *r)
{
	uint64_t port = wr_str_eq(r->protocol, WR_STR("ssh"))	? 22
			: wr_str_eq(r->protocol, WR_STR("smb")) ? 445
			: wr_str_eq(r->protocol, WR_STR("rdp")) ? 3389
								: r->server_port;

	for (unsigned i = 0; i < WR_N(admin); i++) {
		if (admin[i].port == port)
			return (int)i;
	}
	return -1;
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;
	char ip[WR_IP_TEXT], with[128] = "";
	struct wr_incident *i;
	struct wr_attempt a;
	struct client *c;
	unsigned hosts;
	int row;

	if (e->kind != WR_KIND_conn || !wr_attempt_of(e, &a) || !a.tcp || !a.bytes ||
		wr_ip_is_public(a.to) || !memcmp(a.from, a.to, 16))
		return;
	row = row_of(r);
	if (row < 0)
		return;
	c = wr_detect_entry(d, self, wr_hash(a.from, 16, 9), a.at);
	if (!c)
		return;
	c->first = c->first ? wr_min(c->first, a.at) : a.at;
	c->last = wr_max(c->last, a.at);
	c->n++;
	c->used |= 1u << row;
	wr_distinct_add(&c->hosts, wr_hash(a.to, 16, 2));
	hosts = wr_distinct_count(&c->hosts);
	if (hosts < wr_detect_limits(d)->lateral_movement_hosts)
		return;
	ip[wr_ip_text(a.from, ip)] = 0;
	i = wr_incident(d, self, ip, "");
	if (!i)
		return;
	for (unsigned k = 0; k < WR_N(admin); k++) {
		size_t n = strlen(with);

		if (c->used & 1u << k && !strstr(with, admin[k].name))
			snprintf(with + n, sizeof(with) - n, "%s%s", n ? ", " : "", admin[k].name);
	}
	wr_incident_is(i, c->first, c->last, c->n, hosts >= 20 ? "high" : "medium", 0.7);
	snprintf(i->summary, sizeof(i->summary),
		"%s reached %u hosts by %s in %" PRIu64 " s, %" PRIu64 " connections", ip, hosts,
		with, (c->last - c->first) / 1000000000, c->n);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"hosts\":%u,\"connections\":%" PRIu64 ",\"services\":\"%s\"}", hosts, c->n,
		with);
	wr_incident_owner(i, e, false);
}

const struct wr_detector wr_detector_lateral_movement = {
	.name = "lateral_movement",
	.help = "one client gets into many hosts by SSH, SMB, RDP, ...",
	.attack_id = "T1021",
	.advice =
		"a deployment does so, too: look who owns the process; else isolate the source, look who came there",
	.impact = "an isolated source cannot be administered over the network either",
	.entry = sizeof(struct client),
	.entries = 2048,
	.quiet = QUIET,
	.event = event,
};
