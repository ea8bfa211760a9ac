// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	bool server = !strcmp(f->stalled_end, "server");
	const char *who = !f->stalled_by[0] ? "the receiver"
			  : server	    ? f->server_process
					    : f->client_process;

	(void)c;
	if (f->proto != 6 || !f->established)
		return false;
	if (strcmp(f->stalled_by, "reader") &&
		(f->zero_window_ms < 500 || f->zero_window_ms * 4 < f->duration_ms))
		return false;
	if (!strcmp(f->stalled_by, "reader"))
		why_evidence(r, "%s (pid %" PRIu64 ") does not read for %" PRIu64 " ms", who,
			server ? f->server_pid : f->client_pid, f->max_stalled_ms);
	why_evidence(r, "%" PRIu64 " bytes wait to be read, a window was closed for %" PRIu64 " ms",
		f->max_recv_queue, f->zero_window_ms);
	why_fix(r, "look what %s does: a stack trace, its CPU time, its locks", who);
	return why_say(r, 0.93, "the receiver is too slow: %s did not read for %" PRIu64 " ms", who,
		wr_max(f->max_stalled_ms, f->zero_window_ms));
}

const struct wr_cause wr_cause_slow_reader = {
	.name = "slow_reader",
	.layer = "application",
	.help = "the application does not read",
	.judge = judge,
};
