// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	bool server = !strcmp(f->closed_by, "server");
	const char *who = server ? f->server_process : f->client_process;

	(void)c;
	if (f->proto != 6 || !f->established || strcmp(f->close_reason, "reset") ||
		!f->reset_reason[0] || strstr(f->reset_reason, "timeout") ||
		strstr(f->reset_reason, "no_socket")) /* nobody is left there: half_open */
		return false;
	if (!server && strstr(f->reset_reason, "abort"))
		return false; /* the subject's own choice */
	if (!who[0])
		who = "the peer";
	why_evidence(
		r, "%s sent a reset: %s", server ? "the server" : "the client", f->reset_reason);
	if (strstr(f->reset_reason, "on_close"))
		why_fix(r, "%s closed with unread data: let it read to the end before it closes",
			who);
	else
		why_fix(r, "look into the log of %s: it closed with SO_LINGER 0, or it was ended",
			who);
	return why_say(r, 0.9, "%s (pid %" PRIu64 ") aborted the connection: %s", who,
		server ? f->server_pid : f->client_pid, f->reset_reason);
}

const struct wr_cause wr_cause_reset_by_application = {
	.name = "reset_by_application",
	.layer = "application",
	.help = "an end aborted the connection",
	.judge = judge,
};
