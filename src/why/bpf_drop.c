// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_drop *d = NULL;
	char in[80];

	while ((d = why_drop_near(c, f, NULL, d)) &&
		(strcmp(d->class, "program") != 0 || !strcmp(d->family, "weir"))) /* guard_rule */
		;
	if (!d || (!why_failed(f) && !why_slow(f)))
		return false;
	why_evidence_drop(r, c, d);
	why_inside(c, d->netns, in, sizeof(in));
	if (strstr(d->reason, "CGROUP"))
		why_fix(r, "bpftool cgroup tree");
	else
		why_fix(r, "%sbpftool net show dev %s; weir guard list, if it is weir's", in,
			d->interface);
	return why_say(r, 0.95,
		"a BPF program drops the packets: %s, on interface %s in namespace %s", d->meaning,
		d->interface[0] ? d->interface : "-", why_place_name(c, d->netns));
}

const struct wr_cause wr_cause_bpf_drop = {
	.name = "bpf_drop",
	.layer = "policy",
	.help = "an XDP, tc or control group program drops the packets",
	.judge = judge,
};
