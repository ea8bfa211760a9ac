// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_request *bad = NULL;
	char ip[WR_IP_TEXT];

	for (unsigned i = 0; i < c->n_requests; i++) {
		const struct why_request *q = &c->request[i];

		if (strcmp(q->protocol, "dns") || memcmp(&q->server, &f->server, 16) ||
			q->server_port != f->server_port || !q->answered)
			continue;
		if (!strcmp(q->status, "NOERROR"))
			return false; /* of the names of a search list one did it */
		bad = q;
	}
	if (!bad)
		return false;
	why_evidence(r, "%s %s: %s from %s", bad->operation, bad->resource, bad->status,
		why_ip(&f->server, ip));
	if (strcmp(bad->status, "NXDOMAIN"))
		why_fix(r, "look into the log of the resolver %s", why_ip(&f->server, ip));
	else
		why_fix(r, "the name is wrong, or the resolver %s is: dig +trace %s",
			why_ip(&f->server, ip), bad->resource);
	return why_say(r, 0.92, "the name %s cannot be resolved: %s", bad->resource, bad->status);
}

const struct wr_cause wr_cause_dns_failed = {
	.name = "dns_failed",
	.layer = "dns",
	.help = "a name cannot be resolved",
	.judge = judge,
};
