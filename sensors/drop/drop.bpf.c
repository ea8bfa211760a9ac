// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets that the kernel drops, counted where it does. A flood costs little: beyond a budget a second and CPU a
 * drop is counted by reason and place alone, and no new flow is remembered.
 */
#include "../../bpf/wr_data.h"
#include "../../bpf/wr_filter.h"
#include "../../bpf/wr_mark.h"
#include "../../bpf/wr_packet.h"

#define LOOKED 20000 /* drops a second and CPU whose packet is looked at */
#define FRESH 1000 /* ... that begin a new entry */
#define NOT_A_LOSS 2 /* reasons below: not dropped, consumed (enum skb_drop_reason, c504e5c2f964) */
#define AF_PACKET 17

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct wr_drop_key);
	__type(value, struct wr_drop);
} drop_entries SEC(".maps");

/* which half is counted in: user space turns it */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} drop_turn SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct wr_drop_place);
	__type(value, __u32);
} drop_quiet SEC(".maps");

/* which of them are copied, while somebody captures */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_kfilter);
} drop_filter SEC(".maps");

/* of single flows, when: for the requests that lost something */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct wr_flow_id);
	__type(value, struct wr_flow_drops);
} drop_flows SEC(".maps");

/* how many went into it: user space looks there only when this has changed */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} drop_seq SEC(".maps");

struct budget {
	__u64 second;
	__u32 looked, fresh;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct budget);
} drop_budget SEC(".maps");

static __always_inline void no_flow(struct wr_drop_key *k)
{
	__builtin_memset(&k->sport, 0, 4 + 32 + 2); /* up to family */
	k->tcp_flags = 0;
}

static __always_inline int add(struct wr_drop_key *k, __u32 len)
{
	struct wr_drop *d = bpf_map_lookup_elem(&drop_entries, k);

	if (!d)
		return -1;
	__sync_fetch_and_add(&d->count, 1);
	__sync_fetch_and_add(&d->bytes, len);
	return 0;
}

/*
 * Not inline: the stack is free again when others are called (512 bytes for all, before 6.13). Not static: the
 * verifier sees it once, not on each way to it.
 */
__noinline int drop_flow(struct wr_drop_key *k, __u64 net, __u32 protocol)
{
	struct heads h = {};

	if (!k)
		return 0;
	heads_read(&h, (unsigned char *)net, (__be16)protocol);
	__builtin_memcpy(&k->sport, &h, 4 + 32 + 2); /* the same order in both, ports to family */
	k->tcp_flags = h.tcp_flags;
	return 0;
}

static const struct wr_flow_drops none;

__noinline int drop_remember(struct wr_drop_key *k, struct budget *b, __u64 now)
{
	__u32 zero = 0;
	__u64 *seq = bpf_map_lookup_elem(&drop_seq, &zero), what;
	struct wr_flow_drops *d;
	struct wr_flow_id id = {};

	if (!k || !b || !seq || !k->sport || (k->tcp_flags & 4) ||
		wr_drop_kind(k) != WR_DROP_OTHER)
		return 0;
	what = now >> 4 << 8 | (k->reason < 255 ? k->reason : 255);
	wr_flow_id_of(&id, k->saddr, k->sport, k->daddr, k->dport, k->proto);
	d = bpf_map_lookup_elem(&drop_flows, &id);
	if (!d) {
		if (b->fresh >= FRESH)
			return 0;
		bpf_map_update_elem(&drop_flows, &id, &none, BPF_NOEXIST);
		d = bpf_map_lookup_elem(&drop_flows, &id);
		if (!d)
			return 0;
	}
	d->at[__sync_fetch_and_add(&d->n, 1) % WR_FLOW_DROPS] = what;
	__sync_fetch_and_add(seq, 1);
	return 0;
}

#define LOAD(to, n) bpf_probe_read_kernel(to, n, net)

/* A copy of what lies in one piece of it (its heads do), from the network header on. */
static __noinline int drop_copy(struct sk_buff *skb, struct wr_drop_key *k, struct wr_kfilter *f,
	const struct wr_owner *o, struct net_device *dev)
{
	unsigned char *net = skb->head + skb->network_header;
	__u32 len, before = net - skb->head, wire = skb->len + (skb->data - net);
	struct wr_rec_packet *r;

	if (!k->family || skb->protocol == bpf_htons(ETH_P_ARP))
		return 0;
	if (!filter_owner(f, o) ||
		!filter_ends(f, k->proto, k->saddr, k->sport, k->daddr, k->dport)) {
		count(WR_KC_FILTERED, 1);
		return 0;
	}
	count(WR_KC_DATA_IN, 1);
	len = skb->tail - before;
	if (skb->tail <= before || len > wire)
		len = wire;
	if (len > f->snap)
		len = f->snap;
	if (len < 1)
		goto lost;
	COPY_CLASS(r, len, 128, LOAD)
	COPY_CLASS(r, len, 512, LOAD)
	if (len > 2048)
		len = 2048;
	COPY_CLASS(r, len, 2048, LOAD)
bad:
lost:
	count(WR_KC_DATA_LOST, 1);
	return 0;
filled:
	packet_filled(r, len, wire, k->ifindex, o);
	r->cookie = 0;
	r->gso_segs = 0;
	r->dir = WR_DIR_DROPPED;
	r->location = k->location;
	r->reason = k->reason;
	r->netns = k->netns;
	if (!dev || bpf_core_read(r->ifname, sizeof(r->ifname), &dev->name))
		r->ifname[0] = 0;
	bpf_ringbuf_submit(r, ring_flags(&wr_data));
	return 0;
}

static __always_inline int dropped(
	struct sk_buff *skb, void *location, __u32 reason, struct sock *sk, int known)
{
	struct net_device *dev = skb->dev;
	__u32 zero = 0, len = skb->len, *turn;
	struct wr_drop_key k = {.location = (__u64)location, .reason = reason};
	struct wr_drop d = {.count = 1, .bytes = len};
	struct wr_drop_place place = {.location = (__u64)location, .reason = reason};
	struct wr_kfilter *f;
	struct wr_sock *s = 0;
	__u16 family = 0;
	struct budget *b;
	int capture;

	if (reason < NOT_A_LOSS)
		return 0;
	if (sk) {
		family = sk->__sk_common.skc_family;
		if (family != AF_INET && family != AF_INET6 && family != AF_PACKET)
			return 0; /* unix, netlink: no network */
	}
	/* in a socket's queue of UDP something else stands in its place (struct udp_dev_scratch) */
	if ((__s64)dev >= 0 || bpf_core_read(&k.ifindex, sizeof(k.ifindex), &dev->ifindex))
		dev = 0;
	if (!sk && !dev && !skb->protocol)
		return 0;
	if (dev)
		k.netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
	else
		k.ifindex = skb->skb_iif;
	if (!k.netns && family && family != AF_PACKET)
		k.netns = sock_netns(sk);
	turn = bpf_map_lookup_elem(&drop_turn, &zero);
	b = bpf_map_lookup_elem(&drop_budget, &zero);
	if (!turn || !b)
		return 0;
	k.turn = *turn;
	k.guard = marked_rule(skb->mark);
	count(WR_KC_DROPS, 1);
	d.first = bpf_ktime_get_boot_ns();
	if (b->second != d.first >> 30) {
		b->second = d.first >> 30;
		b->looked = b->fresh = 0;
	}
	known = known && sk && family != AF_PACKET;
	f = bpf_map_lookup_elem(&drop_filter, &zero);
	capture = f && f->on;
	if (b->looked < LOOKED) {
		b->looked++;
		if (skb->network_header != 0xffff)
			drop_flow(&k, (__u64)skb->head + skb->network_header, skb->protocol);
		if (capture) {
			if (known)
				s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);
			drop_copy(skb, &k, f, s ? &s->owner : 0, dev);
		}
		place.kind = wr_drop_kind(&k);
		if (bpf_map_lookup_elem(&drop_quiet, &place)) {
			no_flow(&k);
			k.quiet = 1;
		} else if (k.family && family != AF_PACKET) {
			drop_remember(&k, b, d.first);
		}
		if (!add(&k, len))
			return 0;
	} else if (capture) {
		count(WR_KC_DATA_LOST, 1);
	}
	if (b->fresh >= FRESH || b->looked >= LOOKED) {
		no_flow(&k);
		if (!add(&k, len))
			return 0;
	}
	b->fresh++;
	if (dev)
		bpf_core_read(d.ifname, sizeof(d.ifname), &dev->name);
	if (known && !s)
		s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);
	if (s)
		d.owner = s->owner;
	/* another CPU may have made it meanwhile */
	if (bpf_map_update_elem(&drop_entries, &k, &d, BPF_NOEXIST) && add(&k, len))
		count(WR_KC_DROPS_FULL, 1);
	return 0;
}

/* since 6.11 with the socket that it was for (c53795d48ee8) */
SEC("tp_btf/kfree_skb")
int BPF_PROG(drop_for, struct sk_buff *skb, void *location, __u32 reason, struct sock *rx_sk)
{
	if (rx_sk)
		return dropped(skb, location, reason, rx_sk, 1);
	return dropped(skb, location, reason, skb->sk, 1);
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(drop_any, struct sk_buff *skb, void *location, __u32 reason)
{
	return dropped(skb, location, reason, skb->sk, 1);
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(drop_bare, struct sk_buff *skb, void *location, __u32 reason)
{
	return dropped(skb, location, reason, skb->sk, 0);
}
