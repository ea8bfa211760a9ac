// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define WINDOW 2000000000ull /* ns; a window has at least ENOUGH requests too */
#define ENOUGH 20
#define KEPT 32 /* windows that say what is usual */
#define LEARNT 8 /* before so many nothing is said */
#define LASTS 2 /* windows in a row */
#define NORMAL 150 /* windows after which the new is usual */
#define QUIET 3600000000000ull
#define STAGES 3

static const char *const stage[STAGES] = {"requests wait to be read",
	"the application takes longer", "responses take longer to leave"};

/* Sums of a window. Durations in quarters of powers of two: a median is within 19 %. */
struct window {
	uint64_t begun, n, us[STAGES], retransmits;
	uint16_t b[128];
};

struct service {
	struct window w;
	uint32_t median[KEPT]; /* us, of the windows that were usual */
	uint32_t usual[STAGES]; /* us, means that forget slowly */
	uint16_t n, high;
	uint64_t raised;
};

static unsigned bucket(uint64_t us)
{
	unsigned msb = us > 3 ? 63 - (unsigned)__builtin_clzll(us) : 2;

	return wr_min(us > 3 ? (msb - 2) * 4 + (unsigned)(us >> (msb - 2)) : (unsigned)us, 127u);
}

static uint32_t value(unsigned i)
{
	return i < 8 ? i
		     : (uint32_t)wr_min((uint64_t)(4 + i % 4) << (i / 4 - 1), (uint64_t)UINT32_MAX);
}

static uint32_t median_of(const struct window *w)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < WR_N(w->b); i++) {
		seen += w->b[i];
		if (seen * 2 >= w->n)
			return value(i);
	}
	return 0;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The median of what is usual, and the median distance from it: neither is moved by a few odd windows. */
static void usual_of(const struct service *s, uint32_t *ret_median, uint32_t *ret_mad)
{
	uint32_t v[KEPT], n = wr_min((uint32_t)s->n, (uint32_t)KEPT);

	memcpy(v, s->median, n * sizeof(v[0]));
	qsort(v, n, sizeof(v[0]), by_size);
	*ret_median = v[n / 2];
	for (unsigned i = 0; i < n; i++)
		v[i] = s->median[i] > *ret_median ? s->median[i] - *ret_median
						  : *ret_median - s->median[i];
	qsort(v, n, sizeof(v[0]), by_size);
	*ret_mad = v[n / 2];
}

static void learn(struct service *s, uint32_t median)
{
	s->median[s->n % KEPT] = median;
	s->n = s->n + 1 < 2 * KEPT ? s->n + 1 : KEPT + s->n % KEPT;
	for (unsigned i = 0; i < STAGES; i++) {
		uint32_t mean = (uint32_t)(s->w.us[i] / s->w.n);

		s->usual[i] = s->n == 1 ? mean : s->usual[i] - s->usual[i] / 8 + mean / 8;
	}
	s->high = 0;
}

/* Which part of the time grew most. */
static const char *cause(const struct service *s)
{
	const char *best = "its time grew";
	uint64_t most = 0;

	if (s->w.retransmits * 10 > s->w.n)
		return "segments were lost and sent again";
	for (unsigned i = 0; i < STAGES; i++) {
		uint64_t mean = s->w.us[i] / s->w.n,
			 grew = mean > s->usual[i] ? mean - s->usual[i] : 0;

		if (grew <= most)
			continue;
		most = grew;
		best = stage[i];
	}
	return best;
}

static void judge(struct wr_detect *d, const struct wr_detector *self, struct service *s,
	const struct wr_ev_request *r, const char *name)
{
	uint32_t now = median_of(&s->w), usual, mad;
	struct wr_incident *i;

	if (s->n < LEARNT) {
		learn(s, now);
		return;
	}
	usual_of(s, &usual, &mad);
	if (now < 2 * (uint64_t)usual || now < usual + 6 * (uint64_t)mad + 500) {
		learn(s, now);
		return;
	}
	if (++s->high >= NORMAL) { /* that is how it is now */
		s->n = 0;
		learn(s, now);
		return;
	}
	if (s->high < LASTS)
		return;
	i = wr_incident(d, self, name, "");
	if (!i)
		return;
	s->raised += s->w.n;
	i->first = i->first ? i->first : s->w.begun;
	i->last = r->time;
	i->count = s->raised;
	i->severity = now > 10 * (uint64_t)usual ? "high" : "medium";
	i->confidence = 0.85;
	snprintf(i->summary, sizeof(i->summary),
		"half of the requests to %s take more than %u us, %u us is usual: %s", name, now,
		usual, cause(s));
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"p50_us\":%u,\"usual_us\":%u,\"mad_us\":%u,\"requests\":%" PRIu64
		",\"queue_us\":%" PRIu64 ",\"application_us\":%" PRIu64 ",\"response_us\":%" PRIu64
		",\"retransmits\":%" PRIu64 "}",
		now, usual, mad, s->w.n, s->w.us[0] / s->w.n, s->w.us[1] / s->w.n,
		s->w.us[2] / s->w.n, s->w.retransmits);
	wr_incident_owner(i, &r->ev, true);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;
	char name[WR_TARGET_TEXT];
	struct service *s;

	if (e->kind != WR_KIND_request || !wr_ev_has(e, WR_I_request_server_ip) ||
		!wr_ev_has(e, WR_I_request_duration_us))
		return;
	s = wr_detect_service(d, self, r, name);
	if (!s)
		return;
	s->w.begun = s->w.n ? s->w.begun : r->time;
	s->w.n++;
	s->w.b[bucket(r->duration_us)] += s->w.b[bucket(r->duration_us)] < UINT16_MAX;
	s->w.us[0] += r->st_queue;
	s->w.us[1] += r->st_application;
	s->w.us[2] += r->st_response;
	s->w.retransmits += r->retransmits;
	if (r->time < s->w.begun + WINDOW || s->w.n < ENOUGH)
		return;
	judge(d, self, s, r, name);
	s->w = (struct window){.n = 0};
}

const struct wr_detector wr_detector_latency_spike = {
	.name = "latency_spike",
	.help = "a service whose requests take longer than is usual",
	.attack_id = "T1499",
	.advice =
		"`weir compare` names what else changed then; `weir requests -w 'server.service = NAME'` the stages of each",
	.entry = sizeof(struct service),
	.entries = 2048,
	.quiet = QUIET,
	.event = event,
};
