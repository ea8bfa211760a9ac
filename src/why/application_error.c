// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_request *bad = NULL, *on;
	unsigned all = 0, n = 0;
	const char *who;

	for (unsigned i = 0; i < c->n_requests; i++) {
		const struct why_request *q = &c->request[i];

		if (memcmp(&q->server, &f->server, 16) || q->server_port != f->server_port ||
			!strcmp(q->protocol, "dns") || !strcmp(q->protocol, "tls"))
			continue;
		all++;
		if (q->error) {
			n++;
			bad = q;
		}
	}
	if (!bad)
		return false;
	who = bad->server_process[0] ? bad->server_process : "the server";
	why_evidence(r, "%u of %u requests; the last: %s %s %s: %s", n, all, bad->protocol,
		bad->operation, bad->resource, bad->status);
	why_fix(r, "look into the log of %s", who);
	on = why_handed_on(c, f);
	if (on) {
		r->layer = "proxy";
		why_evidence(
			r, "it asked for it, and got %s", on->answered ? on->status : "no answer");
	}
	return why_say(r, 0.8, "the network is well; %s answers %s %s with %s", who, bad->operation,
		bad->resource, bad->status);
}

const struct wr_cause wr_cause_application_error = {
	.name = "application_error",
	.layer = "application",
	.help = "the server answers with an error",
	.judge = judge,
};
