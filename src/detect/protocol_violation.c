// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

/* One sender, receiver and rule. */
struct pair {
	uint64_t n, first;
};

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_violation *r = (const void *)e;
	char source[WR_IP_TEXT], target[WR_TARGET_TEXT], key[96];
	struct wr_incident *i;
	struct pair *p;
	bool up;

	if (e->kind != WR_KIND_violation || !wr_ev_has(e, WR_I_violation_client_ip))
		return;
	up = wr_str_eq(r->sender, WR_STR("client"));
	p = wr_detect_entry(d, self,
		wr_hash(r->rule.p, r->rule.n,
			wr_hash(&r->client_ip, 16,
				wr_hash(&r->server_ip, 16, r->server_port * 2 + up))),
		r->time);
	if (!p)
		return;
	p->first = p->n++ ? p->first : r->time;
	wr_detect_sent(source, target, &r->client_ip, &r->server_ip, (uint16_t)r->server_port, up);
	/* each rule that is broken is an incident of its own */
	snprintf(key, sizeof(key), "%s (%.*s)", target, (int)wr_min(r->rule.n, (size_t)24),
		r->rule.p);
	i = wr_incident(d, self, source, key);
	if (!i)
		return;
	wr_incident_is(i, p->first, r->time, p->n, p->n > 100 ? "medium" : "low", 0.9);
	snprintf(i->summary, sizeof(i->summary), "%s breaks %.*s to %s, %" PRIu64 " times: %.*s",
		source, (int)wr_min(r->protocol.n, (size_t)20), r->protocol.p, target, p->n,
		(int)wr_min(r->rule.n, (size_t)120), r->rule.p);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"protocol\":\"%.*s\",\"rule\":\"%.*s\",\"messages\":%" PRIu64 "}",
		(int)wr_min(r->protocol.n, (size_t)20), r->protocol.p,
		(int)wr_min(r->rule.n, (size_t)120), r->rule.p, p->n);
	wr_incident_owner(i, e, !up);
}

const struct wr_detector wr_detector_protocol_violation = {
	.name = "protocol_violation",
	.help = "messages that break the rules of their protocol, by the section that they break",
	.attack_id = "T1190",
	.advice =
		"a broken client, something that changes packets, or a try to make two readers disagree (smuggling, evasion)",
	.impact = "clients that are only careless, where such messages are refused",
	.entry = sizeof(struct pair),
	.entries = 2048,
	.quiet = 3600000000000ull,
	.event = event,
};
