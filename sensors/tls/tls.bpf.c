// SPDX-License-Identifier: GPL-2.0-only
/*
 * What goes through TLS, where the application hands it to its library: probes at the functions that read and
 * write plain text. Whose connection it is: the socket that this thread reads from within the call, or (memory
 * BIOs) has read from just before it (the sensor owner sees every read). No per-CPU scratch: programs of
 * probes can be preempted and interleave; what a call needs lives in the task.
 */
#include "../../bpf/wr_data.h"
#include "../../bpf/wr_calls.h"

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
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wr_payload_ctl);
} tls_payload SEC(".maps");

/* One program at all functions; which one it is at stands in the cookie of the probe. */
SEC("uprobe.multi")
int tls_enter(struct pt_regs *ctx)
{
	__u64 what = bpf_get_attach_cookie(ctx);
	struct call *c;
	struct conn *n;

	if (what == WR_TLS_FREE) {
		struct conn_key k = {.ssl = ARG1(ctx), .tgid = bpf_get_current_pid_tgid() >> 32};

		bpf_map_delete_elem(&wr_calls_conns, &k);
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

#define CHUNK 16384
#define CHUNKS 64 /* of one call; more is told by its length */

static __always_inline void told(struct conn *n, const struct call *c, __u32 len, __u32 dir)
{
	__u32 zero = 0, limit, cap, at = 0;
	const struct wr_payload_ctl *p = bpf_map_lookup_elem(&tls_payload, &zero);
	struct wr_rec_tls r = {
		.cookie = n->cookie, .off = n->off[dir], .dir = dir, .shaken = n->shaken};
	char begin[4] = {};

	n->off[dir] += len;
	if (!p || !p->burst || !n->cookie)
		return;
	if (n->last != dir) {
		n->last = dir;
		n->turn = 0;
	}
	if (!r.off && !bpf_probe_read_user(begin, 4, (void *)c->buf) && begin[0] == 'P' && begin[1] == 'R' &&
		begin[2] == 'I' && begin[3] == ' ')
		n->whole = 1; /* HTTP/2: heads are anywhere */
	limit = p->burst;
	if (!n->whole && n->turn + len > limit) {
		__u64 key = n->cookie | WR_LIMIT_TLS;
		__u32 *v = bpf_map_lookup_elem(&wr_limit, &key);

		limit = v ? *v : p->unknown;
		if (limit == WR_PAYLOAD_ALL)
			n->whole = 1;
	}
	cap = n->whole ? len : n->turn < limit ? limit - n->turn : 0;
	if (cap > len)
		cap = len;
	n->turn += n->whole ? 0 : cap;
	r.h.ts = dir ? c->ts : bpf_ktime_get_boot_ns();
	count(WR_KC_DATA_IN, 1);
	for (int i = 0; i < CHUNKS; i++) {
		r.cap = cap - at < CHUNK ? cap - at : CHUNK;
		r.len = at + r.cap == cap ? len - at : r.cap;
		if (tls_put(&r, c->buf + at)) {
			count(WR_KC_DATA_LOST, 1);
			return;
		}
		at += r.cap;
		r.off += r.cap;
		if (at >= cap)
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
