// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

/* One signature, sender and receiver. */
struct pair {
	uint64_t n, first;
};

/* How sure: of who wrote the rule nothing is known but how serious it is meant. */
static const char *severity(uint64_t priority)
{
	return priority <= 1 ? "high" : priority == 2 ? "medium" : "low";
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_match *r = (const void *)e;
	char source[WR_IP_TEXT], target[WR_TARGET_TEXT], key[96], more[200] = "";
	struct wr_incident *i;
	struct pair *p;
	bool up;

	if (e->kind != WR_KIND_match || !wr_ev_has(e, WR_I_match_client_ip))
		return;
	up = wr_str_eq(r->sender, WR_STR("client"));
	p = wr_detect_entry(d, self,
		wr_hash(&r->client_ip, 16,
			wr_hash(&r->server_ip, 16, wr_hash64(r->sid * 2 + up) ^ r->server_port)),
		r->time);
	if (!p)
		return;
	p->first = p->n++ ? p->first : r->time;
	wr_detect_sent(source, target, &r->client_ip, &r->server_ip, (uint16_t)r->server_port, up);
	/* each signature is an incident of its own */
	snprintf(key, sizeof(key), "%s (sid %" PRIu64 ")", target, r->sid);
	i = wr_incident(d, self, source, key);
	if (!i)
		return;
	wr_incident_is(i, p->first, r->time, p->n, severity(r->priority), 0.7);
	snprintf(i->summary, sizeof(i->summary),
		"%s sent %s what signature %" PRIu64 " looks for, %" PRIu64 " times: %.*s", source,
		target, r->sid, p->n, (int)wr_min(r->message.n, (size_t)200), r->message.p);
	if (r->technique.n)
		snprintf(more, sizeof(more), ",\"technique\":\"%.*s\"",
			(int)wr_min(r->technique.n, (size_t)16), r->technique.p);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"sid\":%" PRIu64 ",\"rev\":%" PRIu64 ",\"priority\":%" PRIu64
		",\"sender\":\"%.*s\",\"offset\":%" PRIu64 ",\"matches\":%" PRIu64 "%s}",
		r->sid, r->rev, r->priority, (int)wr_min(r->sender.n, (size_t)8), r->sender.p,
		r->offset, p->n, more);
	wr_incident_owner(i, e, !up);
}

const struct wr_detector wr_detector_signature = {
	.name = "signature",
	.help = "what one side sent is as a rule describes it (detect.signatures)",
	.attack_id = "T1190",
	.advice =
		"look at the rule and its reference, and at the requests of that connection; `weir guard drop 'src ADDRESS'`",
	.impact = "a client that sends the same for a good reason; rules are somebody's guess",
	.entry = sizeof(struct pair),
	.entries = 4096,
	.quiet = 3600000000000ull,
	.event = event,
};
