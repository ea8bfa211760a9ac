// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = NULL;

	while ((d = why_drop(c, f, NULL, d)) && strncmp(d->reason, "TCP_MD5", 7) &&
		strncmp(d->reason, "TCP_AO", 6))
		;
	if (!d || !why_failed(f))
		return false;
	why_evidence_drop(r, c, d);
	why_fix(r, "give both ends the same key (TCP_MD5SIG, TCP-AO), or none");
	return why_say(r, 0.97, "%s", d->meaning);
}

const struct wr_cause wr_cause_tcp_md5 = {
	.name = "tcp_md5",
	.layer = "application",
	.help = "the TCP signatures do not match",
	.judge = judge,
};
