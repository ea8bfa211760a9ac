// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of every TCP connection: states, handshake, retransmissions by kind, resets, and the
 * kernel's own counters at the close. Between open and close nothing is sent; a reading of all
 * sockets that changed is an iterator over the socket storage (every namespace at once).
 */
#include "../../bpf/wr_sock.h"
#include "../../bpf/wr_syns.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_read_ctl);
} tcp_ctl SEC(".maps");

/*
 * Where a reading goes. Not through the iterator's seq_file: that resumes from the begin of a hash bucket
 * every 32 KiB, which for 200,000 sockets in two buckets takes minutes; a run without output is one walk. Read in
 * batches and not mapped, so that it is not part of the agent's memory.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WR_READ_MAX);
	__type(key, __u32);
	__type(value, struct wr_rec_sock);
} tcp_out SEC(".maps");

/* The kernel copied the listener's storage: keep the owner, clear what is not the child's. */
static __always_inline void sock_child(struct wr_sock *s, __u64 now)
{
	struct wr_owner o = s->owner;

	__builtin_memset(s, 0, sizeof(*s));
	s->owner = o;
	s->role = WR_ROLE_SERVER;
	s->t_open = now;
	s->t_state = now;
}

static __always_inline void emit(
	struct tcp_sock *tp, struct wr_sock *s, __u64 cookie, __u8 event, __u8 old)
{
	struct sock *sk = (struct sock *)tp;
	struct wr_rec_sock *r;

	r = state_reserve(WR_REC_SOCK, sizeof(*r));
	if (!r) {
		if (event == WR_EV_CLOSE) {
			count(WR_KC_LOST_CONNS, 1);
			count(WR_KC_LOST_BYTES_OUT, tp->bytes_acked);
			count(WR_KC_LOST_BYTES_IN, tp->bytes_received);
		}
		return;
	}
	r->cookie = cookie;
	r->s = *s;
	r->event = event;
	r->old_state = old;
	r->err = sk->sk_err;
	r->stalled = 0;
	sock_read(r, sk, tp, s, event == WR_EV_CLOSE ? old : s->state);
	state_submit(r);
}

/* A socket that is going to have a life worth telling gets storage; the rest has it or has none. */
static __always_inline __u64 storage_flags(int new)
{
	return new == TCP_SYN_SENT || new == TCP_LISTEN || new == TCP_ESTABLISHED
		       ? BPF_SK_STORAGE_GET_F_CREATE
		       : 0;
}

static __always_inline void syn_done(__u32 netns, __u16 port)
{
	struct wr_syn_key k = {.netns = netns, .port = port};
	struct wr_syns *v = bpf_map_lookup_elem(&wr_syns, &k);

	if (v)
		__sync_fetch_and_add(&v->established, 1);
}

static __always_inline void state_change(
	struct tcp_sock *tp, struct wr_sock *s, __u64 cookie, int old, int new)
{
	struct sock *sk = (struct sock *)tp;
	__u64 now;
	int c;

	if (!s) {
		if (new == TCP_ESTABLISHED)
			count(WR_KC_NO_STORAGE, 1);
		return;
	}
	if (!tp)
		return;
	now = bpf_ktime_get_boot_ns();
	s->family = sk->__sk_common.skc_family;
	s->owner.netns = sock_netns(sk);

	/* a child still carries the listener's storage; its own first event may have been missed */
	if (s->role != WR_ROLE_CLIENT &&
		((new == TCP_ESTABLISHED &&old == TCP_SYN_RECV) ||
			(s->role == WR_ROLE_LISTENER && old != TCP_LISTEN && old != TCP_SYN_RECV &&
				new != TCP_LISTEN)))
		sock_child(s, now);
	c = st_class(old);
	if (c >= 0 && c < WR_ST_N && s->t_state)
		s->state_ns[c] += now - s->t_state;
	s->t_state = now;
	s->state = new;

	switch (new) {
	case TCP_SYN_SENT: /* connect(), in the process's context */
		owner_current(&s->owner);
		s->owner.netns = sock_netns(sk);
		s->role = WR_ROLE_CLIENT;
		s->flags |= WR_F_ACCEPTED; /* nothing to accept: the owner is known */
		s->t_open = now;
		break;
	case TCP_LISTEN:
		owner_current(&s->owner);
		s->owner.netns = sock_netns(sk);
		s->role = WR_ROLE_LISTENER;
		s->t_open = now;
		emit(tp, s, cookie, WR_EV_OPEN, old);
		break;
	case TCP_ESTABLISHED:
		s->t_est = now;
		if (s->role == WR_ROLE_CLIENT) {
			s->handshake_us = (now - s->t_open) / 1000;
		} else { /* SYN+ACK to ACK, measured by tcp_synack_rtt_meas() before this */
			s->handshake_us = tp->srtt_us >> 3;
			s->re_syn = tp->total_retrans; /* SYN+ACKs sent again */
			s->t_open = now - (__u64)s->handshake_us * 1000;
			if (old == TCP_SYN_RECV)
				syn_done(s->owner.netns, sk->__sk_common.skc_num);
		}
		s->iss = tp->snd_una - 1;
		s->irs = tp->rcv_nxt - 1;
		s->flags |= WR_F_SEQ_KNOWN | WR_F_OPENED;
		emit(tp, s, cookie, WR_EV_OPEN, old);
		break;
	case TCP_FIN_WAIT1:
		if (!(s->flags & WR_F_FIN_REMOTE))
			s->flags |= WR_F_FIN_LOCAL;
		break;
	case TCP_CLOSE_WAIT:
		if (!(s->flags & WR_F_FIN_LOCAL))
			s->flags |= WR_F_FIN_REMOTE;
		break;
	case TCP_CLOSE:
		if (s->role == WR_ROLE_LISTENER && old != TCP_LISTEN)
			break; /* a child that never was established */
		emit(tp, s, cookie, WR_EV_CLOSE, old);
		break;
	}
}

/*
 * States by sockops: the kernel calls it for each change of a socket that carries the flag, which every
 * socket gets when it connects or is established. Not by the tracepoint alone: the kernel skips a tracing
 * program that already runs on this CPU, interrupted or preempted, and then a close is lost (2 of 10,000
 * under load; bpf_prog_info.recursion_misses). Never writes a reply: other sockops programs keep theirs.
 */
SEC("sockops")
int tcp_ops(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	int old = TCP_CLOSE, new;
	struct tcp_sock *tp;
	struct wr_sock *s;

	switch (ctx->op) {
	case BPF_SOCK_OPS_STATE_CB:
		old = ctx->args[0];
		new = ctx->args[1];
		break;
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		new = TCP_SYN_SENT;
		break;
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		new = TCP_LISTEN;
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB: /* its change of state follows */
		bpf_sock_ops_cb_flags_set(
			ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
		return 1;
	default:
		return 1;
	}
	if (!sk || old == new)
		return 1;
	tp = bpf_skc_to_tcp_sock(sk);
	s = bpf_sk_storage_get(&wr_socks, sk, 0, storage_flags(new));
	if (ctx->op != BPF_SOCK_OPS_STATE_CB) {
		if (new == TCP_SYN_SENT)
			bpf_sock_ops_cb_flags_set(
				ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
		if (s && s->state == new)
			return 1; /* the tracepoint came first */
	}
	state_change(tp, s, bpf_get_socket_cookie(ctx), old, new);
	return 1;
}

/* The sockets that sockops does not see: older than the sensor, or all where sockops cannot be had. */
static __always_inline int state_traced(struct sock *sk, int old, int new, int beside_sockops)
{
	struct tcp_sock *tp;

	if (sk->sk_protocol != IPPROTO_TCP || old == new)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || (beside_sockops && (tp->bpf_sock_ops_cb_flags & BPF_SOCK_OPS_STATE_CB_FLAG)))
		return 0;
	state_change(tp, bpf_sk_storage_get(&wr_socks, sk, 0, storage_flags(new)),
		bpf_get_socket_cookie(sk), old, new);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int old, int new)
{
	return state_traced(sk, old, new, 1);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state_alone, struct sock *sk, int old, int new)
{
	return state_traced(sk, old, new, 0);
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit, struct sock *sk, struct sk_buff *skb)
{
	struct wr_sock *s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);
	struct tcp_sock *tp;
	__u32 n;
	__u8 ca;

	tp = s ? bpf_skc_to_tcp_sock(sk) : 0;
	if (!tp)
		return 0;
	/* one event may be many segments, and an event may be missed: the socket's total is the truth */
	n = tp->total_retrans - s->re_timeout - s->re_fast - s->re_probe - s->re_syn;
	ca = BPF_CORE_READ_BITFIELD(&tp->inet_conn, icsk_ca_state);
	if (s->state == TCP_SYN_SENT)
		s->re_syn += n;
	else if (ca == TCP_CA_Loss)
		s->re_timeout += n;
	else if (ca == TCP_CA_Recovery)
		s->re_fast += n;
	else
		s->re_probe += n; /* tail loss probe: the state is still Open or Disorder */
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(tcp_reset_in, struct sock *sk)
{
	struct wr_sock *s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);

	if (s)
		s->flags |= WR_F_RST_IN;
	return 0;
}

static __always_inline int reset_out(struct sock *sk, __u32 reason)
{
	struct wr_rec_reset *r;
	struct wr_sock *s;

	if (!sk)
		return 0;
	s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);
	if (!s || s->role == WR_ROLE_LISTENER)
		return 0;
	s->flags |= WR_F_RST_OUT;
	s->rst_reason = reason;
	if (s->state != TCP_CLOSE)
		return 0;
	r = state_reserve(WR_REC_RESET, sizeof(*r));
	if (!r)
		return 0;
	r->cookie = bpf_get_socket_cookie(sk);
	r->reason = reason;
	r->pad = 0;
	state_submit(r);
	return 0;
}

/* with the reason: 6.10 (edc6741cc660 and friends) */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_reset_out_why, struct sock *sk, struct sk_buff *skb, int reason)
{
	return reset_out(sk, reason);
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_reset_out, struct sock *sk, struct sk_buff *skb)
{
	return reset_out(sk, 0);
}

SEC("iter/bpf_sk_storage_map")
int tcp_dump(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct wr_sock *s = ctx->value;
	struct wr_read_ctl *ctl;
	struct wr_rec_sock *r;
	struct tcp_sock *tp;
	__u32 zero = 0, at;
	__u64 mark;
	__u8 state;

	ctl = bpf_map_lookup_elem(&tcp_ctl, &zero);
	/* first what costs least: a reading of everything walks past the same sockets many times */
	if (!sk || !s || !ctl || (ctl->all && (s->gen == ctl->all || ctl->more)))
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP || sk->sk_type != SOCK_STREAM)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == TCP_CLOSE)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	/* connect() sets the state before it has a port (tcp_v4_connect()): what is read then stays without one */
	if (state == TCP_SYN_SENT && !tp->inet_conn.icsk_inet.inet_sport)
		return 0;
	mark = (__u64)tp->segs_in + tp->segs_out + ((__u64)s->owner.tgid << 32) + state;
	/* what waits for somebody is read although nothing passes */
	if (!ctl->all && s->mark == mark && state != TCP_CLOSE_WAIT && !s->unread &&
		tp->rcv_nxt == tp->copied_seq && tp->write_seq == tp->snd_una)
		return 0;
	at = ctl->n;
	r = bpf_map_lookup_elem(&tcp_out, &at);
	if (!r) {
		ctl->more = 1;
		return 0;
	}
	ctl->n = at + 1;
	if (s->role == WR_ROLE_LISTENER && state != TCP_LISTEN && state != TCP_SYN_RECV)
		sock_child(s, bpf_ktime_get_boot_ns());
	s->state = state;
	s->mark = mark;
	s->gen = ctl->all ? ctl->all : s->gen;
	s->family = sk->__sk_common.skc_family;
	s->owner.netns = sock_netns(sk);
	r->h.type = WR_REC_SOCK;
	r->h.len = sizeof(*r);
	r->h.ts = bpf_ktime_get_boot_ns();
	r->cookie = bpf_get_socket_cookie(sk);
	__builtin_memcpy(&r->s, s, sizeof(*s));
	r->event = WR_EV_UPDATE;
	r->old_state = state;
	r->err = sk->sk_err;
	sock_read(r, sk, tp, s, state);
	r->stalled = state == TCP_LISTEN ? 0 : sock_stalled(s, tp, state, r->rcvq, r->sndq);
	return 0;
}
