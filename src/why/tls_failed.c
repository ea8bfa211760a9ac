// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	(void)c;
	for (unsigned i = 0; i < c->n_requests; i++) {
		const struct why_request *q = &c->request[i];

		if (strcmp(q->protocol, "tls") || !q->error || memcmp(&q->server, &f->server, 16) ||
			q->server_port != f->server_port)
			continue;
		why_evidence(r, "handshake for \"%s\": %s", q->resource, q->status);
		why_fix(r,
			"openssl s_client -connect HOST:%u -servername %s: version, name, issuer, dates of the certificate",
			f->server_port, q->resource);
		return why_say(
			r, 0.92, "the TLS handshake for \"%s\" fails: %s", q->resource, q->status);
	}
	return false;
}

const struct wr_cause wr_cause_tls_failed = {
	.name = "tls_failed",
	.layer = "tls",
	.help = "the TLS handshake fails",
	.judge = judge,
};
