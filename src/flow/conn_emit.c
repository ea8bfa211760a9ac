// SPDX-License-Identifier: Apache-2.0
/* Connection records: what the ends know, put together. */
#include "conn_priv.h"
#include "owner.h"

#include <net/if.h>

const char *wr_tcp_state_name(uint8_t s)
{
	static const char *const names[] = {"", "established", "syn_sent", "syn_received",
		"fin_wait_1", "fin_wait_2", "time_wait", "closed", "close_wait", "last_ack",
		"listen", "closing", "syn_received"};

	return s < WR_N(names) ? names[s] : "";
}

struct fill {
	struct wr_ev_conn rec;
	char id[WR_ID_TEXT], icmp[128], ifname[IF_NAMESIZE];
};

/* The owner's fields of an end; @first: index of its address. They are declared in this order in kinds.def. */
void conn_fill_owner(struct wr_conns *t, struct wr_event *e, unsigned first, const struct side *s)
{
	if (!s->proc)
		return;
	wr_enrich_look(t->cfg.enrich, s->proc);
	wr_owner_fill(e, first + 2, s->proc); /* behind address and port */
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
	struct wr_ip ip[2] = {side_ip(s, LOCAL), side_ip(s, REMOTE)};

	for (unsigned i = 0; !r && i < ICMP_MEMORY; i++) {
		const struct wr_rec_icmp *m = &t->icmp[i].r;

		if (m->h.type && m->proto == s->proto && m->sport == s->lport &&
			m->dport == s->rport && !memcmp(m->saddr, &ip[LOCAL], 16) &&
			!memcmp(m->daddr, &ip[REMOTE], 16) && m->h.ts + 120000000000ull > t->now)
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

/*
 * Reset, though the other end, which is here too, did not do it and did not say goodbye before: its socket was gone
 * without a word. No socket, so nobody told the kernel's own name for it (SK_RST_REASON_NO_SOCKET).
 */
static bool lost_by_other(const struct conn *c, const struct side *s)
{
	const struct side *o = c->end[s == c->end[0]];

	return o && s->flags & WR_F_RST_IN && !(s->flags & (WR_F_FIN_LOCAL | WR_F_FIN_REMOTE)) &&
	       !(o->flags & (WR_F_RST_IN | WR_F_RST_OUT | WR_F_FIN_LOCAL | WR_F_FIN_REMOTE));
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
	if (is_tcp(s) && lost_by_other(c, s))
		WR_SET(r, conn, reset_reason, WR_STR("no_socket"));
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
	const struct trouble *x = trouble_of(a), *y = trouble_of(b), *z = trouble_of(near),
			     *of_sender = trouble_of(sender);
	uint64_t zw = a && b ? (uint64_t)x->zw_out_ms + y->zw_out_ms
			     : (uint64_t)z->zw_in_ms + z->zw_out_ms;

	WR_SET(r, conn, retransmits, (uint64_t)x->retrans + y->retrans);
	if (a)
		WR_SET(r, conn, retransmits_to_server, x->retrans);
	if (b)
		WR_SET(r, conn, retransmits_to_client, y->retrans);
	WR_SET(r, conn, out_of_order, (uint64_t)x->ooo + y->ooo);
	WR_SET(r, conn, re_timeout, (uint64_t)x->re_timeout + y->re_timeout);
	WR_SET(r, conn, re_fast, (uint64_t)x->re_fast + y->re_fast);
	WR_SET(r, conn, re_spurious, (uint64_t)x->dsack + y->dsack);
	WR_SET(r, conn, re_probe, (uint64_t)x->re_probe + y->re_probe);
	if (a)
		WR_SET(r, conn, re_syn, x->re_syn);
	if (near->rtt)
		WR_SET(r, conn, rtt_us, near->rtt);
	if (near->rtt_min && near->rtt_min != UINT32_MAX)
		WR_SET(r, conn, rtt_min_us, near->rtt_min);
	if (near->rtt)
		WR_SET(r, conn, rtt_var_us, near->rtt_var);
	WR_SET(r, conn, lim_receiver, of_sender->rwnd_ms);
	WR_SET(r, conn, lim_send_buffer, of_sender->sndbuf_ms);
	WR_SET(r, conn, lim_congestion,
		sender->busy_ms > of_sender->rwnd_ms + of_sender->sndbuf_ms
			? sender->busy_ms - of_sender->rwnd_ms - of_sender->sndbuf_ms
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
		a && b ? (uint64_t)x->zw_out_n + y->zw_out_n : (uint64_t)z->zw_in_n + z->zw_out_n);
	WR_SET(r, conn, congestion_window, sender->cwnd);
	WR_SET(r, conn, mss, sender->mss);
	if (sender->pmtu)
		WR_SET(r, conn, pmtu, sender->pmtu + 1u);
	WR_SET(r, conn, recv_queue, (a ? a->rcvq : 0ull) + (b ? b->rcvq : 0));
	WR_SET(r, conn, send_queue, (a ? a->sndq : 0ull) + (b ? b->sndq : 0));
}

/* Of two ends the one that is held up longer. */
static void fill_stalled(struct wr_ev_conn *r, const struct conn *c)
{
	static const char *const by[] = {"", "reader", "close", "peer"};
	static const char *const who[] = {"client", "server"};
	uint32_t of[2] = {trouble_of(c->end[0])->stalled, trouble_of(c->end[1])->stalled};
	unsigned end = !c->end[0] || of[1] >> 2 > of[0] >> 2;
	uint32_t v = of[end];

	if (!v)
		return;
	WR_SET(r, conn, stalled_ms, v >> 2);
	WR_SET(r, conn, stalled_by, wr_str(by[v & 3]));
	/* who does not read or close is this end, who does not acknowledge the other one */
	WR_SET(r, conn, stalled_end, wr_str(who[(v & 3) == WR_STALL_PEER ? !end : end]));
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

void conn_emit(struct wr_conns *t, const struct conn *c, unsigned event,
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
	wr_hex16(f.id, c->id);
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
		WR_SET(r, conn, client_ip, a ? side_ip(a, LOCAL) : side_ip(b, REMOTE));
		WR_SET(r, conn, client_port, a ? a->lport : b->rport);
	}
	WR_SET(r, conn, server_ip, a ? side_ip(a, REMOTE) : side_ip(b, LOCAL));
	WR_SET(r, conn, server_port, a ? a->rport : b->lport);
	if (a)
		conn_fill_owner(t, &r->ev, WR_I_conn_client_ip, a);
	if (b)
		conn_fill_owner(t, &r->ev, WR_I_conn_server_ip, b);
	/* with both ends here: what arrived; else what this end knows */
	WR_SET(r, conn, bytes_to_server, b ? b->bytes_in : a->bytes_out);
	WR_SET(r, conn, bytes_to_client, a ? a->bytes_in : b->bytes_out);
	WR_SET(r, conn, packets_to_server, a ? a->packets_out : b->packets_in);
	WR_SET(r, conn, packets_to_client, b ? b->packets_out : a->packets_in);
	if (is_link(near) && if_indextoname((unsigned)(side_cookie(near) & ~LINK), f.ifname))
		WR_SET(r, conn, interface, wr_str(f.ifname));
	if (is_tcp(near)) {
		fill_tcp(r, c, (last - c->first) / 1000000);
		fill_stalled(r, c);
	}
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
	wr_ends_hand(t->cfg.ends, &r->ev, sink, ctx);
}

void conn_emit_all(
	struct wr_conns *t, const struct conn *c, unsigned event, const struct wr_rec_sock *rec)
{
	conn_emit(t, c, event, rec, NULL, t->cfg.sink, t->cfg.ctx);
}

void conn_emit_call(struct wr_conns *t, const struct wr_rec_call *k)
{
	static const char *const names[] = {
		"", "socket", "connect", "bind", "listen", "sendto", "sendmsg"};
	static const struct wr_ip none;
	struct side s = {.proc = wr_enrich_proc(t->cfg.enrich, &k->owner)};
	struct wr_ev_call r;

	WR_INIT(&r, call);
	WR_SET(&r, call, time, k->h.ts + (uint64_t)t->utc);
	WR_SET(&r, call, host, wr_str(t->cfg.host));
	WR_SET(&r, call, netns, k->owner.netns);
	WR_SET(&r, call, name, wr_str(k->call < WR_N(names) ? names[k->call] : ""));
	WR_SET(&r, call, error, k->err);
	if (memcmp(k->addr, &none, sizeof(none)) || k->port) {
		WR_SET(&r, call, ip, *(const struct wr_ip *)(const void *)k->addr);
		WR_SET(&r, call, port, k->port);
	}
	if (s.proc)
		conn_fill_owner(t, &r.ev, WR_I_call_owner_pid - 2, &s);
	t->stats.records.out++;
	if (t->cfg.sink)
		t->cfg.sink(t->cfg.ctx, &r.ev);
	wr_enrich_put(t->cfg.enrich, s.proc);
}
