// SPDX-License-Identifier: Apache-2.0
#include "conn.h"
#include "../base/slab.h"
#include "stream.h"

#include <net/if.h>

#define UDP_IDLE (30ull * 1000000000)
#define SAME_TIME 100000000ull /* between the two ends' sight of one datagram */
#define ICMP_MEMORY 64 /* recent errors, for connections that fail before they are known */
#define GONE 4096 /* closed sockets whose connection is still known to late packet copies */
#define LONG 4096 /* bytes of a segment (GRO, GSO) that hint at long turns */
#define NET_TCP 6
#define NET_UDP 17

enum { ST_ESTABLISHED = 1, ST_SYN_SENT = 2, ST_LISTEN = 10 };

/* One socket's end of a connection (UDP: one socket's traffic with one peer). */
struct side {
	struct wr_hnode by_cookie, by_tuple;
	struct conn *conn;
	struct wr_proc *proc;
	uint64_t cookie, bytes_out, bytes_in, packets_out, packets_in;
	struct wr_ip laddr, raddr;
	uint16_t lport, rport;
	uint32_t netns;
	uint32_t retrans, ooo, re_timeout, re_fast, re_probe, re_syn, dsack;
	uint32_t rtt, rtt_var, rtt_min, cwnd, rcvq, sndq;
	uint32_t busy_ms, rwnd_ms, sndbuf_ms, handshake_us, accept_us, zw_in_ms, zw_out_ms;
	uint16_t zw_in_n, zw_out_n, err, mss;
	uint8_t state, role, flags, closed, proto, gen, rst;
};

/* A flow of a watched interface has no socket: instead of its cookie stands the interface. */
#define LINK (1ull << 63)

static bool is_link(const struct side *s)
{
	return s->cookie & LINK;
}

static bool is_tcp(const struct side *s)
{
	return s->proto == NET_TCP && !is_link(s);
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
	uint8_t limited; /* bit an end: the kernel was told how much of its payload is wanted */
	struct reading
		*reading; /* NULL until there is payload: most connections of a host are silent */
};

/* What is read of a connection: its bytes, and what its TLS library said is inside them. */
struct reading {
	struct wr_stream stream;
	struct wr_session *inner; /* NULL: no plain text (yet) */
	bool limited; /* the kernel was told how much of the plain text is wanted */
	uint64_t cookie,
		next[2]; /* inner: of the end whose library tells (the other one says the same); offsets */
};

struct icmp_seen {
	struct wr_rec_icmp r;
};

struct wr_conns {
	struct wr_conns_config cfg;
	struct wr_slab conns, sides, readings;
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
	struct wr_conns_stats stats;
};

static void on_request(void *ctx, struct wr_session *s, struct wr_ev_request *r, bool flip);

const char *wr_tcp_state_name(uint8_t s)
{
	static const char *const names[] = {"", "established", "syn_sent", "syn_received",
		"fin_wait_1", "fin_wait_2", "time_wait", "closed", "close_wait", "last_ack",
		"listen", "closing", "syn_received"};

	return s < WR_N(names) ? names[s] : "";
}

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
	t->readings = WR_SLAB(struct reading, WR_MAX_SESSIONS);
	t->now = wr_now();
	t->utc = wr_utc_offset();
	if (cfg->requests) {
		struct wr_session_config sc = {
			.unmasked = cfg->unmasked, .emit = on_request, .ctx = t};

		t->sessions = wr_sessions_new(&sc);
		if (!t->sessions) {
			wr_conns_free(t);
			return NULL;
		}
	}
	return t;
}

static void reading_free(struct reading *r)
{
	wr_stream_free(&r->stream);
	wr_session_free(r->inner);
	r->inner = NULL;
}

/* Nothing more comes: what is under way is told. */
static void reading_end(struct reading *r, uint64_t ts)
{
	wr_stream_end(&r->stream, ts, true);
	if (!r->inner)
		return;
	wr_session_end(r->inner, ts, true);
	wr_session_free(r->inner);
	r->inner = NULL;
}

void wr_conns_free(struct wr_conns *t)
{
	if (!t)
		return;
	wr_htab_each (&t->by_tuple, i, n) {
		struct conn *c = wr_container(n, struct side, by_tuple)->conn;

		if (c && c->reading)
			reading_free(c->reading);
	}
	wr_sessions_free(t->sessions);
	wr_htab_free(&t->by_cookie);
	wr_htab_free(&t->by_tuple);
	wr_htab_free(&t->by_seq);
	wr_slab_free(&t->conns);
	wr_slab_free(&t->sides);
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

static struct side *side_by_tuple(const struct wr_conns *t, const struct wr_ip *l, uint16_t lp,
	const struct wr_ip *r, uint16_t rp, uint8_t proto, uint32_t netns, uint64_t cookie)
{
	uint64_t h = tuple_hash(l, lp, r, rp, proto);

	for (struct wr_hnode *n = wr_htab_first(&t->by_tuple, h); n; n = wr_htab_next(n->next, h)) {
		struct side *s = wr_container(n, struct side, by_tuple);

		if (s->lport == lp && s->rport == rp && s->proto == proto &&
			(!netns || s->netns == netns) && (!cookie || s->cookie == cookie) &&
			!memcmp(&s->laddr, l, 16) && !memcmp(&s->raddr, r, 16))
			return s;
	}
	return NULL;
}

static struct side *side_by_cookie(const struct wr_conns *t, uint64_t cookie)
{
	uint64_t h = wr_hash64(cookie);

	for (struct wr_hnode *n = wr_htab_first(&t->by_cookie, h); n;
		n = wr_htab_next(n->next, h)) {
		struct side *s = wr_container(n, struct side, by_cookie);

		if (s->cookie == cookie)
			return s;
	}
	return NULL;
}

static bool listens(const struct wr_conns *t, uint16_t port, uint32_t netns)
{
	static const struct wr_ip any4 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}}, any6;
	uint64_t h = tuple_hash(&any4, port, &any6, 0, NET_TCP);

	for (struct wr_hnode *n = wr_htab_first(&t->by_tuple, h); n; n = wr_htab_next(n->next, h)) {
		struct side *s = wr_container(n, struct side, by_tuple);

		if (s->role == WR_ROLE_LISTENER && s->lport == port && s->netns == netns)
			return true;
	}
	return false;
}

/* Listeners are found by port alone, so all of them share one form of hash. */
static uint64_t side_hash(const struct side *s)
{
	static const struct wr_ip any4 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}}, any6;

	if (s->role == WR_ROLE_LISTENER)
		return tuple_hash(&any4, s->lport, &any6, 0, NET_TCP);
	return tuple_hash(&s->laddr, s->lport, &s->raddr, s->rport, s->proto);
}

static void side_free(struct wr_conns *t, struct side *s)
{
	if (!s)
		return;
	wr_enrich_put(t->cfg.enrich, s->proc);
	if (is_tcp(s))
		wr_htab_del(&t->by_cookie, &s->by_cookie);
	wr_htab_del(&t->by_tuple, &s->by_tuple);
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
		reading_free(c->reading);
	wr_slab_put(&t->readings, c->reading);
	wr_slab_put(&t->conns, c);
}

/* records out --------------------------------------------------------------------------------- */

struct fill {
	struct wr_ev_conn rec;
	char id[20], icmp[128], ifname[IF_NAMESIZE];
};

/* The owner's fields of an end; @first: index of its address. They are declared in this order in kinds.def. */
static void fill_owner(struct wr_conns *t, struct wr_event *e, unsigned first, const struct side *s)
{
	const struct wr_field *f = &wr_kinds[e->kind].fields[first];
	struct wr_proc *p = s->proc;
	uint64_t *pid = (uint64_t *)((char *)e + f[2].off);
	struct wr_str *v = (struct wr_str *)((char *)e + f[3].off);
	const struct wr_str val[] = {wr_str(p ? p->comm : NULL), wr_str(p ? p->exe : NULL),
		wr_str(p ? p->user : NULL), wr_str(p && p->cgroup ? p->cgroup->path : NULL),
		wr_str(p && p->cgroup ? p->cgroup->container : NULL),
		wr_str(p && p->cgroup ? p->cgroup->pod : NULL),
		p && p->cgroup && p->cgroup->service	 ? wr_str(p->cgroup->service)
		: p && p->cgroup && p->cgroup->container ? wr_str(p->cgroup->container)
							 : wr_str(p ? p->comm : NULL)};

	if (!p)
		return;
	wr_enrich_look(t->cfg.enrich, p);
	*pid = p->pid;
	wr_ev_mark(e, first + 2);
	for (unsigned i = 0; i < WR_N(val); i++) {
		struct wr_str s_i =
			i == 1 ? wr_str(p->exe) : val[i]; /* look() may just have found it */

		if (s_i.n) {
			v[i] = s_i;
			wr_ev_mark(e, first + 3 + i);
		}
	}
}

static const char *icmp_name(uint8_t type, uint8_t code, bool v6)
{
	static const char *const unreach[] = {"net_unreachable", "host_unreachable",
		"protocol_unreachable", "port_unreachable", "fragmentation_needed",
		"source_route_failed", "net_unknown", "host_unknown", "host_isolated",
		"net_prohibited", "host_prohibited", "net_tos", "host_tos", "admin_prohibited"};
	static const char *const unreach6[] = {"no_route", "admin_prohibited", "beyond_scope",
		"address_unreachable", "port_unreachable", "policy_failed", "reject_route"};

	if (v6)
		return type == 1 && code < WR_N(unreach6) ? unreach6[code]
		       : type == 2			  ? "packet_too_big"
		       : type == 3			  ? "time_exceeded"
		       : type == 4			  ? "parameter_problem"
							  : "icmp6_error";
	return type == 3 && code < WR_N(unreach) ? unreach[code]
	       : type == 11			 ? "time_exceeded"
	       : type == 5			 ? "redirect"
	       : type == 12			 ? "parameter_problem"
	       : type == 4			 ? "source_quench"
						 : "icmp_error";
}

static void fill_icmp(
	struct wr_conns *t, struct fill *f, const struct side *s, const struct wr_rec_icmp *r)
{
	char from[WR_IP_TEXT];

	for (unsigned i = 0; !r && i < ICMP_MEMORY; i++) {
		const struct wr_rec_icmp *m = &t->icmp[i].r;

		if (m->h.type && m->proto == s->proto && m->sport == s->lport &&
			m->dport == s->rport && !memcmp(m->saddr, &s->laddr, 16) &&
			!memcmp(m->daddr, &s->raddr, 16) && m->h.ts + 120000000000ull > t->now)
			r = m;
	}
	if (!r)
		return;
	wr_ip_text((const struct wr_ip *)r->from, from);
	snprintf(f->icmp, sizeof(f->icmp), "%s from %s", icmp_name(r->type, r->code, r->v6), from);
	WR_SET(&f->rec, conn, icmp, wr_str(f->icmp));
}

static const char *close_reason(
	const struct conn *c, const struct side *s, unsigned role, const char **ret_by)
{
	static const char *const who[] = {"client", "server"};
	unsigned flags = s->flags;

	(void)c;
	*ret_by = NULL;
	if (!is_tcp(s))
		return "idle";
	if (s->err == ETIMEDOUT) {
		*ret_by = "timeout";
		return "timed_out";
	}
	if (s->state == ST_SYN_SENT) { /* the state before the close */
		if (s->err == ECONNREFUSED) {
			*ret_by = who[!role];
			return "refused";
		}
		if (s->err) {
			return "unreachable";
		}
		*ret_by = who[role];
		return "aborted";
	}
	if (flags & WR_F_RST_OUT) {
		*ret_by = who[role];
		return "reset";
	}
	if (flags & WR_F_RST_IN) {
		*ret_by = who[!role];
		return "reset";
	}
	if (s->err)
		return "error";
	if (flags & (WR_F_FIN_LOCAL | WR_F_FIN_REMOTE)) {
		*ret_by = who[flags & WR_F_FIN_LOCAL ? role : !role];
		return "fin";
	}
	return "unknown";
}

static void fill_close(const struct wr_conns *t, struct fill *f, const struct conn *c)
{
	struct wr_ev_conn *r = &f->rec;
	const char *by, *why;
	const struct side *s = c->end[0] ? c->end[0] : c->end[1];

	/* of two ends, the one that knows more than a FIN */
	if (c->end[0] && c->end[1] && !(s->flags & (WR_F_RST_IN | WR_F_RST_OUT)) && !s->err)
		s = c->end[1]->err || (c->end[1]->flags & (WR_F_RST_IN | WR_F_RST_OUT)) ? c->end[1]
											: s;
	why = close_reason(c, s, s == c->end[1], &by);
	WR_SET(r, conn, close_reason, wr_str(why));
	if (by)
		WR_SET(r, conn, closed_by, wr_str(by));
	if (s->err)
		WR_SET(r, conn, error, s->err);
	for (unsigned i = 0; i < 2 && t->cfg.reset_name; i++) {
		const char *name =
			c->end[i] && c->end[i]->rst ? t->cfg.reset_name(c->end[i]->rst) : NULL;

		if (name)
			WR_SET(r, conn, reset_reason, wr_str(name));
	}
}

static void fill_tcp(struct wr_ev_conn *r, const struct conn *c, uint64_t age_ms)
{
	const struct side *a = c->end[0], *b = c->end[1], *near = a ? a : b;
	const struct side *sender = a && b ? (a->bytes_out >= b->bytes_out ? a : b) : near;
	/* with both ends here each tells of its own window; one end alone tells of both */
	uint64_t zw = a && b ? (uint64_t)a->zw_out_ms + b->zw_out_ms
			     : (uint64_t)near->zw_in_ms + near->zw_out_ms;

	WR_SET(r, conn, retransmits, (a ? a->retrans : 0ull) + (b ? b->retrans : 0));
	if (a)
		WR_SET(r, conn, retransmits_to_server, a->retrans);
	if (b)
		WR_SET(r, conn, retransmits_to_client, b->retrans);
	WR_SET(r, conn, out_of_order, (a ? a->ooo : 0ull) + (b ? b->ooo : 0));
	WR_SET(r, conn, re_timeout, (a ? a->re_timeout : 0ull) + (b ? b->re_timeout : 0));
	WR_SET(r, conn, re_fast, (a ? a->re_fast : 0ull) + (b ? b->re_fast : 0));
	WR_SET(r, conn, re_spurious, (a ? a->dsack : 0ull) + (b ? b->dsack : 0));
	WR_SET(r, conn, re_probe, (a ? a->re_probe : 0ull) + (b ? b->re_probe : 0));
	if (a)
		WR_SET(r, conn, re_syn, a->re_syn);
	if (near->rtt)
		WR_SET(r, conn, rtt_us, near->rtt);
	if (near->rtt_min && near->rtt_min != UINT32_MAX)
		WR_SET(r, conn, rtt_min_us, near->rtt_min);
	if (near->rtt)
		WR_SET(r, conn, rtt_var_us, near->rtt_var);
	WR_SET(r, conn, lim_receiver, sender->rwnd_ms);
	WR_SET(r, conn, lim_send_buffer, sender->sndbuf_ms);
	WR_SET(r, conn, lim_congestion,
		sender->busy_ms > sender->rwnd_ms + sender->sndbuf_ms
			? sender->busy_ms - sender->rwnd_ms - sender->sndbuf_ms
			: 0);
	if (!(sender->flags & WR_F_SEEDED))
		WR_SET(r, conn, lim_application,
			age_ms > sender->busy_ms ? age_ms - sender->busy_ms : 0);
	if (a && a->handshake_us)
		WR_SET(r, conn, handshake_us, a->handshake_us);
	else if (b && b->handshake_us)
		WR_SET(r, conn, handshake_us, b->handshake_us);
	if (b && b->accept_us)
		WR_SET(r, conn, accept_wait_us, b->accept_us - 1);
	WR_SET(r, conn, zero_window_ms, zw);
	WR_SET(r, conn, zero_windows,
		a && b ? (uint64_t)a->zw_out_n + b->zw_out_n
		       : (uint64_t)near->zw_in_n + near->zw_out_n);
	WR_SET(r, conn, congestion_window, sender->cwnd);
	WR_SET(r, conn, mss, sender->mss);
	WR_SET(r, conn, recv_queue, (a ? a->rcvq : 0ull) + (b ? b->rcvq : 0));
	WR_SET(r, conn, send_queue, (a ? a->sndq : 0ull) + (b ? b->sndq : 0));
}

static void fill_states(struct wr_ev_conn *r, const struct wr_sock *s)
{
	uint64_t *us = &r->st_syn_sent;

	for (unsigned i = 0; i < WR_ST_N; i++) {
		if (s->state_ns[i]) {
			us[i] = s->state_ns[i] / 1000;
			wr_ev_mark(&r->ev, WR_I_conn_st_syn_sent + i);
		}
	}
}

static void emit(struct wr_conns *t, const struct conn *c, unsigned event,
	const struct wr_rec_sock *rec, const struct wr_rec_icmp *icmp, wr_sink_fn sink, void *ctx)
{
	static const char *const events[] = {"", "open", "update", "close"};
	struct fill f;
	struct wr_ev_conn *r = &f.rec;
	const struct side *a = c->end[0], *b = c->end[1], *near = a ? a : b;
	const struct side *state = a && !a->closed ? a : b && !b->closed ? b : near;
	uint64_t last = c->last > c->first ? c->last : c->first;

	if (!sink)
		return;
	WR_INIT(r, conn);
	WR_SET(r, conn, time, t->now + (uint64_t)t->utc);
	WR_SET(r, conn, host, wr_str(t->cfg.host));
	snprintf(f.id, sizeof(f.id), "%016llx", (unsigned long long)c->id);
	WR_SET(r, conn, conn, wr_str(f.id));
	if (near->netns)
		WR_SET(r, conn, netns, near->netns);
	WR_SET(r, conn, transport,
		near->proto == NET_TCP	 ? WR_STR("tcp")
		: near->proto == NET_UDP ? WR_STR("udp")
		: near->proto == 1	 ? WR_STR("icmp")
		: near->proto == 58	 ? WR_STR("icmp6")
					 : WR_STR("other"));
	WR_SET(r, conn, event, wr_str(events[event]));
	if (is_tcp(near))
		WR_SET(r, conn, state,
			event == WR_EV_CLOSE ? WR_STR("closed")
					     : wr_str(wr_tcp_state_name(state->state)));
	if (near->role != WR_ROLE_LISTENER) {
		WR_SET(r, conn, client_ip, a ? a->laddr : b->raddr);
		WR_SET(r, conn, client_port, a ? a->lport : b->rport);
	}
	WR_SET(r, conn, server_ip, a ? a->raddr : b->laddr);
	WR_SET(r, conn, server_port, a ? a->rport : b->lport);
	if (a)
		fill_owner(t, &r->ev, WR_I_conn_client_ip, a);
	if (b)
		fill_owner(t, &r->ev, WR_I_conn_server_ip, b);
	/* with both ends here: what arrived; else what this end knows */
	WR_SET(r, conn, bytes_to_server, b ? b->bytes_in : a->bytes_out);
	WR_SET(r, conn, bytes_to_client, a ? a->bytes_in : b->bytes_out);
	WR_SET(r, conn, packets_to_server, a ? a->packets_out : b->packets_in);
	WR_SET(r, conn, packets_to_client, b ? b->packets_out : a->packets_in);
	if (is_link(near) && if_indextoname((unsigned)(near->cookie & ~LINK), f.ifname))
		WR_SET(r, conn, interface, wr_str(f.ifname));
	if (is_tcp(near))
		fill_tcp(r, c, (last - c->first) / 1000000);
	if (rec && event == WR_EV_CLOSE)
		fill_states(r, &rec->s);
	if (c->protocol)
		WR_SET(r, conn, protocol, wr_str(wr_protos[c->protocol - 1]->name));
	WR_SET(r, conn, first, c->first + (uint64_t)t->utc);
	WR_SET(r, conn, last, last + (uint64_t)t->utc);
	WR_SET(r, conn, duration_ms, (last - c->first) / 1000000);
	if (event == WR_EV_CLOSE && near->role != WR_ROLE_LISTENER)
		fill_close(t, &f, c);
	if (icmp || event == WR_EV_CLOSE || (t->n_icmp && near->proto != NET_TCP))
		fill_icmp(t, &f, near, icmp);
	sink(ctx, &r->ev);
}

static void emit_all(
	struct wr_conns *t, const struct conn *c, unsigned event, const struct wr_rec_sock *rec)
{
	emit(t, c, event, rec, NULL, t->cfg.sink, t->cfg.ctx);
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
			emit_all(t, c, WR_EV_UPDATE, NULL);
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
		emit_all(t, t->changed[i], WR_EV_UPDATE, NULL);
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
	c->id = wr_hash64(salt * 0x9e3779b97f4a7c15ull ^ first ^ wr_seed);
	return c;
}

static struct side *side_new(struct wr_conns *t, uint64_t cookie, const uint8_t *l, uint16_t lp,
	const uint8_t *r, uint16_t rp, uint8_t proto, uint8_t role, uint32_t netns)
{
	struct side *s = wr_slab_get(&t->sides);

	if (!s)
		return NULL;
	s->cookie = cookie;
	memcpy(&s->laddr, l, 16);
	memcpy(&s->raddr, r, 16);
	s->lport = lp;
	s->rport = rp;
	s->proto = proto;
	s->role = role;
	s->netns = netns;
	if ((is_tcp(s) && wr_htab_add(&t->by_cookie, &s->by_cookie, wr_hash64(cookie))) ||
		wr_htab_add(&t->by_tuple, &s->by_tuple, side_hash(s))) {
		if (is_tcp(s))
			wr_htab_del(&t->by_cookie, &s->by_cookie);
		wr_slab_put(&t->sides, s);
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
	m = side_by_tuple(t, &s->raddr, s->rport, &s->laddr, s->lport, s->proto, s->netns, 0);
	if (!m && s->proto != NET_TCP)
		m = side_by_tuple(t, &s->raddr, s->rport, &s->laddr, s->lport, s->proto, 0, 0);
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

static void set_owner(struct wr_conns *t, struct side *s, const struct wr_owner *o)
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
		c = conn_new(t, first, s->cookie ^ (uint64_t)s->rport << 48);
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
	if (listens(t, r->lport, r->s.owner.netns))
		return 1;
	if (listens(t, r->rport, r->s.owner.netns))
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

static void take_reading(struct wr_conns *t, struct side *s, const struct wr_rec_sock *r)
{
	const struct wr_sock *k = &r->s;
	uint64_t now = r->h.ts;

	set_owner(t, s, &k->owner);
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
	s->retrans = r->retrans;
	s->ooo = r->ooo_in;
	s->dsack = r->dsack_dups;
	s->re_timeout = k->re_timeout;
	s->re_fast = k->re_fast;
	s->re_probe = k->re_probe;
	s->re_syn = k->re_syn;
	s->rtt = r->srtt_us;
	s->rtt_var = r->rttvar_us;
	s->rtt_min = r->min_rtt_us;
	s->cwnd = r->cwnd;
	s->mss = (uint16_t)r->mss;
	s->rcvq = r->event == WR_EV_CLOSE ? 0 : r->rcvq;
	s->sndq = r->event == WR_EV_CLOSE ? 0 : r->sndq;
	s->busy_ms = r->busy_ms;
	s->rwnd_ms = r->rwnd_ms;
	s->sndbuf_ms = r->sndbuf_ms;
	s->handshake_us = k->handshake_us;
	if (k->t_accept && k->t_est) /* +1: zero means unknown */
		s->accept_us =
			(uint32_t)wr_min((k->t_accept - k->t_est) / 1000 + 1, (uint64_t)UINT32_MAX);
	s->zw_in_ms = closed_ms(k->zw_in_ns, k->zw_in_since, now);
	s->zw_out_ms = closed_ms(k->zw_out_ns, k->zw_out_since, now);
	s->zw_in_n = k->zw_in_n;
	s->zw_out_n = k->zw_out_n;
	s->err = (uint16_t)r->err;
	s->rst = (uint8_t)k->rst_reason;
	s->gen = t->gen;
}

static void on_sock(struct wr_conns *t, const struct wr_rec_sock *r)
{
	struct side *s = side_by_cookie(t, r->cookie);
	uint64_t seq_key = 0, first = r->s.t_open ? r->s.t_open : r->h.ts;
	bool fresh = false;
	struct conn *c;

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
			emit_all(t, c, r->s.flags & WR_F_SEEDED ? WR_EV_UPDATE : WR_EV_OPEN, r);
		} else if (r->event == WR_EV_UPDATE) {
			changed(t, c);
		} else if (fresh) { /* the other end is known now */
			emit_all(t, c, WR_EV_UPDATE, r);
		}
		return;
	}
	s->closed = 1;
	t->gone[wr_hash64(s->cookie) % GONE].cookie = s->cookie;
	t->gone[wr_hash64(s->cookie) % GONE].id = c->id;
	if (s->proc)
		t->stats.named++;
	else
		t->stats.unnamed++;
	if ((c->end[0] && !c->end[0]->closed) || (c->end[1] && !c->end[1]->closed))
		return; /* the other end still lives */
	t->stats.closed++;
	if (c->reading)
		reading_end(c->reading, r->h.ts);
	emit_all(t, c, WR_EV_CLOSE, r);
	conn_free(t, c);
}

static void on_icmp(struct wr_conns *t, const struct wr_rec_icmp *r)
{
	struct side *s;

	t->icmp[t->n_icmp++ % ICMP_MEMORY].r = *r;
	s = side_by_tuple(t, (const struct wr_ip *)r->saddr, r->sport,
		(const struct wr_ip *)r->daddr, r->dport, r->proto, 0, 0);
	t->stats.records.out++;
	if (s && s->conn)
		emit(t, s->conn, WR_EV_UPDATE, NULL, r, t->cfg.sink, t->cfg.ctx);
}

/* Its close was told already, or comes yet (then it says the same). */
static void on_reset(struct wr_conns *t, const struct wr_rec_reset *r)
{
	struct side *s = side_by_cookie(t, r->cookie);

	t->stats.records.out++;
	if (!s)
		return;
	s->flags |= WR_F_RST_OUT;
	s->rst = (uint8_t)r->reason;
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
	const struct side *s = side_by_tuple(t, l, k->lport, r, k->rport, k->proto, 0, 0);

	if (!s)
		s = side_by_tuple(t, r, k->rport, l, k->lport, k->proto, 0, 0);
	if (s)
		return s->cookie != cookie;
	return t->cfg.local &&
	       (t->cfg.local(t->cfg.local_ctx, l) || t->cfg.local(t->cfg.local_ctx, r));
}

bool wr_conns_flow(
	struct wr_conns *t, const struct wr_flow_key *k, const struct wr_flow *v, bool last)
{
	uint64_t cookie = k->cookie ? k->cookie : LINK | k->ifindex;
	struct side *s = side_by_tuple(t, (const struct wr_ip *)k->laddr, k->lport,
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
	set_owner(t, s, &v->owner);
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
		emit_all(t, c, WR_EV_OPEN, NULL);
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
		reading_end(c->reading, t->now);
	emit_all(t, c, WR_EV_CLOSE, NULL);
	conn_free(t, c);
	return true;
}

/* requests ------------------------------------------------------------------------------------ */

static void on_request(void *ctx, struct wr_session *s, struct wr_ev_request *r, bool flip)
{
	struct wr_conns *t = ctx;
	const struct conn *c = wr_session_owner(s);
	const struct side *a = c->end[0], *b = c->end[1], *near = a ? a : b;
	struct wr_ip ip[2] = {a ? a->laddr : b->raddr, a ? a->raddr : b->laddr};
	uint16_t port[2] = {a ? a->lport : b->rport, a ? a->rport : b->lport};
	char id[20];

	if (!t->cfg.sink)
		return;
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)c->id);
	r->time += (uint64_t)t->utc;
	if (c->reading && s == c->reading->inner)
		WR_SET(r, request, tls, true);
	WR_SET(r, request, host, wr_str(t->cfg.host));
	WR_SET(r, request, conn, wr_str(id));
	if (near->netns)
		WR_SET(r, request, netns, near->netns);
	WR_SET(r, request, client_ip, ip[flip]);
	WR_SET(r, request, client_port, port[flip]);
	WR_SET(r, request, server_ip, ip[!flip]);
	WR_SET(r, request, server_port, port[!flip]);
	if (c->end[flip])
		fill_owner(t, &r->ev, WR_I_request_client_ip, c->end[flip]);
	if (c->end[!flip])
		fill_owner(t, &r->ev, WR_I_request_server_ip, c->end[!flip]);
	t->cfg.sink(t->cfg.ctx, &r->ev);
}

/* The side of a datagram: made now, the flow map's counts come with the next reading. */
static struct side *udp_side(
	struct wr_conns *t, const struct wr_rec_payload *r, const struct wr_payload_udp *u)
{
	struct wr_flow_key k = {
		.cookie = r->cookie, .lport = u->lport, .rport = u->rport, .proto = NET_UDP};
	struct wr_flow v = {
		.owner = u->owner, .first = r->h.ts, .last = r->h.ts, .first_dir = r->dir};
	struct side *s = side_by_tuple(t, (const struct wr_ip *)u->laddr, u->lport,
		(const struct wr_ip *)u->raddr, u->rport, NET_UDP, 0, r->cookie);

	if (s)
		return s;
	memcpy(k.laddr, u->laddr, 16);
	memcpy(k.raddr, u->raddr, 16);
	wr_conns_flow(t, &k, &v, false);
	return side_by_tuple(t, (const struct wr_ip *)u->laddr, u->lport,
		(const struct wr_ip *)u->raddr, u->rport, NET_UDP, 0, r->cookie);
}

static enum wr_wanted wanted(const struct wr_session *s)
{
	return !wr_session_protocol(s) ? WR_WANT_NOTHING
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

		if (!s || (c->limited >> i & 1))
			continue;
		c->limited |= (uint8_t)(1u << i);
		t->cfg.limit(t->cfg.limit_ctx, s->cookie, wanted(session));
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

int wr_conns_payload(struct wr_conns *t, const struct wr_rec_payload *r,
	const struct wr_payload_udp *udp, const uint8_t *data)
{
	struct side *s = udp ? udp_side(t, r, udp) : side_by_cookie(t, r->cookie);
	struct wr_stream *st;
	struct wr_bytes b = {data, r->cap};
	struct conn *c = s ? s->conn : NULL;
	unsigned dir;

	if (!c || !t->sessions)
		return -ENOENT;
	if (r->h.ts > t->now)
		t->now = r->h.ts;
	dir = (s == c->end[1]) ^ !r->dir;
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
		wr_session_data(st->s, dir, b, r->h.ts);
	} else {
		struct wr_segment g = {.seq = r->seq,
			.ack = r->ack,
			.len = r->len,
			.data = b,
			.has_ack = true,
			.ts = r->h.ts};

		wr_stream_segment(st, dir, &g);
	}
	if (r->len > LONG && t->cfg.limit && !udp)
		limit(t, c);
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
	struct side *s = side_by_cookie(t, r->cookie);
	struct conn *c = s ? s->conn : NULL;
	unsigned dir = s ? (s == c->end[1]) ^ !r->dir : 0;
	struct reading *g;

	if (!c || !t->sessions)
		return -ENOENT;
	if (r->h.ts > t->now)
		t->now = r->h.ts;
	if (!c->reading)
		c->reading = wr_slab_get(&t->readings);
	g = c->reading;
	if (!g)
		return -ENOMEM;
	if (g->inner && g->cookie != r->cookie)
		return 0;
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
	inner_data(g, dir, r, (struct wr_bytes){data, r->cap});
	if (wr_session_protocol(g->inner))
		c->protocol = (uint8_t)wr_session_protocol_row(g->inner);
	if (r->len >= LONG && t->cfg.limit && !g->limited && wr_session_protocol(g->inner)) {
		g->limited = true;
		t->cfg.limit(t->cfg.limit_ctx, r->cookie | WR_LIMIT_TLS, wanted(g->inner));
	}
	return 0;
}

const struct wr_sessions *wr_conns_sessions(const struct wr_conns *t)
{
	return t->sessions;
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
			reading_end(c->reading, t->now);
		emit_all(t, c, WR_EV_CLOSE, NULL);
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
}

void wr_conns_each(struct wr_conns *t, wr_sink_fn fn, void *ctx)
{
	wr_htab_each (&t->by_tuple, i, n) {
		struct side *s = wr_container(n, struct side, by_tuple);
		struct conn *c = s->conn;

		if (c && s == (c->end[0] ? c->end[0] : c->end[1])) /* once a connection */
			emit(t, c, WR_EV_UPDATE, NULL, NULL, fn, ctx);
	}
}

uint64_t wr_conns_id(const struct wr_conns *t, uint64_t cookie)
{
	const struct side *s = side_by_cookie(t, cookie);

	if (s && s->conn)
		return s->conn->id;
	return t->gone[wr_hash64(cookie) % GONE].cookie == cookie
		       ? t->gone[wr_hash64(cookie) % GONE].id
		       : 0;
}

void wr_conns_stats(const struct wr_conns *t, struct wr_conns_stats *ret)
{
	*ret = t->stats;
	ret->live = t->conns.used;
	ret->sides = t->sides.used;
}
