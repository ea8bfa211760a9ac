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

#endif
