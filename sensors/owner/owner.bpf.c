// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns a socket. Bound where a process itself makes, connects, accepts or reads it, never at
 * packet time; sockets older than the sensor come from an iterator over all open files.
 */
#include "../../bpf/wr_calls.h"

static __always_inline struct wr_sock *storage(void *ctx_or_sk)
{
	struct wr_sock *s =
		bpf_sk_storage_get(&wr_socks, ctx_or_sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!s)
		count(WR_KC_NO_STORAGE, 1);
	return s;
}

SEC("cgroup/sock_create")
int own_create(struct bpf_sock *ctx)
{
	struct wr_sock *s;

	if (ctx->type != SOCK_STREAM && ctx->type != SOCK_DGRAM)
		return 1;
	s = storage(ctx);
	if (s) {
		owner_current(&s->owner);
		s->t_open = bpf_ktime_get_boot_ns();
	}
	return 1;
}

static __always_inline int connecting(struct bpf_sock_addr *ctx)
{
	struct wr_sock *s;

	if (!ctx->sk)
		return 1;
	s = storage(ctx->sk);
	if (s)
		owner_current(&s->owner);
	return 1;
}

SEC("cgroup/connect4")
int own_connect4(struct bpf_sock_addr *ctx)
{
	return connecting(ctx);
}

SEC("cgroup/connect6")
int own_connect6(struct bpf_sock_addr *ctx)
{
	return connecting(ctx);
}

/*
 * accept(2) with an address asks the new socket for its peer's name (net/socket.c, do_accept()), in
 * the accepting process: the exact end of the wait in the accept queue. accept(fd, NULL, NULL) does
 * not; then the first read or write binds the owner and the wait stays unknown.
 */
static __always_inline int accepting(struct bpf_sock_addr *ctx)
{
	struct wr_sock *s;

	if (!ctx->sk || ctx->type != SOCK_STREAM)
		return 1;
	s = bpf_sk_storage_get(&wr_socks, ctx->sk, 0, 0);
	if (s && s->role == WR_ROLE_SERVER && !(s->flags & WR_F_ACCEPTED)) {
		owner_current(&s->owner);
		s->t_accept = bpf_ktime_get_boot_ns();
		s->flags |= WR_F_ACCEPTED;
	}
	return 1;
}

SEC("cgroup/getpeername4")
int own_accept4(struct bpf_sock_addr *ctx)
{
	return accepting(ctx);
}

SEC("cgroup/getpeername6")
int own_accept6(struct bpf_sock_addr *ctx)
{
	return accepting(ctx);
}

/*
 * A process reads: when, for the time that requests wait for it, and who. Whoever got the descriptor by fork,
 * SCM_RIGHTS or socket activation is named here: at once while a connection is young, later within 64 segments
 * (a look at every read would cost 2 % of a busy server). In softirq (sockmap, kTLS) nobody holds the socket lock
 * and the current task means nothing.
 */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(own_read, struct sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct wr_sock *s;
	__u32 tgid, look;

	look = tp && (tp->data_segs_in <= 4 || !(tp->data_segs_in % 64));
	if (!(look || wr_reads) || !sk->sk_lock.owned)
		return 0;
	if (wr_tls)
		call_reads(sk);
	s = bpf_sk_storage_get(&wr_socks, sk, 0, 0);
	if (!s)
		return 0;
	s->t_read = bpf_ktime_get_boot_ns() >> 10;
	if (!look)
		return 0;
	tgid = bpf_get_current_pid_tgid() >> 32;
	if (s->owner.tgid == tgid && (s->flags & WR_F_ACCEPTED))
		return 0;
	owner_current(&s->owner); /* also of the same process: it may have another user by now */
	s->flags |= WR_F_ACCEPTED;
	return 0;
}

/*
 * The last close, in the process that does it: the owner of what was accepted without an address and never
 * read. Only then: a child that inherited a descriptor by accident may be the last to close it.
 */
SEC("cgroup/sock_release")
int own_release(struct bpf_sock *ctx)
{
	struct wr_sock *s;

	if (ctx->type != SOCK_STREAM)
		return 1;
	s = bpf_sk_storage_get(&wr_socks, ctx, 0, 0);
	if (s && s->role == WR_ROLE_SERVER && !(s->flags & WR_F_ACCEPTED)) {
		owner_current(&s->owner);
		s->flags |= WR_F_ACCEPTED;
	}
	return 1;
}

/* The executable of a process that may be gone before user space can look. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(own_exec, struct task_struct *t, int old_pid, struct linux_binprm *bprm)
{
	struct wr_rec_exec *r = state_reserve(WR_REC_EXEC, sizeof(*r));

	if (!r)
		return 0;
	owner_current(&r->owner);
	r->ppid = BPF_CORE_READ(t, real_parent, tgid);
	r->pad = 0;
	if (bpf_probe_read_kernel_str(r->exe, sizeof(r->exe), BPF_CORE_READ(bprm, filename)) < 0)
		r->exe[0] = 0;
	state_submit(r);
	return 0;
}

/* A container may be gone before user space can look: its control group is told when it is made. */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(own_cgroup, struct cgroup *cgrp, const char *path)
{
	struct wr_rec_cgroup *r;
	long n;

	if (cgrp->root->hierarchy_id) /* of cgroup v1 */
		return 0;
	r = state_reserve(WR_REC_CGROUP, sizeof(*r));
	if (!r)
		return 0;
	r->id = cgrp->kn->id;
	n = bpf_probe_read_kernel_str(r->path, sizeof(r->path), path);
	if (n < 0 || n == sizeof(r->path))
		r->path[0] = 0;
	state_submit(r);
	return 0;
}

/* Seed: every open socket of every process, once at the start. */
SEC("iter/task_file")
int own_seed(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *file = ctx->file;
	struct socket *sock;
	struct wr_sock *s;
	struct sock *sk;
	__u16 family;

	if (!t || !file || t->tgid != t->pid)
		return 0;
	sock = bpf_sock_from_file(file);
	if (!sock)
		return 0;
	sk = sock->sk;
	if (!sk)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	s = bpf_sk_storage_get(&wr_socks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s) {
		count(WR_KC_NO_STORAGE, 1);
		return 0;
	}
	/* a descriptor that several processes hold stays with the first, the reader takes it later */
	if (s->owner.tgid)
		return 0;
	s->owner.tgid = t->tgid;
	s->owner.uid = t->cred->uid.val;
	s->owner.ppid = t->real_parent->tgid;
	s->owner.start_ns = t->group_leader->start_boottime;
	s->owner.cgroup = t->cgroups->dfl_cgrp->kn->id;
	s->owner.netns = sock_netns(sk);
	BPF_CORE_READ_INTO(&s->owner.comm, t, group_leader, comm);
	if (sk->sk_protocol == IPPROTO_TCP) {
		s->state = sk->__sk_common.skc_state;
		s->role = s->state == TCP_LISTEN ? WR_ROLE_LISTENER : WR_ROLE_NONE;
	}
	s->flags |= WR_F_SEEDED;
	s->family = family;
	return 0;
}
