// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define WINDOW 2000000000ull /* ns */
#define LEARNT 30000000000ull /* ns; what was there at the start is usual */
#define KEPT 30 /* windows that say what is usual */

/* Drops of one reason in one namespace. */
struct place {
	uint64_t window, n, first, raised, alerted; /* alerted: the last window that was odd */
	uint32_t was[KEPT]; /* of the windows before; those without drops are zeros */
	unsigned at, alerting;
	struct wr_ip server;
	uint64_t port;
};

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t usual_of(const struct place *p)
{
	uint32_t v[KEPT];

	memcpy(v, p->was, sizeof(v));
	qsort(v, KEPT, sizeof(v[0]), by_size);
	return v[KEPT * 9 / 10]; /* what one window of ten has */
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_drop *r = (const void *)e;
	char source[64], target[WR_TARGET_TEXT] = "";
	struct wr_incident *i;
	uint64_t window, gone;
	struct place *p;
	uint32_t usual;

	if (e->kind != WR_KIND_drop || wr_str_eq(r->class, WR_STR("noise")))
		return;
	p = wr_detect_entry(d, self, wr_hash(r->reason.p, r->reason.n, r->netns), r->time);
	if (!p)
		return;
	window = r->time / WINDOW;
	if (window > p->window) {
		gone = p->window ? wr_min(window - p->window, (uint64_t)KEPT) : 1;
		for (uint64_t k = 0; k < gone; k++) {
			/* a spike does not become what is usual, unless it lasts */
			if (!k && p->alerting && p->alerting < KEPT)
				continue;
			p->was[p->at++ % KEPT] =
				k ? 0 : (uint32_t)wr_min(p->n, (uint64_t)UINT32_MAX);
		}
		if (gone > 1 || (p->alerting && p->n < wr_detect_limits(d)->drop_spike_packets))
			p->alerting = p->raised = 0;
		p->window = window;
		p->n = 0;
		if (!p->raised)
			p->first = r->time;
	}
	p->n += r->count;
	usual = usual_of(p);
	if (p->n < wr_detect_limits(d)->drop_spike_packets || p->n < 4 * (uint64_t)usual)
		return;
	if (r->time < wr_detect_began(d) + LEARNT)
		return;
	if (p->alerted != window) {
		p->alerted = window;
		p->alerting++;
	}
	p->raised += p->raised ? r->count : p->n;
	snprintf(source, sizeof(source), "%.*s", (int)wr_min(r->reason.n, (size_t)60), r->reason.p);
	i = wr_incident(d, self, source, "");
	if (!i)
		return;
	if (wr_ev_has(e, WR_I_drop_server_ip) && r->server_port)
		wr_detect_target(target, &r->server_ip, (uint16_t)r->server_port);
	wr_incident_is(i, p->first, r->time, p->raised,
		p->n > 20 * wr_detect_limits(d)->drop_spike_packets ? "high" : "medium", 0.9);
	snprintf(i->summary, sizeof(i->summary),
		"%" PRIu64 " packets dropped in 2 s, %u is usual: %.*s%s%.*s%s%s", p->n, usual,
		(int)wr_min(r->reason.n, (size_t)40), r->reason.p, r->meaning.n ? ", " : "",
		(int)wr_min(r->meaning.n, (size_t)100), r->meaning.p,
		target[0] ? "; the last to " : "", target);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"dropped\":%" PRIu64
		",\"usual\":%u,\"class\":\"%.*s\",\"location\":\"%.*s\",\"interface\":\"%.*s\"}",
		p->n, usual, (int)wr_min(r->class.n, (size_t)16), r->class.p,
		(int)wr_min(r->location.n, (size_t)60), r->location.p,
		(int)wr_min(r->interface.n, (size_t)16), r->interface.p);
}

const struct wr_detector wr_detector_drop_spike = {
	.name = "drop_spike",
	.help = "far more packets are dropped for a reason than is usual",
	.attack_id = "T1499",
	.advice = "`weir drops -w 'reason = NAME'` names flows, owners and firewall rules",
	.entry = sizeof(struct place),
	.entries = 512,
	.quiet = 3600000000000ull,
	.event = event,
};
