// SPDX-License-Identifier: Apache-2.0
#include "why.h"

#define HELD_UP 100 /* ms */

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_quota *q = f->quota ? &c->quota[f->quota - 1] : NULL;
	const struct why_request *slow = NULL;
	const char *who = f->server_process[0] ? f->server_process : "the server";
	uint64_t ms;

	if (!q || q->after_ms < q->before_ms + HELD_UP)
		return false;
	ms = q->after_ms - q->before_ms;
	for (unsigned i = 0; i < c->n_requests; i++) {
		const struct why_request *o = &c->request[i];

		if (!memcmp(&o->server, &f->server, 16) && o->server_port == f->server_port &&
			(!slow || o->duration_us > slow->duration_us))
			slow = o;
	}
	/* who is held up and still answers in time harms nobody here */
	if (!why_failed(f) && !why_slow(f) && (!slow || slow->duration_us < 300000))
		return false;
	why_evidence(r, "control group %s: held up %" PRIu64 " times, %" PRIu64 " ms, meanwhile",
		q->group + q->root, q->after - q->before, ms);
	why_evidence(
		r, "its limit: %.2f CPUs (%s)", q->cpus, q->v2 ? "cpu.max" : "cpu.cfs_quota_us");
	if (slow)
		why_evidence(r, "%s %s took %" PRIu64 " ms", slow->operation, slow->resource,
			slow->duration_us / 1000);
	why_fix(r, "raise the CPU limit of %s, or let %s need less", q->group + q->root, who);
	return why_say(r, 0.93,
		"%s may not use more than %.2f CPUs: its control group was held up for %" PRIu64
		" ms",
		who, q->cpus, ms);
}

const struct wr_cause wr_cause_cpu_quota = {
	.name = "cpu_quota",
	.layer = "host",
	.help = "the CPU limit of the server's control group holds it up",
	.judge = judge,
};
