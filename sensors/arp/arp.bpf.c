// SPDX-License-Identifier: GPL-2.0-only
/*
 * ARP requests and replies of the namespace of the agent. A filter on a packet socket that keeps nothing: what
 * is told goes to the ring, user space is never woken. A flood of them takes no more than A_SECOND places
 * there; the others are counted.
 */
#include "../../bpf/wr_sock.h"

#define A_SECOND 2000

struct arp_budget {
	__u64 second, told;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct arp_budget);
} arp_budgets SEC(".maps");

SEC("socket")
int arp_packet(struct __sk_buff *skb)
{
	__u64 second = bpf_ktime_get_boot_ns() / 1000000000;
	struct arp_budget *b;
	struct wr_rec_arp *r;
	__u8 h[28]; /* RFC 826, Ethernet and IPv4 */
	__u32 zero = 0;

	if (bpf_skb_load_bytes(skb, 0, h, sizeof(h)) || h[4] != 6 || h[5] != 4)
		return 0;
	count(WR_KC_ARP, 1);
	b = bpf_map_lookup_elem(&arp_budgets, &zero);
	if (!b)
		return 0;
	if (b->second != second) { /* several CPUs may do so: a few more are told */
		b->second = second;
		b->told = 0;
	}
	if (b->told >= A_SECOND) {
		count(WR_KC_ARP_LOST, 1);
		return 0;
	}
	b->told++;
	r = state_reserve(WR_REC_ARP, sizeof(*r));
	if (!r)
		return 0;
	r->op = h[6] << 8 | h[7];
	__builtin_memcpy(r->mac, h + 8, 6);
	__builtin_memcpy(r->sender, h + 14, 4);
	__builtin_memcpy(r->target, h + 24, 4);
	r->ifindex = skb->ifindex;
	r->pad = 0;
	state_submit(r);
	return 0;
}
