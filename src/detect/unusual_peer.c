// SPDX-License-Identifier: Apache-2.0
#include "habit.h"

#include <ctype.h>

#define MAX_PEERS 256
#define MAX_COUNTRIES 256

/* Whom a service may talk to: SERVICE=NETWORK. */
struct peers {
	struct {
		char service[32];
		struct wr_ip net, mask;
	} p[MAX_PEERS];
	unsigned n;
};

/* In which countries its peers may be: SERVICE=CC+CC, "*" for every one. */
struct countries {
	struct {
		char service[32];
		char code[2];
	} c[MAX_COUNTRIES];
	unsigned n;
};

struct rules {
	struct peers *peers; /* NULL: none, all is learned */
	struct countries *countries;
};

static bool add_countries(void *state, struct wr_str w)
{
	struct countries *s = state;
	const char *eq = memchr(w.p, '=', w.n);
	const char *end = w.p + w.n;

	if (!eq || eq == w.p)
		return false;
	for (const char *p = eq + 1;; p += 3) {
		if (s->n == MAX_COUNTRIES || end - p < 2 || !isalpha((unsigned char)p[0]) ||
			!isalpha((unsigned char)p[1]) ||
			!wr_copy(s->c[s->n].service, sizeof(s->c[0].service),
				(struct wr_str){w.p, (size_t)(eq - w.p)}))
			return false;
		s->c[s->n].code[0] = (char)toupper((unsigned char)p[0]);
		s->c[s->n].code[1] = (char)toupper((unsigned char)p[1]);
		s->n++;
		if (end - p == 2)
			return true;
		if (p[2] != '+')
			return false;
	}
}

static bool add_peer(void *state, struct wr_str w)
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

static void unset(void *state)
{
	struct rules *s = state;

	free(s->peers);
	free(s->countries);
	free(s);
}

static int setup(const struct wr_limits *l, void **ret_state, struct wr_err *e)
{
	struct rules *s = wr_alloc(sizeof(*s));
	void *peers = NULL, *countries = NULL;
	int rc;

	if (!s)
		return wr_fail(e, -ENOMEM, "no memory");
	rc = wr_detect_list("peers", l->peers, sizeof(struct peers), add_peer,
		"write SERVICE=NETWORK, at most 256 of them", &peers, e);
	if (!rc)
		rc = wr_detect_list("peer_countries", l->peer_countries, sizeof(struct countries),
			add_countries,
			"write SERVICE=CC+CC with codes of ISO 3166 (* is every service), at most 256 of them",
			&countries, e);
	s->peers = peers;
	s->countries = countries;
	if (rc)
		unset(s);
	else
		*ret_state = s;
	return rc;
}

enum verdict { LEARN, ALLOWED, NO_PEER, NO_COUNTRY };

static enum verdict by_country(const struct countries *s, const char *owner, struct wr_str country)
{
	enum verdict v = LEARN;

	for (unsigned i = 0; i < s->n; i++) {
		if (strcmp(s->c[i].service, "*") != 0 && strcmp(owner, s->c[i].service) != 0)
			continue;
		if (!memcmp(s->c[i].code, country.p, 2))
			return LEARN; /* it may be there; is it usual? */
		v = NO_COUNTRY;
	}
	return v;
}

/* @country: the peer's, empty where it is not known. */
static enum verdict look_up(
	const struct rules *s, const struct wr_pair *p, struct wr_str country, bool server)
{
	const struct wr_ip *peer = server ? p->client : p->server;
	char owner[WR_OWNER_TEXT] = "";
	enum verdict v = LEARN;

	if (s->peers || s->countries)
		wr_pair_owner(owner, p, server);
	for (unsigned i = 0; s->peers && i < s->peers->n; i++) {
		if (strcmp(owner, s->peers->p[i].service) != 0)
			continue;
		if (wr_ip_in(peer, &s->peers->p[i].net, &s->peers->p[i].mask))
			return ALLOWED;
		v = NO_PEER;
	}
	return v == LEARN && country.n == 2 && s->countries
		       ? by_country(s->countries, owner, country)
		       : v;
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

/* Is it the first of this owner in that country? Its countries are a habit of their own. */
static bool new_country(struct wr_detect *d, const struct wr_detector *self,
	const struct wr_pair *p, struct wr_str country, bool server, uint64_t learn)
{
	struct wr_habit *h;
	uint64_t value;

	if (country.n != 2)
		return false;
	h = wr_habit_of(d, self, p, server, wr_hash("country", 7, 0));
	value = wr_detect_key(d, country.p, country.n, 6);
	return h && wr_habit_is_odd(h, &value, 1, p->at, learn);
}

static void tell(struct wr_incident *i, const struct wr_event *e, const struct wr_habit *h,
	const char *source, enum verdict v, bool server, bool far)
{
	const struct wr_ev_conn *r = (const void *)e;
	const struct wr_ip *ip = server ? &r->client_ip : &r->server_ip;
	struct wr_str name = server ? r->client_host_name : r->server_host_name;
	struct wr_str country = server ? r->client_country : r->server_country;
	struct wr_str network = server ? r->client_as_name : r->server_as_name;
	struct wr_buf place = WR_BUF(512);
	char target[96], had[72];
	unsigned n;

	n = (unsigned)wr_ip_text(ip, target);
	snprintf(target + n, sizeof(target) - n,
		name.n && country.n ? " (%.*s, %.*s)"
		: name.n	    ? " (%.*s)"
				    : (country.n ? " (%.*s%.*s)" : "%.*s"),
		(int)wr_min(name.n, (size_t)40), name.p ? name.p : "",
		(int)wr_min(country.n, (size_t)2), country.p ? country.p : "");
	if (v == NO_PEER)
		snprintf(had, sizeof(had), "detect.peers does not name it");
	else if (v == NO_COUNTRY)
		snprintf(had, sizeof(had), "detect.peer_countries does not name %.2s", country.p);
	else
		wr_habit_text(had, sizeof(had), h, r->last);
	snprintf(i->summary, sizeof(i->summary),
		server ? "%.90s came to %.48s port %" PRIu64 "%s%s; %s"
		       : "%.48s talked to %.90s port %" PRIu64 "%s%s; %s",
		server ? target : source, server ? source : target, r->server_port,
		v == LEARN ? " for the first time" : "",
		far ? ", and nobody of that country before" : "", had);
	if (country.n) {
		wr_buf_lit(&place, ",\"country\":");
		wr_buf_json(&place, country);
	}
	if (network.n) {
		wr_buf_lit(&place, ",\"as_name\":");
		wr_buf_json(&place, (struct wr_str){network.p, wr_min(network.n, (size_t)40)});
	}
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"role\":\"%s\",\"peer\":\"%.*s\",\"port\":%" PRIu64
		",\"protocol\":\"%.*s\",\"usual_peers\":%u,\"connections\":%u%.*s}",
		server ? "server" : "client", (int)n, target, r->server_port,
		(int)wr_min(r->protocol.n, (size_t)20), r->protocol.p ? r->protocol.p : "",
		h->values, h->seen, place.cut || place.n > 200 ? 0 : (int)place.n,
		place.n ? place.p : "");
	wr_buf_free(&place);
}

/* @server: of the server's habits. True: it was odd. */
static bool judge(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e,
	const struct wr_pair *p, bool server, bool quiet)
{
	const struct wr_ev_conn *r = (const void *)e;
	uint64_t learn = wr_detect_limits(d)->unusual_peer_learn * 1000000000ull, value[4];
	struct wr_str country = server ? r->client_country : r->server_country;
	struct wr_habit *h = wr_habit_of(d, self, p, server, 0);
	char source[WR_OWNER_TEXT];
	struct wr_incident *i;
	bool far, outside;
	enum verdict v;
	unsigned n;

	if (!h)
		return false;
	v = look_up(wr_detect_state(d, self), p, country, server);
	n = names_of(d, r, !server, value);
	far = new_country(d, self, p, country, server, learn);
	if (v == ALLOWED || (v == LEARN && !wr_habit_is_odd(h, value, n, r->last, learn)))
		return false;
	if (quiet)
		return true;
	wr_pair_owner(source, p, server);
	i = wr_incident(d, self, source, server ? "as server" : "");
	if (!i)
		return true;
	outside = wr_ip_is_public(server ? &r->client_ip : &r->server_ip);
	wr_incident_is(i, i->first ? i->first : r->first, r->last, i->count + 1,
		far && outside ? "high"
		: outside      ? "medium"
			       : "low",
		v == LEARN ? (far ? 0.75 : 0.6) : 0.95);
	tell(i, e, h, source, v, server, far);
	wr_incident_owner(i, e, server);
	return true;
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	wr_habit_event(d, self, e, judge, false);
}

const struct wr_detector wr_detector_unusual_peer = {
	.name = "unusual_peer",
	.help = "somebody that a service or host never talked to, or whom detect.peers, detect.peer_countries forbid",
	.attack_id = "T1071",
	.advice =
		"look what it is and which process (`weir conns -w 'host ADDRESS'`); what is due becomes usual in three days",
	.impact = "what was deployed newly loses its peer",
	.kept = sizeof(struct wr_habit),
	.kepts = 4096,
	.kept_version = 1,
	.setup = setup,
	.unset = unset,
	.event = event,
};
