// SPDX-License-Identifier: Apache-2.0
#include "why.h"

/* bind() to an address that is nobody's here. */
static bool not_here(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_place *p = why_place(c, f->netns);
	char ip[WR_IP_TEXT], in[80];

	why_evidence(r, "bind() failed with EADDRNOTAVAIL");
	for (unsigned i = 0; i < c->n_places; i++) {
		if (p && &c->place[i] != p && why_has_addr(&c->place[i], &f->server))
			why_evidence(r, "%s is an address of namespace %s", why_ip(&f->server, ip),
				c->place[i].name);
	}
	why_fix(r, "%sip addr: bind to one of these, or to 0.0.0.0 and let the route choose",
		why_inside(c, f->netns, in, sizeof(in)));
	return why_say(r, 0.95, "%s is no address of namespace %s: nothing can be sent from it",
		why_ip(&f->server, ip), why_place_name(c, f->netns));
}

/* The application chose its own address, the answers to it are lost; those to the route's would not be. */
static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_hop *lost = NULL;
	char ip[WR_IP_TEXT], ip2[WR_IP_TEXT], ip3[WR_IP_TEXT];

	if (f->err == EADDRNOTAVAIL && !strcmp(f->call, "bind"))
		return not_here(c, f, r);
	if (!why_failed(f) || f->err == ECONNREFUSED || wr_ip_any(&f->client) ||
		wr_ip_any(&c->prefers) || !memcmp(&c->prefers, &f->client, 16) || !why_server(c))
		return false;
	for (unsigned i = 0; i < c->back.n && !lost; i++) {
		if (c->back.hop[i].route.err)
			lost = &c->back.hop[i];
	}
	if (!lost)
		return false;
	why_evidence(r, "the route to %s would send from %s, the socket is bound to %s",
		why_ip(&f->server, ip), why_ip(&c->prefers, ip2), why_ip(&f->client, ip3));
	why_evidence(r, "the table of namespace %s answers for %s: %s", lost->place->name,
		why_ip(&f->client, ip), strerror(lost->route.err));
	why_fix(r,
		"let the route choose the source (no bind()), or give the network behind %s a route to %s",
		lost->place->name, why_ip(&f->client, ip));
	return why_say(r, 0.97,
		"wrong source address: the packets arrive from %s, to which namespace %s has no way back",
		why_ip(&f->client, ip), lost->place->name);
}

const struct wr_cause wr_cause_wrong_source = {
	.name = "wrong_source",
	.layer = "network",
	.help = "the own address that was chosen is not here, or gets no answers",
	.judge = judge,
};
