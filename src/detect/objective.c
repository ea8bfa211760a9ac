// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#define MAX_OBJECTIVES 64
#define MINUTE 60000000000ull /* ns */
#define MINUTES 60
#define SHORT                                                                                      \
	5 /* minutes; the alert needs both: it burns now, and has for a while (SRE workbook, ch. 5) */
#define ENOUGH 20 /* requests in the short window */

struct objective {
	char service[64];
	double budget; /* share of the requests that may be bad */
	uint64_t us; /* slower is bad; 0: errors alone */
	uint64_t minute, first, raised; /* the newest of: */
	uint32_t n[MINUTES], bad[MINUTES];
};

struct objectives {
	struct objective o[MAX_OBJECTIVES];
	unsigned n;
};

struct none {
};

/* "shop=99.9%", "api=99%<250ms" */
static bool parse(struct wr_str w, struct objective *o)
{
	const char *eq = memchr(w.p, '=', w.n);
	char t[48], *end;
	double share, d;

	if (!eq ||
		!wr_copy(
			o->service, sizeof(o->service), (struct wr_str){w.p, (size_t)(eq - w.p)}) ||
		!o->service[0] ||
		!wr_copy(t, sizeof(t), (struct wr_str){eq + 1, (size_t)(w.p + w.n - eq - 1)}))
		return false;
	share = strtod(t, &end);
	if (end == t || *end++ != '%' || !(share > 0 && share < 100))
		return false;
	o->budget = 1 - share / 100;
	if (!*end)
		return true;
	if (*end++ != '<')
		return false;
	d = strtod(end, &end);
	d *= !strcmp(end, "us") ? 1 : !strcmp(end, "ms") ? 1000 : !strcmp(end, "s") ? 1e6 : 0;
	if (!(d >= 1 && d < 1e12))
		return false;
	o->us = (uint64_t)d;
	return true;
}

static bool add(void *state, struct wr_str w)
{
	struct objectives *s = state;

	if (s->n == MAX_OBJECTIVES || !parse(w, &s->o[s->n]))
		return false;
	s->n++;
	return true;
}

static int setup(const struct wr_limits *l, void **ret_state, struct wr_err *e)
{
	return wr_detect_list("objectives", l->objectives, sizeof(struct objectives), add,
		"write SERVICE=99.9% or SERVICE=99%<250ms, at most 64", ret_state, e);
}

static void advance(struct objective *o, uint64_t minute)
{
	uint64_t gone = o->minute ? wr_min(minute - o->minute, (uint64_t)MINUTES) : MINUTES;

	for (uint64_t i = 0; i < gone; i++)
		o->n[(minute - i) % MINUTES] = o->bad[(minute - i) % MINUTES] = 0;
	o->minute = minute;
}

static double burn(const struct objective *o, unsigned minutes, uint64_t *ret_n, uint64_t *ret_bad)
{
	uint64_t n = 0, bad = 0;

	for (unsigned i = 0; i < minutes && i <= o->minute; i++) {
		n += o->n[(o->minute - i) % MINUTES];
		bad += o->bad[(o->minute - i) % MINUTES];
	}
	*ret_n = n;
	*ret_bad = bad;
	return n ? (double)bad / (double)n / o->budget : 0;
}

static void judge(struct wr_detect *d, const struct wr_detector *self, struct objective *o,
	const struct wr_ev_request *r, bool bad)
{
	double least = (double)wr_detect_limits(d)->objective_burn, now, hour;
	uint64_t n, n_bad, hour_n, hour_bad;
	struct wr_incident *i;
	char limit[40] = "";

	now = burn(o, SHORT, &n, &n_bad);
	hour = burn(o, MINUTES, &hour_n, &hour_bad);
	if (n < ENOUGH || now < least || hour < least) {
		o->raised = n < ENOUGH || now >= least ? o->raised : 0;
		return;
	}
	if (!bad)
		return;
	o->first = o->raised ? o->first : r->time;
	o->raised = o->raised ? o->raised + 1 : hour_bad;
	i = wr_incident(d, self, o->service, "");
	if (!i)
		return;
	if (o->us)
		snprintf(limit, sizeof(limit), " or slower than %.3g ms", (double)o->us / 1000);
	wr_incident_is(
		i, o->first, r->time, o->raised, now >= 10 * least ? "high" : "medium", 0.95);
	snprintf(i->summary, sizeof(i->summary),
		"%s misses its objective: of %" PRIu64 " requests in 5 min %" PRIu64
		" failed%s; %.4g %% may: the budget burns %.0f times too fast",
		o->service, n, n_bad, limit, o->budget * 100, now);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"burn_5m\":%.2f,\"burn_1h\":%.2f,\"requests_1h\":%" PRIu64 ",\"bad_1h\":%" PRIu64
		"}",
		now, hour, hour_n, hour_bad);
	wr_incident_owner(i, &r->ev, true);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;
	struct objectives *s = wr_detect_state(d, self);
	char address[WR_TARGET_TEXT];

	if (e->kind != WR_KIND_request || !wr_ev_has(e, WR_I_request_server_ip))
		return;
	wr_detect_target(address, &r->server_ip, (uint16_t)r->server_port);
	for (unsigned i = 0; i < s->n; i++) {
		struct objective *o = &s->o[i];
		uint64_t minute = r->time / MINUTE;
		bool bad;

		if (!wr_str_eq(r->server_service, wr_str(o->service)) &&
			strcmp(address, o->service))
			continue;
		if (minute > o->minute)
			advance(o, minute);
		if (minute + MINUTES <= o->minute)
			continue;
		bad = (wr_ev_has(e, WR_I_request_error) && r->error) ||
		      (o->us && r->duration_us > o->us);
		o->n[minute % MINUTES]++;
		o->bad[minute % MINUTES] += bad;
		judge(d, self, o, r, bad);
	}
}

const struct wr_detector wr_detector_objective = {
	.name = "objective",
	.help = "a service uses up its error budget too fast (detect.objectives)",
	.attack_id = "T1499",
	.advice =
		"`weir requests -w 'error = true'` and `weir compare` say what changed; alerts beside this one may be its cause",
	.entry = sizeof(struct none),
	.entries = 1,
	.setup = setup,
	.unset = free,
	.event = event,
};
