// SPDX-License-Identifier: Apache-2.0
#include "why.h"

#define SLOW 300000 /* us */

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_request *q = NULL;
	char ip[WR_IP_TEXT];
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_requests; i++) {
		const struct why_request *o = &c->request[i];

		if (strcmp(o->protocol, "dns") || !o->answered || o->duration_us < SLOW ||
			memcmp(&o->server, &f->server, 16) || o->server_port != f->server_port)
			continue;
		n++;
		if (!q || o->duration_us > q->duration_us)
			q = o;
	}
	if (!q)
		return false;
	why_evidence(r, "%s %s: answered after %" PRIu64 " ms (%s)", q->operation, q->resource,
		q->duration_us / 1000, q->status);
	if (n > 1)
		why_evidence(r, "%u slow answers in all", n);
	if (f->rtt_min)
		why_evidence(r, "the way there takes %" PRIu64 " us", f->rtt_min);
	why_fix(r, "look at the resolver %s (its upstream, its cache), or use another one",
		why_ip(&f->server, ip));
	return why_say(r, 0.9, "the resolver %s takes %" PRIu64 " ms for %s %s",
		why_ip(&f->server, ip), q->duration_us / 1000, q->operation, q->resource);
}

const struct wr_cause wr_cause_dns_slow = {
	.name = "dns_slow",
	.layer = "dns",
	.help = "the resolver takes long to answer",
	.judge = judge,
};
