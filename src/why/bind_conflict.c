// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	char ip[WR_IP_TEXT];

	if (f->err != EADDRINUSE)
		return false;
	why_evidence(r, "bind() or listen() failed with EADDRINUSE");
	for (unsigned i = 0; i < c->n_listeners; i++) {
		const struct why_listener *l = &c->listener[i];

		if (l->port != f->server_port || (f->netns && l->netns != f->netns))
			continue;
		why_evidence(r, "%s (pid %" PRIu64 ") listens on %s:%u", l->process, l->pid,
			why_ip(&l->ip, ip), l->port);
		why_fix(r, "stop %s (pid %" PRIu64 "), or take another port", l->process, l->pid);
		return why_say(r, 0.97, "port %u is taken: %s (pid %" PRIu64 ") listens on it",
			l->port, l->process, l->pid);
	}
	why_fix(r,
		"ss -antup | grep :%u; SO_REUSEADDR lets a server bind while old connections are in TIME-WAIT",
		f->server_port);
	return why_say(r, 0.9,
		"port %u is taken, by old connections or by a socket that does not listen",
		f->server_port);
}

const struct wr_cause wr_cause_bind_conflict = {
	.name = "bind_conflict",
	.layer = "application",
	.help = "somebody else has the address",
	.judge = judge,
};
