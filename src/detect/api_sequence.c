// SPDX-License-Identifier: Apache-2.0
/*
 * The order in which clients call an API. A service's model is the set of steps that its clients make, from a
 * call to the next one, in a count-min sketch (Cormode and Muthukrishnan, 2005; with 300 different steps 1 of
 * 250 new ones is taken for a known one). A step that nobody made is nothing by itself: a client is told when
 * it makes far more of them than the clients of this service usually do. Once there is a model, a step gets
 * into it when a second client makes it, or one client on three days.
 */
#include "detect.h"

#include <math.h>

#define ENOUGH 200 /* calls before there is a model */
#define ROWS 4
#define WIDTH 1024
#define PENDING 64
#define DAYS 3
#define DAY 86400000000000ull
#define WINDOW 600000000000ull
#define START 0x7374617274ull

struct pending {
	uint64_t step, client;
	uint32_t day, days;
};

struct service {
	uint64_t since;
	double calls, news; /* calls, and steps that were new among them: both forget slowly */
	uint64_t learned; /* calls, all of them */
	struct pending pending[PENDING];
	uint8_t seen[ROWS][WIDTH];
};

struct client {
	uint64_t begun, first, calls, odd, added; /* added: of it to the service's news */
	uint64_t last; /* the call before */
	char before[64], step[140]; /* its text; the last step that was new */
};

/* Of a path without its query, each part like a number or a key is a star: it names a thing, not a call. */
static size_t route(char *to, size_t room, struct wr_str path)
{
	size_t n = 0, i = 0;

	while (i < path.n && path.p[i] != '?' && path.p[i] != '#') {
		size_t begin = i, digits = 0, k;

		if (path.p[i] == '/') {
			if (n + 1 < room)
				to[n++] = '/';
			i++;
			continue;
		}
		while (i < path.n && path.p[i] != '/' && path.p[i] != '?' && path.p[i] != '#') {
			digits += path.p[i] >= '0' && path.p[i] <= '9';
			i++;
		}
		k = i - begin;
		if (digits == k || (digits >= 2 && k >= 16) || k > 32) {
			if (n + 1 < room)
				to[n++] = '*';
			continue;
		}
		k = wr_min(k, room - 1 - n);
		memcpy(to + n, path.p + begin, k);
		n += k;
	}
	to[n] = 0;
	return n;
}

static bool knows(const struct service *s, uint64_t step)
{
	for (unsigned r = 0; r < ROWS; r++, step = wr_hash64(step + 1)) {
		if (!s->seen[r][step % WIDTH])
			return false;
	}
	return true;
}

static void learn(struct service *s, uint64_t step)
{
	for (unsigned r = 0; r < ROWS; r++, step = wr_hash64(step + 1))
		s->seen[r][step % WIDTH] = 1;
}

/* A step that is new: is it one more client's, or one of days? */
static void consider(struct service *s, uint64_t step, uint64_t client, uint64_t at)
{
	uint32_t day = (uint32_t)(at / DAY);
	struct pending *to = &s->pending[0];

	for (unsigned i = 0; i < PENDING; i++) {
		struct pending *p = &s->pending[i];

		if (p->step == step) {
			p->days += p->day != day;
			p->day = day;
			if (p->client != client || p->days >= DAYS) {
				learn(s, step);
				p->step = 0;
			}
			return;
		}
		if (!p->step || (to->step && p->day < to->day))
			to = p;
	}
	*to = (struct pending){step, client, day, 1};
}

static void judge(struct wr_detect *d, const struct wr_detector *self,
	const struct wr_ev_request *r, const struct service *s, struct client *c,
	const struct wr_pair *p)
{
	/* of the others, and of what it did before */
	double due = wr_max(s->news - (double)c->added, 0.0) /
		     wr_max(s->calls - (double)c->calls, 1.0) * (double)c->calls;
	char source[WR_IP_TEXT], name[WR_TARGET_TEXT];
	struct wr_incident *i;

	if (c->odd < wr_detect_limits(d)->api_sequence_steps ||
		(double)c->odd < due + 6 * sqrt(due))
		return;
	source[wr_ip_text(&r->client_ip, source)] = 0;
	if (p->server_service.n)
		wr_pair_owner(name, p, true);
	else
		wr_detect_target(name, p->server, p->port);
	i = wr_incident(d, self, source, name);
	if (!i)
		return;
	wr_incident_is(i, c->first, r->time, c->odd, due < 1 ? "medium" : "low", 0.6);
	snprintf(i->summary, sizeof(i->summary),
		"%s calls %.60s in an order that nobody does: %" PRIu64 " of %" PRIu64
		" steps, %" PRIu64 " are due; the last: %.130s",
		source, name, c->odd, c->calls, (uint64_t)due, c->step);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"steps\":%" PRIu64 ",\"calls\":%" PRIu64 ",\"due\":%.2f,\"calls_known\":%" PRIu64
		"}",
		c->odd, c->calls, due, s->learned);
	wr_incident_owner(i, &r->ev, false);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;
	const struct wr_pair *p = wr_detect_pair(d);
	uint64_t key, who, call, step, settled;
	struct service *s;
	struct client *c;
	char now[64];
	bool odd;
	size_t n;

	/* not an API of one's own: 0 */
	if (!p || !p->server_key || e->kind != WR_KIND_request ||
		!(wr_str_eq(r->protocol, WR_STR("http")) ||
			wr_str_eq(r->protocol, WR_STR("http2")) ||
			wr_str_eq(r->protocol, WR_STR("grpc"))))
		return;
	key = wr_hash64(p->server_key ^ (p->server_service.n ? 0 : p->port));
	s = wr_detect_kept(d, self, key, r->time);
	who = wr_detect_key(d, p->client, sizeof(*p->client), key);
	c = wr_detect_entry(d, self, who, r->time);
	if (!s || !c)
		return;
	if (r->time > c->begun + WINDOW) {
		c->begun = r->time;
		c->calls = c->odd = c->added = 0;
	}
	n = wr_min(r->operation.n, (size_t)15);
	if (n)
		memcpy(now, r->operation.p, n);
	now[n++] = ' ';
	n += route(now + n, sizeof(now) - n, r->resource);
	call = wr_detect_key(d, now, n, 1);
	step = wr_hash64((c->last ? c->last : START) ^ wr_hash64(call));
	s->since = s->since ? s->since : r->time;
	s->learned++;
	settled = s->since + wr_detect_limits(d)->api_sequence_learn * 1000000000ull;
	odd = !knows(s, step);
	if (s->learned < ENOUGH || r->time < settled) {
		learn(s, step);
	} else {
		if (s->calls > 20 * ENOUGH) {
			s->calls /= 2;
			s->news /= 2;
		}
		if (odd) {
			consider(s, step, who, r->time);
			c->first = c->odd++ ? c->first : r->time;
			snprintf(c->step, sizeof(c->step), "%s, then %s",
				c->last ? c->before : "nothing", now);
		}
		c->calls++;
		judge(d, self, r, s, c, p);
		s->calls++;
		if (odd && c->odd < wr_detect_limits(d)->api_sequence_steps) {
			s->news++;
			c->added++;
		}
	}
	c->last = call;
	memcpy(c->before, now, sizeof(now));
}

const struct wr_detector wr_detector_api_sequence = {
	.name = "api_sequence",
	.help = "a client that calls an API in an order in which nobody calls it",
	.attack_id = "T1190",
	.advice =
		"look what it did (`weir requests -w 'client.ip = ADDRESS'`): a new version does so, too, or who tries by hand",
	.impact = "a client of a new version is stopped, too",
	.entry = sizeof(struct client),
	.entries = 8192,
	.quiet = 1800000000000ull,
	.kept = sizeof(struct service),
	.kepts = 256,
	.kept_version = 1,
	.event = event,
};
