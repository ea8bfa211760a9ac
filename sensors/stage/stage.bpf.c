// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where packets spend their time. Of 2^shift packets one is followed, drawn by lot at its first stage; a mark
 * at its buffer's address says so to the later ones. What is not followed costs a few ns a stage.
 */
#include "../../bpf/wr_hist.h"
#include "../../bpf/wr_sock.h"

#define TSTAMP_MONO 1 /* skb->tstamp_type: skb_mstamp_ns is CLOCK_MONOTONIC (1693c5db6ab8) */
#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */
#define STALE 60000000000ull

struct way {
	__u64 begin, head, backlog, ip, at;
	__u32 ifindex, netns, state;
	__u32 pad;
};
enum { AT_BEGIN = 1, AT_STACK, AT_TCP };

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct way);
} stage_in SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} stage_out SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct wr_stage_key);
	__type(value, struct wr_stage);
} stage_hist SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_stage_ctl);
} stage_ctl SEC(".maps");

/* a new histogram begins as zeros: too large for the stack */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_stage);
} stage_zero SEC(".maps");

/* when data came that a datagram socket's reader has not taken */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} stage_ready SEC(".maps");

/* when a thread was woken by data */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} stage_woken SEC(".maps");

/* of this CPU: data is being announced since then */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} stage_waking SEC(".maps");

/*
 * The low half of a pointer as a number. The verifier forbids to calculate with pointers, except that a 32-bit
 * subtraction makes a number of one (adjust_ptr_min_max_vals()); reading it back from memory costs 20 ns more.
 */
static __always_inline __u32 number_of(const void *p)
{
	__u64 v;

	asm volatile("r0 = %[p]\n"
		     "w0 -= 1\n"
		     "%[v] = r0"
		     : [v] "=r"(v)
		     : [p] "r"(p)
		     : "r0");
	return (__u32)v + 1;
}

/*
 * What became of the lot, by address: a buffer that is received, one that is sent, a socket with data. The choice
 * cannot be made of the address itself: a connection that goes back and forth uses the same few buffers again and
 * again, and would be followed always or never. Two addresses of one mark cost a packet that is not followed to its
 * end; a mark that is left over ends when its address is drawn for again.
 */
enum { IN, OUT, SOCK, MARKED };
enum { NO_LOT, FOLLOWED, PASSED };
struct marks {
	__u8 of[MARKED][1 << 16];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct marks);
} stage_marks SEC(".maps");

static __always_inline __u8 *mark_of(const void *p, int what)
{
	__u32 zero = 0, h = (number_of(p) >> 3) * 0x9e3779b1u; /* they lie at multiples of their size: mix */
	struct marks *m = bpf_map_lookup_elem(&stage_marks, &zero);

	return m ? &m->of[what][h >> 16] : 0;
}

static __always_inline struct wr_stage_ctl *ctl(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&stage_ctl, &zero);
}

static __always_inline int drawn(const struct wr_stage_ctl *c)
{
	return !c->shift || !(bpf_get_prandom_u32() & ((1u << (c->shift & 15)) - 1));
}

/* One more is followed: is it one too many for now? */
static __always_inline void follow(struct wr_stage_ctl *c, __u64 now)
{
	__u32 window = (__u32)(now >> 28);

	count(WR_KC_STAGE_SEEN, 1);
	if (!c->most)
		return;
	if (c->window != window) {
		c->window = window;
		c->followed = 0;
	}
	/* exactly one CPU sees the last one */
	if (__sync_fetch_and_add(&c->followed, 1) + 1 == c->most && c->shift < WR_STAGE_MAX_SHIFT) {
		c->shift++;
		c->followed = 0;
	}
}

static __always_inline void of_now(struct wr_stage_key *k, const struct wr_stage_ctl *c)
{
	k->turn = (__u16)c->turn;
	k->shift = (__u16)c->shift;
}

static __noinline int record(struct wr_stage_key *k, __u64 ns)
{
	struct wr_stage *h;
	__u32 zero = 0, i = bucket(ns);

	if (!k)
		return 0;
	h = bpf_map_lookup_elem(&stage_hist, k);
	if (!h) {
		struct wr_stage *z = bpf_map_lookup_elem(&stage_zero, &zero);

		if (z)
			bpf_map_update_elem(&stage_hist, k, z, BPF_NOEXIST);
		h = bpf_map_lookup_elem(&stage_hist, k);
		if (!h) {
			count(WR_KC_STAGE_LOST, 1);
			return 0;
		}
	}
	__sync_fetch_and_add(&h->n, 1);
	__sync_fetch_and_add(&h->sum, ns);
	if (ns > h->max)
		h->max = ns;
	if (i < WR_STAGE_BUCKETS)
		__sync_fetch_and_add(&h->b[i], 1);
	return 0;
}

static __always_inline void place(struct way *w, const struct sk_buff *skb)
{
	struct net_device *dev = skb->dev;

	w->head = (__u64)skb->head;
	if (!dev)
		return;
	w->ifindex = dev->ifindex;
	w->netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
}

static __always_inline int begin(const struct sk_buff *skb)
{
	struct way w = {.state = AT_BEGIN};
	__u64 key = (__u64)skb;
	struct wr_stage_ctl *c = ctl();
	__u8 *m = mark_of(skb, IN);

	if (!c || !m)
		return 0;
	*m = drawn(c) ? FOLLOWED : PASSED;
	if (*m == PASSED)
		return 0;
	w.begin = w.at = bpf_ktime_get_ns();
	place(&w, skb);
	bpf_map_update_elem(&stage_in, &key, &w, BPF_ANY);
	return 0;
}

SEC("tp_btf/netif_rx")
int BPF_PROG(stage_netif_rx, struct sk_buff *skb)
{
	return begin(skb);
}

SEC("tp_btf/napi_gro_receive_entry")
int BPF_PROG(stage_gro, const struct sk_buff *skb)
{
	return begin(skb);
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(stage_stack, struct sk_buff *skb)
{
	__u64 key = (__u64)skb, now;
	struct way *w, fresh = {.state = AT_STACK};
	struct wr_stage_ctl *c = ctl();
	__u8 *m = mark_of(skb, IN);

	if (!c || !m)
		return 0;
	if (*m == PASSED) {
		*m = NO_LOT;
		return 0;
	}
	now = bpf_ktime_get_ns();
	w = *m == FOLLOWED ? bpf_map_lookup_elem(&stage_in, &key) : 0;
	if (w && w->state == AT_BEGIN && w->head == (__u64)skb->head && now - w->begin < STALE) {
		follow(c, now);
		w->backlog = now - w->begin;
		w->at = now;
		w->state = AT_STACK;
		place(w, skb);
		return 0;
	}
	/* it had no earlier stage: the driver hands it over at once */
	*m = drawn(c) ? FOLLOWED : NO_LOT;
	if (*m == NO_LOT)
		return 0;
	follow(c, now);
	fresh.begin = fresh.at = now;
	place(&fresh, skb);
	bpf_map_update_elem(&stage_in, &key, &fresh, BPF_ANY);
	return 0;
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(stage_tcp, struct sock *sk, const struct sk_buff *skb)
{
	__u64 key = (__u64)skb, now;
	struct way *w;
	__u8 *m = mark_of(skb, IN);

	if (!m || *m != FOLLOWED)
		return 0;
	w = bpf_map_lookup_elem(&stage_in, &key);
	if (!w || w->state != AT_STACK || w->head != (__u64)skb->head)
		return 0;
	now = bpf_ktime_get_ns();
	w->ip = now - w->at;
	w->at = now;
	w->state = AT_TCP;
	return 0;
}

SEC("tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(stage_copy, const struct sk_buff *skb, int len)
{
	__u64 key = (__u64)skb, now, socket;
	struct wr_stage_ctl *c = ctl();
	struct wr_stage_key k = {};
	struct way w, *p;
	__u8 *m = mark_of(skb, IN);

	if (!c || !m || *m != FOLLOWED)
		return 0;
	p = bpf_map_lookup_elem(&stage_in, &key);
	if (!p || p->state != AT_TCP || p->head != (__u64)skb->head)
		return 0;
	w = *p;
	bpf_map_delete_elem(&stage_in, &key); /* the first read of it counts */
	*m = NO_LOT;
	now = bpf_ktime_get_ns();
	socket = now - w.at;
	of_now(&k, c);
	k.ifindex = w.ifindex;
	k.netns = w.netns;
	owner_current(&k.owner);
	k.stage = WR_STAGE_BACKLOG;
	record(&k, w.backlog);
	k.stage = WR_STAGE_IP;
	record(&k, w.ip);
	k.stage = WR_STAGE_SOCKET;
	record(&k, socket);
	k.stage = WR_STAGE_RECEIVE;
	record(&k, w.backlog + w.ip + socket);
	return 0;
}

/* Does somebody wait at the socket, itself or an epoll instance for it? (wq_has_sleeper()) */
static __always_inline int sleepers(struct sock *sk)
{
	struct socket_wq *wq = BPF_CORE_READ(sk, sk_wq);
	struct list_head *head, *first;

	if (!wq)
		return 0;
	head = &wq->wait.head;
	first = BPF_CORE_READ(wq, wait.head.next);
	return first != head;
}

SEC("tp_btf/sk_data_ready")
int BPF_PROG(stage_data_ready, struct sock *sk)
{
	__u32 zero = 0;
	__u64 *t;
	struct wr_stage_ctl *c;
	__u8 *m;

	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6)
		return 0;
	c = ctl();
	if (!c)
		return 0;
	t = drawn(c) ? bpf_map_lookup_elem(&stage_waking, &zero) : 0;
	if (t)
		*t = sleepers(sk) ? bpf_ktime_get_ns() : 0;
	if (sk->sk_protocol != IPPROTO_UDP)
		return 0;
	m = mark_of(sk, SOCK);
	if (!m || *m != NO_LOT) /* drawn for the first that waits, until it is read */
		return 0;
	t = drawn(c) ? bpf_sk_storage_get(&stage_ready, sk, 0, BPF_SK_STORAGE_GET_F_CREATE) : 0;
	*m = t ? FOLLOWED : PASSED;
	if (t)
		*t = bpf_ktime_get_ns();
	return 0;
}

/* TCP's queue is timed by its packets; a datagram's buffer is not seen here */
SEC("tp_btf/sock_recv_length")
int BPF_PROG(stage_recv, struct sock *sk, int ret, int flags)
{
	struct wr_stage_ctl *c;
	struct wr_stage_key k = {.stage = WR_STAGE_SOCKET};
	__u64 *t;
	__u8 *m, was;

	if (sk->sk_protocol != IPPROTO_UDP || ret < 0)
		return 0;
	c = ctl();
	m = mark_of(sk, SOCK);
	if (!c || !m || *m == NO_LOT)
		return 0;
	was = *m;
	*m = NO_LOT;
	t = was == FOLLOWED ? bpf_sk_storage_get(&stage_ready, sk, 0, 0) : 0;
	if (!t || !*t)
		return 0;
	of_now(&k, c);
	k.netns = sock_netns(sk);
	owner_current(&k.owner);
	record(&k, bpf_ktime_get_ns() - *t);
	*t = 0;
	return 0;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(stage_wake, struct task_struct *p)
{
	__u32 zero = 0;
	__u64 *since = bpf_map_lookup_elem(&stage_waking, &zero), *t, now;

	if (!since || !*since || p->flags & PF_KTHREAD)
		return 0;
	now = bpf_ktime_get_ns();
	/* the socket's callback wakes within a few microseconds; what comes later is another's */
	if (now - *since < 10000) {
		t = bpf_task_storage_get(&stage_woken, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (t)
			*t = now;
	}
	*since = 0;
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(stage_runs, _Bool preempt, struct task_struct *prev, struct task_struct *next)
{
	__u64 *t = bpf_task_storage_get(&stage_woken, next, 0, 0), now;
	struct wr_stage_key k = {.stage = WR_STAGE_CPU};
	struct wr_stage_ctl *c;

	if (!t || !*t)
		return 0;
	now = bpf_ktime_get_ns() - *t;
	*t = 0;
	c = ctl();
	if (!c)
		return 0;
	of_now(&k, c);
	k.owner.tgid = next->tgid;
	k.owner.uid = BPF_CORE_READ(next, cred, uid.val);
	k.owner.start_ns = BPF_CORE_READ(next, group_leader, start_boottime);
	k.owner.cgroup = BPF_CORE_READ(next, cgroups, dfl_cgrp, kn, id);
	k.owner.netns = BPF_CORE_READ(next, nsproxy, net_ns, ns.inum);
	k.owner.ppid = BPF_CORE_READ(next, group_leader, real_parent, tgid);
	BPF_CORE_READ_INTO(&k.owner.comm, next, group_leader, comm);
	k.netns = k.owner.netns;
	record(&k, now);
	return 0;
}

/* before 6.10 (a1ac9c8acec1) */
struct sk_buff___old {
	__u8 mono_delivery_time : 1;
} __attribute__((preserve_access_index));

/* When TCP built the segment; 0: the packet does not say. */
static __always_inline __u64 built(const struct sk_buff *skb)
{
	const struct sk_buff___old *old = (const void *)skb;
	__u64 type = 0;

	if (bpf_core_field_exists(skb->tstamp_type))
		type = BPF_CORE_READ_BITFIELD_PROBED(skb, tstamp_type);
	else if (bpf_core_field_exists(old->mono_delivery_time))
		type = BPF_CORE_READ_BITFIELD_PROBED(old, mono_delivery_time);
	return skb->sk && type == TSTAMP_MONO ? skb->skb_mstamp_ns : 0;
}

static __always_inline void out_owner(struct wr_stage_key *k, const struct sk_buff *skb,
	const struct net_device *dev)
{
	struct sock *sk = skb->sk;
	struct wr_sock *s;

	k->ifindex = dev->ifindex;
	k->netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
	if (!sk)
		return;
	s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);
	if (s)
		k->owner = s->owner;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(stage_queue, struct sk_buff *skb)
{
	struct wr_stage_ctl *c = ctl();
	struct wr_stage_key k = {.stage = WR_STAGE_TCP};
	__u64 key = (__u64)skb, now, sent;
	__u8 *m = mark_of(skb, OUT);

	if (!c || !m)
		return 0;
	*m = drawn(c) ? FOLLOWED : PASSED;
	if (*m == PASSED)
		return 0;
	now = bpf_ktime_get_ns();
	follow(c, now);
	bpf_map_update_elem(&stage_out, &key, &now, BPF_ANY);
	sent = built(skb);
	if (!sent || sent > now || now - sent > STALE || !skb->dev)
		return 0;
	of_now(&k, c);
	out_owner(&k, skb, skb->dev);
	record(&k, now - sent);
	return 0;
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(stage_xmit, const struct sk_buff *skb, const struct net_device *dev)
{
	struct wr_stage_ctl *c = ctl();
	struct wr_stage_key k = {.stage = WR_STAGE_QDISC};
	__u64 key = (__u64)skb, now, *queued, since;
	__u8 *m = mark_of(skb, OUT), was;

	if (!c || !m)
		return 0;
	was = *m;
	*m = NO_LOT;
	if (was == PASSED || (was == NO_LOT && !drawn(c)))
		return 0;
	now = bpf_ktime_get_ns();
	queued = was == FOLLOWED ? bpf_map_lookup_elem(&stage_out, &key) : 0;
	if (queued) {
		since = *queued;
		bpf_map_delete_elem(&stage_out, &key);
	} else {
		since = built(skb); /* a part of a larger one: what segmented it made a new buffer */
		follow(c, now);
	}
	if (!since || since > now || now - since > STALE)
		return 0;
	of_now(&k, c);
	out_owner(&k, skb, dev);
	record(&k, now - since);
	return 0;
}
