// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ACK that brings a SYN cookie back (cookie_abi.h) becomes a connection of the socket that listens: at tc
 * ingress, behind the guard that answered the SYN. The kernel takes what it is told about the handshake (Linux
 * 6.8, commit e472f88891ab). What brings no cookie is none of this program's business; while none were made it
 * costs two loads.
 */
#include "../../bpf/wr_kernel.h"
#include "../../bpf/wr_bytes.h"
#include "cookie_abi.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

enum { TCX_NEXT = -1 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_cookie_ctl);
} wr_cookie SEC(".maps"); /* the guard's */

struct sock;
/* include/net/tcp.h: the layout is the argument's of the function below */
struct bpf_tcp_req_attrs {
	__u32 rcv_tsval, rcv_tsecr;
	__u16 mss;
	__u8 rcv_wscale, snd_wscale, ecn_ok, wscale_ok, sack_ok, tstamp_ok, usec_ts_ok, reserved[3];
};
int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk,
	struct bpf_tcp_req_attrs *attrs, int attrs__sz) __attribute__((section(".ksyms")));

/* The listening socket takes the connection. */
static __always_inline void accept(struct __sk_buff *skb, struct wr_cookie_ctl *c,
	struct bpf_sock_tuple *t, __u32 size, const struct wr_cookie_opts *q, __u32 mss)
{
	struct bpf_sock *skc = bpf_skc_lookup_tcp(skb, t, size, -1, 0);
	struct bpf_tcp_req_attrs a = {.mss = mss};
	void *sk;

	if (!skc)
		return;
	sk = skc->state == TCP_LISTEN ? bpf_skc_to_tcp_sock(skc) : 0;
	if (sk) {
		if (q->stamp) {
			__u32 bits = q->tsecr & 63;

			a.tstamp_ok = 1;
			a.rcv_tsval = q->tsval;
			a.rcv_tsecr = q->tsecr;
			a.sack_ok = bits >> 4 & 1;
			a.wscale_ok = (bits & 15) < 15;
			a.snd_wscale = a.wscale_ok ? bits & 15 : 0;
			a.rcv_wscale = a.wscale_ok ? WR_COOKIE_WSCALE : 0;
		}
		if (!bpf_sk_assign_tcp_reqsk(skb, sk, &a, sizeof(a)))
			__sync_fetch_and_add(&c->made, 1);
	}
	bpf_sk_release(skc);
}

SEC("tc")
int cookie_tc(struct __sk_buff *skb)
{
	struct wr_cookie_of of = {};
	struct wr_cookie_opts q;
	struct bpf_sock_tuple t = {};
	struct wr_cookie_ctl *c;
	__u32 zero = 0, mss, n, len;
	__u64 now;
	__u8 h[40], tcp[20];
	struct wr_cookie_bytes opt = {};

	c = bpf_map_lookup_elem(&wr_cookie, &zero);
	if (!c || !c->last)
		return TCX_NEXT;
	now = bpf_ktime_get_coarse_ns() >> 36;
	if (now - c->last > WR_COOKIE_AGE)
		return TCX_NEXT;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		/* what was answered had no options, and so has what answers */
		if (bpf_skb_load_bytes_relative(skb, 0, h, 20, BPF_HDR_START_NET) || h[0] != 0x45 ||
			h[9] != IPPROTO_TCP || (h[6] & 0x3f) || h[7])
			return TCX_NEXT;
		n = 20;
		of.a[1] = bpf_ntohl(*(__u32 *)(h + 12));
		of.a[3] = bpf_ntohl(*(__u32 *)(h + 16));
		__builtin_memcpy(&t.ipv4.saddr, h + 12, 8);
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (bpf_skb_load_bytes_relative(skb, 0, h, 40, BPF_HDR_START_NET) ||
			h[6] != IPPROTO_TCP)
			return TCX_NEXT;
		n = 40;
		of.v6 = 1;
		of.a[0] = be64_at(h + 8);
		of.a[1] = be64_at(h + 16);
		of.a[2] = be64_at(h + 24);
		of.a[3] = be64_at(h + 32);
		__builtin_memcpy(t.ipv6.saddr, h + 8, 32);
	} else {
		return TCX_NEXT;
	}
	if (bpf_skb_load_bytes_relative(skb, n, tcp, 20, BPF_HDR_START_NET) ||
		(tcp[13] & 0x17) != 0x10) /* ACK, no FIN, SYN, RST */
		return TCX_NEXT;
	of.sport = be16_at(tcp);
	of.dport = be16_at(tcp + 2);
	of.seq = bpf_ntohl(*(__u32 *)(tcp + 4)) - 1;
	mss = wr_cookie_check(c, &of, now, bpf_ntohl(*(__u32 *)(tcp + 8)) - 1);
	if (!mss)
		return TCX_NEXT;
	__builtin_memcpy(of.v6 ? (void *)&t.ipv6.sport : (void *)&t.ipv4.sport, tcp, 4);
	len = ((tcp[12] >> 4) - 5) * 4;
	if (tcp[12] >> 4 < 5 || (len && bpf_skb_load_bytes_relative(skb, n + 20, opt.b,
						((len - 1) & 63) + 1, BPF_HDR_START_NET)))
		return TCX_NEXT;
	wr_cookie_read(&opt, len, &q);
	accept(skb, c, &t, of.v6 ? sizeof(t.ipv6) : sizeof(t.ipv4), &q, mss);
	return TCX_NEXT;
}
