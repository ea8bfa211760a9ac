// SPDX-License-Identifier: GPL-2.0-only
/* Single packets on their way through the host: every stage of those that the filter chooses. */
#include "../../bpf/wr_data.h"
#include "../../bpf/wr_packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_kfilter);
} journey_filter SEC(".maps");

static __always_inline int in_net(const struct wr_kfilter *f, const __u8 *a)
{
#pragma unroll
	for (int i = 0; i < 16; i++) {
		if ((a[i] ^ f->addr[i]) & f->mask[i])
			return 0;
	}
	return 1;
}

static __always_inline int in_ports(const struct wr_kfilter *f, __u16 p)
{
	return p >= f->port_lo && p <= f->port_hi;
}

static __always_inline int chosen(const struct wr_kfilter *f, const struct heads *h)
{
	if (f->proto && f->proto != h->proto)
		return 0;
	if (f->port_hi && (h->proto == IPPROTO_ICMP || h->proto == IPPROTO_ICMPV6 ||
				  (!in_ports(f, h->sport) && !in_ports(f, h->dport))))
		return 0;
	return !f->addr_on || in_net(f, h->saddr) || in_net(f, h->daddr);
}

static __always_inline int step(
	struct sk_buff *skb, struct sock *of, __u32 stage, __u64 location, __u32 reason)
{
	__u32 zero = 0;
	struct wr_kfilter *f = bpf_map_lookup_elem(&journey_filter, &zero);
	struct net_device *dev;
	struct wr_rec_journey *r;
	struct heads h = {};
	unsigned char *net;
	struct wr_sock *s;
	struct sock *sk;

	if (!f || !f->on || !skb)
		return 0;
	/* as it arrives its network header is where the data begins, and not noted yet */
	if (stage <= WR_STEP_STACK)
		net = BPF_CORE_READ(skb, data);
	else
		net = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
	heads_read(&h, net, BPF_CORE_READ(skb, protocol));
	if (!h.family || !chosen(f, &h))
		return 0;
	count(WR_KC_DATA_IN, 1);
	r = bpf_ringbuf_reserve(&wr_data, sizeof(*r), 0);
	if (!r) {
		count(WR_KC_DATA_LOST, 1);
		return 0;
	}
	__builtin_memset(r, 0, sizeof(*r));
	r->h.type = WR_REC_JOURNEY;
	r->h.len = sizeof(*r);
	r->h.ts = bpf_ktime_get_boot_ns();
	r->skb = (__u64)skb;
	r->location = location;
	__builtin_memcpy(r->saddr, h.saddr, 16);
	__builtin_memcpy(r->daddr, h.daddr, 16);
	r->sport = h.sport;
	r->dport = h.dport;
	r->proto = h.proto;
	r->family = h.family;
	r->tcp_flags = h.tcp_flags;
	r->stage = stage;
	r->seq = h.seq;
	r->ip_id = h.ip_id;
	r->ttl = h.ttl;
	r->reason = reason;
	r->len = BPF_CORE_READ(skb, len);
	r->mark = BPF_CORE_READ(skb, mark);
	dev = BPF_CORE_READ(skb, dev);
	sk = BPF_CORE_READ(skb, sk);
	if ((__s64)dev < 0 && stage != WR_STEP_READ) { /* in a socket's queue it is another thing */
		r->ifindex = BPF_CORE_READ(dev, ifindex);
		r->netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
		bpf_core_read(r->ifname, sizeof(r->ifname), &dev->name);
	} else if (of || sk) {
		if (!of)
			of = sk;
		r->netns = BPF_CORE_READ(of, __sk_common.skc_net.net, ns.inum);
	}
	r->begins = sk && stage == WR_STEP_QUEUED;
	if (stage == WR_STEP_READ) { /* in the reader's own context */
		r->tgid = bpf_get_current_pid_tgid() >> 32;
		bpf_get_current_comm(r->comm, sizeof(r->comm));
	} else if (r->begins) {
		sk = skb->sk;
		s = sk ? bpf_sk_storage_get(&wr_socks, sk, 0, 0) : 0;
		if (s) {
			r->tgid = s->owner.tgid;
			__builtin_memcpy(r->comm, s->owner.comm, sizeof(r->comm));
		}
	}
	bpf_ringbuf_submit(r, ring_flags(&wr_data));
	return 0;
}

SEC("tp_btf/netif_rx")
int BPF_PROG(journey_rx, struct sk_buff *skb)
{
	return step(skb, 0, WR_STEP_ARRIVED, 0, 0);
}

SEC("tp_btf/napi_gro_receive_entry")
int BPF_PROG(journey_gro, struct sk_buff *skb)
{
	return step(skb, 0, WR_STEP_ARRIVED, 0, 0);
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(journey_stack, struct sk_buff *skb)
{
	return step(skb, 0, WR_STEP_STACK, 0, 0);
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(journey_tcp, struct sock *sk, struct sk_buff *skb)
{
	return step(skb, sk, WR_STEP_TCP, 0, 0);
}

SEC("tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(journey_read, struct sk_buff *skb, int len)
{
	return step(skb, 0, WR_STEP_READ, 0, 0);
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(journey_queue, struct sk_buff *skb)
{
	return step(skb, 0, WR_STEP_QUEUED, 0, 0);
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(journey_sent, struct sk_buff *skb, struct net_device *dev)
{
	return step(skb, 0, WR_STEP_SENT, 0, 0);
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(journey_drop, struct sk_buff *skb, void *location, __u32 reason)
{
	return reason < 2 ? 0 : step(skb, 0, WR_STEP_DROPPED, (__u64)location, reason);
}
