/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a protocol is, and what a session is: one connection's ordered bytes in both directions, given to
 * the parser that recognises them, and the requests that come out. The same code on live traffic and on
 * captures; no clock but the packets', no allocation that traffic can make unbounded.
 */
#ifndef WR_PROTO_H
#define WR_PROTO_H

#include "../base/rd.h"
#include "../event/event.h"
#include "../sign/sign.h"
#include "routes.h"

struct wr_session;

#define WR_TCP 1u
#define WR_UDP 2u

/* Answers of probe(). */
#define WR_PROBE_NO 0
#define WR_PROBE_MORE (-1) /* could be, too few bytes to tell */
/* 1..100: how sure; 60 is enough */

struct wr_proto {
	const char *name; /* MUST: the `protocol` of its records */
	const char *help; /* MUST: what becomes a request, in one line */
	uint8_t over; /* MUST: WR_TCP | WR_UDP */
	bool fixed_roles; /* MAY: probe() of direction 0 fits requests only, so roles can be told from bytes */
	bool whole; /* MAY: a stream of small messages: every byte is wanted, not only heads */
	bool framed; /* MAY: ... but for bodies in frames as HTTP/2 has them, which it skips */
	bool opening; /* MAY: over UDP: only the first datagrams of a flow are wanted */
	uint16_t ports[4]; /* MAY: where it usually lives: a hint, never a proof */
	size_t state; /* MAY: bytes of state a session needs, zeroed at first */
	/*
	 * MUST. Do these first bytes of one direction belong to it? @dir 0: client to server. Called again with
	 * more bytes after WR_PROBE_MORE. @joined: the connection is older than the capture.
	 */
	int (*probe)(struct wr_bytes b, unsigned dir, bool joined);
	/* Instead of it, for a protocol that came from a file. */
	int (*probe_own)(const struct wr_proto *p, struct wr_bytes b, unsigned dir);
	/*
	 * MUST. Takes complete messages off the front: returns how many bytes (0: more are needed; called again
	 * with the rest and what followed), or -EBADMSG: these bytes are not of this protocol. The events must
	 * not depend on where the stream was cut. Of UDP: one datagram a call, its result is not looked at.
	 * What it asked to skip (wr_session_skip()) does not come.
	 */
	ssize_t (*feed)(struct wr_session *s, unsigned dir, struct wr_bytes b);
	/* MAY. @lost bytes are missing in front of what comes next; none: every request is given up. True: what
	 * comes next is looked at as the begin of a message; false: nothing of this direction can be read again. */
	bool (*gap)(struct wr_session *s, unsigned dir, uint64_t lost);
	/* MAY. The connection ended: what is complete by that (a response that ends with it) is finished here. */
	void (*finish)(struct wr_session *s);
	/* MAY. What the state owns besides itself. */
	void (*fini)(void *state);
};

extern const struct wr_proto *wr_protos[]; /* those of protos.def, then what was added */
extern unsigned wr_n_protos;
const struct wr_proto *wr_proto_named(const char *name); /* NULL: none */
int wr_proto_add(const struct wr_proto
		*p); /* before the first session; 0 or -ENOSPC. @p stays the caller's */
void wr_proto_forget(void); /* all that was added; behind the last session */

/* What the network did to the connection so far; a request tells what was added while it ran. */
struct wr_net {
	uint32_t retransmits;
	uint64_t zero_window_ns;
};

#define WR_REQ_TEXT 4096

/* A request that is under way. Times: UTC or boottime, as the packets have it. */
struct wr_request {
	struct wr_request *next;
	uint64_t key; /* what pairs its response: a stream or correlation id; 0 where order does */
	uint64_t t_first, t_last; /* first and last byte of the request */
	uint64_t r_first, r_last; /* of the response, 0 = none yet */
	uint64_t t_read; /* when the answering application had last read, 0 = not known */
	struct wr_net net; /* when it began */
	uint64_t request_bytes, response_bytes, gap;
	uint64_t n; /* the parser's own: bytes or rows to come, ... */
	uint32_t flags; /* the parser's own */
	const char *protocol; /* of its record; NULL: the session's */
	bool error, truncated, no_request, reversed; /* reversed: the other end asked */
	bool unmasked; /* wr_unmasked() said so */
	struct wr_raw_of *raw; /* its bytes, where they are kept */
	struct wr_body *body; /* what its bodies say, where that is read (body.h) */
	struct wr_grpc *grpc; /* its messages, where it is a call of gRPC (grpc.h) */
	uint16_t op, op_n, resource, resource_n, status, status_n, detail, detail_n, trace, trace_n;
	uint16_t used;
	char text[WR_REQ_TEXT];
};

struct wr_session_config {
	bool unmasked; /* show secrets as they are */
	const struct wr_routes *unmasked_routes; /* ... of these; MAY be NULL */
	/* A request is done. The ends are the caller's business; @flip: its client is the server. */
	void (*emit)(void *ctx, struct wr_session *s, struct wr_ev_request *r, bool flip);
	/* MAY: a message broke a rule; @flip as above. At most WR_VIOLATIONS of a session. */
	void (*violation)(void *ctx, struct wr_session *s, struct wr_ev_violation *r, bool flip);
	/* MAY: signatures that are looked for in all that is given, and told when the payload is as @rule says;
	 * wr_sign_fires() tells whether the ends are, too */
	struct wr_sign *sign;
	void (*match)(void *ctx, struct wr_session *s, struct wr_ev_match *r,
		const struct wr_sign_rule *rule, bool flip);
	/* MAY: up to @raw bytes of each message with their fields: right behind emit() of their request,
	 * that of the request first; by itself what broke a rule and is of none */
	size_t raw;
	void (*message)(void *ctx, struct wr_session *s, struct wr_ev_message *r, bool flip);
	/* MAY: packets of the session that were dropped from @from to @to */
	uint64_t (*drops)(void *ctx, const struct wr_session *s, uint64_t from, uint64_t to);
	void *ctx;
};

struct wr_session_stats {
	uint64_t bytes, skipped, lost,
		unknown; /* unknown: of sessions whose protocol nobody knows */
	uint64_t requests, responses, unpaired, violations, refused;
};

/* Shared by all sessions of one thread: pools and counters. */
struct wr_sessions;
struct wr_sessions *wr_sessions_new(const struct wr_session_config *cfg);
void wr_sessions_free(struct wr_sessions *p);
const struct wr_session_stats *wr_sessions_stats(const struct wr_sessions *p);
/* How much of a protocol was read. */
struct wr_proto_stats {
	uint64_t sessions, requests, bytes;
	uint64_t lost; /* bytes that did not come */
	uint64_t unread; /* that came and could not be read, mostly behind a loss */
};
void wr_sessions_each_proto(const struct wr_sessions *p,
	void (*fn)(void *ctx, const struct wr_proto *proto, const struct wr_proto_stats *s),
	void *ctx);
/* Datagrams that were not answered within some seconds are told. At least once a second; @now in their time. */
void wr_sessions_tick(struct wr_sessions *p, uint64_t now);

/* @owner: the caller's connection, for wr_session_owner(). @joined: its begin was not seen. NULL: no room. */
struct wr_session *wr_session_new(
	struct wr_sessions *p, void *owner, uint8_t over, uint16_t server_port, bool joined);
void wr_session_free(struct wr_session *s);
/* UDP: so many bytes of the next datagram are missing at its end. Before its data. */
void wr_session_cut(struct wr_session *s, uint64_t n);
/* The next bytes of a direction in order, and when they passed. UDP: one datagram. */
void wr_session_data(struct wr_session *s, unsigned dir, struct wr_bytes b, uint64_t ts);
/* The next @n bytes are missing: lost, or not copied. */
void wr_session_gap(struct wr_session *s, unsigned dir, uint64_t n, uint64_t ts);
void wr_session_net(struct wr_session *s, const struct wr_net *n);
/* When the application that sends @dir had last read, as seen when it sent. Before its data. */
void wr_session_read(struct wr_session *s, unsigned dir, uint64_t ts);
/* Nothing more comes. What is under way is reported without an answer; a response that is not complete because the
 * capture ended (@closed false) has no status yet. */
void wr_session_end(struct wr_session *s, uint64_t ts, bool closed);
void *wr_session_owner(const struct wr_session *s);
/* Does its protocol want every byte? Will nobody ever read it? */
bool wr_session_whole(const struct wr_session *s);
bool wr_session_framed(const struct wr_session *s); /* ... but for bodies in frames? */
bool wr_session_bodies(const struct wr_session *s); /* does a reader of bodies want it? */
bool wr_session_opening(const struct wr_session *s); /* does it want only the first datagrams? */
bool wr_session_given_up(const struct wr_session *s);
/* NULL: not known. */
const char *wr_session_protocol(const struct wr_session *s);
/* 1 + its row in wr_protos, 0 = not known. */
unsigned wr_session_protocol_row(const struct wr_session *s);

/* for parsers --------------------------------------------------------------------------------- */

const struct wr_proto *wr_session_proto(const struct wr_session *s);
void *wr_state(struct wr_session *s);
/* May this request show secrets? @url: empty where its protocol has none. */
bool wr_unmasked(const struct wr_session *s, struct wr_request *r, struct wr_str url);
bool wr_joined(const struct wr_session *s);
uint16_t wr_port(const struct wr_session *s); /* of the server */
uint8_t wr_over(const struct wr_session *s); /* WR_TCP or WR_UDP */
/* When the first and the last byte of what feed() was given passed. */
uint64_t wr_ts_first(const struct wr_session *s);
uint64_t wr_ts(const struct wr_session *s);
/*
 * The next @n bytes behind what feed() takes now are not wanted (UINT64_MAX: all); gaps in them are no loss.
 * They count as bytes of @r (MAY be NULL) as they pass. Behind them feed() is called, even without bytes.
 */
void wr_session_skip(struct wr_session *s, unsigned dir, uint64_t n, struct wr_request *r);
/* From here on every byte is wanted, of bodies too: something reads them as they pass. */
void wr_session_wants_bodies(struct wr_session *s);
/* From here on another protocol speaks (STARTTLS, Upgrade); NULL: it is to be found out. Behind feed(). */
void wr_session_switch(struct wr_session *s, const struct wr_proto *p);
/* A text that outlives the parser's state, for what it switches to (the path of an upgrade); at most 512 bytes. */
void wr_session_carry(struct wr_session *s, struct wr_str v);
struct wr_str wr_session_carried(const struct wr_session *s);
/* A message of @dir that breaks a rule ("RFC 9112 6.3: ..."; static): counted, and told. @where: the bytes that do, a
 * view of what feed() was given; empty: not said. */
#define WR_VIOLATIONS 16
void wr_session_violation(
	struct wr_session *s, unsigned dir, const char *rule, struct wr_str where);

/* As said above, by feed() before it answers -EBADMSG: which rule, where. @rule NULL: nothing is said. */
void wr_session_blame(struct wr_session *s, const char *rule, struct wr_str where);

/* A new request at the end of the queue, t_first and t_last set; NULL: too many are under way (counted). */
struct wr_request *wr_req_new(struct wr_session *s, uint64_t key);
/* The oldest one; the oldest with that key. */
struct wr_request *wr_req_oldest(const struct wr_session *s);
struct wr_request *wr_req_find(const struct wr_session *s, uint64_t key);
/* A byte of its response passed now. */
void wr_req_answer(struct wr_session *s, struct wr_request *r, uint64_t bytes);
/* Reports it and frees it. */
void wr_req_done(struct wr_session *s, struct wr_request *r);
/* Behind a gap of @lost bytes: every request under way is told with it, none can be paired any more. */
void wr_req_give_up(struct wr_session *s, uint64_t lost);
/* Texts are copied; what does not fit is cut and `truncated` says so. */
void wr_req_op(struct wr_request *r, struct wr_str v);
void wr_req_resource(struct wr_request *r, struct wr_str v);
/* The resource, secrets of the URL masked unless the session shall not. */
void wr_req_url(struct wr_session *s, struct wr_request *r, struct wr_str url);
void wr_req_status(struct wr_request *r, struct wr_str v);
void wr_req_trace(struct wr_request *r, struct wr_str v);
/* The trace that a header field carries, and the span that asks (detail.parent_id); false: it carries none.
 * @span: where it has a field of its own. */
bool wr_req_traceparent(struct wr_request *r, struct wr_str v);
void wr_req_b3(struct wr_request *r, struct wr_str v, struct wr_str span);
/* A member of `detail`. */
void wr_req_detail(struct wr_request *r, const char *name, struct wr_str v);
void wr_req_detail_u64(struct wr_request *r, const char *name, uint64_t v);
void wr_req_detail_json(struct wr_request *r, const char *name, struct wr_str json);

/* Operation (the verb), resource (normalised), detail.command and .statement. @dq: as wr_mask_sql(). */
void wr_req_sql(struct wr_session *s, struct wr_request *r, const char *command, struct wr_str sql,
	bool dq);

/* The line at the front of @b, without its LF or CRLF; bytes with it, 0 = not within @b and @max bytes. */
size_t wr_line(struct wr_bytes b, size_t max, struct wr_str *ret);

/* Which of the words a line begins with, in any case, alone or before a blank; NULL = none. */
const char *wr_verb(const char *const *verbs, unsigned n, struct wr_str line);

/* masking: copies of text without the secrets (mask.c) */
/* Values of secret parameters of a URL become "***" . */
void wr_mask_url(struct wr_buf *b, struct wr_str url);
/* Literals of a statement become "?", white space one blank, comments nothing. @dq: "x" is one, not a name (MySQL). */
void wr_mask_sql(struct wr_buf *b, struct wr_str sql, bool dq);

#endif
