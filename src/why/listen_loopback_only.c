// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_place *s = why_server(c);
	const struct why_listener *l = NULL;
	char ip[WR_IP_TEXT], on[WR_IP_TEXT];

	if (!s || !why_failed(f) || f->err != ECONNREFUSED ||
		why_drop(c, f, "NETFILTER_DROP", NULL))
		return false;
	for (unsigned i = 0; i < c->n_listeners; i++) {
		const struct why_listener *o = &c->listener[i];

		if (o->netns != s->inode || o->port != f->server_port || o->proto != f->proto)
			continue;
		if (wr_ip_any(&o->ip) || !memcmp(&o->ip, &f->server, 16))
			return false;
		l = o;
	}
	if (!l)
		return false;
	why_evidence(r, "%s (pid %" PRIu64 ") listens on %s:%u, not on %s", l->process, l->pid,
		why_ip(&l->ip, on), l->port, why_ip(&f->server, ip));
	why_evidence(r, "the application got: %s", strerror(f->err));
	why_fix(r, "let %s listen on %s or on all addresses", l->process, why_ip(&f->server, ip));
	return why_say(r, 0.97,
		"the server is bound to %s only: %s (pid %" PRIu64
		") does not take connections to %s:%u",
		why_ip(&l->ip, on), l->process, l->pid, why_ip(&f->server, ip), f->server_port);
}

const struct wr_cause wr_cause_listen_loopback_only = {
	.name = "listen_loopback_only",
	.layer = "application",
	.help = "the server listens on another address only",
	.judge = judge,
};
