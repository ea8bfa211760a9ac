// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = why_drop(c, f, "SOCKET_RCVBUFF", NULL);

	if (!d || f->proto != 17)
		return false;
	why_evidence_drop(r, c, d);
	why_fix(r, "read faster, or a larger SO_RCVBUF (net.core.rmem_max)");
	return why_say(r, 0.95,
		"%" PRIu64 " datagrams found the receive buffer of %s (pid %" PRIu64
		") full: it reads too slowly",
		why_dropped(c, f, "SOCKET_RCVBUFF"), d->process[0] ? d->process : "the receiver",
		d->pid);
}

const struct wr_cause wr_cause_udp_receive_buffer = {
	.name = "udp_receive_buffer",
	.layer = "application",
	.help = "datagrams find the receive buffer full",
	.judge = judge,
};
