// SPDX-License-Identifier: Apache-2.0
#include "drop.h"
#include "conn_priv.h"
#include "packet.h"

#include <ctype.h>
#include <sys/socket.h>

#define TCP_SYN 0x02
#define TCP_ACK 0x10

static const struct row {
	const char *reason, *function, *class, *words;
} rows[] = {
#define WR_DROP(reason, function, class, words) {reason, function, class, words},
#include "drops.def"
#undef WR_DROP
};

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* "tcp_v4_rcv SYN": the function, and the kind of packet; "_" at the end: any function that begins so */
static bool place_fits(const char *row, const char *function, unsigned kind)
{
	size_t n = strcspn(row, " ");

	if (!*row)
		return true;
	if (strncmp(row, function, n))
		return false;
	if (row[n - 1] != '_' && function[n] && function[n] != '+' && function[n] != '.' &&
		function[n] != '_')
		return false;
	if (!strcmp(row + n, " SYN"))
		return kind == WR_DROP_SYN;
	if (!strcmp(row + n, " RST"))
		return kind == WR_DROP_RST;
	if (!strcmp(row + n, " MULTICAST"))
		return kind == WR_DROP_MULTICAST;
	return true;
}

struct wr_drop_words wr_drop_words(const char *reason, const char *function, unsigned kind)
{
	for (unsigned i = 0; i < WR_N(rows); i++) {
		if (begins(reason, rows[i].reason) && place_fits(rows[i].function, function, kind))
			return (struct wr_drop_words){rows[i].class, rows[i].words};
	}
	return (struct wr_drop_words){"other", NULL};
}

const char *wr_drop_name(const char *kernel, uint32_t reason, char *buf)
{
	if (kernel)
		wr_copy(buf, WR_DROP_NAME, wr_str(kernel));
	else
		snprintf(buf, WR_DROP_NAME, "%u", reason);
	for (char *p = buf; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return buf;
}

bool wr_dropped(const struct wr_rec_packet *p, const struct wr_pkt *k, const char *kernel,
	const char *location, struct wr_dropped *ret)
{
	struct wr_drop_key key = {.proto = k->proto,
		.family = k->ip_version == 6 ? AF_INET6 : AF_INET,
		.tcp_flags = k->flags};
	struct wr_drop_words w;

	memcpy(key.daddr, &k->dst, 16);
	*ret = (struct wr_dropped){.location = location, .netns = p->netns};
	wr_drop_name(kernel, p->reason, ret->reason);
	wr_copy(ret->interface, sizeof(ret->interface),
		(struct wr_str){p->ifname, strnlen(p->ifname, sizeof(p->ifname))});
	w = wr_drop_words(ret->reason, location ? location : "", wr_drop_kind(&key));
	ret->words = w.words;
	return strcmp(w.class, "noise") != 0;
}

void wr_dropped_comment(struct wr_buf *b, const struct wr_dropped *d)
{
	wr_buf_printf(b, "drop %s", d->reason);
	if (d->location)
		wr_buf_printf(b, " at %s", d->location);
	if (d->words)
		wr_buf_printf(b, ": %s", d->words);
	if (d->rule)
		wr_buf_printf(b, "; rule %s", d->rule);
	if (d->interface[0])
		wr_buf_printf(b, " interface=%s", d->interface);
	if (d->netns)
		wr_buf_printf(b, " netns=%" PRIu64, d->netns);
}

struct wr_str wr_drop_flags(uint8_t tcp_flags, char *buf)
{
	size_t n = 0;

	for (unsigned i = 0; i < 5; i++) {
		if (tcp_flags & "\x02\x10\x01\x04\x08"[i])
			buf[n++] = "SAFRP"[i];
	}
	return (struct wr_str){buf, n};
}

static const char *transport(const struct wr_drop_key *k, char *number, size_t n)
{
	if (k->proto == NET_TCP || k->proto == NET_UDP || k->proto == 1 || k->proto == 58)
		return wr_proto_name(k->proto);
	snprintf(number, n, "ip-%u", k->proto);
	return k->proto ? number : "arp";
}

/* Which end sent it: 0 the client, 1 the server. */
static unsigned sender(struct wr_conns *t, const struct wr_drop_key *k, const struct side *from,
	const struct side *to)
{
	if (from && from->conn)
		return from->conn->end[0] != from;
	if (to && to->conn)
		return to->conn->end[0] == to;
	if (k->proto == NET_TCP && k->tcp_flags & TCP_SYN)
		return k->tcp_flags & TCP_ACK ? 1 : 0;
	if (k->proto == NET_TCP && conn_listener(t, k->dport, k->netns))
		return 0;
	if (k->proto == NET_TCP && conn_listener(t, k->sport, k->netns))
		return 1;
	return k->proto != 1 && k->proto != 58 && k->sport < k->dport;
}

/* Of the namespace where it was lost; else of any: a packet may be lost where neither end is. */
static const struct side *side_near(struct wr_conns *t, uint32_t netns, const struct wr_ip *l,
	uint16_t lp, const struct wr_ip *r, uint16_t rp, uint8_t proto)
{
	const struct side *s = conn_side_by_tuple(t, l, lp, r, rp, proto, netns, 0);

	return s ? s : conn_side_by_tuple(t, l, lp, r, rp, proto, 0, 0);
}

static void fill_flow(
	struct wr_conns *t, struct wr_ev_drop *r, const struct wr_drop_key *k, char id[WR_ID_TEXT])
{
	const struct wr_ip *from = (const void *)k->saddr, *to = (const void *)k->daddr;
	bool icmp = k->proto == 1 || k->proto == 58;
	uint16_t sport = icmp ? 0 : k->sport, dport = icmp ? 0 : k->dport;
	const struct side *a = side_near(t, k->netns, from, sport, to, dport, k->proto);
	const struct side *b = side_near(t, k->netns, to, dport, from, sport, k->proto);
	unsigned by = sender(t, k, a, b);
	const struct conn *c = a && a->conn ? a->conn : b ? b->conn : NULL;

	WR_SET(r, drop, client_ip, by ? *to : *from);
	WR_SET(r, drop, server_ip, by ? *from : *to);
	if (!icmp && k->sport) {
		WR_SET(r, drop, client_port, by ? dport : sport);
		WR_SET(r, drop, server_port, by ? sport : dport);
	}
	if (c) {
		wr_hex16(id, c->id);
		WR_SET(r, drop, conn, wr_str(id));
	}
	a = c ? c->end[0] : by ? b : a;
	if (c)
		b = c->end[1];
	if (a)
		conn_fill_owner(t, &r->ev, WR_I_drop_client_ip, a);
	if (b)
		conn_fill_owner(t, &r->ev, WR_I_drop_server_ip, b);
	WR_SET(r, drop, sender, by ? WR_STR("server") : WR_STR("client"));
	if (icmp) {
		WR_SET(r, drop, icmp_type, k->sport);
		WR_SET(r, drop, icmp_code, k->dport);
	}
}

static void fill_drop_owner(struct wr_conns *t, struct wr_ev_drop *r, const struct wr_owner *o)
{
	struct side s = {.proc = wr_enrich_proc(t->cfg.enrich, o)};

	if (!s.proc)
		return;
	conn_fill_owner(t, &r->ev, WR_I_drop_owner_pid - 2, &s);
	wr_enrich_put(t->cfg.enrich, s.proc);
}

bool wr_conns_drop(struct wr_conns *t, const struct wr_drop_key *k, const struct wr_drop *v,
	const char *reason, const char *location)
{
	char id[WR_ID_TEXT], name[WR_DROP_NAME], number[16], flags[8], ifname[17] = "";
	struct wr_drop_words w;
	struct wr_ev_drop r;
	bool noise;

	wr_drop_name(reason, k->reason, name);
	w = wr_drop_words(name, location ? location : "", wr_drop_kind(k));
	if (k->quiet && strcmp(w.class, "noise"))
		w = (struct wr_drop_words){"noise", NULL};
	noise = !strcmp(w.class, "noise");
	if (!t->cfg.sink)
		return noise;
	WR_INIT(&r, drop);
	WR_SET(&r, drop, time, v->first + (uint64_t)t->utc);
	WR_SET(&r, drop, host, wr_str(t->cfg.host));
	if (k->netns)
		WR_SET(&r, drop, netns, k->netns);
	WR_SET(&r, drop, reason, wr_str(name));
	WR_SET(&r, drop, class, wr_str(w.class));
	if (k->guard) {
		WR_SET(&r, drop, rule_family, WR_STR("weir"));
		WR_SET(&r, drop, rule_table, WR_STR("guard"));
		WR_SET(&r, drop, rule_handle, k->guard);
		w.words = "a rule of weir's guard (`weir guard list`)";
	}
	if (w.words)
		WR_SET(&r, drop, meaning, wr_str(w.words));
	if (location)
		WR_SET(&r, drop, location, wr_str(location));
	wr_copy(ifname, sizeof(ifname), (struct wr_str){v->ifname, strnlen(v->ifname, 16)});
	if (ifname[0])
		WR_SET(&r, drop, interface, wr_str(ifname));
	WR_SET(&r, drop, count, v->count);
	WR_SET(&r, drop, bytes, v->bytes);
	if (k->family) {
		WR_SET(&r, drop, transport, wr_str(transport(k, number, sizeof(number))));
		fill_flow(t, &r, k, id);
	}
	if (k->proto == NET_TCP) {
		WR_SET(&r, drop, tcp_flags, wr_drop_flags(k->tcp_flags, flags));
	}
	if (v->owner.tgid)
		fill_drop_owner(t, &r, &v->owner);
	conn_tell(t, &r.ev);
	return noise;
}
