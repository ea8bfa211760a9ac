// SPDX-License-Identifier: Apache-2.0
#include "../agg/red.h"
#include "backends.h"
#include "cells.h"

struct map_opts {
	uint64_t every;
	bool dot;
};
static const struct wr_opt rows[] = {
	{"every", 'e', WR_OPT_DURATION, offsetof(struct map_opts, every), NULL, "TIME",
		"a map for each such window; without it one, of 10 s or of --for", 1000000000, 0},
	{"dot", 'd', WR_OPT_BOOL, offsetof(struct map_opts, dot), NULL, NULL,
		"for Graphviz: weir map --dot | dot -Tsvg", 0, 0},
};
static const struct wr_opts opts = {rows, WR_N(rows)};

struct map {
	struct wr_view v;
	struct map_opts o;
	struct wr_red *red;
	struct wr_buf key;
	uint64_t from;
};

#define HAS(f) wr_ev_has(e, WR_I_request_##f)

/* An end that lives on this host is its service; any other what the client calls it, else its address. */
static void on_event(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;
	struct map *m = ctx;

	if (!wr_view_wants(&m->v, e))
		return;
	if (e->kind != WR_KIND_request) {
		wr_view_put(&m->v, e);
		return;
	}
	m->key.n = 0;
	if (HAS(client_service))
		wr_buf_str(&m->key, r->client_service);
	wr_buf_c(&m->key, 0x1f);
	if (!HAS(client_service))
		wr_plain(&m->key, e, WR_I_request_client_ip);
	wr_buf_c(&m->key, 0x1f);
	if (HAS(server_service))
		wr_buf_str(&m->key, r->server_service);
	wr_buf_c(&m->key, 0x1f);
	if (!HAS(server_service) && HAS(server_host_name))
		wr_buf_str(&m->key, r->server_host_name);
	wr_buf_c(&m->key, 0x1f);
	if (!HAS(server_service) && !HAS(server_host_name))
		wr_plain(&m->key, e, WR_I_request_server_ip);
	wr_buf_c(&m->key, 0x1f);
	if (!HAS(server_service))
		wr_plain(&m->key, e, WR_I_request_server_port);
	wr_buf_c(&m->key, 0x1f);
	wr_buf_str(&m->key, r->protocol);
	wr_red_add_to(m->red, wr_buf_view(&m->key), r);
}

static void edge(
	const struct map *m, const struct wr_red_row *row, uint64_t now, struct wr_ev_edge *e)
{
	struct wr_str v[7];
	struct wr_ev_requests r;
	struct wr_ip mask;
	uint64_t port;

	for (unsigned i = 0; i < WR_N(v); i++)
		v[i] = wr_red_value(row, i);
	wr_red_record(m->red, row, m->from, now, &r);
	WR_INIT(e, edge);
	WR_SET(e, edge, time, now);
	WR_SET(e, edge, host, wr_str(m->v.host));
	if (v[0].n)
		WR_SET(e, edge, client_service, v[0]);
	else if (!wr_ip_parse(v[1], &e->client_ip, &mask))
		wr_ev_mark(&e->ev, WR_I_edge_client_ip);
	if (v[2].n)
		WR_SET(e, edge, server_service, v[2]);
	else if (v[3].n)
		WR_SET(e, edge, server_host_name, v[3]);
	else if (!wr_ip_parse(v[4], &e->server_ip, &mask))
		wr_ev_mark(&e->ev, WR_I_edge_server_ip);
	if (!wr_parse_u64(v[5], &port))
		WR_SET(e, edge, server_port, port);
	WR_SET(e, edge, protocol, v[6]);
	WR_SET(e, edge, rate, r.rate);
	WR_SET(e, edge, error_rate, r.error_rate);
	if (row->us.n) {
		WR_SET(e, edge, p50_us, r.p50_us);
		WR_SET(e, edge, p90_us, r.p90_us);
		WR_SET(e, edge, p99_us, r.p99_us);
		WR_SET(e, edge, max_us, r.max_us);
	}
	WR_SET(e, edge, count, r.count);
	WR_SET(e, edge, errors, r.errors);
	WR_SET(e, edge, unanswered, r.unanswered);
	WR_SET(e, edge, retransmits, r.retransmits);
	WR_SET(e, edge, from, r.from);
	WR_SET(e, edge, to, r.to);
	WR_SET(e, edge, bytes_to_server, r.request_bytes);
	WR_SET(e, edge, bytes_to_client, r.response_bytes);
}

/* A quoted name of the dot language: JSON's escapes are its own. */
static void dot_node(struct wr_buf *b, const struct wr_event *e, unsigned col)
{
	struct wr_buf t = WR_BUF(512);

	wr_edge_cols[col].cell(&t, e);
	wr_buf_json(b, wr_buf_view(&t));
	wr_buf_free(&t);
}

static void put(struct map *m)
{
	uint64_t now = wr_view_utc(&m->v);
	struct wr_red_row **row;
	unsigned n = wr_red_top(m->red, &row, 0);

	if (m->o.dot)
		wr_buf_lit(&m->v.out, "digraph weir {\n\trankdir=LR;\n\tnode [shape=box];\n");
	for (unsigned i = 0; i < n; i++) {
		struct wr_ev_edge e;

		edge(m, row[i], now, &e);
		if (!m->o.dot) {
			wr_view_put(&m->v, &e.ev);
			continue;
		}
		wr_buf_c(&m->v.out, '\t');
		dot_node(&m->v.out, &e.ev, 0);
		wr_buf_lit(&m->v.out, " -> ");
		dot_node(&m->v.out, &e.ev, 1);
		wr_buf_printf(&m->v.out, " [label=\"%.*s %.1f/s p99 %" PRIu64 " us\"%s];\n",
			(int)e.protocol.n, e.protocol.p, e.rate, e.p99_us,
			e.error_rate > 0.01 ? ", color=red" : "");
	}
	if (m->o.dot)
		wr_buf_lit(&m->v.out, "}\n");
	wr_red_reset(m->red);
	m->from = now;
}

static void on_tick(void *ctx)
{
	struct map *m = ctx;
	bool people = m->v.tty && !m->v.cfg.json && !m->v.cfg.csv && !m->o.dot;

	if (people)
		m->v.head = false;
	put(m);
	if (people)
		wr_buf_c(&m->v.out, '\n');
}

static int run(int argc, char **argv)
{
	struct map m = {.key = WR_BUF(4096)};
	struct wr_err e = {.text = ""};
	int n, rc;

	if (argc > 1 && !strcmp(argv[1], "backends"))
		return wr_map_backends(argc, argv);
	rc = wr_view_init(&m.v, &wr_cmd_map, WR_KIND_request, WR_KIND_edge, &m.o, argc, argv, &n);
	if (!rc && n)
		rc = 1 + wr_die(m.v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[0]);
	/* the keys are made here; these only give the row as many values */
	if (!rc && wr_red_new(WR_STR("protocol"), &m.red, &e))
		rc = 1 + wr_die(m.v.cmd, WR_EXIT_LACKS, "%s", e.text);
	if (rc)
		goto out;
	m.v.cols = wr_edge_cols;
	m.v.n_cols = wr_n_edge_cols;
	m.v.sink = on_event;
	m.v.sink_ctx = &m;
	m.v.cfg.once = false;
	if (!m.o.every && !m.v.cfg.duration && !m.v.past)
		m.v.cfg.duration = 10000000000ull;
	m.from = wr_now() + (uint64_t)wr_utc_offset();
	rc = wr_view_open(&m.v, WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP, true);
	if (rc)
		goto out;
	wr_view_run(&m.v, m.o.every, m.o.every ? on_tick : NULL, &m);
	put(&m);
out:
	wr_view_free(&m.v);
	wr_red_free(m.red);
	wr_buf_free(&m.key);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_map = {
	.name = "map",
	.args = "[backends]",
	.help = "who asks whom: services and the edges between them",
	.more = "Listens for 10 s (or --for, or again and again with --every) and shows each pair of services that spoke, with\n"
		"protocol, rate, errors and duration. An end on this host is its service (unit, container or process), any\n"
		"other its address. --json gives edge records, --dot a graph.\n"
		"backends: which backend got what from the load balancers of the kernel (nftables, iptables, kube-proxy): new\n"
		"connections, whether the spread is even, clients that were moved, backends that do not answer and still get\n"
		"some (status 1). Of one namespace (--netns); needs root.",
	.examples = "  weir map\n"
		    "  weir map --for 1m --dot | dot -Tsvg > map.svg\n"
		    "  weir map backends --for 1m\n"
		    "  weir map --json -w 'protocol in (postgresql, mysql)'",
	.opts = &opts,
	.view = true,
	.run = run,
};
