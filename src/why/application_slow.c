// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_request *q = NULL, *on;
	char ip[WR_IP_TEXT];
	const char *who;

	for (unsigned i = 0; i < c->n_requests; i++) {
		const struct why_request *o = &c->request[i];

		if (memcmp(&o->server, &f->server, 16) || o->server_port != f->server_port)
			continue;
		if (!q || o->duration_us > q->duration_us)
			q = o;
	}
	if (!q || q->duration_us < 300000)
		return false;
	who = q->server_process[0] ? q->server_process : "the server";
	on = why_handed_on(c, f);
	if (on) {
		r->layer = "proxy";
		why_evidence(r, "it asked %s:%u for it, which took %" PRIu64 " us",
			why_ip(&on->server, ip), on->server_port, on->duration_us);
	}
	if (q->application_us * 10 >= q->duration_us * 7) {
		why_evidence(r, "%s %s: %" PRIu64 " of %" PRIu64 " ms in the application",
			q->operation, q->resource, q->application_us / 1000, q->duration_us / 1000);
		why_fix(r, "profile %s for this request", who);
		return why_say(r, 0.88,
			"%s works for %" PRIu64 " ms on %s %s; network and kernel take little", who,
			q->application_us / 1000, q->operation, q->resource);
	}
	if (q->queue_us * 10 >= q->duration_us * 7) {
		why_evidence(r, "%s %s: waited %" PRIu64 " of %" PRIu64 " ms to be read",
			q->operation, q->resource, q->queue_us / 1000, q->duration_us / 1000);
		why_fix(r, "%s has too few threads or too little CPU time", who);
		return why_say(r, 0.88, "the request %s %s waits %" PRIu64 " ms until %s reads it",
			q->operation, q->resource, q->queue_us / 1000, who);
	}
	if (q->first_byte_us * 10 < q->duration_us * 7 || f->retransmits)
		return false;
	why_evidence(r,
		"%s %s: %" PRIu64 " of %" PRIu64 " ms until the first byte, round trip %" PRIu64
		" us",
		q->operation, q->resource, q->first_byte_us / 1000, q->duration_us / 1000, f->rtt);
	why_fix(r, "look on the server: nothing was sent again, the network is quick");
	return why_say(r, 0.75, "the server takes %" PRIu64 " ms to answer %s %s",
		q->first_byte_us / 1000, q->operation, q->resource);
}

const struct wr_cause wr_cause_application_slow = {
	.name = "application_slow",
	.layer = "application",
	.help = "the application takes its time",
	.judge = judge,
};
