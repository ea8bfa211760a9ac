// SPDX-License-Identifier: GPL-2.0-only
/*
 * A block in the kernel: processes by number, by name, or by control group get no socket of IPv4 or IPv6, and those
 * that they have neither connect nor bind nor send to an address. Refused with EPERM, counted; nothing is said to
 * the network. An entry ends by itself.
 */
#include "../../bpf/wr_kernel.h"
#include "cut_abi.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct name {
	char s[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WR_CUTK_PIDS);
	__type(key, __u32);
	__type(value, struct wr_cut_entry);
} wr_cut_pids SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WR_CUTK_NAMES);
	__type(key, struct name);
	__type(value, struct wr_cut_entry);
} wr_cut_names SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WR_CUTK_GROUPS);
	__type(key, __u64);
	__type(value, struct wr_cut_entry);
} wr_cut_groups SEC(".maps");
/* Processes that no rule is about: who asked for it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WR_CUTK_SPARED);
	__type(key, __u32);
	__type(value, struct wr_cut_entry);
} wr_cut_spared SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WR_CUTK_RULES);
	__type(key, __u32);
	__type(value, struct wr_cut_hits);
} wr_cut_counts SEC(".maps");

static __always_inline int verdict(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u64 now = bpf_ktime_get_boot_ns(), id;
	struct wr_cut_entry *e;
	struct wr_cut_hits *c;
	struct name comm = {};

	if (bpf_map_lookup_elem(&wr_cut_spared, &tgid))
		return 1;
	e = bpf_map_lookup_elem(&wr_cut_pids, &tgid);
	if (!e) {
		bpf_get_current_comm(&comm, sizeof(comm));
		e = bpf_map_lookup_elem(&wr_cut_names, &comm);
	}
	if (!e) {
		id = bpf_get_current_cgroup_id();
		e = bpf_map_lookup_elem(&wr_cut_groups, &id);
	}
#pragma unroll
	for (int i = 1; i < WR_CUTK_DEPTH; i++) {
		if (e)
			break;
		id = bpf_get_current_ancestor_cgroup_id(i);
		if (!id)
			break;
		e = bpf_map_lookup_elem(&wr_cut_groups, &id);
	}
	if (!e || (e->until && now >= e->until))
		return 1;
	c = bpf_map_lookup_elem(&wr_cut_counts, &e->rule);
	if (c) {
		__sync_fetch_and_add(&c->hits, 1);
		c->last = now;
	}
	return 0;
}

#define HOOK(name, section)                                                                        \
	SEC(section)                                                                               \
	int name(void *ctx)                                                                        \
	{                                                                                          \
		return verdict();                                                                  \
	}
HOOK(cut_socket, "cgroup/sock_create")
HOOK(cut_connect4, "cgroup/connect4")
HOOK(cut_connect6, "cgroup/connect6")
HOOK(cut_bind4, "cgroup/bind4")
HOOK(cut_bind6, "cgroup/bind6")
HOOK(cut_send4, "cgroup/sendmsg4")
HOOK(cut_send6, "cgroup/sendmsg6")
