// SPDX-License-Identifier: Apache-2.0
#include "conn_priv.h"

#define UDP_IDLE (30ull * 1000000000)
#define SAME_TIME 100000000ull /* between the two ends' sight of one datagram */

#define HANDSHAKE                                                                                  \
	1000000000ull /* ns; a socket without sequence numbers is not told by a reading before it is so old */

struct wr_conns *wr_conns_new(const struct wr_conns_config *cfg)
{
	struct wr_conns *t = wr_alloc(sizeof(*t));

	if (!t)
		return NULL;
	t->cfg = *cfg;
	if (!t->cfg.udp_idle)
		t->cfg.udp_idle = UDP_IDLE;
	if (!t->cfg.max)
		t->cfg.max = WR_MAX_CONNS;
	t->conns = WR_SLAB(struct conn, t->cfg.max);
	t->sides = WR_SLAB(struct side, t->cfg.max * 2);
	t->pairs = (struct wr_slab){.size = 2 * sizeof(struct wr_ip), .max = t->cfg.max * 2};
	t->troubles = WR_SLAB(struct trouble, t->cfg.max * 2);
	t->readings = WR_SLAB(struct reading, WR_MAX_SESSIONS);
	t->now = wr_now();
	t->utc = wr_utc_offset();
	t->gateway = cfg->requests ? wr_gateway_new() : NULL;
	t->sessions = cfg->requests ? conn_sessions_new(t) : NULL;
	if (cfg->requests && !t->sessions) {
		wr_conns_free(t);
		return NULL;
	}
	return t;
}

void wr_conns_free(struct wr_conns *t)
{
	if (!t)
		return;
	wr_htab_each (&t->by_tuple, i, n) {
		struct conn *c = wr_container(n, struct side, by_tuple)->conn;

		if (c && c->reading)
			conn_reading_free(c->reading);
	}
	wr_gateway_free(t->gateway);
	wr_neighbors_free(t->neighbors);
	free(t->syns);
	wr_sessions_free(t->sessions);
	wr_htab_free(&t->by_cookie);
	wr_htab_free(&t->by_tuple);
	wr_htab_free(&t->by_seq);
	wr_slab_free(&t->conns);
	wr_slab_free(&t->sides);
	wr_slab_free(&t->pairs);
	wr_slab_free(&t->troubles);
	wr_slab_free(&t->readings);
	free(t->changed);
	free(t);
}

void wr_conns_sink(struct wr_conns *t, wr_sink_fn sink, void *ctx)
{
	t->cfg.sink = sink;
	t->cfg.ctx = ctx;
}

static uint64_t tuple_hash(
	const struct wr_ip *l, uint16_t lp, const struct wr_ip *r, uint16_t rp, uint8_t proto)
{
	uint8_t k[40];

	memcpy(k, l, 16);
	memcpy(k + 16, r, 16);
	memcpy(k + 32, &lp, 2);
	memcpy(k + 34, &rp, 2);
	memset(k + 36, proto, 4);
	return wr_hash(k, sizeof(k), 0);
}

static bool side_has(const struct side *s, const struct wr_ip *l, const struct wr_ip *r)
{
	struct wr_ip mine[2] = {side_ip(s, LOCAL), side_ip(s, REMOTE)};

	return !memcmp(&mine[LOCAL], l, 16) && !memcmp(&mine[REMOTE], r, 16);
}

struct side *conn_next_by_tuple(const struct wr_conns *t, const struct side *at,
	const struct wr_ip *l, uint16_t lp, const struct wr_ip *r, uint16_t rp, uint8_t proto)
{
	uint64_t h = tuple_hash(l, lp, r, rp, proto);
	struct wr_hnode *n =
		at ? wr_htab_next(at->by_tuple.next, h) : wr_htab_first(&t->by_tuple, h);

	for (; n; n = wr_htab_next(n->next, h)) {
		struct side *s = wr_container(n, struct side, by_tuple);

		if (s->lport == lp && s->rport == rp && s->proto == proto && side_has(s, l, r))
			return s;
	}
	return NULL;
}

struct side *conn_side_by_tuple(const struct wr_conns *t, const struct wr_ip *l, uint16_t lp,
	const struct wr_ip *r, uint16_t rp, uint8_t proto, uint32_t netns, uint64_t cookie)
{
	struct side *s = NULL;

	while ((s = conn_next_by_tuple(t, s, l, lp, r, rp, proto))) {
		if ((!netns || s->netns == netns) && (!cookie || side_cookie(s) == cookie))
			return s;
	}
	return NULL;
}

struct side *conn_next_mirror(const struct wr_conns *t, const struct side *at, const struct side *s)
{
	struct wr_ip l = side_ip(s, REMOTE), r = side_ip(s, LOCAL);

	return conn_next_by_tuple(t, at, &l, s->rport, &r, s->lport, s->proto);
}

struct side *conn_mirror(const struct wr_conns *t, const struct side *s, uint32_t netns)
{
	struct side *m = NULL;

	do
		m = conn_next_mirror(t, m, s);
	while (m && netns && m->netns != netns);
	return m;
}

struct side *conn_side_by_cookie(const struct wr_conns *t, uint64_t cookie)
{
	struct wr_hnode *n = wr_htab_first(&t->by_cookie, cookie);

	return n ? wr_container(n, struct side, by_cookie) : NULL;
}

const struct wr_proc *wr_conns_owner(const struct wr_conns *t, const struct wr_ip *local,
	uint16_t lport, const struct wr_ip *remote, uint16_t rport, uint8_t proto, uint32_t netns)
{
	const struct side *s = conn_side_by_tuple(t, local, lport, remote, rport, proto, netns, 0);

	return s ? s->proc : NULL;
}

const struct side *conn_listener(const struct wr_conns *t, uint16_t port, uint32_t netns)
{
	static const struct wr_ip any4 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}}, any6;
	uint64_t h = tuple_hash(&any4, port, &any6, 0, NET_TCP);

	for (struct wr_hnode *n = wr_htab_first(&t->by_tuple, h); n; n = wr_htab_next(n->next, h)) {
		struct side *s = wr_container(n, struct side, by_tuple);

		if (s->role == WR_ROLE_LISTENER && s->lport == port && s->netns == netns)
			return s;
	}
	return NULL;
}

/* Listeners are found by port alone, so all of them share one form of hash. */
static uint64_t side_hash(const struct side *s)
{
	static const struct wr_ip any4 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}}, any6;
	struct wr_ip l, r;

	if (s->role == WR_ROLE_LISTENER)
		return tuple_hash(&any4, s->lport, &any6, 0, NET_TCP);
	l = side_ip(s, LOCAL);
	r = side_ip(s, REMOTE);
	return tuple_hash(&l, s->lport, &r, s->rport, s->proto);
}

static void side_free(struct wr_conns *t, struct side *s)
{
	if (!s)
		return;
	wr_enrich_put(t->cfg.enrich, s->proc);
	if (is_tcp(s))
		wr_htab_del(&t->by_cookie, &s->by_cookie);
	wr_htab_del(&t->by_tuple, &s->by_tuple);
	wr_slab_put(&t->troubles, s->trouble);
	wr_slab_put(&t->pairs, s->six ? s->ip6 : NULL);
	wr_slab_put(&t->sides, s);
}

static void conn_free(struct wr_conns *t, struct conn *c)
{
	if (c->changed)
		t->changed[c->changed - 1] = NULL;
	side_free(t, c->end[0]);
	side_free(t, c->end[1]);
	if (c->seq_key)
		wr_htab_del(&t->by_seq, &c->by_seq);
	if (c->reading)
		conn_reading_free(c->reading);
	wr_slab_put(&t->readings, c->reading);
	wr_slab_put(&t->conns, c);
}

/* Told once by wr_conns_settle(), when both ends have been read. */
static void changed(struct wr_conns *t, struct conn *c)
{
	if (c->changed)
		return;
	if (t->n_changed == t->cap_changed) {
		uint32_t cap = t->cap_changed ? t->cap_changed * 2 : 256;
		void *p = wr_realloc(t->changed, cap * sizeof(*t->changed));

		if (!p) {
			conn_emit_all(t, c, WR_EV_UPDATE, NULL);
			return;
		}
		t->changed = p;
		t->cap_changed = cap;
	}
	t->changed[t->n_changed++] = c;
	c->changed = t->n_changed;
}

void wr_conns_settle(struct wr_conns *t)
{
	for (uint32_t i = 0; i < t->n_changed; i++) {
		if (!t->changed[i])
			continue;
		t->changed[i]->changed = 0;
		conn_emit_all(t, t->changed[i], WR_EV_UPDATE, NULL);
	}
	t->n_changed = 0;
	if (t->cap_changed > 4096) { /* a reading of everything: rare, and its list is large */
		free(t->changed);
		t->changed = NULL;
		t->cap_changed = 0;
	}
}

/* records in ---------------------------------------------------------------------------------- */

static struct conn *conn_new(struct wr_conns *t, uint64_t first, uint64_t salt)
{
	struct conn *c = wr_slab_get(&t->conns);

	if (!c)
		return NULL;
	c->first = c->last = first;
	c->id = wr_hash64(salt * 0x9e3779b97f4a7c15ull ^ first);
	return c;
}

static struct side *side_new(struct wr_conns *t, uint64_t cookie, const uint8_t *l, uint16_t lp,
	const uint8_t *r, uint16_t rp, uint8_t proto, uint8_t role, uint32_t netns)
{
	struct side *s = wr_slab_get(&t->sides);

	if (!s)
		return NULL;
	s->six = !wr_ip_is4((const struct wr_ip *)l) || !wr_ip_is4((const struct wr_ip *)r);
	if (s->six) {
		s->ip6 = wr_slab_get(&t->pairs);
		if (!s->ip6) {
			wr_slab_put(&t->sides, s);
			return NULL;
		}
		memcpy(&s->ip6[LOCAL], l, 16);
		memcpy(&s->ip6[REMOTE], r, 16);
	} else {
		memcpy(&s->ip4[LOCAL], l + 12, 4);
		memcpy(&s->ip4[REMOTE], r + 12, 4);
	}
	s->by_cookie.hash = cookie;
	s->lport = lp;
	s->rport = rp;
	s->proto = proto;
	s->role = role;
	s->netns = netns;
	if ((is_tcp(s) && wr_htab_add(&t->by_cookie, &s->by_cookie, cookie)) ||
		wr_htab_add(&t->by_tuple, &s->by_tuple, side_hash(s))) {
		side_free(t, s);
		return NULL;
	}
	return s;
}

/* The connection whose other end this is; NULL = none known. @end: which end @s is. */
static struct conn *find_peer(
	struct wr_conns *t, const struct side *s, uint64_t seq_key, unsigned *end, uint64_t first)
{
	unsigned other;
	struct side *m;

	if (is_link(s))
		return NULL;

	if (seq_key) {
		for (struct wr_hnode *n = wr_htab_first(&t->by_seq, wr_hash64(seq_key)); n;
			n = wr_htab_next(n->next, wr_hash64(seq_key))) {
			struct conn *c = wr_container(n, struct conn, by_seq);

			if (c->seq_key == seq_key && !c->end[*end] && c->end[!*end])
				return c;
		}
		return NULL;
	}
	m = conn_mirror(t, s, s->netns);
	if (!m && s->proto != NET_TCP)
		m = conn_mirror(t, s, 0);
	if (!m || m == s || is_link(m) || !m->conn || m->closed ||
		(m->conn->end[0] && m->conn->end[1]))
		return NULL;
	other = m->conn->end[0] ? 1 : 0;
	/* in another namespace the same addresses may be another world: one must have sent first, the other
	 * received first, at the same time */
	if (m->netns != s->netns &&
		(other != *end || (first > m->conn->first ? first - m->conn->first
							  : m->conn->first - first) > SAME_TIME))
		return NULL;
	*end = other;
	return m->conn;
}

void conn_set_owner(struct wr_conns *t, struct side *s, const struct wr_owner *o)
{
	struct wr_proc *p;

	if (s->proc && wr_proc_is(s->proc, o))
		return;
	p = wr_enrich_proc(t->cfg.enrich, o);
	if (!p)
		return;
	wr_enrich_put(t->cfg.enrich, s->proc);
	s->proc = p;
}

/* 0 or -ENOMEM with nothing changed */
static int attach_side(
	struct wr_conns *t, struct side *s, unsigned end, uint64_t seq_key, uint64_t first)
{
	struct conn *c = find_peer(t, s, seq_key, &end, first);

	if (!c) {
		c = conn_new(t, first, side_cookie(s) ^ (uint64_t)s->rport << 48);
		if (!c)
			return -ENOMEM;
		c->seq_key = seq_key;
		if (seq_key && wr_htab_add(&t->by_seq, &c->by_seq, wr_hash64(seq_key)))
			c->seq_key = 0;
	} else if (first < c->first) {
		c->first = first;
	}
	c->end[end] = s;
	s->conn = c;
	return 0;
}

static unsigned tcp_end(const struct wr_conns *t, const struct wr_rec_sock *r)
{
	if (r->s.role == WR_ROLE_CLIENT)
		return 0;
	if (r->s.role != WR_ROLE_NONE)
		return 1;
	/* older than the sensor: a known listener on its port makes it a server; else the lower port is */
	if (conn_listener(t, r->lport, r->s.owner.netns))
		return 1;
	if (conn_listener(t, r->rport, r->s.owner.netns))
		return 0;
	return r->lport < r->rport;
}

/* How long a window was closed, an interval that still runs included. */
static uint32_t closed_ms(uint64_t ns, uint64_t since, uint64_t now)
{
	if (since && now > since)
		ns += now - since;
	return (uint32_t)(ns / 1000000);
}

/* Without memory for it the next reading tries again: its counts are sums. */
static void take_trouble(struct wr_conns *t, struct side *s, const struct wr_rec_sock *r)
{
	const struct wr_sock *k = &r->s;
	struct trouble x = {.retrans = r->retrans,
		.ooo = r->ooo_in,
		.re_timeout = k->re_timeout,
		.re_fast = k->re_fast,
		.re_probe = k->re_probe,
		.re_syn = k->re_syn,
		.dsack = r->dsack_dups,
		.rwnd_ms = r->rwnd_ms,
		.sndbuf_ms = r->sndbuf_ms,
		.zw_in_ms = closed_ms(k->zw_in_ns, k->zw_in_since, r->h.ts),
		.zw_out_ms = closed_ms(k->zw_out_ns, k->zw_out_since, r->h.ts),
		.stalled = r->event == WR_EV_CLOSE ? 0 : r->stalled,
		.zw_in_n = k->zw_in_n,
		.zw_out_n = k->zw_out_n};

	if (!s->trouble && memcmp(&x, trouble_of(NULL), sizeof(x)))
		s->trouble = wr_slab_get(&t->troubles);
	if (s->trouble)
		*s->trouble = x;
}

static void take_reading(struct wr_conns *t, struct side *s, const struct wr_rec_sock *r)
{
	const struct wr_sock *k = &r->s;

	conn_set_owner(t, s, &k->owner);
	s->state = r->event == WR_EV_CLOSE ? r->old_state : k->state;
	s->flags = k->flags;
	s->bytes_out = r->bytes_out;
	/* of a client that is older than the sensor the kernel half did not know that it sent the SYN */
	if (k->role == WR_ROLE_NONE && s->conn->end[0] == s && s->bytes_out)
		s->bytes_out--;
	s->bytes_in = r->bytes_in;
	/* the SYN and SYN+ACK of a server went through the listener */
	s->packets_out = r->segs_out + (uint64_t)(s->role == WR_ROLE_SERVER);
	s->packets_in = r->segs_in + (uint64_t)(s->role == WR_ROLE_SERVER);
	s->rtt = r->srtt_us;
	s->rtt_var = r->rttvar_us;
	s->rtt_min = r->min_rtt_us;
	s->cwnd = r->cwnd;
	s->mss = (uint16_t)r->mss;
	s->pmtu = (uint16_t)(r->pmtu ? wr_min(r->pmtu - 1, (uint32_t)UINT16_MAX) : 0);
	s->rcvq = r->event == WR_EV_CLOSE ? 0 : r->rcvq;
	s->sndq = r->event == WR_EV_CLOSE ? 0 : r->sndq;
	s->busy_ms = r->busy_ms;
	s->handshake_us = k->handshake_us;
	if (k->t_accept && k->t_est) /* +1: zero means unknown */
		s->accept_us =
			(uint32_t)wr_min((k->t_accept - k->t_est) / 1000 + 1, (uint64_t)UINT32_MAX);
	s->err = (uint8_t)r->err; /* an errno: less than 134 */
	s->rst = (uint8_t)k->rst_reason;
	take_trouble(t, s, r);
	s->gen = t->gen;
}

static void on_sock(struct wr_conns *t, const struct wr_rec_sock *r)
{
	struct side *s = conn_side_by_cookie(t, r->cookie);
	uint64_t seq_key = 0, first = r->s.t_open ? r->s.t_open : r->h.ts;
	bool fresh = false;
	struct conn *c;

	/*
	 * A reading that falls into a handshake knows no sequence numbers: the side would never find its other
	 * end. Its own record, or the next reading, tells it.
	 */
	if (!s && r->event == WR_EV_UPDATE && r->s.role != WR_ROLE_LISTENER &&
		!(r->s.flags & (WR_F_SEQ_KNOWN | WR_F_SEEDED)) && r->h.ts < first + HANDSHAKE) {
		t->stats.records.out++;
		return;
	}
	if (!s) {
		uint8_t role = r->s.role;
		unsigned end = tcp_end(t, r);

		s = side_new(t, r->cookie, r->laddr, r->lport, r->raddr, r->rport, NET_TCP, role,
			r->s.owner.netns);
		if (!s) {
			t->stats.refused++;
			t->stats.records.dropped++;
			return;
		}
		if (r->s.flags & WR_F_SEQ_KNOWN)
			seq_key = end ? (uint64_t)r->s.irs << 32 | r->s.iss
				      : (uint64_t)r->s.iss << 32 | r->s.irs;
		if (attach_side(t, s, end, seq_key, first)) {
			side_free(t, s);
			t->stats.refused++;
			t->stats.records.dropped++;
			return;
		}
		fresh = true;
	}
	t->stats.records.out++;
	c = s->conn;
	take_reading(t, s, r);
	if (r->h.ts > c->last)
		c->last = r->h.ts;
	if (r->event != WR_EV_CLOSE) {
		if (fresh && !c->opened) {
			c->opened = true;
			t->stats.opened++;
			conn_emit_all(
				t, c, r->s.flags & WR_F_SEEDED ? WR_EV_UPDATE : WR_EV_OPEN, r);
		} else if (r->event == WR_EV_UPDATE) {
			changed(t, c);
		} else if (fresh) { /* the other end is known now */
			conn_emit_all(t, c, WR_EV_UPDATE, r);
		}
		return;
	}
	s->closed = 1;
	t->gone[side_cookie(s) % GONE].cookie = side_cookie(s);
	t->gone[side_cookie(s) % GONE].id = c->id;
	if (s->proc)
		t->stats.named++;
	else
		t->stats.unnamed++;
	if ((c->end[0] && !c->end[0]->closed) || (c->end[1] && !c->end[1]->closed))
		return; /* the other end still lives */
	t->stats.closed++;
	if (c->reading)
		conn_reading_end(c->reading, r->h.ts);
	conn_emit_all(t, c, WR_EV_CLOSE, r);
	conn_free(t, c);
}

static void on_icmp(struct wr_conns *t, const struct wr_rec_icmp *r)
{
	struct side *s;

	t->icmp[t->n_icmp++ % ICMP_MEMORY].r = *r;
	s = conn_side_by_tuple(t, (const struct wr_ip *)r->saddr, r->sport,
		(const struct wr_ip *)r->daddr, r->dport, r->proto, 0, 0);
	t->stats.records.out++;
	if (s && s->conn)
		conn_emit(t, s->conn, WR_EV_UPDATE, NULL, r, t->cfg.sink, t->cfg.ctx);
}

/* Its close was told already, or comes yet (then it says the same). */
static void on_reset(struct wr_conns *t, const struct wr_rec_reset *r)
{
	struct side *s = conn_side_by_cookie(t, r->cookie);

	t->stats.records.out++;
	if (!s)
		return;
	s->flags |= WR_F_RST_OUT;
	s->rst = (uint8_t)r->reason;
}

static void on_arp(struct wr_conns *t, const struct wr_rec_arp *r)
{
	struct wr_arp a = {.ts = r->h.ts + (uint64_t)t->utc,
		.ifindex = r->ifindex,
		.op = r->op,
		.sender = wr_ip4(r->sender),
		.target = wr_ip4(r->target)};

	if (!t->neighbors)
		t->neighbors = wr_neighbors_new(t->cfg.host);
	if (!t->neighbors) {
		t->stats.records.dropped++;
		return;
	}
	memcpy(a.mac, r->mac, sizeof(a.mac));
	wr_neighbors_packet(t->neighbors, &a, t->cfg.sink, t->cfg.ctx);
	t->stats.records.out++;
}

void wr_conns_record(struct wr_conns *t, const struct wr_rec *r, size_t len)
{
	t->stats.records.in++;
	if (r->ts > t->now)
		t->now = r->ts;
	if (r->type == WR_REC_SOCK && len >= sizeof(struct wr_rec_sock)) {
		on_sock(t, (const struct wr_rec_sock *)r);
	} else if (r->type == WR_REC_EXEC && len >= sizeof(struct wr_rec_exec)) {
		wr_enrich_exec(t->cfg.enrich, (const struct wr_rec_exec *)r);
		t->stats.records.out++;
	} else if (r->type == WR_REC_CGROUP && len >= sizeof(struct wr_rec_cgroup)) {
		wr_enrich_cgroup(t->cfg.enrich, (const struct wr_rec_cgroup *)r);
		t->stats.records.out++;
	} else if (r->type == WR_REC_ICMP && len >= sizeof(struct wr_rec_icmp)) {
		on_icmp(t, (const struct wr_rec_icmp *)r);
	} else if (r->type == WR_REC_ARP && len >= sizeof(struct wr_rec_arp)) {
		on_arp(t, (const struct wr_rec_arp *)r);
	} else if (r->type == WR_REC_CALL && len >= sizeof(struct wr_rec_call)) {
		conn_emit_call(t, (const struct wr_rec_call *)r);
	} else if (r->type == WR_REC_RESET && len >= sizeof(struct wr_rec_reset)) {
		on_reset(t, (const struct wr_rec_reset *)r);
	} else {
		t->stats.records.dropped++;
	}
}

/* Who asks: the end that sent first; of a TCP connection that began before us the higher port. */
static unsigned flow_end(const struct wr_flow_key *k, const struct wr_flow *v)
{
	if (!k->cookie && k->proto == NET_TCP && (k->lport < 32768) != (k->rport < 32768))
		return k->lport < 32768;
	return v->first_dir ? 0 : 1;
}

/* Is this flow of an interface already counted: at a local socket, or on another interface? */
static bool counted_elsewhere(struct wr_conns *t, const struct wr_flow_key *k, uint64_t cookie)
{
	const struct wr_ip *l = (const void *)k->laddr, *r = (const void *)k->raddr;
	const struct side *s = conn_side_by_tuple(t, l, k->lport, r, k->rport, k->proto, 0, 0);

	if (!s)
		s = conn_side_by_tuple(t, r, k->rport, l, k->lport, k->proto, 0, 0);
	if (s)
		return side_cookie(s) != cookie;
	return t->cfg.local &&
	       (t->cfg.local(t->cfg.local_ctx, l) || t->cfg.local(t->cfg.local_ctx, r));
}

bool wr_conns_flow(
	struct wr_conns *t, const struct wr_flow_key *k, const struct wr_flow *v, bool last)
{
	uint64_t cookie = k->cookie ? k->cookie : LINK | k->ifindex;
	struct side *s = conn_side_by_tuple(t, (const struct wr_ip *)k->laddr, k->lport,
		(const struct wr_ip *)k->raddr, k->rport, k->proto, 0, cookie);
	bool fresh = false, moved;
	struct conn *c;

	t->stats.records.in++;
	if (!s && !k->cookie && counted_elsewhere(t, k, cookie)) {
		t->stats.records.out++;
		return v->last + t->cfg.udp_idle < t->now;
	}
	if (!s) {
		s = side_new(t, cookie, k->laddr, k->lport, k->raddr, k->rport, k->proto,
			WR_ROLE_NONE, v->owner.netns);
		if (!s || attach_side(t, s, flow_end(k, v), 0, v->first)) {
			side_free(t, s);
			t->stats.refused++;
			t->stats.records.dropped++;
			return true; /* no room: at least the kernel's map is kept free */
		}
		fresh = true;
	}
	t->stats.records.out++;
	c = s->conn;
	conn_set_owner(t, s, &v->owner);
	moved = s->packets_out != v->packets_out || s->packets_in != v->packets_in;
	s->bytes_out = v->bytes_out;
	s->bytes_in = v->bytes_in;
	s->packets_out = v->packets_out;
	s->packets_in = v->packets_in;
	s->gen = t->gen;
	if (v->last > c->last)
		c->last = v->last;
	if (fresh && !c->opened) {
		c->opened = true;
		t->stats.opened++;
		conn_emit_all(t, c, WR_EV_OPEN, NULL);
	} else if (fresh || moved) {
		changed(t, c);
	}
	if (!last)
		return v->last + t->cfg.udp_idle < t->now;
	s->closed = 1;
	if (s->proc)
		t->stats.named++;
	else
		t->stats.unnamed++;
	if ((c->end[0] && !c->end[0]->closed) || (c->end[1] && !c->end[1]->closed))
		return true;
	t->stats.closed++;
	if (c->reading)
		conn_reading_end(c->reading, t->now);
	conn_emit_all(t, c, WR_EV_CLOSE, NULL);
	conn_free(t, c);
	return true;
}

void wr_conns_mark(struct wr_conns *t)
{
	t->gen++;
}

/* A TCP socket that a reading of everything did not find is gone: its close record was lost. */
void wr_conns_sweep(struct wr_conns *t)
{
	wr_htab_each (&t->by_cookie, i, n) {
		struct side *s = wr_container(n, struct side, by_cookie);
		struct conn *c = s->conn;

		if (s->gen == t->gen || s->closed)
			continue;
		s->closed = 1;
		if ((c->end[0] && !c->end[0]->closed) || (c->end[1] && !c->end[1]->closed))
			continue;
		t->stats.closed++;
		if (c->reading)
			conn_reading_end(c->reading, t->now);
		conn_emit_all(t, c, WR_EV_CLOSE, NULL);
		/* the other end may be the next node: freeing one end at a time keeps the walk right */
		if (next_n && c->end[0] && c->end[1] &&
			(next_n == &c->end[0]->by_cookie || next_n == &c->end[1]->by_cookie))
			next_n = next_n->next;
		conn_free(t, c);
	}
}

void wr_conns_tick(struct wr_conns *t, uint64_t now, int64_t utc_offset)
{
	t->now = now;
	t->utc = utc_offset;
	wr_neighbors_flush(t->neighbors, t->cfg.sink, t->cfg.ctx);
	if (t->sessions)
		wr_sessions_tick(t->sessions, now);
}

void wr_conns_each(struct wr_conns *t, wr_sink_fn fn, void *ctx)
{
	wr_htab_each (&t->by_tuple, i, n) {
		struct side *s = wr_container(n, struct side, by_tuple);
		struct conn *c = s->conn;

		if (c && s == (c->end[0] ? c->end[0] : c->end[1])) /* once a connection */
			conn_emit(t, c, WR_EV_UPDATE, NULL, NULL, fn, ctx);
	}
}

uint64_t wr_conns_id(const struct wr_conns *t, uint64_t cookie)
{
	const struct side *s = conn_side_by_cookie(t, cookie);

	if (s && s->conn)
		return s->conn->id;
	return t->gone[cookie % GONE].cookie == cookie ? t->gone[cookie % GONE].id : 0;
}

void wr_conns_stats(const struct wr_conns *t, struct wr_conns_stats *ret)
{
	*ret = t->stats;
	ret->live = t->conns.used;
	ret->sides = t->sides.used;
}
