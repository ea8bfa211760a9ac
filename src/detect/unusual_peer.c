// SPDX-License-Identifier: Apache-2.0
#include "habit.h"

#define MAX_PEERS 256

/* Whom a service may talk to: SERVICE=NETWORK. */
struct peers {
	struct {
		char service[32];
		struct wr_ip net, mask;
	} p[MAX_PEERS];
	unsigned n;
};

static bool add(void *state, struct wr_str w)
{
	struct peers *s = state;
	const char *eq = memchr(w.p, '=', w.n);

	if (!eq || s->n == MAX_PEERS ||
		!wr_copy(s->p[s->n].service, sizeof(s->p[0].service),
			(struct wr_str){w.p, (size_t)(eq - w.p)}) ||
		wr_ip_parse((struct wr_str){eq + 1, (size_t)(w.p + w.n - eq - 1)}, &s->p[s->n].net,
			&s->p[s->n].mask))
		return false;
	s->n++;
	return true;
}

static int setup(const struct wr_limits *l, void **ret_state, struct wr_err *e)
{
	int rc = wr_detect_list("peers", l->peers, sizeof(struct peers), add,
		"write SERVICE=NETWORK, at most 256 of them", ret_state, e);

	if (!rc && !*ret_state) { /* all is learned */
		*ret_state = wr_alloc(sizeof(struct peers));
		rc = *ret_state ? 0 : wr_fail(e, -ENOMEM, "no memory");
	}
	return rc;
}

enum verdict { LEARN, ALLOWED, FOREIGN };

static enum verdict look_up(const struct peers *s, const struct wr_pair *p, bool server)
{
	const struct wr_ip *peer = server ? p->client : p->server;
	char owner[WR_OWNER_TEXT];
	enum verdict v = LEARN;

	if (s->n)
		wr_pair_owner(owner, p, server);
	for (unsigned i = 0; i < s->n; i++) {
		if (strcmp(owner, s->p[i].service) != 0)
			continue;
		if (wr_ip_in(peer, &s->p[i].net, &s->p[i].mask))
			return ALLOWED;
		v = FOREIGN;
	}
	return v;
}

/* All that a peer is known by: its service, its name, its address; of the Internet its network, too. */
static unsigned names_of(
	const struct wr_detect *d, const struct wr_ev_conn *r, bool server, uint64_t value[4])
{
	struct wr_str service = server ? r->server_service : r->client_service;
	struct wr_str name = server ? r->server_host_name : r->client_host_name;
	struct wr_ip net = server ? r->server_ip : r->client_ip;
	unsigned n = 0, bytes = wr_ip_is4(&net) ? 15 : 6; /* a /24, a /48 */

	value[n++] = wr_detect_key(d, &net, sizeof(net), 2);
	if (service.n)
		value[n++] = wr_detect_key(d, service.p, service.n, 3);
	if (name.n)
		value[n++] = wr_detect_key(d, name.p, name.n, 4);
	if (wr_ip_is_public(&net)) {
		memset((uint8_t *)&net + bytes, 0, 16 - bytes);
		value[n++] = wr_detect_key(d, &net, sizeof(net), 5);
	}
	return n;
}

/* @server: of the server's habits. True: it was odd. */
static bool judge(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e,
	const struct wr_pair *p, bool server, bool quiet)
{
	const struct wr_ev_conn *r = (const void *)e;
	uint64_t learn = wr_detect_limits(d)->unusual_peer_learn * 1000000000ull, value[4];
	const struct wr_ip *ip = server ? &r->client_ip : &r->server_ip;
	struct wr_str name = server ? r->client_host_name : r->server_host_name;
	char source[WR_OWNER_TEXT], target[96], had[72];
	struct wr_incident *i;
	enum verdict v;
	struct wr_habit *h = wr_habit_of(d, self, p, server);
	unsigned n;

	if (!h)
		return false;
	v = look_up(wr_detect_state(d, self), p, server);
	n = names_of(d, r, !server, value);
	if (v == ALLOWED || (v == LEARN && !wr_habit_is_odd(h, value, n, r->last, learn)))
		return false;
	if (quiet)
		return true;
	wr_pair_owner(source, p, server);
	i = wr_incident(d, self, source, server ? "as server" : "");
	if (!i)
		return true;
	n = wr_ip_text(ip, target);
	snprintf(target + n, sizeof(target) - n, name.n ? " (%.*s)" : "%.*s",
		(int)wr_min(name.n, (size_t)40), name.p ? name.p : "");
	wr_incident_is(i, i->first ? i->first : r->first, r->last, i->count + 1,
		wr_ip_is_public(ip) ? "medium" : "low", v == FOREIGN ? 0.95 : 0.6);
	if (v == FOREIGN)
		snprintf(had, sizeof(had), "detect.peers does not name it");
	else
		wr_habit_text(had, sizeof(had), h, r->last);
	if (server)
		snprintf(i->summary, sizeof(i->summary),
			"%.90s came to %.48s port %" PRIu64 " for the first time; %s", target,
			source, r->server_port, had);
	else
		snprintf(i->summary, sizeof(i->summary),
			"%.48s talked to %.90s port %" PRIu64 " for the first time; %s", source,
			target, r->server_port, had);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"role\":\"%s\",\"peer\":\"%.*s\",\"port\":%" PRIu64
		",\"protocol\":\"%.*s\",\"usual_peers\":%u,\"connections\":%u}",
		server ? "server" : "client", (int)n, target, r->server_port,
		(int)wr_min(r->protocol.n, (size_t)20), r->protocol.p ? r->protocol.p : "",
		h->values, h->seen);
	wr_incident_owner(i, e, server);
	return true;
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	wr_habit_event(d, self, e, judge, false);
}

const struct wr_detector wr_detector_unusual_peer = {
	.name = "unusual_peer",
	.help = "a service or a host talks to somebody that it never talked to, or that detect.peers does not name",
	.attack_id = "T1071",
	.advice =
		"look what it is and which process (`weir conns -w 'host ADDRESS'`); what is due becomes usual in three days",
	.impact = "what was deployed newly loses its peer",
	.kept = sizeof(struct wr_habit),
	.kepts = 4096,
	.kept_version = 1,
	.setup = setup,
	.unset = free,
	.event = event,
};
