// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool listens(
	const struct why_listener *l, const struct why_place *s, const struct why_flow *f)
{
	return l->netns == s->inode && l->port == f->server_port && l->proto == f->proto;
}

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_place *s = why_server(c);
	const struct why_drop *d = why_drop(c, f, "NO_SOCKET", NULL);
	char ip[WR_IP_TEXT], near[160] = "";
	size_t at = 0;

	if (!why_failed(f) || why_drop(c, f, "NETFILTER_DROP", NULL) ||
		(f->proto == 6 ? f->err != ECONNREFUSED : !d && f->err != ECONNREFUSED))
		return false;
	for (unsigned i = 0; s && i < c->n_listeners; i++) {
		const struct why_listener *l = &c->listener[i];

		if (listens(l, s, f))
			return false; /* on another address: that is a cause of its own */
		if (l->netns == s->inode && at < sizeof(near) - 40)
			at += (size_t)snprintf(near + at, sizeof(near) - at, "%s%u (%s)",
				at ? ", " : "", l->port, l->process);
	}
	if (d)
		why_evidence_drop(r, c, d);
	if (f->err)
		why_evidence(r, "the application got: %s", strerror(f->err));
	if (near[0])
		why_evidence(r, "listening there: %s", near);
	if (s) {
		why_fix(r, "start the server, or use the right port");
		return why_say(r, 0.93, "nobody listens on %s port %u of %s in namespace %s",
			f->proto == 6 ? "tcp" : "udp", f->server_port, why_ip(&f->server, ip),
			s->name);
	}
	why_fix(r, "look on %s whether the server runs: ss -lntu | grep :%u",
		why_ip(&f->server, ip), f->server_port);
	return why_say(r, 0.8,
		"%s refused the connection: nobody listens on port %u there, or a firewall there answers so",
		why_ip(&f->server, ip), f->server_port);
}

const struct wr_cause wr_cause_port_closed = {
	.name = "port_closed",
	.layer = "application",
	.help = "nobody listens on the port",
	.judge = judge,
};
