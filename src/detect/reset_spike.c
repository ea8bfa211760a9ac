// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#include <math.h>

#define WINDOW 5000000000ull /* ns; a window has at least ENOUGH connections too */
#define ENOUGH 20
#define USUAL 200 /* connections that say what is usual */
#define QUIET 3600000000000ull

/* A service's connections: the window that is filled, and what is usual: a share that forgets slowly. */
struct service {
	uint64_t begun, n, resets, by_client, refused, raised;
	double usual_n, usual_resets;
};

static void judge(struct wr_detect *d, const struct wr_detector *self, struct service *s,
	const struct wr_ev_conn *r, const char *name)
{
	double share = (double)s->resets / (double)s->n;
	double usual = s->usual_n > 0 ? s->usual_resets / s->usual_n : 0;
	double due = usual * (double)s->n;
	struct wr_incident *i;

	/* as error_spike: far in the tail of a Poisson distribution */
	if (s->usual_n < USUAL || (double)s->resets < due + 6 * sqrt(due) + 6) {
		double keep = s->usual_n > 20 * USUAL ? 0.95 : 1;

		s->usual_n = s->usual_n * keep + (double)s->n;
		s->usual_resets = s->usual_resets * keep + (double)s->resets;
		return;
	}
	i = wr_incident(d, self, name, "");
	if (!i)
		return;
	s->raised += s->resets;
	wr_incident_is(i, i->first ? i->first : s->begun, r->last, s->raised,
		share > 0.5 ? "high" : "medium", 0.9);
	snprintf(i->summary, sizeof(i->summary),
		"%.0f %% of the connections to %s are reset, %.2g %% is usual: %s", share * 100,
		name, usual * 100,
		s->refused * 2 > s->resets ? "nobody listens there any more, or its queue is full"
		: s->by_client * 2 > s->resets ? "the clients give up"
					       : "the server does it");
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"connections\":%" PRIu64 ",\"resets\":%" PRIu64 ",\"by_client\":%" PRIu64
		",\"refused\":%" PRIu64 ",\"share\":%.4f,\"usual\":%.4f}",
		s->n, s->resets, s->by_client, s->refused, share, usual);
	wr_incident_owner(i, &r->ev, true);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;
	char name[WR_TARGET_TEXT];
	struct service *s;
	bool refused;

	if (e->kind != WR_KIND_conn || !wr_str_eq(r->transport, WR_STR("tcp")) ||
		!wr_ev_has(e, WR_I_conn_server_ip) || !r->close_reason.n)
		return;
	wr_detect_target(name, &r->server_ip, (uint16_t)r->server_port);
	s = wr_detect_entry(d, self, wr_hash(&r->server_ip, 16, r->server_port), r->last);
	if (!s)
		return;
	refused = wr_str_eq(r->close_reason, WR_STR("refused"));
	s->begun = s->n ? s->begun : r->last;
	s->n++;
	s->refused += refused;
	if (refused || wr_str_eq(r->close_reason, WR_STR("reset"))) {
		s->resets++;
		s->by_client += !refused && wr_str_eq(r->closed_by, WR_STR("client"));
	}
	if (r->last < s->begun + WINDOW || s->n < ENOUGH)
		return;
	judge(d, self, s, r, name);
	s->n = s->resets = s->by_client = s->refused = 0;
}

const struct wr_detector wr_detector_reset_spike = {
	.name = "reset_spike",
	.help = "a service whose connections begin to be reset or refused",
	.attack_id = "T1499",
	.advice =
		"`weir conns -w 'close_reason = reset'` says by whom and why; `weir why ADDRESS:PORT` tries it",
	.entry = sizeof(struct service),
	.entries = 4096,
	.quiet = QUIET,
	.event = event,
};
