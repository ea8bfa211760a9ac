// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_place *s = why_server(c);
	const struct why_listener *l = NULL;
	char ip[WR_IP_TEXT];

	if (!s || !why_failed(f) || f->err != ECONNREFUSED ||
		why_drop(c, f, "NETFILTER_DROP", NULL))
		return false;
	for (unsigned i = 0; i < c->n_listeners; i++) {
		const struct why_listener *o = &c->listener[i];

		if (o->port != f->server_port || o->proto != f->proto)
			continue;
		if (o->netns == s->inode || l)
			return false; /* here, or in several: a guess */
		l = o;
	}
	if (!l)
		return false;
	why_evidence(r, "%s (pid %" PRIu64 ") listens on port %u in namespace %s", l->process,
		l->pid, l->port, why_place_name(c, l->netns));
	why_fix(r, "start the server in namespace %s, or use an address of namespace %s", s->name,
		why_place_name(c, l->netns));
	return why_say(r, 0.94,
		"nobody listens on port %u in namespace %s, which has %s; %s does in namespace %s",
		f->server_port, s->name, why_ip(&f->server, ip), l->process,
		why_place_name(c, l->netns));
}

const struct wr_cause wr_cause_wrong_namespace = {
	.name = "wrong_namespace",
	.layer = "application",
	.help = "the server listens in another network namespace",
	.judge = judge,
};
