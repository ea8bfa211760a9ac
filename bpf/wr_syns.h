/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SYNs that came to listeners and connections that they became, by port: of a flood that the kernel's SYN
 * cookies absorb nothing else is left.
 */
#ifndef WR_SYNS_H
#define WR_SYNS_H

#include "wr_sock.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct wr_syn_key);
	__type(value, struct wr_syns);
} wr_syns SEC(".maps");

#endif
