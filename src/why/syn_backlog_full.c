// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_place *s = why_server(c);
	const struct why_drop *d = NULL;
	uint64_t n = why_grew(s, "TcpExtListenDrops");
	char ip[WR_IP_TEXT], in[80];

	while ((d = why_drop(c, f, "NOT_SPECIFIED", d)) &&
		(strcmp(d->class, "resource") || strcmp(d->flags, "S")))
		;
	if (f->proto != 6 || (!d && !n) || (!why_failed(f) && !f->re_syn) ||
		why_grew(s, "TcpExtListenOverflows"))
		return false;
	if (d)
		why_evidence_drop(r, c, d);
	if (n)
		why_evidence(r,
			"ListenDrops grew by %" PRIu64 " in namespace %s, ListenOverflows did not",
			n, s->name);
	if (s)
		why_fix(r,
			"%ssysctl -w net.ipv4.tcp_syncookies=1 net.ipv4.tcp_max_syn_backlog=4096",
			why_inside(c, s->inode, in, sizeof(in)));
	return why_say(r, 0.9,
		"the SYN backlog of %s:%u is full of half-open connections%s: a flood of SYNs, or clients whose last ACK is lost",
		why_ip(&f->server, ip), f->server_port,
		s && !s->syncookies ? ", and SYN cookies are off" : "");
}

const struct wr_cause wr_cause_syn_backlog_full = {
	.name = "syn_backlog_full",
	.layer = "host",
	.help = "the backlog of half-open connections is full",
	.judge = judge,
};
