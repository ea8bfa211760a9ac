/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel decides of a filter before it copies a packet: ends, protocol, owner. */
#ifndef WR_FILTER_H
#define WR_FILTER_H

#include "wr_sock.h"

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

static __always_inline int filter_owner(const struct wr_kfilter *f, const struct wr_owner *o)
{
	return (!f->tgid || (o && o->tgid == f->tgid)) &&
	       (!f->cgroup || (o && o->cgroup == f->cgroup)) &&
	       (!f->comm[0] || (o && comm_equal(o->comm, f->comm)));
}

static __always_inline int filter_ends(const struct wr_kfilter *f, __u8 proto, const __u8 *a,
	__u16 a_port, const __u8 *b, __u16 b_port)
{
	return (!f->proto || f->proto == proto) &&
	       (!f->port_hi || (a_port >= f->port_lo && a_port <= f->port_hi) ||
		       (b_port >= f->port_lo && b_port <= f->port_hi)) &&
	       (!f->addr_on || masked_equal(a, f) || masked_equal(b, f));
}

#endif
