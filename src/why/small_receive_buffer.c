// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	uint64_t busy = f->lim_receiver + f->lim_send_buffer + f->lim_congestion;

	(void)c;
	if (f->proto != 6 || !f->established || f->duration_ms < 500 || f->lim_receiver < 300 ||
		f->lim_receiver * 2 < busy || f->zero_window_ms * 4 > f->duration_ms ||
		f->max_stalled_ms)
		return false;
	why_evidence(r,
		"limited by the receiver's window for %" PRIu64 " of %" PRIu64
		" ms of sending, without a stop",
		f->lim_receiver, busy);
	why_fix(r, "take SO_RCVBUF out of the receiver, or raise net.ipv4.tcp_rmem");
	return why_say(r, 0.8,
		"the receiver's buffer is too small for this path: its window limits the sender");
}

const struct wr_cause wr_cause_small_receive_buffer = {
	.name = "small_receive_buffer",
	.layer = "host",
	.help = "the receiver's window limits the speed",
	.judge = judge,
};
