/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel decides of a filter before it copies a packet: ends, protocol, owner. */
#ifndef WR_FILTER_H
#define WR_FILTER_H

#include "wr_sock.h"

/* Words of 32 bits: that is how addresses lie in struct heads, and the verifier wants it aligned on the stack. */
static __always_inline int equal16(const void *a, const void *b)
{
	const __u32 *x = a, *y = b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

static __always_inline int masked_equal(const __u8 *a, const struct wr_kfilter *f)
{
	const __u32 *x = (const void *)a, *m = (const void *)f->mask, *w = (const void *)f->addr;

	return (x[0] & m[0]) == w[0] && (x[1] & m[1]) == w[1] && (x[2] & m[2]) == w[2] &&
	       (x[3] & m[3]) == w[3];
}

static __always_inline int filter_addr(
	const struct wr_kfilter *f, const __u8 *a, const __u8 *b)
{
	return !f->addr_on || masked_equal(a, f) || masked_equal(b, f);
}

static __always_inline int filter_owner(const struct wr_kfilter *f, const struct wr_owner *o)
{
	return (!f->tgid || (o && o->tgid == f->tgid)) &&
	       (!f->cgroup || (o && o->cgroup == f->cgroup)) &&
	       (!f->comm[0] || (o && equal16(o->comm, f->comm)));
}

static __always_inline int filter_port(const struct wr_kfilter *f, __u16 p)
{
	return p >= f->port_lo && p <= f->port_hi;
}

/* Of ICMP type and code may stand in the place of ports: it has none. */
static __always_inline int filter_ends(const struct wr_kfilter *f, __u8 proto, const __u8 *a,
	__u16 a_port, const __u8 *b, __u16 b_port)
{
	if (f->proto && f->proto != proto)
		return 0;
	if (f->port_hi && (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 ||
				  (!filter_port(f, a_port) && !filter_port(f, b_port))))
		return 0;
	return filter_addr(f, a, b);
}

#endif
