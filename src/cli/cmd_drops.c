// SPDX-License-Identifier: Apache-2.0
#include "cells.h"
#include "rules.h"

#define HELD 256
#define GUARD 64 /* rules of the guard whose text is known at once */
#define HOLD 3500000000ull /* a retransmission that a trace can see comes after 1, 2 and 4 s */

struct drops_config {
	bool all, no_rules;
};
#define O(field) offsetof(struct drops_config, field)
static const struct wr_opt rows[] = {
	{"all", 'a', WR_OPT_BOOL, O(all), NULL, NULL,
		"also what is no loss: copies for sniffers, queues of closed sockets", 0, 0},
	{"no-rules", 0, WR_OPT_BOOL, O(no_rules), NULL, NULL,
		"do not trace firewall rules (traces add a table of their own that decides nothing)",
		0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

struct drops {
	struct wr_view v;
	struct drops_config o;
	uint64_t noise;
	struct wr_rules *rules; /* NULL: not asked for */
	/* records that wait for a trace of their flow */
	struct {
		struct wr_buf packed;
		uint64_t until;
	} held[HELD];
	unsigned n_held;
	/* rules of the guard that were asked for; "": the agent does not know it, or there is none */
	struct {
		uint64_t id;
		char text[256];
	} guard[GUARD];
	unsigned n_guard;
};

/* For the rule that was asked for last. */
static void on_guard_rule(void *ctx, const struct wr_event *e)
{
	struct drops *d = ctx;
	const struct wr_ev_rule *r = (const void *)e;

	if (e->kind == WR_KIND_rule && r->id == d->guard[d->n_guard % GUARD].id)
		wr_copy(d->guard[d->n_guard % GUARD].text, sizeof(d->guard[0].text), r->text);
}

static void guard_text(struct drops *d, struct wr_ev_drop *r)
{
	struct wr_err e = {.text = ""};
	unsigned i = 0;

	while (i < GUARD && d->guard[i].id != r->rule_handle)
		i++;
	if (i == GUARD) { /* numbers are never used again */
		i = d->n_guard % GUARD;
		d->guard[i].id = r->rule_handle;
		d->guard[i].text[0] = 0;
		wr_rules_of_guard(d->v.cfg.socket, on_guard_rule, d, &e);
		d->n_guard++;
	}
	if (d->guard[i].text[0])
		WR_SET(r, drop, rule_text, wr_str(d->guard[i].text));
}

static void c_time(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_drop_time);
}
static void c_count(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_u64(b, ((const struct wr_ev_drop *)(const void *)e)->count);
}
static void c_reason(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_drop_reason);
}
static void c_interface(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_drop_interface);
}
static void c_location(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_drop_location);
}
static void c_owner(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_drop *r = (const void *)e;

	if (wr_ev_has(e, WR_I_drop_owner_process))
		wr_buf_printf(b, "%.*s/%" PRIu64, (int)r->owner_process.n, r->owner_process.p,
			r->owner_pid);
	else if (wr_ev_has(e, WR_I_drop_server_process))
		wr_buf_str(b, r->server_process);
	else if (wr_ev_has(e, WR_I_drop_client_process))
		wr_buf_str(b, r->client_process);
}
static void c_flow(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_drop *r = (const void *)e;
	bool up = wr_str_eq(r->sender, WR_STR("client"));

	if (!r->transport.n)
		return;
	wr_buf_str(b, r->transport);
	wr_buf_c(b, ' ');
	wr_cell_addr(b, up ? &r->client_ip : &r->server_ip, up ? r->client_port : r->server_port);
	wr_buf_lit(b, " > ");
	wr_cell_addr(b, up ? &r->server_ip : &r->client_ip, up ? r->server_port : r->client_port);
	if (wr_ev_has(e, WR_I_drop_icmp_type))
		wr_buf_printf(b, " type %" PRIu64 "/%" PRIu64, r->icmp_type, r->icmp_code);
	if (r->tcp_flags.n) {
		wr_buf_c(b, ' ');
		wr_buf_str(b, r->tcp_flags);
	}
}
static void c_meaning(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_drop *r = (const void *)e;

	if (wr_str_eq(r->rule_family, WR_STR("weir")))
		wr_buf_printf(b, "weir guard %" PRIu64 "%s%.*s", r->rule_handle,
			r->rule_text.n ? ": " : "", (int)r->rule_text.n, r->rule_text.p);
	else if (wr_ev_has(e, WR_I_drop_rule_table))
		wr_buf_printf(b, "%.*s %.*s %.*s: %.*s", (int)r->rule_family.n, r->rule_family.p,
			(int)r->rule_table.n, r->rule_table.p, (int)r->rule_chain.n,
			r->rule_chain.p, (int)r->rule_text.n, r->rule_text.p);
	else
		wr_buf_str(b, r->meaning);
}

static const struct wr_col cols[] = {
	{"TIME", 12, false, 5, c_time},
	{"COUNT", 7, true, 0, c_count},
	{"REASON", 15, false, 0, c_reason},
	{"IFACE", 8, false, 3, c_interface},
	{"OWNER", 14, false, 2, c_owner},
	{"FLOW", 40, false, 0, c_flow},
	{"WHERE", 26, false, 6, c_location},
	{"MEANING", 20, false, 4, c_meaning},
};

static bool ready(struct drops *d, struct wr_ev_drop *r)
{
	const struct wr_nft_drop *rule = wr_rules_find(d->rules, r);

	if (rule)
		wr_rules_fill(r, rule);
	return rule || wr_rules_why(d->rules)[0];
}

/* Puts those whose rule is known now, or that waited long enough. */
static void on_tick(void *ctx)
{
	struct drops *d = ctx;
	uint64_t now = wr_now();
	unsigned kept = 0;

	for (unsigned i = 0; i < d->n_held; i++) {
		_Alignas(8) uint8_t e[WR_EVENT_MAX];
		struct wr_buf *b = &d->held[i].packed;
		ssize_t n = wr_unpack((struct wr_bytes){(const uint8_t *)b->p, b->n}, e, sizeof(e));

		if (n > 0 && !ready(d, (void *)e) && now < d->held[i].until) {
			d->held[kept++] = d->held[i];
			continue;
		}
		if (n > 0)
			wr_view_put(&d->v, (const void *)e);
		wr_buf_free(b);
	}
	d->n_held = kept;
}

static void on_event(void *ctx, const struct wr_event *e)
{
	struct drops *d = ctx;
	struct wr_ev_drop r;

	if (!wr_view_wants(&d->v, e))
		return;
	if (d->n_held) /* in the order in which they came */
		on_tick(d);
	if (e->kind != WR_KIND_drop) {
		wr_view_put(&d->v, e);
		return;
	}
	r = *(const struct wr_ev_drop *)(const void *)e;
	if (!d->o.all && wr_str_eq(r.class, WR_STR("noise"))) {
		d->noise += r.count;
		return;
	}
	if (wr_str_eq(r.rule_family, WR_STR("weir")))
		guard_text(d, &r);
	if (d->rules && wr_str_eq(r.reason, WR_STR("NETFILTER_DROP")) && r.transport.n &&
		!ready(d, &r) && d->n_held < HELD) {
		struct wr_buf b = WR_BUF(WR_EVENT_MAX * 2);

		wr_pack(&b, e);
		if (!b.cut) {
			d->held[d->n_held].packed = b;
			d->held[d->n_held++].until = wr_now() + HOLD;
			return;
		}
		wr_buf_free(&b);
	}
	wr_view_put(&d->v, &r.ev);
}

static int run(int argc, char **argv)
{
	static struct drops d; /* large */
	int n, rc = wr_view_init(
		       &d.v, &wr_cmd_drops, WR_KIND_drop, WR_KIND_drop, &d.o, argc, argv, &n);

	if (!rc && n)
		rc = 1 + wr_die(d.v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[0]);
	if (rc)
		goto out;
	d.v.cols = cols;
	d.v.n_cols = WR_N(cols);
	d.v.sink = on_event;
	d.v.sink_ctx = &d;
	rc = wr_view_open(&d.v, WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP | WR_NEED_DROP, true);
	if (rc)
		goto out;
	d.rules = geteuid() || d.o.no_rules || d.v.past ? NULL : wr_rules_new();
	wr_view_run(&d.v, 200000000, on_tick, &d);
	for (unsigned i = 0; i < d.n_held; i++)
		d.held[i].until = 0;
	if (d.rules)
		on_tick(&d);
	if (d.rules && wr_rules_why(d.rules)[0])
		fprintf(stderr, "weir drops: no rules: %s\n", wr_rules_why(d.rules));
	if (d.noise && d.v.tty)
		fprintf(stderr,
			"%" PRIu64 " packets were freed without a loss (--all shows them)\n",
			d.noise);
out:
	wr_rules_free(d.rules);
	wr_view_free(&d.v);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_drops = {
	.name = "drops",
	.args = "",
	.help = "packets that were dropped: why, where, whose, by which rule",
	.more = "Five times a second a record for each reason, place and flow that lost packets; the sum of all counts is\n"
		"what the kernel dropped. In a flood the flow is told for the first 20,000 drops a second and CPU and for\n"
		"1,000 new flows, the rest is counted by reason and place. What the kernel frees without a loss (class noise)\n"
		"is shown with --all. As root the firewall rule is named: the flow of a NETFILTER_DROP is traced (at most 20\n"
		"packets a second), and its record waits up to 3.5 s for the next packet of it.",
	.examples = "  weir drops\n"
		    "  weir drops --for 10s --json -w 'class = policy'\n"
		    "  weir drops -w 'server.port = 443 and reason != NO_SOCKET'",
	.opts = &opts,
	.view = true,
	.run = run,
};
