// SPDX-License-Identifier: GPL-2.0-only
/* System calls that fail in one control group: what an application was told, where no packet tells it. */
#include "../../bpf/wr_sock.h"

#if defined(__TARGET_ARCH_x86) /* arch/x86/entry/syscalls/syscall_64.tbl */
struct pt_regs {
	unsigned long si, r8, orig_ax;
} __ksym_type;
enum {
	NR_SOCKET = 41,
	NR_CONNECT = 42,
	NR_SENDTO = 44,
	NR_SENDMSG = 46,
	NR_BIND = 49,
	NR_LISTEN = 50
};
#define NR(r) ((r)->orig_ax)
#define ARG2(r) ((r)->si)
#define ARG5(r) ((r)->r8)
#else /* include/uapi/asm-generic/unistd.h */
struct pt_regs {
	__u64 regs[31];
	__s32 syscallno;
} __ksym_type;
enum {
	NR_SOCKET = 198,
	NR_BIND = 200,
	NR_LISTEN = 201,
	NR_CONNECT = 203,
	NR_SENDTO = 206,
	NR_SENDMSG = 211
};
#define NR(r) ((r)->syscallno)
#define ARG2(r) ((r)->regs[1])
#define ARG5(r) ((r)->regs[4])
#endif

enum { EINTR = 4, EAGAIN = 11, EINPROGRESS = 115 };

/* the control group; 0: nobody */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} call_group SEC(".maps");

static __always_inline void address(struct wr_rec_call *r, const void *at)
{
	struct {
		__u16 family;
		__be16 port;
		__be32 v4;
		__u8 v6[16];
	} a = {};

	if (bpf_probe_read_user(&a, 8, at))
		return;
	if (a.family == AF_INET) {
		v4_mapped(r->addr, a.v4);
	} else if (a.family == AF_INET6) {
		bpf_probe_read_user(r->addr, 16, at + 8);
	} else {
		return;
	}
	r->port = bpf_ntohs(a.port);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(call_exit, struct pt_regs *regs, long ret)
{
	struct wr_rec_call *r;
	__u32 zero = 0;
	__u64 *group;
	__u8 call;

	if (ret >= 0 || ret == -EINTR || ret == -EAGAIN || ret == -EINPROGRESS || ret < -4095)
		return 0;
	switch (NR(regs)) {
	case NR_SOCKET:
		call = WR_CALL_SOCKET;
		break;
	case NR_CONNECT:
		call = WR_CALL_CONNECT;
		break;
	case NR_BIND:
		call = WR_CALL_BIND;
		break;
	case NR_LISTEN:
		call = WR_CALL_LISTEN;
		break;
	case NR_SENDTO:
		call = WR_CALL_SENDTO;
		break;
	case NR_SENDMSG:
		call = WR_CALL_SENDMSG;
		break;
	default:
		return 0;
	}
	group = bpf_map_lookup_elem(&call_group, &zero);
	if (!group || !*group || *group != bpf_get_current_cgroup_id())
		return 0;
	r = state_reserve(WR_REC_CALL, sizeof(*r));
	if (!r)
		return 0;
	owner_current(&r->owner);
	__builtin_memset(r->addr, 0, sizeof(r->addr));
	r->port = 0;
	r->pad = 0;
	r->call = call;
	r->err = -ret;
	if (call == WR_CALL_CONNECT || call == WR_CALL_BIND)
		address(r, (const void *)ARG2(regs));
	else if (call == WR_CALL_SENDTO)
		address(r, (const void *)ARG5(regs));
	state_submit(r);
	return 0;
}
