/* SPDX-License-Identifier: GPL-2.0-only */
/* The DATA ring, which may lose, and how much of a connection's payload user space wants in it. */
#ifndef WR_DATA_H
#define WR_DATA_H

#include "wr_sock.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} wr_data SEC(".maps");

/* How much of a turn user space wants of a socket, where it knows better: the protocol was found. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32);
} wr_limit SEC(".maps");

#define WHOLE 0x40000000u /* heads are anywhere in the stream: all of it is copied */
#define HEADS 0x20000000u /* a head and a body: what is long is the body */
#define TLS 0x08000000u /* that is what this direction speaks */
#define LONG 1024 /* a turn that begins with less is short, or not worth a look */

/*
 * What a turn begins with: HTTP/2's preface or first SETTINGS (RFC 9113 3.4), whose streams mix heads and
 * bodies; HTTP/1 and handshakes of TLS (RFC 8446 5.1), where the rest of a long turn is a body or cannot be read;
 * else maybe a row of small messages.
 */
static __always_inline __u32 first_bytes(__u32 b)
{
	if (b == 0x50524920 || ((b & 0xffff00ff) == 4 && (b >> 8) % 6 == 0)) /* "PRI "; length, type 4 */
		return WHOLE;
	if (b == 0x48545450 || b == 0x504f5354 || b == 0x50555420) /* "HTTP", "POST", "PUT " */
		return HEADS;
	if ((b >> 8 & 0xffff) - 0x301 > 2 || (b >> 24) - 0x14 > 3)
		return 0;
	return b >> 24 == 0x17 ? TLS : TLS | HEADS;
}

/*
 * A packet of @len bytes, at most @n, into a record @r of the ring; @load(to, n) brings its bytes. Goes to lost (no
 * room), bad (not readable) or filled; when @len is more, on. 6.1 does not see that len is not zero (it became
 * sharper in 6.6): hence the mask, hidden from the compiler.
 */
#define COPY_CLASS(r, len, n, load)                                                                \
	if ((len) <= (n)) {                                                                        \
		__u32 less_one = (len)-1;                                                          \
                                                                                                   \
		r = bpf_ringbuf_reserve(&wr_data, sizeof(*r) + (n), 0);                            \
		if (!r)                                                                            \
			goto lost;                                                                 \
		asm volatile("" : "+r"(less_one));                                                 \
		if (load(r + 1, (less_one & ((n)-1)) + 1)) {                                       \
			bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);                                  \
			goto bad;                                                                  \
		}                                                                                  \
		goto filled;                                                                       \
	}

static __always_inline void packet_filled(struct wr_rec_packet *r, __u32 len, __u32 wire,
	__u32 ifindex, const struct wr_owner *o)
{
	r->h.type = WR_REC_PACKET;
	r->h.len = sizeof(*r) + len;
	r->h.ts = bpf_ktime_get_boot_ns();
	if (o)
		r->owner = *o;
	else
		__builtin_memset(&r->owner, 0, sizeof(r->owner));
	r->ifindex = ifindex;
	r->wire_len = wire;
	r->cap = len;
	r->l2 = 0;
}

#endif
