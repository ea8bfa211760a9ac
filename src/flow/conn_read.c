// SPDX-License-Identifier: Apache-2.0
/* Requests of connections: payload of the tap and of TLS libraries, given to sessions. */
#include "conn_priv.h"

#define LONG 4096 /* bytes of a segment (GRO, GSO) that hint at long turns */

static uint32_t pid_of(const struct side *s)
{
	return s && s->proc ? s->proc->pid : 0;
}

/*
 * What a session tells: when, of which connection, and whose. @client, @server: fields where the ends begin; @id:
 * its text, for as long as the record. False: nobody wants it.
 */
static bool of_conn(struct wr_conns *t, const struct conn *c, struct wr_event *e, unsigned client,
	unsigned server, bool flip, char id[WR_ID_TEXT])
{
	const struct side *a = c->end[0], *b = c->end[1], *near = a ? a : b;
	struct wr_ip ip[2] = {a ? side_ip(a, LOCAL) : side_ip(b, REMOTE),
		a ? side_ip(a, REMOTE) : side_ip(b, LOCAL)};
	uint16_t port[2] = {a ? a->lport : b->rport, a ? a->rport : b->lport};
	struct wr_ev_conn *common = (void *)e;

	if (!t->cfg.sink)
		return false;
	wr_hex16(id, c->id);
	common->time += (uint64_t)t->utc;
	wr_ev_of(e, t->cfg.host, wr_str(id));
	if (near->netns)
		WR_SET(common, conn, netns, near->netns);
	wr_ev_end(e, client, &ip[flip], port[flip]);
	wr_ev_end(e, server, &ip[!flip], port[!flip]);
	if (c->end[flip])
		conn_fill_owner(t, e, client, c->end[flip]);
	if (c->end[!flip])
		conn_fill_owner(t, e, server, c->end[!flip]);
	return true;
}

/* Of a server elsewhere: what its first byte waited for, as far as the network is known. */
static void of_network(
	struct wr_ev_request *r, const struct side *client, const struct side *server)
{
	uint64_t trip;

	if (!client || server || !client->rtt_min || client->rtt_min == UINT32_MAX ||
		!wr_ev_has(&r->ev, WR_I_request_first_byte_us))
		return;
	trip = wr_min((uint64_t)client->rtt_min, r->first_byte_us);
	WR_SET(r, request, st_network, trip);
	WR_SET(r, request, st_server, r->first_byte_us - trip);
}

static void on_request(void *ctx, struct wr_session *s, struct wr_ev_request *r, bool flip)
{
	struct wr_conns *t = ctx;
	const struct conn *c = wr_session_owner(s);
	char id[WR_ID_TEXT];

	if (!of_conn(t, c, &r->ev, WR_I_request_client_ip, WR_I_request_server_ip, flip, id))
		return;
	if (c->reading && s == c->reading->inner)
		WR_SET(r, request, tls, true);
	of_network(r, c->end[flip], c->end[!flip]);
	if (t->gateway)
		wr_gateway_request(t->gateway, r, pid_of(c->end[flip]), pid_of(c->end[!flip]));
	conn_tell(t, &r->ev);
}

static void on_violation(void *ctx, struct wr_session *s, struct wr_ev_violation *r, bool flip)
{
	struct wr_conns *t = ctx;
	char id[WR_ID_TEXT];

	if (of_conn(t, wr_session_owner(s), &r->ev, WR_I_violation_client_ip,
		    WR_I_violation_server_ip, flip, id))
		conn_tell(t, &r->ev);
}

static void on_match(void *ctx, struct wr_session *s, struct wr_ev_match *r,
	const struct wr_sign_rule *rule, bool flip)
{
	struct wr_conns *t = ctx;
	char id[WR_ID_TEXT];

	if (of_conn(t, wr_session_owner(s), &r->ev, WR_I_match_client_ip, WR_I_match_server_ip,
		    flip, id) &&
		wr_sign_fires(t->cfg.sign, rule, r))
		conn_tell(t, &r->ev);
}

static void on_message(void *ctx, struct wr_session *s, struct wr_ev_message *r, bool flip)
{
	struct wr_conns *t = ctx;
	char id[WR_ID_TEXT];

	if (of_conn(t, wr_session_owner(s), &r->ev, WR_I_message_client_ip, WR_I_message_server_ip,
		    flip, id))
		conn_tell(t, &r->ev);
}

/* The kernel is asked only when something was dropped since it said that nothing of this connection was. */
static uint64_t drops(void *ctx, const struct wr_session *session, uint64_t from, uint64_t to)
{
	struct wr_conns *t = ctx;
	const struct conn *c = wr_session_owner(session);
	struct reading *g = c->reading;
	const struct side *s = c->end[0] ? c->end[0] : c->end[1];
	uint64_t seq = *t->cfg.drop_seq, n = 0;
	struct wr_flow_id id = {.proto = 0};
	struct wr_ip l, r;

	if (!g || !s || (seq == g->drop_seq && !g->lost))
		return 0;
	l = side_ip(s, LOCAL);
	r = side_ip(s, REMOTE);
	wr_flow_id_of(&id, l.b, s->lport, r.b, s->rport, s->proto);
	g->lost = t->cfg.drops(t->cfg.limit_ctx, &id, from, to, &n);
	g->drop_seq = seq;
	return n;
}

struct wr_sessions *conn_sessions_new(struct wr_conns *t)
{
	struct wr_session_config sc = {.unmasked = t->cfg.unmasked,
		.unmasked_routes = t->cfg.unmasked_routes,
		.raw = t->cfg.raw,
		.message = on_message,
		.emit = on_request,
		.violation = on_violation,
		.sign = t->cfg.sign,
		.match = on_match,
		.drops = t->cfg.drop_seq ? drops : NULL,
		.ctx = t};

	return wr_sessions_new(&sc);
}

void conn_reading_free(struct reading *r)
{
	wr_stream_free(&r->stream);
	wr_session_free(r->inner);
	r->inner = NULL;
}

void conn_reading_end(struct reading *r, uint64_t ts)
{
	wr_stream_end(&r->stream, ts, true);
	if (!r->inner)
		return;
	wr_session_end(r->inner, ts, true);
	wr_session_free(r->inner);
	r->inner = NULL;
}

/* The side of a datagram: made now, the flow map's counts come with the next reading. */
static struct side *udp_side(
	struct wr_conns *t, const struct wr_rec_payload *r, const struct wr_payload_udp *u)
{
	struct wr_flow_key k = {
		.cookie = r->cookie, .lport = u->lport, .rport = u->rport, .proto = NET_UDP};
	struct wr_flow v = {
		.owner = u->owner, .first = r->h.ts, .last = r->h.ts, .first_dir = r->dir};
	struct side *s = conn_side_by_tuple(t, (const struct wr_ip *)u->laddr, u->lport,
		(const struct wr_ip *)u->raddr, u->rport, NET_UDP, 0, r->cookie);

	if (s)
		return s;
	memcpy(k.laddr, u->laddr, 16);
	memcpy(k.raddr, u->raddr, 16);
	wr_conns_flow(t, &k, &v, false);
	return conn_side_by_tuple(t, (const struct wr_ip *)u->laddr, u->lport,
		(const struct wr_ip *)u->raddr, u->rport, NET_UDP, 0, r->cookie);
}

static enum wr_wanted wanted(const struct wr_session *s)
{
	return !wr_session_protocol(s) ? WR_WANT_NOTHING
	       : wr_session_bodies(s)  ? WR_WANT_ALL
	       : wr_session_framed(s)  ? WR_WANT_FRAMES
	       : wr_session_whole(s)   ? WR_WANT_ALL
				       : WR_WANT_HEADS;
}

/* Long turns: the kernel shall not copy what nobody reads, nor cut what somebody does. */
static void limit(struct wr_conns *t, struct conn *c)
{
	const struct wr_session *session = c->reading->stream.s;

	if (!wr_session_protocol(session) && !wr_session_given_up(session))
		return;
	for (unsigned i = 0; i < 2; i++) {
		const struct side *s = c->end[i];
		/* it may become more: bodies that are read */
		unsigned told = (1u << i) | (wanted(session) == WR_WANT_ALL ? 4u << i : 0);

		if (!s || (c->limited & told) == told)
			continue;
		c->limited |= (uint8_t)told;
		t->cfg.limit(t->cfg.limit_ctx, side_cookie(s), wanted(session));
		/*
		 * a fast sender has sent much before it is known: the next one is taken for what this one was
		 */
		t->cfg.limit(t->cfg.limit_ctx, WR_LIMIT_PORT | (i ? s->lport : s->rport),
			wanted(session));
	}
}

/* TLS is spoken: by which of this host's programs? */
static void tell_tls(struct wr_conns *t, const struct conn *c)
{
	for (unsigned i = 0; i < 2; i++) {
		if (c->end[i] && c->end[i]->proc)
			t->cfg.tls(t->cfg.limit_ctx, c->end[i]->proc->pid);
	}
}

/*
 * What the network did: segments sent again, closed windows; and when the sender had read. Of a direction that
 * both ends of this host see the sender's sight counts.
 */
static void network(struct conn *c, unsigned dir, unsigned end, const struct wr_rec_payload *r)
{
	struct reading *g = c->reading;
	uint32_t to = r->seq + r->len, mss = c->end[end]->mss ? c->end[end]->mss : UINT32_MAX;

	g->closed_ns[end] += (uint64_t)(uint16_t)(r->zero_window - g->zero_window[end]) << 20;
	g->zero_window[end] = r->zero_window;
	g->net.zero_window_ns = wr_max(g->closed_ns[0], g->closed_ns[1]);
	if (r->dir || !c->end[dir]) {
		if (g->begun[dir] && (int32_t)(to - g->top[dir]) <= 0)
			g->net.retransmits +=
				(r->len - 1) / mss + 1; /* one buffer, several segments */
		else
			g->top[dir] = to;
		g->begun[dir] = true;
	}
	wr_session_net(g->stream.s, &g->net);
	if (r->dir && r->read_ago)
		wr_session_read(g->stream.s, dir, r->h.ts - ((uint64_t)(r->read_ago - 1) << 10));
}

/* Are both ends here, in two namespaces? By loopback only the sender's payload is copied. */
static bool both_tell(const struct conn *c)
{
	const struct side *a = c->end[0], *b = c->end[1];

	return a && b && a->netns && b->netns && a->netns != b->netns;
}

static bool receiver_tells(const struct conn *c, unsigned dir)
{
	return both_tell(c) && !c->end[!dir]->closed;
}

/* A datagram between two namespaces is copied twice; the second copy, the receiver's, is not another one. */
static bool was_shown(struct conn *c, unsigned dir, const struct wr_rec_payload *r, bool both)
{
	struct reading *g = c->reading;

	if (r->dir) {
		if (g->sent[dir] < UINT16_MAX)
			g->sent[dir]++;
		return false;
	}
	if (!both || !g->sent[dir]) /* its socket may be closed before this is read */
		return false;
	g->sent[dir]--;
	return true;
}

/*
 * A client's port may come again while the server's flow still belongs to the socket that had it before.
 *
 * In two namespaces both ends tell what is said: all of it belongs to the newest socket of that port. @s is the
 * server's side then, and its side is returned. NULL where nothing of the kind is going on.
 */
static struct side *newest_client(struct wr_conns *t, const struct side *s)
{
	struct side *newest = NULL, *m = NULL;

	while ((m = conn_next_mirror(t, m, s))) {
		if (m->conn && m->netns != s->netns &&
			(!newest || m->conn->first > newest->conn->first))
			newest = m;
	}
	if (!newest || newest->conn == s->conn || newest->closed ||
		(newest->conn->end[0] && newest->conn->end[1]))
		return NULL;
	return newest;
}

/*
 * In one namespace each end tells what it receives: the server's flow has both halves. @s is the client's side
 * then.
 */
static struct side *server_before(struct wr_conns *t, const struct side *s)
{
	struct side *m = conn_mirror(t, s, s->netns);

	return m && m->conn && m->conn != s->conn && m->conn->end[0] && m->conn->end[1] ? m : NULL;
}

/* Is the other end here, in another namespace, though its flow is of an earlier socket of this port? */
static bool peer_elsewhere(struct wr_conns *t, const struct side *s)
{
	struct side *m = NULL;

	while ((m = conn_next_mirror(t, m, s))) {
		if (m->netns && s->netns && m->netns != s->netns && m->conn != s->conn)
			return true;
	}
	return false;
}

int wr_conns_payload(struct wr_conns *t, const struct wr_rec_payload *r,
	const struct wr_payload_udp *udp, const uint8_t *data)
{
	struct side *s = udp ? udp_side(t, r, udp) : conn_side_by_cookie(t, r->cookie);
	struct wr_stream *st;
	struct wr_bytes b = {data, r->cap};
	struct side *before = udp && s ? server_before(t, s) : NULL;
	struct side *again = before ? before : udp && s ? newest_client(t, s) : NULL;
	struct conn *c = again ? again->conn : s ? s->conn : NULL;
	unsigned dir, end;

	if (!c || !t->sessions)
		return -ENOENT;
	if (r->h.ts > t->now)
		t->now = r->h.ts;
	end = again ? again == c->end[0] : s == c->end[1];
	dir = end ^ !r->dir;
	if (before) /* who has the port now is who asks */
		conn_set_owner(t, c->end[end], &udp->owner);
	if (!c->reading)
		c->reading = wr_slab_get(&t->readings);
	if (!c->reading)
		return -ENOMEM;
	st = &c->reading->stream;
	if (!st->s)
		st->s = wr_session_new(t->sessions, c, udp ? WR_UDP : WR_TCP,
			c->end[0] ? c->end[0]->rport : c->end[1]->lport,
			!udp && (s->flags & WR_F_SEEDED));
	if (!st->s)
		return -ENOMEM;
	if (udp) {
		wr_session_cut(st->s, r->len - r->cap);
		if (!was_shown(c, dir, r, both_tell(c) || peer_elsewhere(t, s)))
			wr_session_data(st->s, dir, b, r->h.ts);
	} else {
		struct wr_segment g = {.seq = r->seq,
			.ack = r->ack,
			.len = r->len,
			.data = b,
			.has_ack = true,
			.ts = r->h.ts};

		network(c, dir, end, r);
		/* what the receiver will show, too, counts when it arrives: it may be lost on the way */
		if (!r->dir || !receiver_tells(c, dir))
			wr_stream_segment(st, dir, &g);
	}
	if ((r->len > LONG || wr_session_bodies(st->s)) && t->cfg.limit && !udp)
		limit(t, c);
	if (udp && t->cfg.limit && wr_session_protocol(st->s) && !wr_session_opening(st->s) &&
		!(c->limited >> (s == c->end[1]) & 1)) {
		c->limited |= (uint8_t)(1u << (s == c->end[1]));
		t->cfg.limit(t->cfg.limit_ctx, side_cookie(s), WR_WANT_ALL);
	}
	if (wr_session_protocol(st->s) && !c->reading->inner) {
		unsigned was = c->protocol;

		c->protocol = (uint8_t)wr_session_protocol_row(st->s);
		if (c->protocol != was && t->cfg.tls && !strcmp(wr_session_protocol(st->s), "tls"))
			tell_tls(t, c);
	}
	return 0;
}

/* Bytes of @dir at @off follow; what is missing in front of them was lost. */
static void inner_data(
	struct reading *g, unsigned dir, const struct wr_rec_tls *r, struct wr_bytes b)
{
	uint64_t ts = r->h.ts;

	if (r->off > g->next[dir])
		wr_session_gap(g->inner, dir, r->off - g->next[dir], ts);
	if (b.n)
		wr_session_data(g->inner, dir, b, ts);
	if (r->len > r->cap)
		wr_session_gap(g->inner, dir, r->len - r->cap, ts);
	g->next[dir] = r->off + r->len;
}

/* Where both ends are here both libraries tell: the first one is believed. */
int wr_conns_tls(struct wr_conns *t, const struct wr_rec_tls *r, const uint8_t *data)
{
	struct side *s = conn_side_by_cookie(t, r->cookie);
	struct conn *c = s ? s->conn : NULL;
	struct reading *g;
	unsigned dir;

	if (!c || !t->sessions)
		return -ENOENT;
	dir = (s == c->end[1]) ^ !r->dir;
	if (r->h.ts > t->now)
		t->now = r->h.ts;
	if (!c->reading)
		c->reading = wr_slab_get(&t->readings);
	g = c->reading;
	if (!g)
		return -ENOMEM;
	if (g->inner && g->cookie != r->cookie) {
		if (!g->hushed && t->cfg.limit)
			t->cfg.limit(t->cfg.limit_ctx, r->cookie | WR_LIMIT_TLS, WR_WANT_SILENCE);
		g->hushed = true;
		return 0;
	}
	if (!g->inner) {
		g->inner = wr_session_new(t->sessions, c, WR_TCP,
			c->end[0] ? c->end[0]->rport : c->end[1]->lport, !r->shaken);
		if (!g->inner)
			return -ENOMEM;
		g->cookie = r->cookie;
		/* joined in the middle: nothing before it is missed */
		g->next[0] = g->next[1] = 0;
		g->next[dir] = r->off;
	}
	if (!g->next[dir] && r->off && !r->shaken)
		g->next[dir] = r->off;
	wr_session_net(g->inner, &g->net);
	/* what it got from its library it has read */
	if (!r->dir)
		g->read = r->h.ts;
	else if (g->read)
		wr_session_read(g->inner, dir, g->read);
	inner_data(g, dir, r, (struct wr_bytes){data, r->cap});
	if (wr_session_protocol(g->inner))
		c->protocol = (uint8_t)wr_session_protocol_row(g->inner);
	if ((r->len >= LONG || wr_session_bodies(g->inner)) && t->cfg.limit &&
		wr_session_protocol(g->inner) && g->limited != wanted(g->inner)) {
		g->limited = (uint8_t)wanted(g->inner);
		t->cfg.limit(t->cfg.limit_ctx, r->cookie | WR_LIMIT_TLS, wanted(g->inner));
	}
	return 0;
}

const struct wr_sessions *wr_conns_sessions(const struct wr_conns *t)
{
	return t->sessions;
}
