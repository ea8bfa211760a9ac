// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	uint64_t busy = f->lim_receiver + f->lim_send_buffer + f->lim_congestion;

	(void)c;
	if (f->proto != 6 || !f->established || f->duration_ms < 500 || f->lim_send_buffer < 300 ||
		f->lim_send_buffer * 2 < busy)
		return false;
	why_evidence(r, "limited by the send buffer for %" PRIu64 " of %" PRIu64 " ms of sending",
		f->lim_send_buffer, busy);
	why_fix(r, "take SO_SNDBUF out of the sender, or raise net.ipv4.tcp_wmem");
	return why_say(r, 0.8, "the sender's buffer is too small for this path");
}

const struct wr_cause wr_cause_small_send_buffer = {
	.name = "small_send_buffer",
	.layer = "host",
	.help = "the send buffer limits the speed",
	.judge = judge,
};
