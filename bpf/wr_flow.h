/* SPDX-License-Identifier: GPL-2.0-only */
/* Counting flows in the kernel: the map of UDP and of what no local socket owns, and the header walk. Programs
 * whose packets begin at the network header (cgroup_skb, packet sockets of type SOCK_DGRAM). */
#ifndef WR_FLOW_H
#define WR_FLOW_H

#include "wr_sock.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct wr_flow_key);
	__type(value, struct wr_flow);
} wr_flows SEC(".maps");

/* laddr/raddr as this host sees them; */
struct ends {
	__u8 laddr[16] __attribute__((aligned(8))), raddr[16];
	__u16 lport, rport;
	__u32 off, head; /* where the transport header begins; its length */
	__u8 proto;
};

/*
 * Walks the headers; extension headers are bounded, big packets carry a hop-by-hop header. Not inlined: the
 * verifier looks at it once, not in every place that it is called from (1.4 s instead of 0.1 s).
 */
__noinline int ends_read(struct __sk_buff *skb, int out, struct ends *e)
{
	__u8 h[40];
	__be16 ports[2] = {0, 0};

	if (!e)
		return -1;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, h, 20))
			return -1;
		e->off = (h[0] & 15) * 4;
		e->proto = h[9];
		v4_mapped(out ? e->laddr : e->raddr, *(__be32 *)(h + 12));
		v4_mapped(out ? e->raddr : e->laddr, *(__be32 *)(h + 16));
	} else {
		if (bpf_skb_load_bytes(skb, 0, h, 40))
			return -1;
		e->off = 40;
		e->proto = h[6];
		__builtin_memcpy(out ? e->laddr : e->raddr, h + 8, 16);
		__builtin_memcpy(out ? e->raddr : e->laddr, h + 24, 16);
#pragma unroll
		for (int i = 0; i < 4; i++) {
			__u8 x[2];

			if (e->proto != 0 && e->proto != 43 && e->proto != 60)
				break;
			if (bpf_skb_load_bytes(skb, e->off, x, 2))
				return -1;
			e->proto = x[0];
			e->off += (x[1] + 1) * 8;
		}
	}
	if (e->proto == IPPROTO_TCP || e->proto == IPPROTO_UDP || e->proto == IPPROTO_UDPLITE) {
		if (bpf_skb_load_bytes(skb, e->off, ports, 4))
			return -1;
	}
	e->head = e->proto == IPPROTO_UDP || e->proto == IPPROTO_UDPLITE ? 8 : 0;
	if (e->proto == IPPROTO_TCP) {
		__u8 doff;

		if (bpf_skb_load_bytes(skb, e->off + 12, &doff, 1))
			return -1;
		e->head = (doff >> 4) * 4;
	}
	e->lport = bpf_ntohs(out ? ports[0] : ports[1]);
	e->rport = bpf_ntohs(out ? ports[1] : ports[0]);
	return 0;
}

/* Packets of the flow by now, this one too; 0 = no room for it. */
static __always_inline __u64 flow_count(struct __sk_buff *skb, const struct wr_owner *o,
	const struct ends *e, __u64 cookie, __u32 ifindex, int out)
{
	struct wr_flow_key k = {};
	struct wr_flow *v, fresh;
	__u32 hdr = e->off + e->head, segs = skb->gso_segs ? skb->gso_segs : 1;
	__u64 now = bpf_ktime_get_boot_ns();

	k.cookie = cookie;
	__builtin_memcpy(k.laddr, e->laddr, 16);
	__builtin_memcpy(k.raddr, e->raddr, 16);
	k.lport = e->lport;
	k.rport = e->rport;
	k.proto = e->proto;
	k.ifindex = ifindex;
	k.netns = o ? o->netns : 0;
	v = bpf_map_lookup_elem(&wr_flows, &k);
	if (!v) {
		__builtin_memset(&fresh, 0, sizeof(fresh));
		if (o)
			fresh.owner = *o;
		fresh.first = now;
		fresh.first_dir = out;
		bpf_map_update_elem(&wr_flows, &k, &fresh, BPF_NOEXIST);
		v = bpf_map_lookup_elem(&wr_flows, &k);
		if (!v) {
			count(WR_KC_FLOW_FULL, segs);
			count(WR_KC_FLOW_FULL_BYTES, skb->len > hdr ? skb->len - hdr : 0);
			return 0;
		}
	}
	if (out) {
		__sync_fetch_and_add(&v->packets_out, segs);
		__sync_fetch_and_add(&v->bytes_out, skb->len > hdr ? skb->len - hdr : 0);
		__sync_fetch_and_add(&v->wire_out, skb->len + (segs - 1) * hdr);
	} else {
		__sync_fetch_and_add(&v->packets_in, segs);
		__sync_fetch_and_add(&v->bytes_in, skb->len > hdr ? skb->len - hdr : 0);
		__sync_fetch_and_add(&v->wire_in, skb->len + (segs - 1) * hdr);
	}
	v->last = now;
	count(WR_KC_FLOW_PACKETS, segs);
	return v->packets_out + v->packets_in;
}

#endif
