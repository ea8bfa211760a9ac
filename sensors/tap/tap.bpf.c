// SPDX-License-Identifier: GPL-2.0-only
/*
 * The socket tap: one program per packet and direction at the root of cgroup v2, for every socket of
 * every container. TCP payload is counted by the kernel in the socket itself (sensor tcp), so TCP
 * costs a look at the window here; UDP is counted in a map of flows; packets are copied only while
 * somebody captures.
 */
#include "../../bpf/wr_data.h"
#include "../../bpf/wr_filter.h"
#include "../../bpf/wr_flow.h"
#include "../../bpf/wr_frames.h"
#include "../../bpf/wr_syns.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_kfilter);
} tap_filter SEC(".maps");

#define LOAD(to, n) bpf_skb_load_bytes(skb, 0, to, n)

static __always_inline const struct wr_owner *owner_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct wr_sock *s;

	sk = sk ? bpf_sk_fullsock(sk) : 0;
	s = sk ? bpf_sk_storage_get(&wr_socks, sk, 0, 0) : 0;
	return s ? &s->owner : 0;
}

/* A copy of the packet for a capture. Not inlined, as those below: the verifier looks at each once. */
__noinline int tap_copy(struct __sk_buff *skb, __u32 out)
{
	__u32 len = skb->len, zero = 0;
	struct wr_kfilter *f = bpf_map_lookup_elem(&tap_filter, &zero);
	const struct wr_owner *o = owner_of(skb);
	struct wr_rec_packet *r;
	struct ends ends, *e = &ends;

	if (!f || ends_read(skb, out, e))
		return 0;
	if (!filter_owner(f, o) ||
		!filter_ends(f, e->proto, e->laddr, e->lport, e->raddr, e->rport)) {
		count(WR_KC_FILTERED, 1);
		return 0;
	}
	count(WR_KC_DATA_IN, 1);
	if (len > f->snap)
		len = f->snap;
	if (len < 1)
		goto bad;
	COPY_CLASS(r, len, 128, LOAD)
	COPY_CLASS(r, len, 512, LOAD)
	COPY_CLASS(r, len, 2048, LOAD)
	COPY_CLASS(r, len, 16384, LOAD)
	if (len > 65536)
		len = 65536;
	COPY_CLASS(r, len, 65536, LOAD)
bad:
	count(WR_KC_BAD_PACKET, 1);
	return 0;
lost:
	count(WR_KC_DATA_LOST, 1);
	return 0;
filled:
	packet_filled(r, len, skb->len, skb->ifindex, o);
	r->cookie = bpf_get_socket_cookie(skb);
	r->gso_segs = skb->gso_segs;
	r->dir = out;
	r->location = 0;
	r->reason = r->netns = 0;
	r->ifname[0] = 0;
	bpf_ringbuf_submit(r, ring_flags(&wr_data));
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_payload_ctl);
} tap_payload SEC(".maps");

#define LO 1 /* the loopback interface has this index in every namespace */
/* kinds of a turn, beside the bytes in wr_sock.turn; WHOLE, HEADS, TLS */
#define SEEN 0x80000000u /* not the first one of this direction */
#define NOBODY 0x10000000u /* no parser knows it: nothing is copied any more */
#define SEALED 0x04000000u /* TLS, encrypted: the first turn may hold the end of the handshake */
#define SHUT 0x02000000u /* ... since an earlier turn: there is nothing to read any more */
#define KINDS (SEEN | WHOLE | HEADS | TLS | SEALED | SHUT | NOBODY)
#define PIECE 65536 /* bytes of a record; a segment (GSO, GRO) may be longer */
#define LAST 8 /* of a segment: 512 KiB, the most that BIG TCP has (0fe79f28bf18) */
#define PIECES (24 + LAST) /* ... in frames */
#define WAKE_AT 65536
/*
 * Bytes that are copied while the ring fills, of a turn of HTTP/1 from a quarter on, of any segment from three:
 * heads and what is small come through.
 */
#define HEAD 1024

/* As COPY_CLASS, of the bytes at @off. */
#define PAYLOAD_CLASS(n, extra)                                                                    \
	if (cap <= (n)) {                                                                          \
		__u32 less_one = cap - 1;                                                          \
                                                                                                   \
		r = bpf_ringbuf_reserve(&wr_data, sizeof(*r) + (extra) + (n), 0);                  \
		if (!r)                                                                            \
			goto lost;                                                                 \
		asm volatile("" : "+r"(less_one));                                                 \
		if (bpf_skb_load_bytes(                                                            \
			    skb, off, (void *)(r + 1) + (extra), (less_one & ((n)-1)) + 1)) {      \
			bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);                                  \
			count(WR_KC_BAD_PACKET, 1);                                                \
			return PIECE;                                                              \
		}                                                                                  \
		goto filled;                                                                       \
	}

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct frames);
} tap_framed SEC(".maps");

static __always_inline long skb_load(void *skb, __u32 off, void *to, __u32 n)
{
	return bpf_skb_load_bytes(skb, off, to, n);
}

/* HTTP/2 may begin here. */
__noinline int tap_begin(struct __sk_buff *skb, __u32 off, __u32 out, __u32 seq)
{
	struct bpf_sock *sk = skb->sk;
	struct frames_dir d = {};
	struct frames *f;
	__u8 b[FRAME_HEAD];

	sk = sk ? bpf_sk_fullsock(sk) : 0;
	if (!sk || bpf_skb_load_bytes(skb, off, b, FRAME_HEAD) || !frames_begin(&d, b, seq))
		return 0;
	f = bpf_sk_storage_get(&tap_framed, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (f)
		f->d[out & 1] = d;
	return 0;
}

/* The next piece of a stream whose heads are anywhere. @how: TAP_OUT, TAP_LAST. */
#define TAP_OUT 1
#define TAP_LAST 2 /* the segment has been cut into many pieces already */
__noinline __u64 tap_piece(struct __sk_buff *skb, __u32 off, __u32 seq, __u32 how, __u32 burst)
{
	__u32 left = skb->len - off, *wanted, keep = burst;
	struct bpf_sock *sk = skb->sk;
	__u64 cookie;
	struct frames *f;

	if (left > PIECE)
		left = PIECE;
	sk = sk ? bpf_sk_fullsock(sk) : 0;
	f = sk ? bpf_sk_storage_get(&tap_framed, sk, 0, 0) : 0;
	if (!f)
		return (__u64)left << 32 | left;
	if (how & TAP_LAST)
		f->d[how & TAP_OUT].on = 0;
	cookie = bpf_get_socket_cookie(skb);
	wanted = left < LONG ? 0 : bpf_map_lookup_elem(&wr_limit, &cookie);
	if (wanted && *wanted == WR_PAYLOAD_FRAMES)
		keep = burst / 4;
	if (left < LONG || (wanted && *wanted == WR_PAYLOAD_ALL))
		keep = ~0u;
	return frames_piece(&f->d[how & TAP_OUT], seq, left, keep, skb, off, skb_load);
}

/*
 * Payload from @off on. Each byte once, and small: where both ends are on this host by loopback, only where
 * it is sent, in the context of who sends. A turn is what a direction says until the other one speaks, that
 * is: until it acknowledges something new. What goes on and on is a body: beyond the burst only its length is
 * told. How many bytes were looked at; @how: TAP_OUT, TAP_LAST.
 */
__noinline int tap_tcp(struct __sk_buff *skb, __u32 off, __u32 how, __u32 seq, __u32 ack)
{
	__u32 len, cap, used, limit, kind, first, wake = 0, zero = 0, out = how & TAP_OUT;
	const struct wr_payload_ctl *c = bpf_map_lookup_elem(&tap_payload, &zero);
	struct bpf_sock *sk = skb->sk;
	struct wr_rec_payload *r;
	struct wr_sock *s;
	__be32 begin;

	sk = sk ? bpf_sk_fullsock(sk) : 0;
	if (!sk || !c || skb->len <= off)
		return PIECE;
	len = skb->len - off;
	if (len > PIECE)
		len = PIECE;
	s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);
	if (!s || s->role == WR_ROLE_LISTENER)
		return PIECE;
	used = s->turn[out];
	kind = used & KINDS;
	if (kind & NOBODY)
		return PIECE;
	used &= ~KINDS;
	if (ack != s->turn_ack[out]) {
		s->turn_ack[out] = ack;
		used = 0;
	}
	if (!used && !(kind & WHOLE)) {
		first = !(kind & SEEN);
		kind = SEEN | (kind & TLS) | (kind & (SEALED | SHUT) ? SHUT : 0);
		if (!(kind & SHUT) && (first || len >= LONG || kind & TLS) &&
			!bpf_skb_load_bytes(skb, off, &begin, 4))
			kind |= first_bytes(bpf_ntohl(begin)) & (first || kind & TLS ? ~0u : ~TLS);
		if (kind & TLS && !(kind & (HEADS | SHUT)))
			kind |= SEALED;
		if (kind & WHOLE)
			tap_begin(skb, off, out, seq);
	}
	limit = kind & SHUT ? 0 : kind & SEALED ? c->burst / 4 : c->burst;
	if (used + len > limit && !(kind & (WHOLE | HEADS | SEALED | SHUT))) {
		__u64 cookie = bpf_get_socket_cookie(skb);
		__u64 port = s->role == WR_ROLE_CLIENT ? bpf_ntohs(sk->dst_port) : sk->src_port;
		__u32 *v = bpf_map_lookup_elem(&wr_limit, &cookie), *w = 0;

		if (!v) { /* not this one yet, but its like */
			port |= WR_LIMIT_PORT;
			w = bpf_map_lookup_elem(&wr_limit, &port);
		}
		limit = v ? *v : w && *w >= WR_PAYLOAD_FRAMES ? *w : c->unknown;
		if (limit >= WR_PAYLOAD_FRAMES)
			kind |= WHOLE;
		if (!limit) {
			s->turn[out] = NOBODY;
			return PIECE;
		}
		/* a long turn of nobody knows what: user space shall look now, once */
		wake = !v && used < WAKE_AT && used + len >= WAKE_AT;
	}
	cap = kind & WHOLE ? len : used < limit ? limit - used : 0;
	if (kind & WHOLE) {
		__u64 piece = tap_piece(skb, off, seq, how, c->burst);

		cap = piece >> 32;
		if ((__u32)piece < len)
			len = (__u32)piece;
	}
	if (cap > len)
		cap = len;
	if (cap > HEAD) {
		__u64 fill = bpf_ringbuf_query(&wr_data, BPF_RB_AVAIL_DATA);

		if (fill > c->wake && (kind & HEADS || fill > c->wake * 3))
			cap = kind & HEADS && used >= HEAD ? 0 : HEAD;
	}
	s->turn[out] = kind | (used + (kind & WHOLE ? 0 : cap));
	count(WR_KC_DATA_IN, 1);
	if (!cap) {
		r = bpf_ringbuf_reserve(&wr_data, sizeof(*r), 0);
		if (!r)
			goto lost;
		goto filled;
	}
	PAYLOAD_CLASS(64, 0)
	PAYLOAD_CLASS(256, 0)
	PAYLOAD_CLASS(1024, 0)
	PAYLOAD_CLASS(2048, 0)
	PAYLOAD_CLASS(4096, 0)
	PAYLOAD_CLASS(8192, 0)
	PAYLOAD_CLASS(16384, 0)
	PAYLOAD_CLASS(32768, 0)
	PAYLOAD_CLASS(65536, 0)
	return (int)len;
lost:
	count(WR_KC_DATA_LOST, 1);
	return (int)len;
filled:
	if (len != cap)
		count(WR_KC_PAYLOAD_CUT, len - cap);
	r->h.type = WR_REC_PAYLOAD;
	r->h.len = sizeof(*r) + cap;
	r->h.ts = bpf_ktime_get_boot_ns();
	r->cookie = bpf_get_socket_cookie(skb);
	r->seq = seq;
	r->ack = ack;
	r->len = len;
	r->cap = cap;
	r->dir = out;
	r->proto = IPPROTO_TCP;
	r->zero_window = (s->zw_in_ns + s->zw_out_ns) >> 20;
	r->read_ago = out && s->t_read ? (__u32)(r->h.ts >> 10) - s->t_read + 1 : 0;
	if (!wake && !(seq & 0x700)) /* now and then: asking costs as much as a map */
		wake = bpf_ringbuf_query(&wr_data, BPF_RB_AVAIL_DATA) > c->wake;
	bpf_ringbuf_submit(r, wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
	return (int)len;
}

/* Without branches: the verifier would follow each way. */
static __always_inline int wanted_port(const struct wr_payload_ctl *c, __u16 port)
{
	__u32 hit = 0;

#pragma unroll
	for (int i = 0; i < 8; i++)
		hit |= ((__u32)(c->udp_port[i] ^ port) - 1) >> 31;
	return hit;
}

/*
 * The first packets of flows to any port, at most so many a second: a flood of new flows is not worth more. Not
 * exact: two CPUs are not asked to agree.
 */
#define FIRST_RATE 1000
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} tap_first SEC(".maps");

static __always_inline int first_budget(void)
{
	__u32 zero = 0;
	__u64 *v = bpf_map_lookup_elem(&tap_first, &zero), second = bpf_ktime_get_boot_ns() >> 30;

	if (!v)
		return 0;
	if (*v >> 16 != second)
		*v = second << 16;
	return (++*v & 0xffff) <= FIRST_RATE;
}

/* Is this datagram of a flow without a well-known port wanted? User space is asked now and then, and remembered. */
static __always_inline int wanted_flow(
	const struct wr_payload_ctl *c, struct wr_sock *s, __u64 cookie, __u64 seen)
{
	__u32 *v;

	if (!seen || !c->udp_first)
		return 0;
	if (seen <= c->udp_first)
		return first_budget();
	if (!s)
		return 0;
	if ((seen <= 256 || !(seen & 63)) && !(s->turn[0] & WHOLE) && seen <= 4096) {
		v = bpf_map_lookup_elem(&wr_limit, &cookie);
		if (v && *v == WR_PAYLOAD_ALL)
			s->turn[0] |= WHOLE;
	}
	return !!(s->turn[0] & WHOLE);
}

/* @how: bit 0: is it sent; bit 1: user space shall look now, the flow goes on. */
__noinline int tap_udp(struct __sk_buff *skb, __u32 how)
{
	__u32 off, len, cap, zero = 0, out = how & 1;
	const struct wr_payload_ctl *c = bpf_map_lookup_elem(&tap_payload, &zero);
	const struct wr_owner *o = owner_of(skb);
	struct wr_rec_payload *r;
	struct wr_payload_udp *u;
	struct ends ends, *e = &ends;

	if (!c || ends_read(skb, out, e))
		return 0;
	off = e->off + e->head;
	if (skb->len <= off)
		return 0;
	len = skb->len - off;
	cap = len < c->udp ? len : c->udp;
	if (!cap)
		return 0;
	count(WR_KC_DATA_IN, 1);
	PAYLOAD_CLASS(128, sizeof(*u))
	PAYLOAD_CLASS(512, sizeof(*u))
	PAYLOAD_CLASS(2048, sizeof(*u))
	PAYLOAD_CLASS(8192, sizeof(*u))
	return 0;
lost:
	count(WR_KC_DATA_LOST, 1);
	return 0;
filled:
	u = (void *)(r + 1);
	count(WR_KC_PAYLOAD_CUT, len - cap);
	r->h.type = WR_REC_PAYLOAD;
	r->h.len = sizeof(*r) + sizeof(*u) + cap;
	r->h.ts = bpf_ktime_get_boot_ns();
	r->cookie = bpf_get_socket_cookie(skb);
	r->seq = r->ack = 0;
	r->len = len;
	r->cap = cap;
	r->dir = out;
	r->proto = IPPROTO_UDP;
	r->zero_window = 0;
	r->read_ago = 0;
	if (o)
		u->owner = *o;
	else
		__builtin_memset(&u->owner, 0, sizeof(u->owner));
	__builtin_memcpy(u->laddr, e->laddr, 16);
	__builtin_memcpy(u->raddr, e->raddr, 16);
	u->lport = e->lport;
	u->rport = e->rport;
	u->pad = 0;
	bpf_ringbuf_submit(r, how & 2 ? BPF_RB_FORCE_WAKEUP : ring_flags(&wr_data));
	return 0;
}

/* Sockets whose window is closed, about: while it is zero there is no interval to end. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tap_closed SEC(".maps");

/*
 * Times during which a window was closed, read from the header that says so. Writes by two CPUs may race: the
 * worst is one lost interval.
 */
static __always_inline void tcp_window(struct bpf_sock *sk, const __u8 *tcp, int out, __u32 *closed)
{
	int open = tcp[14] | tcp[15];
	struct wr_sock *s;
	__u64 now;

	s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);
	if (!s || s->role == WR_ROLE_LISTENER || s->state != TCP_ESTABLISHED)
		return;
	now = bpf_ktime_get_boot_ns();
	if (out) {
		if (!open && !s->zw_out_since) {
			s->zw_out_since = now;
			s->zw_out_n++;
			__sync_fetch_and_add(closed, 1);
		} else if (open && s->zw_out_since) {
			s->zw_out_ns += now - s->zw_out_since;
			s->zw_out_since = 0;
			__sync_fetch_and_add(closed, -1);
		}
	} else {
		if (!open && !s->zw_in_since) {
			s->zw_in_since = now;
			s->zw_in_n++;
			__sync_fetch_and_add(closed, 1);
		} else if (open && s->zw_in_since) {
			s->zw_in_ns += now - s->zw_in_since;
			s->zw_in_since = 0;
			__sync_fetch_and_add(closed, -1);
		}
	}
}

/* The TCP header, if this is TCP and all of it is in the linear part (TCP sees to that before it filters). */
static __always_inline const __u8 *tcp_header(struct __sk_buff *skb, __u32 *ret_off)
{
	const __u8 *p = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 off;

	if (p + 40 > end)
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (p[9] != IPPROTO_TCP)
			return 0;
		off = (p[0] & 15) * 4;
	} else {
		if (p[6] != IPPROTO_TCP)
			return 0; /* behind extension headers: no window is missed, the next packet has none */
		off = 40;
	}
	*ret_off = off;
	p += off;
	asm volatile(""
		     : "+r"(p)); /* the verifier wants to see the very pointer that was compared */
	return p + 20 > end ? 0 : p;
}

static __always_inline void window_seen(struct __sk_buff *skb, const __u8 *tcp, int out, __u32 *closed)
{
	struct bpf_sock *sk = skb->sk;

	sk = sk ? bpf_sk_fullsock(sk) : 0;
	if (sk)
		tcp_window(sk, tcp, out, closed);
}

/* Does the window matter? SYN and RST say nothing by it; an open one only if an interval waits for its end. */
static __always_inline int window_matters(const __u8 *tcp, const __u32 *closed)
{
	return !(tcp[13] & 6) && (!(tcp[14] | tcp[15]) || *closed);
}

/* With the sources of this period. CPUs may race where one begins: a few sources are not counted. */
static __always_inline struct wr_syns *syns_of(__u32 netns, __u16 port)
{
	struct wr_syn_key k = {.netns = netns, .port = port};
	struct wr_syns *v = bpf_map_lookup_elem(&wr_syns, &k);
	__u64 period = bpf_ktime_get_boot_ns() >> WR_SYN_PERIOD;

	if (!v) {
		static const struct wr_syns none;

		bpf_map_update_elem(&wr_syns, &k, &none, BPF_NOEXIST);
		v = bpf_map_lookup_elem(&wr_syns, &k);
	}
	if (v && v->period != period) {
		v->period = period;
		__builtin_memset(v->sources, 0, sizeof(v->sources));
	}
	return v;
}

/* A SYN to a listener. Not inlined: a packet in a thousand. */
__noinline int tap_syn(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct ends e;
	struct wr_sock *s;
	struct wr_syns *v;
	__u64 h;

	sk = sk ? bpf_sk_fullsock(sk) : 0;
	if (!sk || sk->state != TCP_LISTEN)
		return 0;
	s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);
	if (!s || ends_read(skb, 0, &e))
		return 0;
	v = syns_of(s->owner.netns, sk->src_port);
	if (!v)
		return 0;
	__sync_fetch_and_add(&v->syns, 1);
	h = *(__u64 *)e.raddr ^ (*(__u64 *)(e.raddr + 8) * 0x9e3779b97f4a7c15ull);
	h = (h ^ h >> 32) * 0xff51afd7ed558ccdull >> 54;
	v->sources[h >> 6 & 15] |= 1ull << (h & 63);
	__builtin_memcpy(v->from, e.raddr, 16);
	__builtin_memcpy(v->to, e.laddr, 16);
	return 0;
}

/* A packet that is not of TCP, or is captured: counted in its flow. */
enum { NOT_OURS, OURS, OURS_WANTED, OURS_GOES_ON };
__noinline int tap_packet(struct __sk_buff *skb, __u32 out)
{
	__u32 zero = 0;
	const struct wr_payload_ctl *c = bpf_map_lookup_elem(&tap_payload, &zero);
	struct bpf_sock *sk = skb->sk;
	struct wr_sock *s;
	struct ends e;
	__u64 cookie, seen;

	if (!c)
		return NOT_OURS;
	if (!sk) {
		count(WR_KC_NO_OWNER, 1);
		return NOT_OURS;
	}
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return NOT_OURS;
	/* a raw socket gets a copy of others' packets under its own cookie */
	if (sk->type != SOCK_STREAM && sk->type != SOCK_DGRAM)
		return NOT_OURS;
	if (ends_read(skb, out, &e)) {
		count(WR_KC_BAD_PACKET, 1);
		return NOT_OURS;
	}
	cookie = bpf_get_socket_cookie(skb);
	s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);
	seen = 0;
	if (e.proto != IPPROTO_TCP)
		seen = flow_count(skb, s ? &s->owner : 0, &e, cookie, 0, out);
	if (e.proto != IPPROTO_UDP || !c->udp || (out && skb->ifindex == LO))
		return OURS;
	if (wanted_port(c, e.lport) | wanted_port(c, e.rport))
		return OURS_WANTED;
	if (wanted_flow(c, s, cookie, seen))
		return seen == c->udp_first ? OURS_GOES_ON : OURS_WANTED;
	if (c->udp_first)
		count(WR_KC_UDP_UNREAD, 1);
	return OURS;
}

static __always_inline int tap(struct __sk_buff *skb, int out)
{
	__u32 zero = 0, off = 0, seq, ack;
	const __u8 *tcp = tcp_header(skb, &off);
	const struct wr_payload_ctl *c = bpf_map_lookup_elem(&tap_payload, &zero);
	__u32 *closed = bpf_map_lookup_elem(&tap_closed, &zero);
	struct wr_kfilter *f = bpf_map_lookup_elem(&tap_filter, &zero);
	int what;

	if (!f || !closed || !c)
		return 1;
	if (!tcp)
		goto more;
	if (!out && (tcp[13] & 0x12) == 2) { /* it has no window that matters, and hardly ever payload */
		tap_syn(skb);
		if (!f->on)
			return 1;
		tcp = tcp_header(skb, &off);
		if (!tcp)
			return 1;
	}
	/* before the calls below: behind them the pointer into the packet is not valid */
	seq = bpf_ntohl(*(__be32 *)(tcp + 4));
	ack = bpf_ntohl(*(__be32 *)(tcp + 8));
	off += (tcp[12] >> 4) * 4;
	if (window_matters(tcp, closed))
		window_seen(skb, tcp, out, closed);
	if (c->burst && (out || skb->ifindex != LO)) {
		for (int i = 0; i < PIECES && skb->len > off; i++) {
			__u32 n = (__u32)tap_tcp(
				skb, off, out | (i >= PIECES - LAST ? TAP_LAST : 0), seq, ack);

			off += n;
			seq += n;
		}
	}
	if (!f->on)
		return 1; /* nearly every TCP packet ends here */
more:
	what = tap_packet(skb, out);
	if (what >= OURS_WANTED)
		tap_udp(skb, out | (what == OURS_GOES_ON) << 1);
	if (what != NOT_OURS && f->on)
		tap_copy(skb, out);
	return 1;
}

SEC("cgroup_skb/ingress")
int tap_in(struct __sk_buff *skb)
{
	return tap(skb, 0);
}

SEC("cgroup_skb/egress")
int tap_out(struct __sk_buff *skb)
{
	return tap(skb, 1);
}
