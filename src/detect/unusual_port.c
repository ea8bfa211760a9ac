// SPDX-License-Identifier: Apache-2.0
#include "habit.h"

/* True: it was odd; @quiet: that is told already. */
static bool judge(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e,
	const struct wr_pair *p, bool server, bool quiet)
{
	const struct wr_ev_conn *r = (const void *)e;
	uint64_t learn = wr_detect_limits(d)->unusual_port_learn * 1000000000ull, value;
	bool tcp = wr_str_eq(r->transport, WR_STR("tcp"));
	char source[WR_OWNER_TEXT], target[24], peer[WR_TARGET_TEXT], had[72];
	struct wr_incident *i;
	struct wr_habit *h = wr_habit_of(d, self, p, server, 0);

	value = r->server_port * 2 + tcp;
	value = wr_detect_key(d, &value, sizeof(value), 1);
	if (!h || !wr_habit_is_odd(h, &value, 1, r->last, learn))
		return false;
	if (quiet)
		return true;
	wr_pair_owner(source, p, server);
	snprintf(target, sizeof(target), "%s port %" PRIu64, tcp ? "tcp" : "udp", r->server_port);
	i = wr_incident(d, self, source, target);
	if (!i)
		return true;
	if (server)
		peer[wr_ip_text(&r->client_ip, peer)] = 0;
	else
		wr_detect_target(peer, &r->server_ip, (uint16_t)r->server_port);
	wr_habit_text(had, sizeof(had), h, r->last);
	wr_incident_is(i, i->first ? i->first : r->first, r->last, i->count + 1,
		server ? "medium" : "low", server ? 0.7 : 0.5);
	snprintf(i->summary, sizeof(i->summary), "%.48s %s %s for the first time, %s %s; %s",
		source, server ? "serves on" : "uses", target, server ? "for" : "at", peer, had);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"role\":\"%s\",\"port\":%" PRIu64
		",\"peer\":\"%s\",\"usual_ports\":%u,\"connections\":%u}",
		server ? "server" : "client", r->server_port, peer, h->values, h->seen);
	wr_incident_owner(i, e, server);
	return true;
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	wr_habit_event(d, self, e, judge, true);
}

const struct wr_detector wr_detector_unusual_port = {
	.name = "unusual_port",
	.help = "a service or a host serves on, or talks to, a port that it never used",
	.attack_id = "T1571",
	.advice =
		"after a change of what runs there it is due, and becomes usual within three days; else look which process it is",
	.impact = "what was deployed newly stops, too",
	.kept = sizeof(struct wr_habit),
	.kepts = 4096,
	.kept_version = 1,
	.event = event,
};
