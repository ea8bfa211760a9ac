// SPDX-License-Identifier: Apache-2.0
#include "../event/filter.h"
#include "why.h"

/* A packet of the flow as far as it is known. */
static void packet(const struct why_flow *f, bool back, struct wr_ev_packet *p)
{
	WR_INIT(p, packet);
	WR_SET(p, packet, src_ip, back ? f->server : f->client);
	WR_SET(p, packet, dst_ip, back ? f->client : f->server);
	WR_SET(p, packet, src_port, back ? f->server_port : f->client_port);
	WR_SET(p, packet, dst_port, back ? f->client_port : f->server_port);
	WR_SET(p, packet, ip_proto, f->proto);
	WR_SET(p, packet, ip_version, wr_ip_is4(&f->server) ? 4 : 6);
	WR_SET(p, packet, transport, f->proto == 6 ? WR_STR("tcp") : WR_STR("udp"));
}

/* How surely the rule is about the flow. 0: it cannot be. */
static double about(const struct why_rule *k, const struct why_flow *f)
{
	struct wr_filter_hint h;
	struct wr_filter *e;
	struct wr_ev_packet p;
	double sure;

	if (!strcmp(k->action, "block"))
		return 0.9;
	if (wr_filter_compile(&wr_kinds[WR_KIND_packet], k->text, &e, NULL))
		return 0.9; /* the name of a list */
	wr_filter_hint(e, &h);
	sure = (h.proto && h.proto != f->proto) ||
			       (h.port_hi &&
				       (f->client_port < h.port_lo || f->client_port > h.port_hi) &&
				       (f->server_port < h.port_lo ||
					       f->server_port > h.port_hi)) ||
			       (h.addr_on && !wr_ip_in(&f->client, &h.addr, &h.mask) &&
				       !wr_ip_in(&f->server, &h.addr, &h.mask))
		       ? 0
		       : 0.85; /* what it says of flags, lengths, bytes is not known here */
	for (unsigned back = 0; back < 2 && sure > 0; back++) {
		packet(f, back, &p);
		if (wr_filter_match(e, &p.ev))
			sure = 0.97;
	}
	wr_filter_free(e);
	return sure;
}

/* Packets of the flow itself say which rule it was (at tc); the rule need not be one that the agent keeps. */
static bool by_drop(const struct wr_case *c, const struct why_drop *d, struct why_finding *r)
{
	const struct why_rule *k = NULL;

	for (unsigned i = 0; i < c->n_rules && !k; i++)
		k = c->rule[i].id == d->handle ? &c->rule[i] : NULL;
	why_evidence_drop(r, c, d);
	if (k)
		why_fix(r, "weir guard clear %" PRIu64 ", or weir guard allow EXPR beside it",
			k->id);
	else
		why_fix(r,
			"end the `weir guard` that holds rule %" PRIu64
			" (`weir bpf list` names its process)",
			d->handle);
	snprintf(r->rule, sizeof(r->rule), "weir guard %" PRIu64 "%s%.12s%s%.280s", d->handle,
		k ? ": " : "", k ? k->action : "", k ? " " : "", k ? k->text : "");
	return why_say(r, 0.98, "weir's own guard stops it: rule %" PRIu64 "%s%s%s%s%s", d->handle,
		k ? ", " : "", k ? k->action : "", k ? " '" : "", k ? k->text : "", k ? "'" : "");
}

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_rule *rule = NULL;
	const struct why_drop *d = NULL;
	double most = 0, sure;

	if (!why_failed(f) && !why_slow(f))
		return false;
	while ((d = why_drop_near(c, f, NULL, d))) {
		if (!strcmp(d->family, "weir"))
			return by_drop(c, d, r);
	}
	for (unsigned i = 0; i < c->n_rules; i++) {
		const struct why_rule *k = &c->rule[i];

		/* an allowed packet passes, a SYN that got a cookie was answered */
		if (k->after <= k->before || !strcmp(k->action, "allow") ||
			!strcmp(k->action, "cookie"))
			continue;
		sure = about(k, f);
		if (sure > most) {
			most = sure;
			rule = k;
		}
	}
	if (!rule)
		return false;
	/* a program was seen to drop it, and the guard is one */
	while ((d = why_drop_near(c, f, NULL, d)) && strcmp(d->class, "program") != 0)
		;
	if (d) {
		why_evidence_drop(r, c, d);
		most = wr_max(most, 0.96);
	}
	why_evidence(r,
		"rule %" PRIu64 " of weir's guard, %s '%s', acted %" PRIu64 " times meanwhile%s%s",
		rule->id, rule->action, rule->text, rule->after - rule->before,
		rule->where[0] ? ", on " : "", rule->where);
	why_fix(r, "weir guard clear %" PRIu64 ", or weir guard allow EXPR beside it", rule->id);
	snprintf(r->rule, sizeof(r->rule), "weir guard %" PRIu64 ": %.12s %.280s", rule->id,
		rule->action, rule->text);
	return why_say(r, most, "weir's own guard stops it: rule %" PRIu64 ", %s '%s'", rule->id,
		rule->action, rule->text);
}

const struct wr_cause wr_cause_guard_rule = {
	.name = "guard_rule",
	.layer = "policy",
	.help = "a rule of weir's guard drops, limits, rejects or blocks it",
	.judge = judge,
};
