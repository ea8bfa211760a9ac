/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the table of connections: what conn.c (the table), conn_emit.c (records out) and conn_read.c (payload)
 * share. Nobody else includes it. */
#ifndef WR_CONN_PRIV_H
#define WR_CONN_PRIV_H

#include "../base/htab.h"
#include "../base/slab.h"
#include "conn.h"
#include "gateway.h"
#include "neighbor.h"
#include "stream.h"

#define ICMP_MEMORY 64 /* recent errors, for connections that fail before they are known */
#define GONE 4096 /* closed sockets whose connection is still known to late packet copies */
#define NET_TCP 6
#define NET_UDP 17

enum { ST_ESTABLISHED = 1, ST_SYN_SENT = 2, ST_LISTEN = 10 };

/* What happens to few of 100,000 connections: the others pay a pointer for it. */
struct trouble {
	uint32_t retrans, ooo, re_timeout, re_fast, re_probe, re_syn, dsack;
	uint32_t rwnd_ms, sndbuf_ms, zw_in_ms, zw_out_ms;
	uint32_t stalled; /* as struct wr_rec_sock has it */
	uint16_t zw_in_n, zw_out_n;
};

/* One socket's end of a connection (UDP: one socket's traffic with one peer). */
struct side {
	struct wr_hnode by_cookie, by_tuple; /* by_cookie.hash: the cookie itself */
	struct conn *conn;
	struct wr_proc *proc;
	uint64_t bytes_out, bytes_in, packets_out, packets_in;
	union { /* its own address and the other's, by side_ip(): 16 bytes each would be 6 MiB of 200,000 */
		uint32_t ip4[2]; /* network order */
		struct wr_ip *ip6; /* two */
	};
	uint16_t lport, rport;
	uint32_t netns;
	struct trouble *trouble; /* NULL: none */
	uint32_t rtt, rtt_var, rtt_min, cwnd, rcvq, sndq;
	uint32_t busy_ms, handshake_us, accept_us;
	uint16_t mss, pmtu; /* pmtu: less one, so that loopback's 65536 fits; 0 = not known */
	uint8_t role : 7, six : 1;
	uint8_t err, state, flags, closed, proto, gen, rst;
};
enum { LOCAL, REMOTE };

static inline struct wr_ip side_ip(const struct side *s, unsigned end)
{
	return s->six ? s->ip6[end] : wr_ip4(&s->ip4[end]);
}

static inline uint64_t side_cookie(const struct side *s)
{
	return s->by_cookie.hash;
}

/* A flow of a watched interface has no socket: instead of its cookie stands the interface. */
#define LINK (1ull << 63)

static inline bool is_link(const struct side *s)
{
	return side_cookie(s) & LINK;
}

static inline bool is_tcp(const struct side *s)
{
	return s->proto == NET_TCP && !is_link(s);
}

/* @s NULL: none. */
static inline const struct trouble *trouble_of(const struct side *s)
{
	static const struct trouble none;

	return s && s->trouble ? s->trouble : &none;
}

struct conn {
	struct wr_hnode by_seq;
	struct side
		*end[2]; /* client, server; one may be NULL: not on this host, or not yet seen */
	uint64_t id, first, last;
	uint64_t seq_key; /* client's and server's initial sequence number, 0 = unknown */
	uint32_t changed; /* 1 + place in the list of changed ones, 0 = not in it */
	bool opened;
	uint8_t protocol; /* what its payload was found to be: 1 + row of wr_protos, 0 = unknown */
	uint8_t limited; /* bit an end: the kernel was told how much of its payload is wanted; << 2: all */
	struct reading
		*reading; /* NULL until there is payload: most connections of a host are silent */
};

/* What is read of a connection: its bytes, and what its TLS library said is inside them. */
struct reading {
	struct wr_stream stream;
	struct wr_session *inner; /* NULL: no plain text (yet) */
	uint32_t top[2]; /* the highest sequence number that each sender sent */
	bool begun[2]; /* it is known */
	uint16_t sent[2]; /* datagrams of a direction that their sender showed, and their receiver not yet */
	uint16_t zero_window[2]; /* as the last record of an end had it */
	uint64_t closed_ns[2]; /* summed up by an end; each knows of both windows */
	struct wr_net net;
	uint64_t drop_seq; /* up to then nothing of it was dropped, unless lost says so */
	bool lost;
	bool hushed; /* the library of the other end was told to be silent */
	uint8_t limited; /* enum wr_wanted: what the kernel was told of the plain text; 0: nothing yet */
	uint64_t read; /* inner: when the application got something last */
	uint64_t cookie,
		next[2]; /* inner: of the end whose library tells (the other one says the same); offsets */
};

/* What was said last of the SYNs to a port. */
struct syns_told {
	struct wr_syn_key key;
	uint64_t syns, established, at;
};

struct icmp_seen {
	struct wr_rec_icmp r;
};

struct wr_conns {
	struct wr_conns_config cfg;
	struct wr_slab conns, sides, pairs, troubles, readings; /* pairs: of addresses */
	struct wr_htab by_cookie, by_tuple, by_seq;
	struct icmp_seen icmp[ICMP_MEMORY];
	unsigned n_icmp;
	struct {
		uint64_t cookie, id;
	} gone[GONE];
	struct conn **changed; /* since the last settling; NULL entries were closed meanwhile */
	uint32_t n_changed, cap_changed;
	uint64_t now;
	int64_t utc;
	uint8_t gen;
	struct wr_sessions *sessions;
	struct wr_neighbors *neighbors; /* NULL: no ARP was seen */
	struct syns_told *syns; /* NULL: no SYNs were seen */
	struct wr_gateway *gateway; /* NULL: requests are not joined */
	struct wr_conns_stats stats;
};

/* A record to who takes them; there is somebody. */
static inline void conn_tell(const struct wr_conns *t, struct wr_event *e)
{
	wr_ends_hand(t->cfg.ends, e, t->cfg.sink, t->cfg.ctx);
}

/* NULL: there is none. @cookie 0: any of that address. */
void conn_set_owner(struct wr_conns *t, struct side *s, const struct wr_owner *o);
/* The next side of this tuple behind @at, NULL = the first: several sockets may have had it. */
struct side *conn_next_by_tuple(const struct wr_conns *t, const struct side *at, const struct wr_ip *l,
	uint16_t lp, const struct wr_ip *r, uint16_t rp, uint8_t proto);
struct side *conn_side_by_tuple(const struct wr_conns *t, const struct wr_ip *l, uint16_t lp,
	const struct wr_ip *r, uint16_t rp, uint8_t proto, uint32_t netns, uint64_t cookie);
/* The next side behind @at whose ends are those of @s changed over: its peer, where both are on this host. */
struct side *conn_next_mirror(
	const struct wr_conns *t, const struct side *at, const struct side *s);
struct side *conn_mirror(const struct wr_conns *t, const struct side *s, uint32_t netns);
/* A socket that listens on this TCP port there; NULL: none is known. */
const struct side *conn_listener(const struct wr_conns *t, uint16_t port, uint32_t netns);
struct side *conn_side_by_cookie(const struct wr_conns *t, uint64_t cookie);

/* The owner's fields of an end; @first: index of its address. They are declared in this order in kinds.def. */
void conn_fill_owner(struct wr_conns *t, struct wr_event *e, unsigned first, const struct side *s);
/* A record of the connection to @sink; @rec, @icmp: what caused it, MAY be NULL. */
void conn_emit(struct wr_conns *t, const struct conn *c, unsigned event,
	const struct wr_rec_sock *rec, const struct wr_rec_icmp *icmp, wr_sink_fn sink, void *ctx);
void conn_emit_all(struct wr_conns *t, const struct conn *c, unsigned event, const struct wr_rec_sock *rec);

void conn_emit_call(struct wr_conns *t, const struct wr_rec_call *r);

struct wr_sessions *conn_sessions_new(struct wr_conns *t);
void conn_reading_free(struct reading *r);
/* Nothing more comes: what is under way is told. */
void conn_reading_end(struct reading *r, uint64_t ts);

#endif
