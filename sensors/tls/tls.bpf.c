// SPDX-License-Identifier: GPL-2.0-only
/*
 * What goes through TLS, where the application hands it to its library: probes at the functions that read and
 * write plain text. Whose connection it is: the socket that this thread reads from within the call, or (memory
 * BIOs) has read from just before it (the sensor owner sees every read). No per-CPU scratch: programs of
 * probes can be preempted and interleave; what a call needs lives in the task. Calls of Go move from thread to
 * thread: there one place shows all of it, and the socket is the descriptor that its net.Conn holds.
 */
#include "../../bpf/wr_data.h"
#include "../../bpf/wr_calls.h"
#include "../../bpf/wr_frames.h"

#ifdef __TARGET_ARCH_x86
struct pt_regs { /* arch/x86/include/uapi/asm/ptrace.h */
	unsigned long r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	unsigned long orig_rax, rip, cs, eflags, rsp, ss;
};
#define ARG1(c) (c)->rdi
#define ARG2(c) (c)->rsi
#define ARG4(c) (c)->rcx
#define RET(c) (c)->rax
#define SP_OUT(c) ((c)->rsp - 8) /* at the return: as at the entry */
#define SP_IN(c) (c)->rsp
/* Go (cmd/compile/abi-internal.md): arguments and results in registers of its own */
#define GO_ARG1(c) (c)->rax
#define GO_ARG2(c) (c)->rbx
#define GO_ARG3(c) (c)->rcx
#define GO_ARG4(c) (c)->rdi
#define LOWER_OR_SAME(c) ((c)->eflags & 0x41) /* carry, zero: jbe jumps */
#else
struct user_pt_regs { /* arch/arm64/include/uapi/asm/ptrace.h */
	__u64 regs[31], sp, pc, pstate;
};
#define pt_regs user_pt_regs
#define ARG1(c) (c)->regs[0]
#define ARG2(c) (c)->regs[1]
#define ARG4(c) (c)->regs[3]
#define RET(c) (c)->regs[0]
#define SP_OUT(c) (c)->sp
#define SP_IN(c) (c)->sp
#define GO_ARG1(c) (c)->regs[0]
#define GO_ARG2(c) (c)->regs[1]
#define GO_ARG3(c) (c)->regs[2]
#define GO_ARG4(c) (c)->regs[3]
#define LOWER_OR_SAME(c) (!((c)->pstate >> 29 & 1) || (c)->pstate >> 30 & 1) /* carry, zero: b.ls jumps */
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_payload_ctl);
} tls_payload SEC(".maps");

/* One program at all functions; which one it is at stands in the cookie of the probe. */
/* Connections that speak HTTP/2. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct conn_key);
	__type(value, struct frames);
} tls_framed SEC(".maps");

SEC("uprobe.multi")
int tls_enter(struct pt_regs *ctx)
{
	__u64 what = bpf_get_attach_cookie(ctx);
	struct call *c;
	struct conn *n;

	if (what == WR_TLS_FREE) {
		struct conn_key k = {.ssl = ARG1(ctx), .tgid = bpf_get_current_pid_tgid() >> 32};

		bpf_map_delete_elem(&wr_calls_conns, &k);
		bpf_map_delete_elem(&tls_framed, &k);
		return 0;
	}
	c = call_of(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!c)
		return 0;
	/* a call within a call is its caller's business; one whose frame is gone never returned (longjmp) */
	if (c->kind && SP_IN(ctx) < c->sp)
		return 0;
	c->ssl = ARG1(ctx);
	c->buf = ARG2(ctx);
	c->len_at = what == WR_TLS_READ_EX || what == WR_TLS_WRITE_EX ? ARG4(ctx) : 0;
	c->sp = SP_IN(ctx);
	c->ts = bpf_ktime_get_boot_ns();
	c->kind = what == WR_TLS_SHAKE			      ? CALL_SHAKE
		  : what == WR_TLS_READ || what == WR_TLS_READ_EX ? CALL_READ
								  : CALL_WRITE;
	n = conn_of(c, 1);
	if (n && !n->cookie && c->fresh)
		n->cookie = c->cookie;
	if (n && c->kind == CALL_SHAKE && !n->off[0] && !n->off[1])
		n->shaken = 1;
	c->fresh = 0;
	return 0;
}

/* As in the tap, of user memory. @n: a power of two. */
#define TEXT_CLASS(n)                                                                              \
	if (cap <= (n)) {                                                                          \
		__u32 less_one = cap - 1;                                                          \
                                                                                                   \
		r = bpf_ringbuf_reserve(&wr_data, sizeof(*r) + (n), 0);                            \
		if (!r)                                                                            \
			return -1;                                                                 \
		asm volatile("" : "+r"(less_one));                                                 \
		if (bpf_probe_read_user(r + 1, (less_one & ((n)-1)) + 1, (void *)buf)) {           \
			bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);                                  \
			return -1;                                                                 \
		}                                                                                  \
		goto filled;                                                                       \
	}

/* One record: @cap bytes of @buf, @len in all. */
__noinline int tls_put(struct wr_rec_tls *head, __u64 buf)
{
	struct wr_rec_tls *r;
	__u32 cap;

	if (!head)
		return -1;
	cap = head->cap;
	if (!cap) {
		r = bpf_ringbuf_reserve(&wr_data, sizeof(*r), 0);
		if (!r)
			return -1;
		goto filled;
	}
	TEXT_CLASS(256)
	TEXT_CLASS(2048)
	TEXT_CLASS(16384)
	return -1;
filled:
	*r = *head;
	r->h.type = WR_REC_TLS;
	r->h.len = sizeof(*r) + cap;
	bpf_ringbuf_submit(r, ring_flags(&wr_data));
	return 0;
}

static __always_inline long text_load(void *text, __u32 off, void *to, __u32 n)
{
	return bpf_probe_read_user(to, n, text + off);
}

__noinline __u64 tls_piece(struct frames_dir *f, __u32 at, __u32 left, __u64 buf, __u32 keep)
{
	return f ? frames_piece(f, at, left, keep, (void *)buf, 0, text_load) : 0;
}

/* The first bytes of a direction: does HTTP/2 begin? */
static __always_inline void framed(struct conn *n, const struct call *c, __u32 dir)
{
	struct conn_key k = {.ssl = c->ssl, .tgid = bpf_get_current_pid_tgid() >> 32};
	static const struct frames none;
	struct frames_dir d = {};
	__u8 b[FRAME_HEAD];
	struct frames *f;

	if (bpf_probe_read_user(b, sizeof(b), (void *)c->buf) || !frames_begin(&d, b, 0))
		return;
	n->whole = 1; /* heads are anywhere */
	if (!n->off[!dir]) /* the first of the two: of an earlier connection there may be something */
		bpf_map_update_elem(&tls_framed, &k, &none, BPF_ANY);
	f = bpf_map_lookup_elem(&tls_framed, &k);
	if (f)
		f->d[dir & 1] = d;
}

#define LOOK 8 /* calls between looks whether anybody listens */
#define CHUNK 16384
#define CHUNKS 64 /* of one call */
#define LAST 32 /* of them for what is left of frames */

/* What user space wants of a turn; @otherwise: where it said nothing of this connection. Notes if it is silence. */
static __always_inline __u32 limit_of(struct conn *n, __u32 otherwise)
{
	__u64 key = n->cookie | WR_LIMIT_TLS;
	const __u32 *v = bpf_map_lookup_elem(&wr_limit, &key);

	n->silent = v && *v == WR_PAYLOAD_SILENT;
	return v ? *v : otherwise;
}

static __always_inline void told(struct conn *n, const struct call *c, __u32 len, __u32 dir)
{
	__u32 zero = 0, limit, cap, at = 0;
	const struct wr_payload_ctl *p = bpf_map_lookup_elem(&tls_payload, &zero);
	struct wr_rec_tls r = {
		.cookie = n->cookie, .off = n->off[dir], .dir = dir, .shaken = n->shaken};
	struct conn_key k = {.ssl = c->ssl, .tgid = bpf_get_current_pid_tgid() >> 32};
	struct frames *f;
	__be32 begin;
	__u64 piece;

	n->off[dir] += len;
	if (!p || !p->burst || !n->cookie || n->silent)
		return;
	if (!(++n->calls % LOOK))
		limit_of(n, 0);
	if (n->silent)
		return;
	if (n->last != dir) {
		n->last = dir;
		n->turn = 0;
	}
	if (!r.off)
		framed(n, c, dir);
	limit = p->burst;
	if (!n->whole && !n->turn)
		n->heads = !bpf_probe_read_user(&begin, 4, (void *)c->buf) &&
			   first_bytes(bpf_ntohl(begin)) & HEADS;
	if (!n->whole && n->turn + len > limit) {
		limit = limit_of(n, n->heads ? limit : p->unknown);
		if (n->silent)
			return;
		if (limit >= WR_PAYLOAD_FRAMES)
			n->whole = 1;
	}
	cap = n->whole ? len : n->turn < limit ? limit - n->turn : 0;
	if (cap > len)
		cap = len;
	n->turn += n->whole ? 0 : cap;
	r.h.ts = dir ? c->ts : bpf_ktime_get_boot_ns();
	count(WR_KC_DATA_IN, 1);
	f = n->whole ? bpf_map_lookup_elem(&tls_framed, &k) : 0;
	if (f) {
		limit = len < LONG ? WR_PAYLOAD_ALL : limit_of(n, 0);
		if (limit != WR_PAYLOAD_ALL)
			limit = limit == WR_PAYLOAD_FRAMES ? p->burst / 4 : p->burst;
	}
	for (int i = 0; i < CHUNKS; i++) {
		if (f) {
			if (i == CHUNKS - LAST)
				f->d[dir & 1].on = 0;
			piece = tls_piece(
				&f->d[dir & 1], (__u32)r.off, len - at, c->buf + at, limit);
			r.cap = piece >> 32;
			r.len = (__u32)piece;
		} else {
			r.cap = cap - at;
			r.len = len - at;
		}
		if (r.cap > CHUNK)
			r.cap = r.len = CHUNK;
		if (tls_put(&r, c->buf + at)) {
			count(WR_KC_DATA_LOST, 1);
			return;
		}
		at += r.len;
		r.off += r.len;
		if (at >= len)
			return;
	}
}

SEC("uprobe.multi")
int tls_return(struct pt_regs *ctx)
{
	struct call *c = call_of(0);
	__u32 dir, len = 0;
	__u64 n64 = 0;
	struct conn *n;

	if (!c || !c->kind || SP_OUT(ctx) != c->sp)
		return 0;
	dir = c->kind == CALL_WRITE;
	if (c->kind != CALL_SHAKE) {
		if (!c->len_at)
			len = (int)RET(ctx) > 0 ? (__u32)RET(ctx) : 0;
		else if ((int)RET(ctx) == 1 && !bpf_probe_read_user(&n64, 8, (void *)c->len_at))
			len = (__u32)n64;
	}
	n = len ? conn_of(c, 0) : 0;
	if (n)
		told(n, c, len, dir);
	c->kind = CALL_NONE;
	return 0;
}

#define S_IFMT 0170000
#define S_IFSOCK 0140000

/* Of the TCP socket that is this task's descriptor @fd; 0: it is none. */
__noinline __u64 cookie_of_fd(__u64 fd)
{
	struct task_struct *t = (struct task_struct *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(t, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *f = 0;
	struct socket *s;
	struct sock *sk;

	if (fd >= BPF_CORE_READ(table, max_fds) || bpf_probe_read_kernel(&f, sizeof(f), files + fd))
		return 0;
	if (!f || (BPF_CORE_READ(f, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	s = BPF_CORE_READ(f, private_data);
	sk = BPF_CORE_READ(s, sk);
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	return BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
}

#define TLS_APPLICATION_DATA 23 /* RFC 8446 5.1 */
#define WRAPPERS 4 /* a net.Conn within a net.Conn */

/*
 * The socket of a crypto/tls.Conn. It begins with its net.Conn (an interface: type, data); a net.TCPConn holds a
 * net.netFD, whose descriptor follows the 16 bytes of its lock (since Go 1.9). Wrappers of others hold
 * their net.Conn first; what is neither has no descriptor of a TCP socket there.
 */
static __always_inline __u64 go_cookie(__u64 conn)
{
	__u64 data = 0, netfd = 0, fd = 0, cookie;
	struct call inner = {};

	for (int i = 0; i < WRAPPERS; i++) {
		if (bpf_probe_read_user(&data, 8, (void *)((i ? data : conn) + 8)))
			return 0;
		if (bpf_probe_read_user(&netfd, 8, (void *)data) ||
			bpf_probe_read_user(&fd, 8, (void *)(netfd + 16)))
			continue;
		cookie = cookie_of_fd(fd);
		if (cookie)
			return cookie;
		inner.ssl = data;
		if (conn_of(&inner, 0))
			return 0; /* TLS within TLS: the outer one's bytes are told */
	}
	return 0;
}

SEC("uprobe.multi")
int go_tls(struct pt_regs *ctx)
{
	__u64 at = bpf_get_attach_cookie(ctx), what = at & 0xff, cookie;
	struct call c = {.ts = bpf_ktime_get_boot_ns()};
	__u32 len = 0, dir = what == WR_TLS_GO_WRITE;
	struct conn *n;

	if (what == WR_TLS_GO_READ) { /* memmove(to, from, n) */
		if (bpf_probe_read_user(&c.ssl, 8, (void *)(SP_IN(ctx) + (at >> WR_TLS_GO_SLOT))))
			return 0;
		c.buf = GO_ARG2(ctx);
		len = GO_ARG3(ctx);
	} else {
		if (LOWER_OR_SAME(ctx))
			return 0; /* the stack is too short: it grows, and this comes again */
		c.ssl = GO_ARG1(ctx);
	}
	if (what == WR_TLS_GO_WRITE) { /* (*Conn).writeRecordLocked(type, data) */
		if ((GO_ARG2(ctx) & 0xff) != TLS_APPLICATION_DATA)
			return 0;
		c.buf = GO_ARG3(ctx);
		len = GO_ARG4(ctx);
	}
	cookie = go_cookie(c.ssl);
	n = cookie ? conn_of(&c, 1) : 0;
	if (!n)
		return 0;
	if (n->cookie != cookie) /* the collector gives the place of one connection to another */
		*n = (struct conn){.cookie = cookie};
	if (what == WR_TLS_GO_SHAKE)
		n->shaken = !n->off[0] && !n->off[1];
	else if (len)
		told(n, &c, len, dir);
	return 0;
}
