// SPDX-License-Identifier: GPL-2.0-only
/* Single packets on their way through the host: every stage of those that the filter chooses. */
#include "../../bpf/wr_data.h"
#include "../../bpf/wr_filter.h"
#include "../../bpf/wr_packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_kfilter);
} journey_filter SEC(".maps");

/* The packet that this CPU hands up the stack, until the next one: its routes are looked up meanwhile. */
struct current {
	__u64 skb;
	__u32 ifindex;
	__u16 ip_id;
	__u8 ttl, tcp_flags;
	__u32 seq;
	__u8 proto, family;
	__u16 pad;
	__u8 saddr[16], daddr[16];
	__u16 sport, dport;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct current);
} journey_current SEC(".maps");

static __always_inline void set_current(struct sk_buff *skb, const struct heads *h, __u32 ifindex)
{
	__u32 zero = 0;
	struct current *c = bpf_map_lookup_elem(&journey_current, &zero);

	if (!c)
		return;
	c->skb = (__u64)skb;
	c->ifindex = ifindex;
	c->ip_id = h->ip_id;
	c->ttl = h->ttl;
	c->tcp_flags = h->tcp_flags;
	c->seq = h->seq;
	c->proto = h->proto;
	c->family = h->family;
	c->sport = h->sport;
	c->dport = h->dport;
	__builtin_memcpy(c->saddr, h->saddr, 16);
	__builtin_memcpy(c->daddr, h->daddr, 16);
}

#define LOOPBACK_IFINDEX 1
#define NOT_HERE 11 /* EAGAIN: not in this table, the next rule is asked */

/*
 * What a table answered. On the way in it is about the packet that this CPU is busy with, unless it asks for the
 * way back to the sender (fib_validate_source()); on the way out there is no packet yet.
 */
static __noinline int route(struct wr_rec_journey *from, struct fib_nh_common *nh, __u32 iif)
{
	__u32 zero = 0;
	struct wr_kfilter *f = bpf_map_lookup_elem(&journey_filter, &zero);
	struct current *c = bpf_map_lookup_elem(&journey_current, &zero);
	struct wr_rec_journey *r;
	struct net_device *dev;
	__u32 gw;

	if (!f || !f->on || !c || from->reason == NOT_HERE)
		return 0;
	if (!filter_addr(f, from->saddr, from->daddr))
		return 0;
	if (iif != LOOPBACK_IFINDEX && iif) {
		if (!c->skb || c->ifindex != iif || !equal16(c->saddr, from->saddr))
			return 0;
	} else if (f->proto && from->proto && f->proto != from->proto) {
		return 0;
	}
	r = bpf_ringbuf_reserve(&wr_data, sizeof(*r), 0);
	count(WR_KC_DATA_IN, 1);
	if (!r) {
		count(WR_KC_DATA_LOST, 1);
		return 0;
	}
	*r = *from;
	r->h.type = WR_REC_JOURNEY;
	r->h.len = sizeof(*r);
	r->h.ts = bpf_ktime_get_boot_ns();
	r->stage = WR_STEP_ROUTE;
	if (iif != LOOPBACK_IFINDEX && iif) {
		r->skb = c->skb;
		r->proto = c->proto;
		r->ip_id = c->ip_id;
		r->ttl = c->ttl;
		r->tcp_flags = c->tcp_flags;
		r->seq = c->seq;
		r->sport = c->sport;
		r->dport = c->dport;
	}
	dev = nh ? BPF_CORE_READ(nh, nhc_dev) : 0;
	if (dev) {
		r->ifindex = BPF_CORE_READ(dev, ifindex);
		r->netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
		bpf_core_read(r->ifname, sizeof(r->ifname), &dev->name);
		gw = BPF_CORE_READ(nh, nhc_gw_family);
		if (gw == AF_INET)
			v4_mapped(r->via, BPF_CORE_READ(nh, nhc_gw.ipv4));
		else if (gw == AF_INET6)
			bpf_core_read(r->via, 16, &nh->nhc_gw.ipv6);
	}
	bpf_ringbuf_submit(r, ring_flags(&wr_data));
	return 0;
}

SEC("tp_btf/fib_table_lookup")
int BPF_PROG(journey_route4, __u32 table, struct flowi4 *fl, struct fib_nh_common *nh, int err)
{
	struct wr_rec_journey r = {.table = table, .reason = -err, .family = AF_INET};

	v4_mapped(r.saddr, fl->saddr);
	v4_mapped(r.daddr, fl->daddr);
	r.proto = fl->__fl_common.flowic_proto;
	return route(&r, nh, fl->__fl_common.flowic_iif);
}

SEC("tp_btf/fib6_table_lookup")
int BPF_PROG(journey_route6, struct net *net, struct fib6_result *res, struct fib6_table *table,
	struct flowi6 *fl)
{
	struct wr_rec_journey r = {.family = AF_INET6};

	r.table = BPF_CORE_READ(table, tb6_id);
	bpf_core_read(r.saddr, 16, &fl->saddr);
	bpf_core_read(r.daddr, 16, &fl->daddr);
	r.proto = fl->__fl_common.flowic_proto;
	return route(&r, (void *)BPF_CORE_READ(res, nh), fl->__fl_common.flowic_iif);
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
	if (!h.family || !filter_ends(f, h.proto, h.saddr, h.sport, h.daddr, h.dport))
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
		if (stage == WR_STEP_STACK)
			set_current(skb, &h, r->ifindex);
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
