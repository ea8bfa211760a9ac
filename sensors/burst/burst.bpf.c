// SPDX-License-Identifier: GPL-2.0-only
/* What passes the interfaces, by the millisecond; and by whom, by ten of them. */
#include "../../bpf/wr_packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, struct wr_burst_key);
	__type(value, struct wr_burst);
} burst_links SEC(".maps");

/* a new entry begins as zeros: too large for the stack */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_burst);
} burst_zero SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct wr_talker_key);
	__type(value, struct wr_talker);
} burst_talkers SEC(".maps");

/* Of a packet of several segments: the headers that each has on the wire and the buffer only once. */
static __always_inline __u32 headers(const unsigned char *net, __be16 protocol, __u8 proto, __u32 l2)
{
	__u32 off = 40;
	__u8 b = 0;

	if (protocol == bpf_htons(ETH_P_IP)) {
		bpf_probe_read_kernel(&b, 1, net);
		off = (b & 15) * 4;
	}
	if (proto != IPPROTO_TCP)
		return l2 + off + 8;
	bpf_probe_read_kernel(&b, 1, net + off + 12);
	return l2 + off + (b >> 4) * 4;
}

static __always_inline struct wr_burst *link_of(struct wr_burst_key *k, struct net_device *dev)
{
	struct wr_burst *b = bpf_map_lookup_elem(&burst_links, k), *zero;
	__u32 at = 0;

	if (b)
		return b;
	zero = bpf_map_lookup_elem(&burst_zero, &at);
	if (!zero)
		return 0;
	bpf_map_update_elem(&burst_links, k, zero, BPF_NOEXIST);
	b = bpf_map_lookup_elem(&burst_links, k);
	if (b)
		bpf_core_read(b->ifname, sizeof(b->ifname), &dev->name);
	return b;
}

static __always_inline int passed(struct sk_buff *skb, struct net_device *dev, __u32 out)
{
	__u64 ms = bpf_ktime_get_boot_ns() / 1000000, was;
	struct wr_talker_key t = {.out = out, .slot = ms / 10};
	struct skb_shared_info *shared;
	struct wr_burst_key k = {.out = out};
	__u32 l2 = 0, len = skb->len, segs;
	unsigned char *net;
	struct wr_talker *who, one;
	struct wr_burst *b;
	struct heads h = {};

	k.ifindex = t.ifindex = dev->ifindex;
	k.netns = t.netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
	b = link_of(&k, dev);
	if (!b) {
		count(WR_KC_BURST_FULL, 1);
		return 0;
	}
	if (skb->network_header != 0xffff && skb->mac_header < skb->network_header)
		l2 = skb->network_header - skb->mac_header;
	net = skb->head + skb->network_header;
	if (!out)
		len += l2; /* the stack took it off */
	heads_read(&h, net, skb->protocol);
	shared = (void *)(skb->head + skb->end);
	segs = BPF_CORE_READ(shared, gso_segs);
	if (segs > 1)
		len += (segs - 1) * headers(net, skb->protocol, h.proto, l2);
	else
		segs = 1;
	was = b->ms;
	/* who moves it writes where it begins; what another CPU adds meanwhile belongs to the one before */
	if (ms > was && __sync_val_compare_and_swap(&b->ms, was, ms) == was) {
		struct wr_burst_start *s = &b->start[ms % WR_BURST_SLOTS];

		s->packets = b->packets;
		s->bytes = b->bytes;
		s->ms = ms;
	}
	__sync_fetch_and_add(&b->packets, segs);
	__sync_fetch_and_add(&b->bytes, len);

	__builtin_memcpy(t.saddr, h.saddr, 32);
	t.sport = h.sport;
	t.dport = h.dport;
	t.proto = h.proto;
	t.family = h.family;
	who = bpf_map_lookup_elem(&burst_talkers, &t);
	if (who) {
		__sync_fetch_and_add(&who->packets, segs);
		__sync_fetch_and_add(&who->bytes, len);
		return 0;
	}
	one.packets = segs;
	one.bytes = len;
	bpf_map_update_elem(&burst_talkers, &t, &one, BPF_ANY);
	return 0;
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(burst_in, struct sk_buff *skb)
{
	return passed(skb, skb->dev, 0);
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(burst_out, struct sk_buff *skb, struct net_device *dev)
{
	return passed(skb, dev, 1);
}
