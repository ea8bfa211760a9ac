// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define QUIET 600000000000ull /* ns */

/* One source at one service: logins that failed. */
struct guesser {
	uint64_t failed, worked, first, last;
};

/* Is the request a login, and did it fail? */
static bool is_login(const struct wr_ev_request *r, bool *ret_failed)
{
	bool login = wr_detect_is_login(r);

	*ret_failed = r->error;
	if (login)
		return true;
	/* HTTP says so by its status */
	if (!wr_str_eq(r->protocol, WR_STR("http")) && !wr_str_eq(r->protocol, WR_STR("http2")))
		return false;
	*ret_failed = wr_str_eq(r->status, WR_STR("401"));
	return *ret_failed;
}

static void guess(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e,
	const struct wr_ip *from, const struct wr_ip *to, uint16_t port, uint64_t at, bool failed,
	struct wr_str service)
{
	char source[WR_IP_TEXT], target[WR_TARGET_TEXT];
	struct guesser *g = wr_detect_entry(d, self, wr_hash(from, 16, wr_hash(to, 16, port)), at);
	uint64_t least = wr_detect_limits(d)->brute_force_failures;
	struct wr_incident *i;

	if (!g)
		return;
	g->first = g->first ? wr_min(g->first, at) : at;
	g->last = wr_max(g->last, at);
	if (failed)
		g->failed++;
	else
		g->worked++;
	/* a client with a wrong password in its configuration fails too, but does not get in between */
	if (g->failed < least || g->worked * 4 > g->failed)
		return;
	source[wr_ip_text(from, source)] = 0;
	wr_detect_target(target, to, port);
	i = wr_incident(d, self, source, target);
	if (!i)
		return;
	i->first = g->first;
	i->last = g->last;
	i->count = g->failed;
	i->severity = g->worked ? "high" : "medium"; /* it may have got in */
	i->confidence = g->failed >= 2 * least ? 0.95 : 0.8;
	snprintf(i->summary, sizeof(i->summary),
		"%s failed to log in at %s (%.*s) %" PRIu64 " times in %" PRIu64 " s%s", source,
		target, (int)service.n, service.p, g->failed, (g->last - g->first) / 1000000000,
		g->worked ? ", and got in" : "");
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"failed\":%" PRIu64 ",\"worked\":%" PRIu64 ",\"service\":\"%.*s\"}", g->failed,
		g->worked, (int)wr_min(service.n, (size_t)32), service.p);
	wr_incident_owner(i, e, true);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	if (e->kind == WR_KIND_request) {
		const struct wr_ev_request *r = (const void *)e;
		bool failed;

		if (wr_ev_has(e, WR_I_request_client_ip) && is_login(r, &failed))
			guess(d, self, e, &r->client_ip, &r->server_ip, (uint16_t)r->server_port,
				r->time, failed, r->protocol);
	} else if (e->kind == WR_KIND_conn) {
		const struct wr_ev_conn *r = (const void *)e;

		/* inside SSH nothing is seen; who gets in stays longer and hears more than a refusal */
		if (!wr_str_eq(r->protocol, WR_STR("ssh")) || !wr_ev_has(e, WR_I_conn_client_ip))
			return;
		guess(d, self, e, &r->client_ip, &r->server_ip, (uint16_t)r->server_port, r->first,
			r->bytes_to_client < 6000 && r->duration_ms < 150000, r->protocol);
	}
}

const struct wr_detector wr_detector_brute_force = {
	.name = "brute_force",
	.help = "one source fails to log in again and again",
	.attack_id = "T1110",
	.advice =
		"block the source for some time; keys instead of passwords; look whether it got in",
	.impact = "who forgot the password waits, too, and who shares the address",
	.entry = sizeof(struct guesser),
	.entries = 4096,
	.quiet = QUIET,
	.event = event,
};
