// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	char ip[WR_IP_TEXT];

	if (f->err != EPERM || why_drop(c, f, "NETFILTER_DROP", NULL))
		return false;
	why_evidence(
		r, "the system call failed with EPERM, and no rule of netfilter took a packet");
	why_fix(r,
		"bpftool cgroup tree: find the program at connect or sendmsg of this control group");
	return why_say(r, 0.8,
		"this process may not speak to %s:%u: a BPF program on its control group, or a security module, forbids it",
		why_ip(&f->server, ip), f->server_port);
}

const struct wr_cause wr_cause_cgroup_policy = {
	.name = "cgroup_policy",
	.layer = "policy",
	.help = "a BPF program on the control group forbids it",
	.judge = judge,
};
