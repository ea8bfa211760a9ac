// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_place *s = why_server(c);
	const struct why_drop *d = why_drop(c, f, "TCP_LISTEN_OVERFLOW", NULL);
	uint64_t n = why_grew(s, "TcpExtListenOverflows");
	const struct why_listener *l = NULL;
	char ip[WR_IP_TEXT];

	if (f->proto != 6 || (!d && !n) || (!why_failed(f) && !f->retransmits))
		return false;
	for (unsigned i = 0; s && i < c->n_listeners; i++) {
		if (c->listener[i].netns == s->inode && c->listener[i].port == f->server_port)
			l = &c->listener[i];
	}
	if (!d && (!l || !l->queue))
		return false; /* somebody else's queue overflowed */
	why_evidence(
		r, "ListenOverflows grew by %" PRIu64 " in namespace %s", n, s ? s->name : "?");
	if (d)
		why_evidence_drop(r, c, d);
	if (l)
		why_evidence(r,
			"%" PRIu64 " connections wait to be accepted by %s (pid %" PRIu64 ")",
			l->queue, l->process, l->pid);
	why_fix(r,
		"let %s accept faster; a larger backlog in listen() and net.core.somaxconn only buys time",
		l ? l->process : "the server");
	return why_say(r, 0.96, "the accept queue of %s:%u is full: %s%s does not accept",
		why_ip(&f->server, ip), f->server_port, l ? "" : "the server", l ? l->process : "");
}

const struct wr_cause wr_cause_accept_queue_full = {
	.name = "accept_queue_full",
	.layer = "application",
	.help = "the application does not accept: its queue is full",
	.judge = judge,
};
