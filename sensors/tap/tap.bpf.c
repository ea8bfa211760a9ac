// SPDX-License-Identifier: GPL-2.0-only
/*
 * The socket tap: one program per packet and direction at the root of cgroup v2, for every socket of
 * every container. TCP payload is counted by the kernel in the socket itself (sensor tcp), so TCP
 * costs a look at the window here; UDP is counted in a map of flows; packets are copied only while
 * somebody captures.
 */
#include "../../bpf/wr_flow.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} wr_data SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_kfilter);
} tap_filter SEC(".maps");

static __always_inline int masked_equal(const __u8 *a, const struct wr_kfilter *f)
{
	const __u64 *x = (const void *)a, *m = (const void *)f->mask, *w = (const void *)f->addr;

	return (x[0] & m[0]) == w[0] && (x[1] & m[1]) == w[1];
}

static __always_inline int comm_equal(const char *comm, const __u8 *want)
{
	const __u64 *a = (const void *)comm, *b = (const void *)want;

	return a[0] == b[0] && a[1] == b[1];
}

/* 6.1 does not see that len is not zero (it became sharper in 6.6): hence the mask, hidden from the compiler. */
#define COPY_CLASS(n)                                                                              \
	if (len <= (n)) {                                                                          \
		__u32 less_one = len - 1;                                                          \
                                                                                                   \
		r = bpf_ringbuf_reserve(&wr_data, sizeof(*r) + (n), 0);                            \
		if (!r)                                                                            \
			goto lost;                                                                 \
		asm volatile("" : "+r"(less_one));                                                 \
		if (bpf_skb_load_bytes(skb, 0, r + 1, (less_one & ((n)-1)) + 1)) {                 \
			bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);                                  \
			goto bad;                                                                  \
		}                                                                                  \
		goto filled;                                                                       \
	}

static __always_inline void copy_packet(struct __sk_buff *skb, const struct wr_kfilter *f,
	const struct wr_owner *o, const struct ends *e, __u64 cookie, int out)
{
	struct wr_rec_packet *r;
	__u32 len = skb->len;

	if ((f->proto && f->proto != e->proto) || (f->tgid && (!o || o->tgid != f->tgid)) ||
		(f->cgroup && (!o || o->cgroup != f->cgroup)) ||
		(f->comm[0] && (!o || !comm_equal(o->comm, f->comm))) ||
		(f->port_hi && !(e->lport >= f->port_lo && e->lport <= f->port_hi) &&
			!(e->rport >= f->port_lo && e->rport <= f->port_hi)) ||
		(f->addr_on && !masked_equal(e->laddr, f) && !masked_equal(e->raddr, f))) {
		count(WR_KC_FILTERED, 1);
		return;
	}
	count(WR_KC_DATA_IN, 1);
	if (len > f->snap)
		len = f->snap;
	if (len < 1)
		goto bad;
	COPY_CLASS(128)
	COPY_CLASS(512)
	COPY_CLASS(2048)
	COPY_CLASS(16384)
	if (len > 65536)
		len = 65536;
	COPY_CLASS(65536)
bad:
	count(WR_KC_BAD_PACKET, 1);
	return;
lost:
	count(WR_KC_DATA_LOST, 1);
	return;
filled:
	r->h.type = WR_REC_PACKET;
	r->h.len = sizeof(*r) + len;
	r->h.ts = bpf_ktime_get_boot_ns();
	r->cookie = cookie;
	if (o)
		r->owner = *o;
	else
		__builtin_memset(&r->owner, 0, sizeof(r->owner));
	r->ifindex = skb->ifindex;
	r->wire_len = skb->len;
	r->cap = len;
	r->gso_segs = skb->gso_segs;
	r->dir = out;
	r->l2 = 0;
	bpf_ringbuf_submit(r, ring_flags(&wr_data));
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
static __always_inline const __u8 *tcp_header(struct __sk_buff *skb)
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
	p += off;
	asm volatile(""
		     : "+r"(p)); /* the verifier wants to see the very pointer that was compared */
	return p + 20 > end ? 0 : p;
}

/* Does the window matter? SYN and RST say nothing by it; an open one only if an interval waits for its end. */
static __always_inline int window_matters(const __u8 *tcp, const __u32 *closed)
{
	return !(tcp[13] & 6) && (!(tcp[14] | tcp[15]) || *closed);
}

static __always_inline int tap(struct __sk_buff *skb, int out)
{
	const __u8 *tcp = tcp_header(skb);
	__u32 zero = 0, *closed = bpf_map_lookup_elem(&tap_closed, &zero);
	struct wr_kfilter *f = bpf_map_lookup_elem(&tap_filter, &zero);
	struct wr_sock *s;
	struct bpf_sock *sk;
	struct ends e;
	__u64 cookie;
	int window;

	if (!f || !closed)
		return 1;
	window = tcp && window_matters(tcp, closed);
	if (tcp && !window && !f->on)
		return 1; /* nearly every TCP packet ends here */
	sk = skb->sk;
	if (!sk) {
		count(WR_KC_NO_OWNER, 1);
		return 1;
	}
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 1;
	/* a raw socket gets a copy of others' packets under its own cookie */
	if (sk->type != SOCK_STREAM && sk->type != SOCK_DGRAM)
		return 1;
	if (window)
		tcp_window(sk, tcp, out, closed);
	if (sk->protocol == IPPROTO_TCP && !f->on)
		return 1;
	if (ends_read(skb, out, &e)) {
		count(WR_KC_BAD_PACKET, 1);
		return 1;
	}
	cookie = bpf_get_socket_cookie(skb);
	s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);
	if (e.proto != IPPROTO_TCP)
		flow_count(skb, s ? &s->owner : 0, &e, cookie, 0, out);
	if (f->on)
		copy_packet(skb, f, s ? &s->owner : 0, &e, cookie, out);
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
