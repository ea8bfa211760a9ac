// SPDX-License-Identifier: Apache-2.0
#include "why.h"

/*
 * One end lost the connection without a word (a reboot, a power cut, a moved address), the other one did not learn
 * of it until it sent: a segment with no SYN came where no socket is, and was answered by a reset (RFC 9293
 * section 3.5.1: half-open connections).
 */
static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = NULL;
	const struct wr_ip *who;
	char ip[WR_IP_TEXT];

	if (f->proto != 6 || !f->established || strcmp(f->close_reason, "reset"))
		return false;
	while ((d = why_drop(c, f, "NO_SOCKET", d)) &&
		(strchr(d->flags, 'S') || strchr(d->flags, 'R')))
		;
	if (!d && strcmp(f->reset_reason, "no_socket"))
		return false;
	who = !strcmp(f->closed_by, "server") ? &f->server : &f->client;
	if (d)
		why_evidence_drop(r, c, d);
	why_evidence(r,
		"a connection that was up for %" PRIu64 " ms (%" PRIu64 " bytes there, %" PRIu64
		" back) was reset by %s, and by no socket of it: no_socket",
		f->duration_ms, f->bytes_to_server, f->bytes_to_client, why_ip(who, ip));
	why_fix(r,
		"was the host or container behind %s started anew, or its address moved? keepalives "
		"(net.ipv4.tcp_keepalive_time) and TCP_USER_TIMEOUT find it before a request does",
		why_ip(who, ip));
	return why_say(r, 0.96,
		"a half-open connection: %s does not know it any more, and answers data with a reset",
		why_ip(who, ip));
}

const struct wr_cause wr_cause_half_open = {
	.name = "half_open",
	.layer = "outside",
	.help = "the peer lost the connection without a word, and resets it when asked",
	.judge = judge,
};
