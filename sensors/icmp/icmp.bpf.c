// SPDX-License-Identifier: GPL-2.0-only
/*
 * ICMP and ICMPv6 errors that arrive, with the packet that they complain about. A filter on a raw
 * socket that keeps nothing: the error goes to the ring, user space is never woken.
 */
#include "../../bpf/wr_sock.h"

static __always_inline int inner(struct __sk_buff *skb, __u32 off, struct wr_rec_icmp *r)
{
	__u8 h[40];
	__u8 p[4];
	__u32 l4;

	if (r->v6) {
		if (bpf_skb_load_bytes(skb, off, h, 40))
			return -1;
		r->proto = h[6];
		__builtin_memcpy(r->saddr, h + 8, 16);
		__builtin_memcpy(r->daddr, h + 24, 16);
		l4 = off + 40;
	} else {
		if (bpf_skb_load_bytes(skb, off, h, 20))
			return -1;
		r->proto = h[9];
		v4_mapped(r->saddr, *(__be32 *)(h + 12));
		v4_mapped(r->daddr, *(__be32 *)(h + 16));
		l4 = off + (h[0] & 15) * 4;
	}
	if (bpf_skb_load_bytes(skb, l4, p, 4))
		return -1;
	r->sport = p[0] << 8 | p[1];
	r->dport = p[2] << 8 | p[3];
	return 0;
}

static __always_inline int error(struct __sk_buff *skb, int v6, __u32 off, const __u8 *from)
{
	struct wr_rec_icmp *r;
	__u8 h[8];

	if (bpf_skb_load_bytes(skb, off, h, 8))
		return 0;
	/* RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem; RFC 4443: < 128 */
	if (v6 ? h[0] >= 128 : !(h[0] == 3 || h[0] == 4 || h[0] == 5 || h[0] == 11 || h[0] == 12))
		return 0;
	r = state_reserve(WR_REC_ICMP, sizeof(*r));
	if (!r)
		return 0;
	r->type = h[0];
	r->code = h[1];
	r->v6 = v6;
	r->netns = wr_netns;
	r->info = v6 ? ((__u32)h[4] << 24 | h[5] << 16 | h[6] << 8 | h[7])
		     : (__u32)(h[6] << 8 | h[7]);
	__builtin_memcpy(r->from, from, 16);
	if (inner(skb, off + 8, r)) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		count(WR_KC_BAD_PACKET, 1);
		return 0;
	}
	state_submit(r);
	return 0;
}

SEC("socket")
int icmp_v4(struct __sk_buff *skb)
{
	__u8 from[16], ihl;
	__be32 a;

	if (bpf_skb_load_bytes(skb, 0, &ihl, 1) || bpf_skb_load_bytes(skb, 12, &a, 4))
		return 0;
	v4_mapped(from, a);
	return error(skb, 0, (ihl & 15) * 4, from);
}

/* a raw ICMPv6 socket begins at the ICMP header */
SEC("socket")
int icmp_v6(struct __sk_buff *skb)
{
	__u8 from[16];

	if (bpf_skb_load_bytes_relative(skb, 8, from, 16, BPF_HDR_START_NET))
		return 0;
	return error(skb, 1, 0, from);
}
