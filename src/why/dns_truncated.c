// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	char ip[WR_IP_TEXT];

	if (f->proto != 6 || f->server_port != 53 || !why_failed(f))
		return false;
	for (unsigned i = 0; i < c->n_requests; i++) {
		const struct why_request *q = &c->request[i];

		if (!q->truncated || strcmp(q->protocol, "dns") ||
			memcmp(&q->server, &f->server, 16))
			continue;
		why_evidence(r, "%s %s: the answer over UDP says that it is cut (TC)", q->operation,
			q->resource);
		why_evidence(r, "over TCP: %s", f->err ? strerror(f->err) : "no connection");
		why_fix(r,
			"let the resolver %s take TCP on port 53, too (RFC 7766), also through firewalls",
			why_ip(&f->server, ip));
		return why_say(r, 0.95,
			"the answer for %s is too long for UDP, and the resolver %s does not take TCP",
			q->resource, why_ip(&f->server, ip));
	}
	return false;
}

const struct wr_cause wr_cause_dns_truncated = {
	.name = "dns_truncated",
	.layer = "dns",
	.help = "an answer is too long for UDP, and the resolver cannot be reached by TCP (RFC 7766)",
	.judge = judge,
};
