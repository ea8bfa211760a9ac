// SPDX-License-Identifier: Apache-2.0
#include "why.h"

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	uint64_t mtu = 0;

	if (f->proto != 6 || !f->established || !f->mss || f->mss > 512)
		return false;
	for (unsigned i = 0; i < c->there.n; i++) {
		uint64_t m = c->there.hop[i].out ? c->there.hop[i].out->mtu : 0;

		if (m && (!mtu || m < mtu))
			mtu = m;
	}
	if (mtu && f->mss * 2 > mtu)
		return false;
	why_evidence(r, "maximum segment size %" PRIu64 " bytes, smallest MTU on the way %" PRIu64,
		f->mss, mtu);
	why_fix(r,
		"nft list ruleset | grep maxseg: a rule that clamps the MSS; or TCP_MAXSEG in the application");
	return why_say(r, 0.85,
		"the maximum segment size is %" PRIu64 " bytes: %u times as many packets as needed",
		f->mss, (unsigned)(1460 / f->mss));
}

const struct wr_cause wr_cause_small_mss = {
	.name = "small_mss",
	.layer = "network",
	.help = "the segments are far smaller than the links allow",
	.judge = judge,
};
