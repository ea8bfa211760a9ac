// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	char ip[WR_IP_TEXT];

	if (f->proto != 6 || !f->established || why_drop(c, f, NULL, NULL))
		return false;
	if (strcmp(f->close_reason, "timed_out") &&
		(strcmp(f->stalled_by, "peer") || f->max_stalled_ms < 1500 || f->re_timeout < 2))
		return false;
	why_evidence(r,
		"%" PRIu64 " retransmissions after a timeout, %" PRIu64
		" bytes were never acknowledged",
		f->re_timeout, f->max_send_queue);
	why_fix(r, "is %s alive? ping, and its console; keepalives find it earlier",
		why_ip(&f->server, ip));
	return why_say(r, 0.8, "%s answered, and then went silent: it is gone, or the way to it is",
		why_ip(&f->server, ip));
}

const struct wr_cause wr_cause_peer_gone = {
	.name = "peer_gone",
	.layer = "outside",
	.help = "the peer vanished without a word",
	.judge = judge,
};
