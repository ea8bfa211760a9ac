// SPDX-License-Identifier: Apache-2.0
#include "../flow/drop.h"
#include "../flow/packet.h"
#include "../sys/netns.h"
#include "rules.h"
#include "view.h"

#define OPEN 4096 /* packets under way at once */
#define NAMES 64
#define ASKED 64 /* answers of routing tables before there is a packet */

/* What a routing table answered. */
struct answer {
	uint64_t ts; /* 0: none */
	uint32_t netns, table, err;
	uint8_t daddr[16], via[16];
};

struct packet {
	uint64_t skb, number, begin;
	struct wr_rec_journey last;
	struct answer route; /* since its last stage */
	bool open;
};

struct journey {
	struct wr_view v;
	struct packet p[OPEN]; /* by the address of the buffer */
	struct answer asked[ASKED];
	unsigned n_asked;
	uint64_t n, given_up;
	struct wr_rules *rules; /* NULL: not root */
	struct {
		uint64_t inode;
		char name[64];
	} names[NAMES];
	unsigned n_names;
};

static const char *place_name(struct journey *j, uint64_t inode)
{
	for (unsigned i = 0; i < j->n_names; i++) {
		if (j->names[i].inode == inode)
			return j->names[i].name;
	}
	if (j->n_names == NAMES)
		j->n_names = 0;
	j->names[j->n_names].inode = inode;
	return wr_netns_name(inode, j->names[j->n_names++].name, sizeof(j->names[0].name));
}

/* A buffer at the same address may be another packet by now: what does not change on a way tells. */
static bool is_same(const struct packet *p, const struct wr_rec_journey *r)
{
	const struct wr_rec_journey *o = &p->last;

	if (!p->open || p->skb != r->skb || r->begins || o->proto != r->proto ||
		r->h.ts - o->h.ts > 10000000000ull)
		return false;
	if (r->proto == 6 && (o->tcp_flags & 0x17) != (r->tcp_flags & 0x17))
		return false;
	/* segmentation and GRO change the length, not where it begins */
	if (r->proto == 6 && o->seq != r->seq)
		return false;
	return r->proto == 6 || o->ip_id == r->ip_id;
}

static struct packet *packet_of(struct journey *j, const struct wr_rec_journey *r)
{
	struct packet *p = &j->p[wr_hash64(r->skb) % OPEN];

	if (is_same(p, r))
		return p;
	if (p->open && p->skb != r->skb)
		j->given_up++; /* two under way share a place: the older one's next stages get a new number */
	*p = (struct packet){.skb = r->skb, .number = ++j->n, .begin = r->h.ts, .open = true};
	return p;
}

static void changes(struct wr_buf *b, const struct packet *p, const struct wr_rec_journey *r)
{
	const struct wr_rec_journey *o = &p->last;
	char a[WR_IP_TEXT], c[WR_IP_TEXT];

	if (!o->h.ts)
		return;
	if (memcmp(o->saddr, r->saddr, 16) || o->sport != r->sport)
		wr_buf_printf(b, "source %.*s:%u to %.*s:%u, ",
			(int)wr_ip_text((const void *)o->saddr, a), a, o->sport,
			(int)wr_ip_text((const void *)r->saddr, c), c, r->sport);
	if (memcmp(o->daddr, r->daddr, 16) || o->dport != r->dport)
		wr_buf_printf(b, "destination %.*s:%u to %.*s:%u, ",
			(int)wr_ip_text((const void *)o->daddr, a), a, o->dport,
			(int)wr_ip_text((const void *)r->daddr, c), c, r->dport);
	if (o->ttl != r->ttl)
		wr_buf_printf(b, "ttl %u to %u, ", o->ttl, r->ttl);
	if (o->mark != r->mark)
		wr_buf_printf(b, "mark %u to %u, ", o->mark, r->mark);
	if (b->n > 2)
		b->n -= 2;
}

static unsigned drop_kind(const struct wr_rec_journey *r)
{
	struct wr_drop_key k = {.proto = r->proto, .family = r->family, .tcp_flags = r->tcp_flags};

	memcpy(k.daddr, r->daddr, 16);
	return wr_drop_kind(&k);
}

/* What the kernel frees as dropped may have done its work: then it is done. */
static void fill_drop(
	struct journey *j, struct wr_ev_journey *e, const struct wr_rec_journey *r, char *reason)
{
	const char *at = wr_pipe_symbol(j->v.pipe, r->location);
	const struct wr_nft_drop *rule;

	wr_drop_name(wr_pipe_drop_reason(r->reason), r->reason, reason);
	if (!strcmp(wr_drop_words(reason, at ? at : "", drop_kind(r)).class, "noise")) {
		WR_SET(e, journey, stage, WR_STR("done"));
		return;
	}
	WR_SET(e, journey, verdict, wr_str(reason));
	if (at)
		WR_SET(e, journey, location, wr_str(at));
	if (!j->rules)
		return;
	rule = wr_rules_of(j->rules, r->netns, reason, r->proto, (const void *)r->saddr,
		(const void *)r->daddr, r->dport);
	if (rule)
		WR_SET(e, journey, rule, wr_str(rule->text));
}

/* A table was asked: for a packet that is known, or by who is about to send one. */
static void on_route(struct journey *j, const struct wr_rec_journey *r)
{
	struct packet *p = &j->p[wr_hash64(r->skb) % OPEN];
	struct answer a = {r->h.ts, r->netns, r->table, r->reason, {0}, {0}};

	memcpy(a.daddr, r->daddr, 16);
	memcpy(a.via, r->via, 16);
	if (!r->skb)
		j->asked[j->n_asked++ % ASKED] = a;
	else if (is_same(p, r))
		p->route = a;
}

/* The last answer for the address of a packet that a socket of this host sends. */
static const struct answer *asked_for(const struct journey *j, const struct wr_rec_journey *r)
{
	for (unsigned i = 0; i < wr_min(j->n_asked, (unsigned)ASKED); i++) {
		const struct answer *a = &j->asked[(j->n_asked - 1 - i) % ASKED];

		if (a->netns == r->netns && !memcmp(a->daddr, r->daddr, 16))
			return a;
	}
	return NULL;
}

static void fill_route(struct journey *j, struct wr_ev_journey *e, struct packet *p,
	const struct wr_rec_journey *r, char *text, size_t n)
{
	static const struct {
		int err;
		const char *words;
	} refused[] = {{EINVAL, "blackhole route"}, {EHOSTUNREACH, "unreachable route"},
		{EACCES, "prohibit route"}, {ENETUNREACH, "no route"}};
	const struct answer *a = r->begins ? asked_for(j, r) : &p->route;

	/* it goes out by another interface of the namespace that it came into: forwarded */
	if (r->stage == WR_STEP_QUEUED && !r->begins && p->last.netns == r->netns &&
		p->last.ifindex != r->ifindex)
		snprintf(text, n, "%.16s to %.16s", p->last.ifname, r->ifname);
	for (unsigned i = 0; i < WR_N(refused) && a && a->ts && r->stage == WR_STEP_DROPPED; i++) {
		if (a->err == (uint32_t)refused[i].err)
			wr_copy(text, n, wr_str(refused[i].words));
	}
	if (text[0])
		WR_SET(e, journey, route, wr_str(text));
	if (!a || !a->ts || (r->stage != WR_STEP_QUEUED && r->stage != WR_STEP_DROPPED))
		return;
	WR_SET(e, journey, routing_table, a->table);
	if (!wr_ip_any((const void *)a->via))
		WR_SET(e, journey, next_hop, wr_ip6(a->via));
	p->route.ts = 0;
}

static void on_step(void *ctx, const struct wr_rec_journey *r)
{
	static const char *const stages[] = {
		"arrived", "stack", "tcp", "read", "queued", "sent", "dropped"};
	struct journey *j = ctx;
	struct packet *p;
	struct wr_buf changed = WR_BUF(256);
	char verdict[64] = "", flags[8], route[64] = "", ifname[17], comm[17];
	struct wr_ev_journey e;

	if (r->stage == WR_STEP_ROUTE)
		on_route(j, r);
	if (r->stage >= WR_N(stages))
		return;
	p = packet_of(j, r);
	wr_copy(ifname, sizeof(ifname), (struct wr_str){r->ifname, strnlen(r->ifname, 16)});
	wr_copy(comm, sizeof(comm), (struct wr_str){r->comm, strnlen(r->comm, 16)});
	WR_INIT(&e, journey);
	WR_SET(&e, journey, time, r->h.ts + (uint64_t)wr_utc_offset());
	WR_SET(&e, journey, host, wr_str(j->v.host));
	if (r->netns) {
		WR_SET(&e, journey, netns, r->netns);
		WR_SET(&e, journey, place, wr_str(place_name(j, r->netns)));
	}
	WR_SET(&e, journey, packet, p->number);
	WR_SET(&e, journey, stage, wr_str(stages[r->stage]));
	WR_SET(&e, journey, at_us, (double)(r->h.ts - p->begin) / 1000);
	if (ifname[0])
		WR_SET(&e, journey, interface, wr_str(ifname));
	WR_SET(&e, journey, transport, wr_str(wr_proto_name(r->proto)));
	WR_SET(&e, journey, src_ip, *(const struct wr_ip *)(const void *)r->saddr);
	WR_SET(&e, journey, dst_ip, *(const struct wr_ip *)(const void *)r->daddr);
	if (r->proto != 1 && r->proto != 58) {
		WR_SET(&e, journey, src_port, r->sport);
		WR_SET(&e, journey, dst_port, r->dport);
	}
	if (r->proto == 6) {
		WR_SET(&e, journey, tcp_flags, wr_drop_flags(r->tcp_flags, flags));
		WR_SET(&e, journey, tcp_seq, r->seq);
	}
	WR_SET(&e, journey, ttl, r->ttl);
	WR_SET(&e, journey, length, r->len);
	if (r->tgid) {
		WR_SET(&e, journey, pid, r->tgid);
		WR_SET(&e, journey, process, wr_str(comm));
	}
	changes(&changed, p, r);
	if (changed.n)
		WR_SET(&e, journey, changed, wr_buf_view(&changed));
	fill_route(j, &e, p, r, route, sizeof(route));
	if (r->stage == WR_STEP_DROPPED)
		fill_drop(j, &e, r, verdict);
	else if (r->stage == WR_STEP_READ)
		WR_SET(&e, journey, verdict, WR_STR("read"));
	p->last = *r;
	if (r->stage == WR_STEP_DROPPED || r->stage == WR_STEP_READ)
		p->open = false;
	if (wr_view_wants(&j->v, &e.ev))
		wr_view_put(&j->v, &e.ev);
	wr_buf_free(&changed);
}

static void c_packet(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_u64(b, ((const struct wr_ev_journey *)(const void *)e)->packet);
}
static void c_at(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_printf(b, "%.1f us", ((const struct wr_ev_journey *)(const void *)e)->at_us);
}
static void c_place(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_journey_place);
}
static void c_interface(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_journey_interface);
}
static void c_stage(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_journey_stage);
}
static void c_flow(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_journey *r = (const void *)e;

	wr_buf_str(b, r->transport);
	wr_buf_c(b, ' ');
	wr_cell_addr(b, &r->src_ip, r->src_port);
	wr_buf_lit(b, " > ");
	wr_cell_addr(b, &r->dst_ip, r->dst_port);
	if (r->tcp_flags.n) {
		wr_buf_c(b, ' ');
		wr_buf_str(b, r->tcp_flags);
	}
	wr_buf_printf(b, " %" PRIu64 " B", r->length);
}
static void c_what(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_journey *r = (const void *)e;
	char ip[WR_IP_TEXT];

	if (r->process.n)
		wr_buf_printf(b, "%s %.*s/%" PRIu64 " ", r->verdict.n ? "by" : "of",
			(int)r->process.n, r->process.p, r->pid);
	else if (r->verdict.n)
		wr_buf_str(b, r->verdict);
	if (r->location.n)
		wr_buf_printf(b, " at %.*s", (int)r->location.n, r->location.p);
	if (r->rule.n)
		wr_buf_printf(b, " by \"%.*s\"", (int)r->rule.n, r->rule.p);
	if (r->route.n)
		wr_buf_printf(b, r->verdict.n ? " by a %.*s" : "forwarded %.*s ", (int)r->route.n,
			r->route.p);
	if (wr_ev_has(e, WR_I_journey_routing_table)) {
		wr_buf_printf(b, "table %" PRIu64 " ", r->routing_table);
		if (wr_ev_has(e, WR_I_journey_next_hop))
			wr_buf_printf(b, "via %.*s ", (int)wr_ip_text(&r->next_hop, ip), ip);
	}
	wr_buf_str(b, r->changed);
}

static const struct wr_col cols[] = {
	{"PACKET", 6, true, 0, c_packet},
	{"AT", 10, true, 0, c_at},
	{"PLACE", 10, false, 2, c_place},
	{"IFACE", 10, false, 1, c_interface},
	{"STAGE", 8, false, 0, c_stage},
	{"FLOW", 48, false, 3, c_flow},
	{"WHAT", 20, false, 0, c_what},
};

static void nothing(void *ctx, const struct wr_event *e)
{
	struct journey *j = ctx;

	if (e->kind == WR_KIND_loss)
		wr_view_put(&j->v, e);
}

static int run(int argc, char **argv)
{
	static struct journey j; /* large */
	struct wr_filter_hint h;
	struct wr_kfilter k;
	int n, rc = wr_view_init(&j.v, &wr_cmd_journey, WR_KIND_journey, WR_KIND_journey, NULL,
		       argc, argv, &n);

	if (!rc && n)
		rc = 1 + wr_die(j.v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[0]);
	if (rc)
		goto out;
	j.v.cols = cols;
	j.v.n_cols = WR_N(cols);
	j.v.sink = nothing;
	j.v.sink_ctx = &j;
	j.v.step = on_step;
	j.v.cfg.standalone = true;
	rc = wr_view_open(&j.v, WR_NEED_OWNER | WR_NEED_JOURNEY, false);
	if (rc)
		goto out;
	j.rules = geteuid() ? NULL : wr_rules_new();
	wr_filter_hint(j.v.filter, &h);
	k = (struct wr_kfilter){.on = 1, .proto = h.proto, .addr_on = h.addr_on};
	k.port_lo = h.port_lo;
	k.port_hi = h.port_hi;
	memcpy(k.addr, &h.addr, 16);
	memcpy(k.mask, &h.mask, 16);
	if (wr_kern_journey(wr_pipe_kern(j.v.pipe), &k)) {
		rc = 1 + wr_die(j.v.cmd, WR_EXIT_LACKS,
				 "the stages cannot be seen here; `weir doctor` tells why");
		goto out;
	}
	wr_view_run(&j.v, 0, NULL, NULL);
	if (j.given_up && !j.v.broken)
		fprintf(stderr,
			"weir journey: %" PRIu64
			" packets were lost sight of: too many at once; -w narrows it\n",
			j.given_up);
out:
	wr_rules_free(j.rules);
	wr_view_free(&j.v);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_journey = {
	.name = "journey",
	.args = "",
	.help = "the way of single packets through the host, with its times",
	.more = "Each packet that the expression chooses at each stage, in all namespaces: queued (at a device), sent (to its\n"
		"driver), arrived, stack, tcp, read (by whom), dropped (why, where, by which rule), done; with the time since\n"
		"its first stage, what changed on the way (NAT, time to live, mark) and from which interface to which it was\n"
		"forwarded. Host, port, net and protocol are decided in the kernel: what is not chosen costs little.\n"
		"Needs root, also beside an agent.",
	.examples = "  weir journey -w 'host 10.0.0.5 and port 443'\n"
		    "  weir journey -w 'icmp' --for 10s\n"
		    "  weir journey --json -w 'port 53 and stage = dropped'",
	.view = true,
	.run = run,
};
