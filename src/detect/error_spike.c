// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#include <math.h>

#define WINDOW 2000000000ull /* ns; a window has at least ENOUGH requests too */
#define ENOUGH 20
#define USUAL 400 /* requests that say what is usual */
#define QUIET 3600000000000ull

/* A service's requests: the window that is filled, and what is usual: a share that forgets slowly. */
struct service {
	uint64_t begun, n, errors;
	double usual_n, usual_errors;
	uint64_t raised; /* errors of the incident so far */
	char what[120]; /* the last that failed */
};

static void judge(struct wr_detect *d, const struct wr_detector *self, struct service *s,
	const struct wr_ev_request *r, const char *name)
{
	double share = (double)s->errors / (double)s->n;
	double usual = s->usual_n > 0 ? s->usual_errors / s->usual_n : 0;
	double due = usual * (double)s->n;
	struct wr_incident *i;

	/* far in the tail of a Poisson distribution: once in years by chance, at two windows a second */
	if (s->usual_n < USUAL || (double)s->errors < due + 6 * sqrt(due) + 6) {
		/* an outage does not become what is usual; a new normal does, slowly */
		double keep = s->usual_n > 20 * USUAL ? 0.95 : 1;

		s->usual_n = s->usual_n * keep + (double)s->n;
		s->usual_errors = s->usual_errors * keep + (double)s->errors;
		return;
	}
	i = wr_incident(d, self, name, "");
	if (!i)
		return;
	s->raised += s->errors;
	i->first = i->first ? i->first : s->begun;
	i->last = r->time;
	i->count = s->raised;
	i->severity = share > 0.5 ? "high" : "medium";
	i->confidence = 0.9;
	snprintf(i->summary, sizeof(i->summary),
		"%.0f %% of the requests to %s fail, %.2g %% is usual; the last: %s", share * 100,
		name, usual * 100, s->what);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"requests\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"share\":%.4f,\"usual\":%.4f}",
		s->n, s->errors, share, usual);
	wr_incident_owner(i, &r->ev, true);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;
	char name[WR_TARGET_TEXT];
	struct service *s;
	bool error = wr_ev_has(e, WR_I_request_error) && r->error;

	if (e->kind != WR_KIND_request || !wr_ev_has(e, WR_I_request_server_ip))
		return;
	s = wr_detect_service(d, self, r, name);
	if (!s)
		return;
	s->begun = s->n ? s->begun : r->time;
	s->n++;
	s->errors += error;
	if (error)
		snprintf(s->what, sizeof(s->what), "%.*s %.*s: %.*s",
			(int)wr_min(r->operation.n, (size_t)16), r->operation.p,
			(int)wr_min(r->resource.n, (size_t)60), r->resource.p,
			(int)wr_min(r->status.n, (size_t)24), r->status.p);
	if (r->time < s->begun + WINDOW || s->n < ENOUGH)
		return;
	judge(d, self, s, r, name);
	s->n = s->errors = 0;
}

const struct wr_detector wr_detector_error_spike = {
	.name = "error_spike",
	.help = "a service whose requests begin to fail",
	.attack_id = "T1499",
	.advice =
		"`weir requests -w 'error = true'` shows which; `weir compare` what else changed then",
	.entry = sizeof(struct service),
	.entries = 4096,
	.quiet = QUIET,
	.event = event,
};
