// SPDX-License-Identifier: GPL-2.0-only
/*
 * The last packets of the host, whatever became of them, in memory that does not grow: so that an alert can show
 * what led to it. Each CPU takes places by the chunk, so that they are in order of time, about, and CPUs hardly
 * ever wait for one another.
 */
#include "../../bpf/wr_sock.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WR_RECENT_CHUNK); /* a power of two, as the configuration has it */
	__type(key, __u32);
	__type(value, struct wr_recent);
} recent_packets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} recent_chunks SEC(".maps");

/* Places of this CPU: the next one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} recent_next SEC(".maps");

const volatile __u64 recent_mask = WR_RECENT_CHUNK - 1; /* set by the loader */

static __always_inline struct wr_recent *place(void)
{
	__u32 zero = 0, at;
	__u64 *chunks, *next = bpf_map_lookup_elem(&recent_next, &zero);

	if (!next)
		return 0;
	if (!(*next % WR_RECENT_CHUNK)) { /* the first one, too: chunk 0 is nobody's */
		chunks = bpf_map_lookup_elem(&recent_chunks, &zero);
		if (!chunks)
			return 0;
		*next = (__sync_fetch_and_add(chunks, 1) + 1) * WR_RECENT_CHUNK;
	}
	at = (*next)++ & recent_mask;
	return bpf_map_lookup_elem(&recent_packets, &at);
}

/* What is in pages can be read by newer kernels: 6.12 does. */
struct bpf_dynptr { /* include/uapi/linux/bpf.h */
	__u64 opaque[2];
};
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ret) __ksym __weak;

static __always_inline int copy_all(struct sk_buff *skb, struct wr_recent *r, __u32 n, __u32 l2)
{
	struct bpf_dynptr p;

	return bpf_dynptr_from_skb((struct __sk_buff *)skb, 0, &p) || bpf_dynptr_read(r->data, n, &p, l2, 0);
}

/* A reader finds @end equal to @ts, or the record is being written. */
static __always_inline int keep(struct sk_buff *skb, struct net_device *dev, __u32 out, int pages)
{
	__u16 net = skb->network_header;
	__be16 protocol = skb->protocol;
	struct wr_recent *r;
	__u32 cap = 0, n;
	__u64 l2;

	if (protocol != bpf_htons(ETH_P_IP) && protocol != bpf_htons(ETH_P_IPV6))
		return 0;
	if (skb->tail > net)
		cap = skb->tail - net; /* what is behind is in pages */
	r = net == 0xffff ? 0 : place();
	if (!r)
		return 0;
	if (cap > sizeof(r->data))
		cap = sizeof(r->data);
	r->end = 0;
	barrier();
	l2 = (__u64)skb->head + net - (__u64)skb->data; /* on the way out the link's header stands before it */
	asm volatile("" : "+r"(l2)); /* all 64 bits: the verifier takes head and data for pointers */
	n = r->len = skb->len - l2;
	if (n > sizeof(r->data))
		n = sizeof(r->data);
	if (pages && cap < n && !copy_all(skb, r, n, l2))
		cap = n;
	else if (!cap || bpf_probe_read_kernel(r->data, cap, skb->head + net))
		return 0;
	bpf_probe_read_kernel(r->ifname, sizeof(r->ifname), dev->name);
	r->netns = dev->nd_net.net->ns.inum;
	r->cap = cap;
	r->out = out;
	r->ts = bpf_ktime_get_boot_ns();
	barrier();
	r->end = r->ts;
	return 0;
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(recent_in, struct sk_buff *skb)
{
	return keep(skb, skb->dev, 0, 0);
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(recent_out, struct sk_buff *skb, struct net_device *dev)
{
	return keep(skb, dev, 1, 0);
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(recent_in_all, struct sk_buff *skb)
{
	return keep(skb, skb->dev, 0, 1);
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(recent_out_all, struct sk_buff *skb, struct net_device *dev)
{
	return keep(skb, dev, 1, 1);
}
