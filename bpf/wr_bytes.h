/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers in network byte order, read where they stand in a packet. */
#ifndef WR_BYTES_H
#define WR_BYTES_H

#include "wr_kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

static __always_inline __u16 be16_at(const __u8 *h)
{
	return (__u16)h[0] << 8 | h[1];
}

static __always_inline __u64 be64_at(const __u8 *h)
{
	return (__u64)bpf_ntohl(*(const __u32 *)h) << 32 | bpf_ntohl(*(const __u32 *)(h + 4));
}

#endif
