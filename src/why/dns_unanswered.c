// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	unsigned asked = 0, silent = 0;
	const char *name = "";
	char ip[WR_IP_TEXT];

	for (unsigned i = 0; i < c->n_requests; i++) {
		const struct why_request *q = &c->request[i];

		if (strcmp(q->protocol, "dns") || memcmp(&q->server, &f->server, 16))
			continue;
		asked++;
		silent += !q->answered;
		if (!q->answered)
			name = q->resource;
	}
	if (f->server_port != 53 || f->proto != 17 || f->bytes_to_client || !f->bytes_to_server ||
		(asked && !silent))
		return false;
	why_evidence(r, "%" PRIu64 " bytes of queries to %s, no answer", f->bytes_to_server,
		why_ip(&f->server, ip));
	if (name[0])
		why_evidence(r, "the last one asked for %s", name);
	why_fix(r, "is %s the right resolver (/etc/resolv.conf), and does it run?",
		why_ip(&f->server, ip));
	return why_say(r, 0.85, "the resolver %s does not answer", why_ip(&f->server, ip));
}

const struct wr_cause wr_cause_dns_unanswered = {
	.name = "dns_unanswered",
	.layer = "dns",
	.help = "the resolver does not answer",
	.judge = judge,
};
