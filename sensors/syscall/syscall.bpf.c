// SPDX-License-Identifier: GPL-2.0-only
/* System calls of the network by process: how many, how long, how large, what they fail with. */
#include "../../bpf/wr_hist.h"
#include "../../bpf/wr_sock.h"

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di;
} __ksym_type;
#define ARG1(r) ((r)->di)
#else
struct pt_regs {
	__u64 regs[31];
} __ksym_type;
#define ARG1(r) ((r)->regs[0])
#endif

#define S_IFMT 0170000
#define S_IFSOCK 0140000

/* The task of the call, where the thread waits for it. */
struct begun {
	__u64 at;
	__u32 call;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct begun);
} syscall_begun SEC(".maps");

/* by number: which call, and what it is (user space fills it for its architecture) */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WR_SYSCALL_NUMBERS);
	__type(key, __u32);
	__type(value, __u32);
} syscall_table SEC(".maps");

/* which half is counted in: user space turns it */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} syscall_turn SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct wr_syscall_key);
	__type(value, struct wr_syscall);
} syscall_sums SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct wr_syscall_key);
	__type(value, __u64);
} syscall_errors SEC(".maps");

/* a new entry begins as zeros: too large for the stack */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_syscall);
} syscall_zero SEC(".maps");

static __always_inline int is_socket(struct task_struct *t, __u32 fd)
{
	struct fdtable *fdt = BPF_CORE_READ(t, files, fdt);
	struct file **files, *f = 0;

	if (!fdt || fd >= BPF_CORE_READ(fdt, max_fds))
		return 0;
	files = BPF_CORE_READ(fdt, fd);
	if (bpf_probe_read_kernel(&f, sizeof(f), files + fd) || !f)
		return 0;
	return (BPF_CORE_READ(f, f_inode, i_mode) & S_IFMT) == S_IFSOCK;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(syscall_enter, struct pt_regs *regs, long id)
{
	__u32 nr = id;
	__u32 *call = bpf_map_lookup_elem(&syscall_table, &nr);
	struct task_struct *t;
	struct begun *b;

	if (!call || !*call)
		return 0;
	t = (struct task_struct *)bpf_get_current_task_btf();
	/* read() and write() of files are none of ours */
	if (*call & WR_SYSCALL_ANY_FILE && !is_socket(t, ARG1(regs)))
		return 0;
	b = bpf_task_storage_get(&syscall_begun, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!b)
		return 0;
	b->call = *call;
	b->at = bpf_ktime_get_boot_ns();
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task_btf();
	struct begun *b = bpf_task_storage_get(&syscall_begun, t, 0, 0);
	struct wr_syscall_key k = {};
	struct wr_syscall *s, *zero;
	__u32 at = 0, *turn, i;
	__u64 ns, one = 1, *n;

	if (!b || !b->at)
		return 0;
	ns = bpf_ktime_get_boot_ns() - b->at;
	k.call = b->call & WR_SYSCALL_INDEX;
	k.start_ns = BPF_CORE_READ(t, group_leader, start_boottime);
	k.tgid = t->tgid;
	turn = bpf_map_lookup_elem(&syscall_turn, &at);
	k.turn = turn ? *turn : 0;
	s = bpf_map_lookup_elem(&syscall_sums, &k);
	if (!s) {
		zero = bpf_map_lookup_elem(&syscall_zero, &at);
		if (zero)
			bpf_map_update_elem(&syscall_sums, &k, zero, BPF_NOEXIST);
		s = bpf_map_lookup_elem(&syscall_sums, &k);
		if (!s) {
			count(WR_KC_SYSCALL_LOST, 1);
			b->at = 0;
			return 0;
		}
		owner_current(&s->owner);
	}
	__sync_fetch_and_add(&s->n, 1);
	__sync_fetch_and_add(&s->ns, ns);
	if (ns > s->max)
		s->max = ns;
	i = bucket(ns);
	if (i < WR_STAGE_BUCKETS)
		__sync_fetch_and_add(&s->b[i], 1);
	if (ret >= 0 && b->call & WR_SYSCALL_BYTES)
		__sync_fetch_and_add(&s->bytes, ret);
	b->at = 0;
	if (ret >= 0 || ret < -4095)
		return 0;
	__sync_fetch_and_add(&s->errors, 1);
	k.err = -ret;
	n = bpf_map_lookup_elem(&syscall_errors, &k);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&syscall_errors, &k, &one, BPF_NOEXIST);
	return 0;
}
