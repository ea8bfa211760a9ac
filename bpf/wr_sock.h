/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all sensors share in the kernel: the socket storage, the rings, the counters, and reading a
 * TCP socket into a record. Maps named wr_* exist once: the loader hands the first one to every
 * later object that declares it (src/kern/loader.c).
 */
#ifndef WR_SOCK_H
#define WR_SOCK_H

#include "wr_kernel.h"
#include "../abi/wr_abi.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "GPL";

/* set by the loader: jiffies a second, the agent's network namespace; wanted: times of reads, TLS calls */
const volatile __u64 wr_hz = 250, wr_netns = 0, wr_reads = 0, wr_tls = 0;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct wr_sock);
} wr_socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20);
} wr_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WR_KC_N);
	__type(key, __u32);
	__type(value, __u64);
} wr_count SEC(".maps");

static __always_inline void count(__u32 i, __u64 n)
{
	__u64 *v = bpf_map_lookup_elem(&wr_count, &i);

	if (v)
		*v += n;
}

/*
 * Flags for a submit to @ring: no wake-up until a quarter is full. A wake-up per event costs more
 * than all the rest of a sensor (throughput 0.30 of untraced against 0.64: docs/adr/0002).
 */
static __always_inline __u64 ring_flags(void *ring)
{
	__u64 avail = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);

	return avail * 4 > bpf_ringbuf_query(ring, BPF_RB_RING_SIZE) ? BPF_RB_FORCE_WAKEUP
								     : BPF_RB_NO_WAKEUP;
}

static __always_inline void *state_reserve(__u32 type, __u32 len)
{
	struct wr_rec *r = bpf_ringbuf_reserve(&wr_state, len, 0);

	count(WR_KC_STATE_IN, 1);
	if (!r) {
		count(WR_KC_STATE_LOST, 1);
		return 0;
	}
	r->type = type;
	r->len = len;
	r->ts = bpf_ktime_get_boot_ns();
	return r;
}

static __always_inline void state_submit(void *r)
{
	bpf_ringbuf_submit(r, ring_flags(&wr_state));
}

/*
 * The current task as owner, read from the task: sockops programs may not call the helpers before 6.10. Only
 * where the caller runs in the process's own context.
 */
static __always_inline void owner_current(struct wr_owner *o)
{
	struct task_struct *t = (void *)bpf_get_current_task();

	o->tgid = BPF_CORE_READ(t, tgid);
	o->uid = BPF_CORE_READ(t, cred, uid.val);
	o->start_ns = BPF_CORE_READ(t, group_leader, start_boottime);
	o->cgroup = BPF_CORE_READ(t, cgroups, dfl_cgrp, kn, id);
	o->netns = BPF_CORE_READ(t, nsproxy, net_ns, ns.inum);
	o->ppid = BPF_CORE_READ(t, group_leader, real_parent, tgid);
	BPF_CORE_READ_INTO(&o->comm, t, group_leader, comm);
}

static __always_inline int st_class(__u8 state)
{
	switch (state) {
	case TCP_SYN_SENT:
		return WR_ST_SYN_SENT;
	case TCP_SYN_RECV:
		return WR_ST_SYN_RECV;
	case TCP_ESTABLISHED:
		return WR_ST_ESTABLISHED;
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
	case TCP_CLOSING:
		return WR_ST_FIN_WAIT;
	case TCP_CLOSE_WAIT:
		return WR_ST_CLOSE_WAIT;
	case TCP_LAST_ACK:
		return WR_ST_LAST_ACK;
	}
	return -1;
}

/* @at: the four bytes, wherever they lie */
static __always_inline void v4_mapped_at(__u8 *dst, const void *at)
{
	__builtin_memset(dst, 0, 10);
	dst[10] = dst[11] = 0xff;
	__builtin_memcpy(dst + 12, at, 4);
}

static __always_inline void v4_mapped(__u8 *dst, __be32 a)
{
	v4_mapped_at(dst, &a);
}

static __always_inline void sock_addrs(struct sock *sk, __u8 *laddr, __u8 *raddr)
{
	if (sk->__sk_common.skc_family == AF_INET6) {
		bpf_core_read(laddr, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(raddr, 16, &sk->__sk_common.skc_v6_daddr);
	} else {
		v4_mapped(laddr, sk->__sk_common.skc_rcv_saddr);
		v4_mapped(raddr, sk->__sk_common.skc_daddr);
	}
}

static __always_inline __u32 sock_netns(struct sock *sk)
{
	struct net *net = sk->__sk_common.skc_net.net;

	return net->ns.inum;
}

static __always_inline __u32 jiffies_ms(__u64 j)
{
	return j * 1000 / wr_hz;
}

/* What limits the sender, in the kernel's own stopwatches, the running one included (05b055e89121). */
static __always_inline void sock_chrono(struct wr_rec_sock *r, struct tcp_sock *tp)
{
	__u32 busy = tp->chrono_stat[0], rwnd = tp->chrono_stat[1], sndbuf = tp->chrono_stat[2];
	__u32 run = (__u32)bpf_jiffies64() - tp->chrono_start;
	__u8 type = BPF_CORE_READ_BITFIELD(tp, chrono_type);

	if (type == 1)
		busy += run;
	else if (type == 2)
		rwnd += run;
	else if (type == 3)
		sndbuf += run;
	r->busy_ms = jiffies_ms((__u64)busy + rwnd + sndbuf);
	r->rwnd_ms = jiffies_ms(rwnd);
	r->sndbuf_ms = jiffies_ms(sndbuf);
}

/*
 * Payload bytes, each once: what was acknowledged plus what is in flight, less the sequence numbers
 * of SYN and FIN, which tcp_info counts as bytes (net/ipv4/tcp_input.c, tcp_snd_una_update() and
 * tcp_rcv_nxt_update()). @state is the state before a close.
 */
/* Who holds the connection up, and since when, as far as readings tell: a second more or less. */
static __always_inline __u32 sock_stalled(
	struct wr_sock *s, const struct tcp_sock *tp, __u8 state, __u32 rcvq, __u32 sndq)
{
	__u64 now = bpf_ktime_get_boot_ns(), ms = 0;
	__u32 now32 = now >> 10, kind = 0;

	if (!rcvq) {
		s->unread = 0;
	} else if (!s->unread || s->unread_at != tp->copied_seq) {
		s->unread = now32 ? now32 : 1;
		s->unread_at = tp->copied_seq;
	}
	if (rcvq) {
		ms = (__u64)(now32 - s->unread) * 1024 / 1000000;
		kind = WR_STALL_READER;
	} else if (state == TCP_CLOSE_WAIT) {
		ms = (now - s->t_state) / 1000000;
		kind = WR_STALL_CLOSE;
	} else if (sndq) {
		if (state == TCP_SYN_SENT) /* nothing ever came */
			ms = s->t_open ? (now - s->t_open) / 1000000 : 0;
		else
			ms = (__u64)((__u32)bpf_jiffies64() - tp->rcv_tstamp) * 1000 / wr_hz;
		kind = WR_STALL_PEER;
	}
	if (ms < 1000)
		return 0;
	return (ms < 1 << 29 ? ms : 1 << 29) << 2 | kind;
}

static __always_inline void sock_read(struct wr_rec_sock *r, struct sock *sk, struct tcp_sock *tp,
	const struct wr_sock *s, __u8 state)
{
	__u32 flight = tp->snd_nxt - tp->snd_una;
	__u64 out, in = tp->bytes_received;

	r->fin_rcvd = (sk->__sk_common.skc_flags >> 1) & 1; /* SOCK_DONE: tcp_fin() ran */
	r->fin_sent = (state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_CLOSING ||
			      state == TCP_LAST_ACK || state == TCP_TIME_WAIT) &&
		      tp->snd_nxt == tp->write_seq;
	out = tp->bytes_acked + flight;
	if (out && s->role == WR_ROLE_CLIENT)
		out--;
	if (out && r->fin_sent)
		out--;
	if (in && r->fin_rcvd)
		in--;
	r->bytes_out = out;
	r->bytes_in = in;
	r->srtt_us = tp->srtt_us >> 3;
	r->rttvar_us = tp->mdev_us >> 2;
	r->min_rtt_us = tp->rtt_min.s[0].v;
	r->cwnd = tp->snd_cwnd;
	r->mss = tp->mss_cache;
	r->pmtu = tp->inet_conn.icsk_pmtu_cookie;
	r->segs_out = tp->segs_out;
	r->segs_in = tp->segs_in;
	r->retrans = tp->total_retrans;
	r->ooo_in = tp->rcv_ooopack;
	r->dsack_dups = tp->dsack_dups;
	r->pad = 0;
	sock_chrono(r, tp);
	if (state == TCP_LISTEN) {
		r->rcvq = sk->sk_ack_backlog;
		r->backlog = sk->sk_max_ack_backlog;
		r->sndq = 0;
	} else {
		/* the FIN has a number, too, until the application has read the end */
		r->rcvq = tp->rcv_nxt - tp->copied_seq;
		if ((__s32)r->rcvq > 0)
			r->rcvq -= r->fin_rcvd;
		else
			r->rcvq = 0;
		r->sndq = tp->write_seq - tp->snd_una;
		r->backlog = 0;
	}
	/* skc_num is already zero when a socket closes (inet_put_port()) */
	r->lport = state == TCP_LISTEN ? sk->__sk_common.skc_num
				       : bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	r->rport = bpf_ntohs(sk->__sk_common.skc_dport);
	sock_addrs(sk, r->laddr, r->raddr);
}

#endif
