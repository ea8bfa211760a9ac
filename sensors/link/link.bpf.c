// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traffic that passes chosen interfaces without a local socket: forwarded and bridged. A filter on a packet
 * socket sees both directions, keeps nothing, and goes with its descriptor (a clsact filter would stay after a
 * kill -9). What a local socket sent is left to the socket; what one will receive is told apart in user space.
 */
#include "../../bpf/wr_flow.h"

static __always_inline int less(const struct ends *e)
{
	const __u64 *l = (const void *)e->laddr, *r = (const void *)e->raddr;

	/* any order does, as long as it is one */
	if (l[1] != r[1])
		return l[1] < r[1];
	if (l[0] != r[0])
		return l[0] < r[0];
	return e->lport < e->rport;
}

SEC("socket")
int link_flow(struct __sk_buff *skb)
{
	struct ends e = {};
	__u64 cookie = bpf_get_socket_cookie(skb);
	int first;

	if (cookie ||
		(skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6)))
		return 0;
	if (ends_read(skb, 1, &e)) {
		count(WR_KC_BAD_PACKET, 1);
		return 0;
	}
	first = less(&e); /* one key for both directions: the lower end is "ours" */
	if (!first && ends_read(skb, 0, &e))
		return 0;
	flow_count(skb, 0, &e, 0, skb->ifindex, first);
	return 0;
}
