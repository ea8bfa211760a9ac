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

/* With the sources of this period. CPUs may race where one begins: a few sources are not counted. */
static __always_inline struct wr_syns *syns_of(__u32 netns, __u16 port, __u64 now, int make)
{
	struct wr_syn_key k = {.netns = netns, .port = port};
	struct wr_syns *v = bpf_map_lookup_elem(&wr_syns, &k);
	__u64 period = now >> WR_SYN_PERIOD;

	if (!v && make) {
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

#endif
