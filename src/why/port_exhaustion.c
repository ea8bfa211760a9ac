// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_place *p = why_place(c, f->netns);
	double sure = 0.95;
	char ip[WR_IP_TEXT];

	if (f->err != EADDRNOTAVAIL || !strcmp(f->call, "bind"))
		return false;
	why_evidence(r, "the system call failed with EADDRNOTAVAIL");
	if (p) {
		uint64_t n = p->port_high - p->port_low + 1;

		why_evidence(r,
			"local ports %" PRIu64 " to %" PRIu64 ", %" PRIu64 " sockets in TIME-WAIT",
			p->port_low, p->port_high, p->time_wait);
		if (n > 5000 && p->time_wait * 2 < n)
			sure = 0.5; /* then the source address may not be there */
	}
	why_fix(r,
		"keep connections open and use them again; net.ipv4.ip_local_port_range, net.ipv4.tcp_tw_reuse=1");
	return why_say(r, sure, "no local port is free for another connection to %s:%u%s",
		why_ip(&f->server, ip), f->server_port,
		sure < 0.9 ? ", or the source address is not of this host" : "");
}

const struct wr_cause wr_cause_port_exhaustion = {
	.name = "port_exhaustion",
	.layer = "host",
	.help = "no local port is left",
	.judge = judge,
};
