/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls of TLS libraries, and the sockets behind them: what the probes (sensor tls) note of a task, and what
 * the sight of a read (sensor owner) adds.
 */
#ifndef WR_CALLS_H
#define WR_CALLS_H

#include "wr_sock.h"

enum { CALL_NONE, CALL_READ, CALL_WRITE, CALL_SHAKE };

/* The call that a task is in, and the socket that it has read from last. */
struct call {
	__u64 ssl, buf, len_at, sp, ts; /* len_at: where the length is put (the _ex forms), else 0 */
	__u64 cookie;
	__u8 kind;
	__u8 fresh; /* cookie was read since the last call: it belongs to the next one */
	__u8 pad[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct call);
} wr_calls SEC(".maps");

struct conn_key {
	__u64 ssl;
	__u32 tgid, pad;
};
struct conn {
	__u64 cookie; /* 0: not known yet */
	__u64 off[2]; /* bytes of plain text so far: read, written */
	__u32 turn; /* copied of this turn */
	__u8 whole; /* every byte is wanted */
	__u8 last : 1; /* direction of the turn */
	__u8 shaken : 1; /* the begin was seen */
	__u8 heads : 1; /* the turn is a head and a body */
	__u8 silent : 1; /* nothing is wanted: the library of the other end tells the same */
	__u8 calls; /* so far; it turns over */
	__u8 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct conn_key);
	__type(value, struct conn);
} wr_calls_conns SEC(".maps");

static __always_inline struct call *call_of(__u64 flags)
{
	return bpf_task_storage_get(&wr_calls, (struct task_struct *)bpf_get_current_task_btf(), 0, flags);
}

static __always_inline struct conn *conn_of(const struct call *c, int create)
{
	struct conn_key k = {.ssl = c->ssl, .tgid = bpf_get_current_pid_tgid() >> 32};
	struct conn fresh = {}, *n = bpf_map_lookup_elem(&wr_calls_conns, &k);

	if (n || !create)
		return n;
	bpf_map_update_elem(&wr_calls_conns, &k, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&wr_calls_conns, &k);
}

/* A task reads from a socket: within a call it is the call's, else maybe the next one's. */
static __always_inline void call_reads(struct sock *sk)
{
	struct call *c = call_of(0);
	struct conn *n;

	if (!c)
		return;
	c->cookie = bpf_get_socket_cookie(sk);
	c->fresh = !c->kind;
	if (!c->kind)
		return;
	n = conn_of(c, 0);
	if (n && !n->cookie)
		n->cookie = c->cookie;
}

#endif
