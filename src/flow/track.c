// SPDX-License-Identifier: Apache-2.0
#include "track.h"
#include "../base/htab.h"
#include "../base/slab.h"
#include "defrag.h"
#include "neighbor.h"
#include "stream.h"
#include "tcprules.h"

#define SECOND 1000000000ull
#define HOLES 8
#define LINGER (60 * SECOND) /* a closed connection takes late packets this long */
#define TCP_IDLE (3600 * SECOND)
#define SWEEP 1024 /* packets between looks at idle flows */

struct hole {
	uint32_t from, to;
};

/* One direction of a TCP connection: from its sender's sight. */
struct dir {
	uint64_t packets, bytes;
	uint64_t rtt_at; /* when the segment that ends at rtt_seq was sent, 0 = none pending */
	uint64_t zero_since;
	uint32_t next, last_ack, rtt_seq, isn;
	uint32_t retrans, ooo, dup_acks, zero_n, zero_us;
	uint16_t last_window;
	struct hole hole[HOLES];
	uint8_t n_holes;
	bool seen, fin, fin_acked, rst, scale_known;
	uint32_t fin_seq;
};

struct flow {
	struct wr_hnode node;
	struct flow *older, *newer; /* by last packet */
	struct wr_ip ip[2]; /* [0] is the client */
	uint16_t port[2];
	uint8_t proto, icmp_type; /* icmp_type: of the first packet */
	bool closed, syn;
	uint8_t closer, reset; /* 1 + direction of the first FIN; of the reset */
	uint64_t id, first, last, syn_at, synack_at;
	uint32_t handshake_us, srtt, rtt_min, rttvar, mss;
	struct dir d[2]; /* [0] client to server */
	struct wr_tcp_rules rules;
	struct wr_stream stream;
	const char *protocol; /* kept when the session is gone */
};

struct alert {
	uint64_t count, first, last, packet;
	struct wr_ip src, dst;
	uint8_t n, head[96]; /* of the first one, up to its payload, which may hold secrets */
};

/* Two lists by last packet, since two kinds of flow are given up at different ages. */
enum { SOON, LATE }; /* everything but open TCP connections; those */
struct list {
	struct flow *oldest, *newest;
};

struct wr_track {
	struct wr_track_config cfg;
	struct wr_htab flows;
	struct wr_slab slab;
	struct list list[2];
	struct wr_defrag *defrag;
	struct wr_track_stats stats;
	struct alert alert[WR_BAD_N];
	uint64_t next_id;
	struct wr_sessions *sessions;
	struct wr_neighbors *neighbors; /* NULL: nobody wants records */
};

static void tell(struct wr_track *t, struct wr_event *e)
{
	wr_ends_hand(t->cfg.ends, e, t->cfg.sink, t->cfg.ctx);
}

/* What a session tells: whose it was. @client, @server: fields where the ends begin; @id: as long as the record. */
static void of_flow(struct wr_track *t, const struct flow *f, struct wr_event *e, unsigned client,
	unsigned server, bool flip, char id[WR_ID_TEXT])
{
	wr_hex16(id, f->id);
	wr_ev_of(e, t->cfg.host, wr_str(id));
	wr_ev_end(e, client, &f->ip[flip], f->port[flip]);
	wr_ev_end(e, server, &f->ip[!flip], f->port[!flip]);
}

static void on_request(void *ctx, struct wr_session *s, struct wr_ev_request *r, bool flip)
{
	struct wr_track *t = ctx;
	char id[WR_ID_TEXT];

	of_flow(t, wr_session_owner(s), &r->ev, WR_I_request_client_ip, WR_I_request_server_ip,
		flip, id);
	tell(t, &r->ev);
}

static void on_violation(void *ctx, struct wr_session *s, struct wr_ev_violation *r, bool flip)
{
	struct wr_track *t = ctx;
	char id[WR_ID_TEXT];

	of_flow(t, wr_session_owner(s), &r->ev, WR_I_violation_client_ip, WR_I_violation_server_ip,
		flip, id);
	tell(t, &r->ev);
}

static void on_match(void *ctx, struct wr_session *s, struct wr_ev_match *r,
	const struct wr_sign_rule *rule, bool flip)
{
	struct wr_track *t = ctx;
	char id[WR_ID_TEXT];

	of_flow(t, wr_session_owner(s), &r->ev, WR_I_match_client_ip, WR_I_match_server_ip, flip,
		id);
	if (wr_sign_fires(t->cfg.sign, rule, r))
		tell(t, &r->ev);
}

static void on_message(void *ctx, struct wr_session *s, struct wr_ev_message *r, bool flip)
{
	struct wr_track *t = ctx;
	char id[WR_ID_TEXT];

	of_flow(t, wr_session_owner(s), &r->ev, WR_I_message_client_ip, WR_I_message_server_ip,
		flip, id);
	tell(t, &r->ev);
}

struct wr_track *wr_track_new(const struct wr_track_config *cfg)
{
	struct wr_track *t = wr_alloc(sizeof(*t));

	if (!t)
		return NULL;
	t->cfg = *cfg;
	if (!t->cfg.udp_idle)
		t->cfg.udp_idle = 60 * SECOND;
	t->slab = WR_SLAB(struct flow, t->cfg.max ? t->cfg.max : WR_MAX_CONNS);
	t->defrag = wr_defrag_new();
	if (cfg->sink)
		t->neighbors = wr_neighbors_new(cfg->host);
	if (cfg->requests && cfg->sink) {
		struct wr_session_config sc = {.unmasked = cfg->unmasked,
			.emit = on_request,
			.violation = on_violation,
			.raw = cfg->raw,
			.message = on_message,
			.sign = cfg->sign,
			.match = on_match,
			.ctx = t};

		t->sessions = wr_sessions_new(&sc);
	}
	if (!t->defrag || (cfg->sink && !t->neighbors) ||
		(cfg->requests && cfg->sink && !t->sessions)) {
		wr_track_free(t);
		return NULL;
	}
	return t;
}

void wr_track_free(struct wr_track *t)
{
	if (!t)
		return;
	wr_htab_each (&t->flows, i, n)
		wr_stream_free(&wr_container(n, struct flow, node)->stream);
	wr_sessions_free(t->sessions);
	wr_htab_free(&t->flows);
	wr_slab_free(&t->slab);
	wr_defrag_free(t->defrag);
	wr_neighbors_free(t->neighbors);
	free(t);
}

static struct list *list_of(struct wr_track *t, const struct flow *f)
{
	return &t->list[f->proto == 6 && !f->closed ? LATE : SOON];
}

static void lru_del(struct wr_track *t, struct flow *f)
{
	struct list *l = list_of(t, f);

	*(f->older ? &f->older->newer : &l->oldest) = f->newer;
	*(f->newer ? &f->newer->older : &l->newest) = f->older;
	f->older = f->newer = NULL;
}

static void lru_add(struct wr_track *t, struct flow *f)
{
	struct list *l = list_of(t, f);

	f->older = l->newest;
	*(l->newest ? &l->newest->newer : &l->oldest) = f;
	l->newest = f;
}

static void emit(struct wr_track *t, const struct flow *f, bool close, const char *reason)
{
	struct wr_ev_conn r;
	const struct dir *c = &f->d[0], *s = &f->d[1];
	char id[WR_ID_TEXT];
	bool tcp = f->proto == 6;
	static const char *const who[] = {"client", "server"};

	if (!t->cfg.sink)
		return;
	WR_INIT(&r, conn);
	wr_hex16(id, f->id);
	WR_SET(&r, conn, time, close ? f->last : t->stats.last);
	WR_SET(&r, conn, host, wr_str(t->cfg.host));
	WR_SET(&r, conn, conn, wr_str(id));
	WR_SET(&r, conn, transport, wr_str(wr_proto_name(f->proto)));
	WR_SET(&r, conn, event, close ? WR_STR("close") : WR_STR("update"));
	if (tcp)
		WR_SET(&r, conn, state,
			close		     ? WR_STR("closed")
			: !s->seen && f->syn ? WR_STR("syn_sent")
			: c->fin	     ? (s->fin ? WR_STR("last_ack") : WR_STR("fin_wait_1"))
			: s->fin	     ? WR_STR("close_wait")
					     : WR_STR("established"));
	WR_SET(&r, conn, client_ip, f->ip[0]);
	WR_SET(&r, conn, server_ip, f->ip[1]);
	if (f->port[0] || f->port[1]) {
		WR_SET(&r, conn, client_port, f->port[0]);
		WR_SET(&r, conn, server_port, f->port[1]);
	}
	if (f->proto == 1 || f->proto == 58)
		WR_SET(&r, conn, icmp_type, f->icmp_type);
	WR_SET(&r, conn, bytes_to_server, c->bytes);
	WR_SET(&r, conn, bytes_to_client, s->bytes);
	WR_SET(&r, conn, packets_to_server, c->packets);
	WR_SET(&r, conn, packets_to_client, s->packets);
	if (tcp) {
		WR_SET(&r, conn, retransmits, (uint64_t)c->retrans + s->retrans);
		WR_SET(&r, conn, retransmits_to_server, c->retrans);
		WR_SET(&r, conn, retransmits_to_client, s->retrans);
		WR_SET(&r, conn, out_of_order, (uint64_t)c->ooo + s->ooo);
		WR_SET(&r, conn, duplicate_acks, (uint64_t)c->dup_acks + s->dup_acks);
		WR_SET(&r, conn, zero_windows, (uint64_t)c->zero_n + s->zero_n);
		WR_SET(&r, conn, zero_window_ms, ((uint64_t)c->zero_us + s->zero_us) / 1000);
		if (f->srtt) {
			WR_SET(&r, conn, rtt_us, f->srtt);
			WR_SET(&r, conn, rtt_min_us, f->rtt_min);
			WR_SET(&r, conn, rtt_var_us, f->rttvar);
		}
		if (f->handshake_us)
			WR_SET(&r, conn, handshake_us, f->handshake_us - 1);
		if (f->mss)
			WR_SET(&r, conn, mss, f->mss);
	}
	if (f->protocol)
		WR_SET(&r, conn, protocol, wr_str(f->protocol));
	WR_SET(&r, conn, first, f->first);
	WR_SET(&r, conn, last, f->last);
	WR_SET(&r, conn, duration_ms, (f->last - f->first) / 1000000);
	if (close) {
		WR_SET(&r, conn, close_reason, wr_str(reason));
		if (f->reset)
			WR_SET(&r, conn, closed_by, wr_str(who[f->reset - 1]));
		else if (f->closer)
			WR_SET(&r, conn, closed_by, wr_str(who[f->closer - 1]));
	}
	tell(t, &r.ev);
}

/* The payload of the connection is through: what is under way is told first. */
static void read_end(struct flow *f, bool closed)
{
	if (!f->stream.s)
		return;
	if (wr_session_protocol(f->stream.s))
		f->protocol = wr_session_protocol(f->stream.s);
	wr_stream_end(&f->stream, f->last, closed);
}

static void flow_free(struct wr_track *t, struct flow *f)
{
	read_end(f, false);
	lru_del(t, f);
	wr_htab_del(&t->flows, &f->node);
	wr_slab_put(&t->slab, f);
}

static void flow_close(struct wr_track *t, struct flow *f, const char *reason)
{
	if (f->closed)
		return;
	read_end(f, true);
	emit(t, f, true, reason);
	lru_del(t, f);
	f->closed = true; /* changes the list that it belongs to */
	lru_add(t, f);
}

/* The same for both directions. */
static uint64_t flow_hash(const struct wr_pkt *p, const uint16_t port[2])
{
	uint64_t a[3], b[3];

	memcpy(a, &p->src, 16);
	memcpy(b, &p->dst, 16);
	a[2] = port[0];
	b[2] = port[1];
	for (unsigned i = 0; i < 3; i++)
		a[i] += b[i];
	return wr_hash64(a[0] ^ wr_hash64(a[1] ^ wr_seed) ^ a[2] << 8 ^ p->proto);
}

static struct flow *flow_find(const struct wr_track *t, const struct wr_pkt *p,
	const uint16_t port[2], uint64_t h, unsigned *ret_dir)
{
	for (struct wr_hnode *n = wr_htab_first(&t->flows, h); n; n = wr_htab_next(n->next, h)) {
		struct flow *f = wr_container(n, struct flow, node);

		if (f->proto != p->proto)
			continue;
		if (f->port[0] == port[0] && f->port[1] == port[1] &&
			!memcmp(&f->ip[0], &p->src, 16) && !memcmp(&f->ip[1], &p->dst, 16)) {
			*ret_dir = 0;
			return f;
		}
		if (f->port[1] == port[0] && f->port[0] == port[1] &&
			!memcmp(&f->ip[1], &p->src, 16) && !memcmp(&f->ip[0], &p->dst, 16)) {
			*ret_dir = 1;
			return f;
		}
	}
	return NULL;
}

/* Which end of a connection that began before the capture is the server: SYN+ACK, else the lower port. */
static bool from_server(const struct wr_pkt *p, const uint16_t port[2])
{
	if (p->proto == 6 && (p->flags & WR_TCP_SYN))
		return p->flags & WR_TCP_ACK;
	if (p->proto == 6 && port[0] != port[1] && (port[0] < 1024) != (port[1] < 1024))
		return port[0] < port[1];
	if (p->proto == 6 && port[0] != port[1] && (port[0] < 32768) != (port[1] < 32768))
		return port[0] < port[1];
	return false;
}

static struct flow *flow_new(struct wr_track *t, const struct wr_pkt *p, const uint16_t port[2],
	uint64_t h, unsigned *ret_dir)
{
	struct flow *f = wr_slab_get(&t->slab);
	unsigned rev = from_server(p, port);

	if (!f) {
		/* full: the flow that was silent longest makes room, reported as it is */
		struct flow *old =
			t->list[SOON].oldest ? t->list[SOON].oldest : t->list[LATE].oldest;

		if (!old)
			return NULL;
		if (!old->closed)
			emit(t, old, false, NULL);
		flow_free(t, old);
		f = wr_slab_get(&t->slab);
		if (!f)
			return NULL;
	}
	f->ip[rev] = p->src;
	f->ip[!rev] = p->dst;
	f->port[rev] = port[0];
	f->port[!rev] = port[1];
	f->proto = p->proto;
	f->icmp_type = p->icmp_type;
	f->first = f->last = p->ts;
	f->id = wr_hash64(++t->next_id ^ p->ts);
	if (wr_htab_add(&t->flows, &f->node, h)) {
		wr_slab_put(&t->slab, f);
		return NULL;
	}
	lru_add(t, f);
	t->stats.connections++;
	*ret_dir = rev;
	if (t->sessions && (p->proto == 6 || p->proto == 17))
		f->stream.s = wr_session_new(t->sessions, f, p->proto == 6 ? WR_TCP : WR_UDP,
			f->port[1], p->proto == 6 && !(p->flags & WR_TCP_SYN));
	return f;
}

/* RFC 6298 2, in microseconds */
static void rtt_sample(struct flow *f, uint64_t ns)
{
	uint32_t us = (uint32_t)wr_min(ns / 1000, (uint64_t)UINT32_MAX / 2);

	us = us ? us : 1;
	if (!f->srtt) {
		f->srtt = f->rtt_min = us;
		f->rttvar = us / 2;
		return;
	}
	f->rtt_min = wr_min(f->rtt_min, us);
	f->rttvar = (3 * f->rttvar + (f->srtt > us ? f->srtt - us : us - f->srtt)) / 4;
	f->srtt = (uint32_t)((7ull * f->srtt + us) / 8);
}

/* How much of [seq, end) fills holes; those bytes came late, not twice. */
static uint32_t fill_holes(struct dir *d, uint32_t seq, uint32_t end)
{
	uint32_t got = 0;

	for (unsigned i = 0; i < d->n_holes; i++) {
		struct hole *h = &d->hole[i];
		uint32_t from = wr_seq_before(seq, h->from) ? h->from : seq,
			 to = wr_seq_before(h->to, end) ? h->to : end;

		if (!wr_seq_before(from, to))
			continue;
		got += to - from;
		if (from == h->from && to == h->to) {
			*h = d->hole[--d->n_holes];
			i--;
		} else if (from == h->from) {
			h->from = to;
		} else if (to == h->to) {
			h->to = from;
		} else if (d->n_holes < HOLES) {
			d->hole[d->n_holes++] = (struct hole){to, h->to};
			h->to = from;
		} else {
			h->to = from; /* the table is full: the tail of this hole is given up */
		}
	}
	return got;
}

static void tcp_data(struct flow *f, struct dir *d, const struct wr_pkt *p)
{
	uint32_t len = p->payload_len, seq = p->seq + !!(p->flags & WR_TCP_SYN), end = seq + len,
		 late;

	if (p->flags & WR_TCP_SYN) {
		if (d->seen && d->isn == p->seq)
			d->retrans++;
		d->isn = p->seq;
		d->next = end;
		d->seen = true;
		d->n_holes = 0;
		d->bytes += len;
		return;
	}
	if (!d->seen) { /* joined in the middle */
		d->seen = true;
		d->next = end + !!(p->flags & WR_TCP_FIN);
		d->bytes += len;
		if (p->flags & WR_TCP_FIN) {
			d->fin = true;
			d->fin_seq = end;
		}
		return;
	}
	if (!len && !(p->flags & WR_TCP_FIN))
		return;
	if (len <= 1 && seq == d->next - 1 && !(p->flags & WR_TCP_FIN))
		return; /* keep-alive or window probe */
	if (!wr_seq_before(seq, d->next)) {
		if (seq != d->next && d->n_holes < HOLES && wr_seq_before(d->next, seq))
			d->hole[d->n_holes++] = (struct hole){d->next, seq};
		d->bytes += len;
		d->next = end;
		if (!d->rtt_at) {
			d->rtt_at = p->ts;
			d->rtt_seq = end;
		}
	} else {
		late = fill_holes(d, seq, end);
		d->bytes += late;
		if (late) {
			d->ooo++;
		} else if (len || (d->fin && end == d->fin_seq)) {
			d->retrans++;
			d->rtt_at = 0; /* Karn: ambiguous */
		}
		if (wr_seq_before(d->next, end)) { /* the rest of it is new */
			d->bytes += end - d->next;
			d->next = end;
		}
	}
	if (p->flags & WR_TCP_FIN) {
		if (!d->fin)
			d->next = end + 1;
		d->fin = true;
		d->fin_seq = end;
	}
	(void)f;
}

static void tcp_ack(struct flow *f, unsigned dir, const struct wr_pkt *p)
{
	struct dir *d = &f->d[dir], *o = &f->d[!dir];
	bool plain = !(p->flags & (WR_TCP_SYN | WR_TCP_FIN | WR_TCP_RST));

	if (!(p->flags & WR_TCP_ACK))
		return;
	if (plain && !p->window) {
		d->zero_n++;
		if (!d->zero_since)
			d->zero_since = p->ts;
	} else if (d->zero_since) {
		if (p->ts > d->zero_since)
			d->zero_us += (uint32_t)((p->ts - d->zero_since) / 1000);
		d->zero_since = 0;
	}
	if (plain && !p->payload_len && d->last_ack == p->ack && d->last_window == p->window &&
		p->window && o->seen && p->seq == d->next && wr_seq_before(p->ack, o->next))
		d->dup_acks++;
	if (o->rtt_at && !wr_seq_before(p->ack, o->rtt_seq)) {
		if (p->ts > o->rtt_at)
			rtt_sample(f, p->ts - o->rtt_at);
		o->rtt_at = 0;
	}
	if (o->fin && wr_seq_before(o->fin_seq, p->ack))
		o->fin_acked = true;
	d->last_ack = p->ack;
	d->last_window = p->window;
}

static void tcp_packet(struct wr_track *t, struct flow *f, unsigned dir, const struct wr_pkt *p)
{
	struct dir *d = &f->d[dir];

	if (p->flags & WR_TCP_SYN) {
		if (p->has_mss)
			f->mss = f->mss ? wr_min(f->mss, p->mss) : p->mss;
		if (!dir && !(p->flags & WR_TCP_ACK)) {
			f->syn = true;
			if (!f->syn_at)
				f->syn_at = p->ts;
		} else if (dir && f->syn_at && !f->synack_at) {
			f->synack_at = p->ts;
			if (p->ts > f->syn_at && !f->d[0].retrans) {
				rtt_sample(f, p->ts - f->syn_at);
				f->handshake_us = (uint32_t)wr_min(
					(p->ts - f->syn_at) / 1000 + 1, (uint64_t)UINT32_MAX);
			}
		}
	}
	tcp_ack(f, dir, p);
	if (p->flags & WR_TCP_RST) {
		d->rst = true;
		if (!f->reset && !f->closed)
			f->reset = (uint8_t)(dir + 1);
		/* refused: a SYN answered by a reset */
		flow_close(t, f, f->syn && !f->synack_at && dir ? "refused" : "reset");
		return;
	}
	tcp_data(f, d, p);
	if (d->fin && !f->closer)
		f->closer = (uint8_t)(dir + 1);
	if (f->d[0].fin_acked && f->d[1].fin_acked)
		flow_close(t, f, "fin");
}

/* TCP by its own sections. Does the other end take notice of the segment? */
static bool judge(struct wr_track *t, struct flow *f, unsigned dir, const struct wr_pkt *p)
{
	bool ignored;
	const char *rule = wr_tcp_rules_see(&f->rules, dir, p, &ignored);
	struct wr_ev_violation r;
	char id[WR_ID_TEXT];

	if (!rule || !t->sessions)
		return !ignored;
	WR_INIT(&r, violation);
	WR_SET(&r, violation, time, p->ts);
	WR_SET(&r, violation, protocol, WR_STR("tcp"));
	WR_SET(&r, violation, sender, dir ? WR_STR("server") : WR_STR("client"));
	WR_SET(&r, violation, rule, wr_str(rule));
	of_flow(t, f, &r.ev, WR_I_violation_client_ip, WR_I_violation_server_ip, false, id);
	tell(t, &r.ev);
	return !ignored;
}

/* The payload, for whoever reads requests. */
static void read_payload(struct flow *f, unsigned dir, const struct wr_pkt *p)
{
	struct wr_bytes b = {p->payload, wr_min(p->payload_cap, p->payload_len)};

	if (!f->stream.s)
		return;
	if (p->proto == 6) {
		struct wr_segment g = {.seq = p->seq,
			.ack = p->ack,
			.len = p->payload_len,
			.data = b,
			.syn = p->flags & WR_TCP_SYN,
			.has_ack = p->flags & WR_TCP_ACK,
			.ts = p->ts};
		struct wr_net net = {.retransmits = f->d[0].retrans + f->d[1].retrans,
			.zero_window_ns = ((uint64_t)f->d[0].zero_us + f->d[1].zero_us) * 1000};

		wr_session_net(f->stream.s, &net);
		wr_stream_segment(&f->stream, dir, &g);
	} else if (b.n) {
		wr_session_cut(f->stream.s, p->payload_len - b.n);
		wr_session_data(f->stream.s, dir, b, p->ts);
	}
	if (wr_session_protocol(f->stream.s))
		f->protocol = wr_session_protocol(f->stream.s);
}

static void malformed(struct wr_track *t, const struct wr_pkt *p)
{
	struct alert *a = &t->alert[p->bad];

	t->stats.bad[p->bad]++;
	if (!a->count++) {
		a->first = p->ts;
		a->src = p->src;
		a->dst = p->dst;
		a->packet = t->stats.packets;
		if (p->data) {
			size_t n = p->payload ? (size_t)(p->payload - p->data) : p->captured;

			a->n = (uint8_t)wr_min(n, sizeof(a->head));
			memcpy(a->head, p->data, a->n);
		}
	}
	a->last = p->ts;
}

static void sweep(struct wr_track *t, uint64_t now)
{
	struct flow *f;

	while ((f = t->list[SOON].oldest) &&
		f->last + (f->closed ? LINGER : t->cfg.udp_idle) < now) {
		flow_close(t, f, "idle");
		flow_free(t, f);
	}
	while ((f = t->list[LATE].oldest) && f->last + TCP_IDLE < now) {
		flow_close(t, f, "idle");
		flow_free(t, f);
	}
}

/*
 * Joins a packet to its flow. @read: what to take of it; a fragment is only counted, its payload comes with the
 * whole datagram.
 */
enum { COUNT = 1, READ = 2 };
static bool join(struct wr_track *t, const struct wr_pkt *p, const uint16_t port[2], unsigned what)
{
	uint64_t h = flow_hash(p, port);
	unsigned dir = 0;
	struct flow *f = flow_find(t, p, port, h, &dir);

	if (f && p->proto == 6 && (p->flags & (WR_TCP_SYN | WR_TCP_ACK)) == WR_TCP_SYN && !dir &&
		f->d[0].seen && f->d[0].isn != p->seq &&
		(f->closed || f->d[0].fin || f->d[1].fin || f->d[0].rst || f->d[1].rst)) {
		flow_close(t, f, "replaced"); /* the same ports anew */
		flow_free(t, f);
		f = NULL;
	}
	if (!f)
		f = flow_new(t, p, port, h, &dir);
	if (!f)
		return false;
	if (p->ts > f->last)
		f->last = p->ts;
	if (list_of(t, f)->newest != f) {
		lru_del(t, f);
		lru_add(t, f);
	}
	if (what & COUNT) {
		f->d[dir].packets++;
		if (p->proto != 6)
			f->d[dir].bytes += p->payload_len;
	}
	if (what & READ) {
		if (p->proto == 6 && !judge(t, f, dir, p))
			return true;
		read_payload(f, dir, p);
		if (p->proto == 6)
			tcp_packet(t, f, dir, p);
	}
	return true;
}

/* Its part of the datagram; what is whole thereby is read. How much of the fragment itself is left to do? */
static unsigned fragment(struct wr_track *t, struct wr_pkt *p, uint16_t port[2])
{
	struct wr_pkt whole;
	bool known;

	switch (wr_defrag_add(t->defrag, p, &whole, port, &known)) {
	case WR_FRAG_WHOLE: {
		uint16_t in[2] = {whole.sport, whole.dport};

		if (whole.bad)
			p->bad = whole.bad;
		if (whole.proto != 6 || whole.has_ports)
			join(t, &whole, in, READ | (whole.n_tunnels > p->n_tunnels ? COUNT : 0));
		break;
	}
	case WR_FRAG_OVERLAP:
		if (!p->bad)
			p->bad = WR_BAD_FRAG_OVERLAP;
		break;
	case WR_FRAG_LOST:
		if (!p->frag_off) /* never whole: at least its begin */
			return COUNT | READ;
		break;
	case WR_FRAG_MORE:
		break;
	}
	if (p->frag_off) {
		t->stats.fragments++;
		t->stats.unknown_fragments += !known;
	}
	return COUNT;
}

void wr_track_packet(struct wr_track *t, const struct wr_pkt *pkt)
{
	struct wr_pkt p_;
	const struct wr_pkt *p = pkt;
	unsigned what = COUNT | READ;
	uint16_t port[2];

	t->stats.packets++;
	t->stats.bytes += p->length;
	if (!t->stats.first || p->ts < t->stats.first)
		t->stats.first = p->ts;
	if (p->ts > t->stats.last)
		t->stats.last = p->ts;
	port[0] = p->sport;
	port[1] = p->dport;
	if (p->ip_version && p->frag.p) {
		p_ = *pkt;
		p = &p_;
		what = fragment(t, &p_, port);
	}
	if (p->bad)
		malformed(t, p);
	if (!p->ip_version) {
		if (p->arp_op && t->neighbors) {
			struct wr_arp a = {
				.ts = p->ts, .op = p->arp_op, .sender = p->src, .target = p->dst};

			memcpy(a.mac, p->arp_mac, sizeof(a.mac));
			wr_neighbors_packet(t->neighbors, &a, t->cfg.sink, t->cfg.ctx);
		}
		t->stats.not_ip++;
		return;
	}
	if (p->proto == 6 && !p->has_ports && !p->frag_off) {
		t->stats.cut++;
		return;
	}
	if (join(t, p, port, what))
		t->stats.tracked++;
	else
		t->stats.refused++;
	if (!(t->stats.packets % SWEEP)) {
		sweep(t, p->ts);
		if (t->sessions)
			wr_sessions_tick(t->sessions, p->ts);
	}
}

void wr_track_end(struct wr_track *t)
{
	wr_neighbors_flush(t->neighbors, t->cfg.sink, t->cfg.ctx);
	for (unsigned i = 0; i < WR_N(t->list); i++) {
		while (t->list[i].oldest) {
			struct flow *f = t->list[i].oldest;

			read_end(f, false);
			if (!f->closed)
				emit(t, f, false, NULL);
			flow_free(t, f);
		}
	}
}

void wr_track_stats(const struct wr_track *t, struct wr_track_stats *ret)
{
	*ret = t->stats;
}

void wr_track_malformed(const struct wr_track *t, wr_sink_fn fn, void *ctx)
{
	for (unsigned i = 1; i < WR_BAD_N; i++) {
		const struct alert *a = &t->alert[i];
		char src[WR_IP_TEXT], dst[WR_IP_TEXT], sum[256], id[64],
			head[2 * sizeof(a->head) + 1], ev[64 + sizeof(head)];
		struct wr_ev_alert r;

		if (!a->count)
			continue;
		wr_ip_text(&a->src, src);
		wr_ip_text(&a->dst, dst);
		snprintf(sum, sizeof(sum), "%" PRIu64 " packet%s: %s", a->count,
			a->count > 1 ? "s" : "", wr_bad_help((enum wr_bad)i));
		snprintf(id, sizeof(id), "malformed-%s", wr_bad_name((enum wr_bad)i));
		wr_hex(head, a->head, a->n);
		snprintf(ev, sizeof(ev), "[{\"packet\":%" PRIu64 ",\"bytes\":\"%s\"}]", a->packet,
			head);
		WR_INIT(&r, alert);
		WR_SET(&r, alert, time, a->last);
		WR_SET(&r, alert, host, wr_str(t->cfg.host));
		WR_SET(&r, alert, id, wr_str(id));
		WR_SET(&r, alert, detector, WR_STR("malformed_packet"));
		WR_SET(&r, alert, severity, WR_STR("low"));
		WR_SET(&r, alert, confidence, 1);
		WR_SET(&r, alert, source, wr_str(src));
		WR_SET(&r, alert, target, wr_str(dst));
		WR_SET(&r, alert, count, a->count);
		WR_SET(&r, alert, first, a->first);
		WR_SET(&r, alert, last, a->last);
		WR_SET(&r, alert, summary, wr_str(sum));
		WR_SET(&r, alert, advice,
			WR_STR("look at the packet; a broken stack, a probe, or an attack on one"));
		WR_SET(&r, alert, evidence, wr_str(ev));
		fn(ctx, &r.ev);
	}
}
