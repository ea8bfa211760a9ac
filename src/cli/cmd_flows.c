// SPDX-License-Identifier: Apache-2.0
#include "../flow/packet.h"
#include "flowcols.h"

struct flows_opts {
	const char *by;
	uint64_t every, top;
};
static const struct wr_opt rows[] = {
	{"by", 'b', WR_OPT_TEXT, offsetof(struct flows_opts, by), "process,server.port", "KEYS",
		"fields to sum by: of connections, or of packet headers", 0, 0},
	{"every", 'e', WR_OPT_DURATION, offsetof(struct flows_opts, every), NULL, "TIME",
		"a result for each such window; with --for the default is one for the whole",
		100000000, 0},
	{"top", 't', WR_OPT_U64, offsetof(struct flows_opts, top), NULL, "N", "only the N largest",
		0, 0},
};
static const struct wr_opts opts = {rows, WR_N(rows)};

struct flows {
	struct wr_view v;
	struct flows_opts o;
	struct wr_group *g;
	uint64_t from, started;
};

static void on_event(void *ctx, const struct wr_event *e)
{
	struct flows *f = ctx;

	if (!wr_view_wants(&f->v, e))
		return;
	if (e->kind == WR_KIND_conn)
		wr_group_add(
			f->g, e, ((const struct wr_ev_conn *)(const void *)e)->first < f->started);
	else if (e->kind == WR_KIND_loss)
		wr_view_put(&f->v, e);
}

static void on_packet(void *ctx, const struct wr_rec_packet *p, const uint8_t *data)
{
	struct flows *f = ctx;
	struct wr_packet_text text;
	struct wr_ev_packet r;
	struct wr_pkt k;

	wr_packet_decode(data, p->cap, p->wire_len, WR_LINK_RAW, &k);
	wr_packet_event(&k, 0, &text, &r);
	WR_SET(&r, packet, direction, p->dir ? WR_STR("out") : WR_STR("in"));
	if (p->owner.tgid) {
		WR_SET(&r, packet, pid, p->owner.tgid);
		WR_SET(&r, packet, process, wr_str(p->owner.comm));
	}
	if (wr_view_wants(&f->v, &r.ev)) {
		WR_UNSET(&r, packet, payload_data);
		wr_group_add(f->g, &r.ev, false);
	}
}

static void on_tick(void *ctx)
{
	struct flows *f = ctx;
	uint64_t now = wr_view_utc(&f->v);

	if (f->v.tty && !f->v.cfg.json && !f->v.cfg.csv)
		f->v.head = false; /* a new table a window */
	wr_group_put(&f->v, f->g, (unsigned)f->o.top, f->from, now);
	f->from = now;
	if (f->v.tty && !f->v.cfg.json && !f->v.cfg.csv)
		wr_buf_c(&f->v.out, '\n');
}

static int run(int argc, char **argv)
{
	bool packets = wr_by_packets(argc, argv);
	struct flows f = {.from = 0};
	struct wr_err e = {.text = ""};
	enum wr_kind_id in = packets ? WR_KIND_packet : WR_KIND_conn;
	int n, rc = wr_view_init(&f.v, &wr_cmd_flows, in, WR_KIND_flow, &f.o, argc, argv, &n);

	if (!rc && n)
		rc = 1 + wr_die("flows", WR_EXIT_USAGE,
				 "unexpected argument '%s'; keys go behind --by", argv[0]);
	if (!rc && wr_group_new(&wr_kinds[in], wr_str(f.o.by), &f.g, &e))
		rc = 1 + wr_die("flows", WR_EXIT_USAGE, "--by: %s", e.text);
	if (rc)
		goto out;
	f.v.cols = wr_flow_cols;
	f.v.n_cols = wr_n_flow_cols;
	f.v.sink = on_event;
	f.v.sink_ctx = &f;
	f.v.packet = packets ? on_packet : NULL;
	if (f.v.cfg.once && !f.v.past) { /* one second's traffic */
		f.v.cfg.once = false;
		f.v.cfg.duration = f.v.cfg.duration ? f.v.cfg.duration : 1000000000u;
	}
	if (!f.o.every && !f.v.cfg.duration && !f.v.past)
		f.o.every = 1000000000u;
	f.started = f.from = wr_view_utc(&f.v);
	rc = wr_view_open(&f.v, packets ? WR_NEED_OWNER | WR_NEED_TAP : WR_NEED_ALL, !packets);
	if (rc)
		goto out;
	if (packets) {
		struct wr_kfilter k = {.on = 1, .snap = 128};

		wr_kern_capture(wr_pipe_kern(f.v.pipe), &k);
	}
	wr_view_run(&f.v, f.o.every ? f.o.every : UINT64_MAX / 4, f.o.every ? on_tick : NULL, &f);
	wr_group_put(&f.v, f.g, (unsigned)f.o.top, f.from, wr_view_utc(&f.v));
	if (wr_group_overflow(f.g))
		wr_die("flows", 0, "more than %u different keys: the rest is in the row (other)",
			WR_MAX_FLOWS_KEYS);
out:
	wr_view_free(&f.v);
	wr_group_free(f.g);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_flows = {
	.name = "flows",
	.args = "",
	.help = "traffic summed by any key",
	.more = "Keys are fields of connections (server.port, transport, client.container, ...) or, alone, of packet\n"
		"headers (ip.ttl, ip.dscp, tcp.flags, tcp.window, ...: then packets of local sockets are copied, headers\n"
		"only). A bare end name (process, user, container, service, ip, port) counts a connection once for each\n"
		"end on this host that has it, so the rows of a process are all that it sent and received.",
	.examples = "  weir flows --by process,server.port\n"
		    "  weir flows --by container --for 10s --json\n"
		    "  weir flows --by tcp.flags -w 'port 443' --every 5s",
	.opts = &opts,
	.view = true,
	.run = run,
};
