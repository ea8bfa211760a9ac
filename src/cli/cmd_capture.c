// SPDX-License-Identifier: Apache-2.0
#include "../agent/copied.h"
#include "../flow/capfile.h"
#include "flowcols.h"
#include "rules.h"

struct capture_opts {
	uint64_t snap, rotate_size, rotate_time, keep;
	bool text, drops;
};
static const struct wr_opt rows[] = {
	{"snap", 's', WR_OPT_SIZE, offsetof(struct capture_opts, snap), "65536", "BYTES",
		"copy at most so much of a packet", 16, 65536},
	{"rotate-size", 0, WR_OPT_SIZE, offsetof(struct capture_opts, rotate_size), NULL, "SIZE",
		"begin a new file at this size: FILE-00001.pcapng", 4096, 0},
	{"rotate-time", 0, WR_OPT_DURATION, offsetof(struct capture_opts, rotate_time), NULL,
		"TIME", "begin a new file after this time", 1000000000, 0},
	{"keep", 0, WR_OPT_U64, offsetof(struct capture_opts, keep), NULL, "N",
		"with rotation: keep the last N files", 0, 1u << 20},
	{"drops", 0, WR_OPT_BOOL, offsetof(struct capture_opts, drops), NULL, NULL,
		"also what the kernel drops, wherever it does: with its reason, place and rule", 0,
		0},
	{"print", 'p', WR_OPT_BOOL, offsetof(struct capture_opts, text), NULL, NULL,
		"print the packets too (the default without FILE)", 0, 0},
};
static const struct wr_opts opts = {rows, WR_N(rows)};

struct capture {
	struct wr_view v;
	struct capture_opts o;
	struct wr_capw *w;
	struct wr_rules *rules; /* NULL: none are looked for */
	uint64_t seen, written, dropped;
	int64_t utc;
	int rc;
	struct wr_err e;
};

/* The firewall's rule that dropped it. */
static void find_rule(struct capture *c, const struct wr_rec_packet *p, struct wr_copied *k)
{
	const struct wr_nft_drop *rule = wr_rules_of(c->rules, p->netns, k->drop.reason, k->k.proto,
		&k->k.src, &k->k.dst, k->k.has_ports ? k->k.dport : 0);

	if (!rule)
		return;
	k->drop.rule = rule->text;
	WR_SET(&k->r, packet, drop_rule, wr_str(k->drop.rule));
}

static void on_packet(void *ctx, const struct wr_rec_packet *p, const uint8_t *data)
{
	struct capture *c = ctx;
	struct wr_copied k;

	if (!c->utc || !(c->seen % 1024))
		c->utc = wr_utc_offset();
	if (!wr_copied_fill(&k, c->v.pipe, p, data, c->seen + 1, c->utc))
		goto out;
	c->seen++;
	if (k.dropped && c->rules)
		find_rule(c, p, &k);
	if ((c->v.netns && k.netns != c->v.netns) || !wr_filter_match(c->v.filter, &k.r.ev) ||
		c->v.done)
		goto out;
	if (c->w) {
		struct wr_buf b = WR_BUF(1024);

		wr_copied_comment(&k, &b);
		c->rc = wr_capw_packet(
			c->w, k.k.ts, data, p->cap, p->wire_len, p->dir, wr_buf_view(&b), &c->e);
		wr_buf_free(&b);
		if (c->rc) {
			c->v.done = true;
			goto out;
		}
		c->written++;
	}
	if (k.dropped)
		c->dropped++;
	if (!c->w || c->o.text)
		wr_view_put(&c->v, &k.r.ev);
	else if (++c->v.emitted == c->v.cfg.count)
		c->v.done = true;
out:
	wr_copied_done(&k, c->v.pipe);
}

static void on_tick(void *ctx)
{
	struct capture *c = ctx;

	if (c->w && !c->rc) {
		c->rc = wr_capw_flush(
			c->w, &c->e); /* so that Wireshark at the other end of a pipe sees it */
		c->v.done |= c->rc != 0;
	}
}

static int run(int argc, char **argv)
{
	struct capture c = {.rc = 0};
	struct wr_capw_config wc = {.link = WR_LINK_RAW};
	struct wr_kfilter k;
	uint64_t kc[WR_KC_N];
	int n, rc = wr_view_init(
		       &c.v, &wr_cmd_capture, WR_KIND_packet, WR_KIND_packet, &c.o, argc, argv, &n);

	if (!rc && n > 1)
		rc = 1 +
		     wr_die("capture", WR_EXIT_USAGE, "one file, please; a filter goes behind -w");
	if (!rc && n && !strcmp(argv[0], "-") && isatty(1))
		rc = 1 +
		     wr_die("capture", WR_EXIT_USAGE,
			     "a capture on a terminal is of no use; pipe it into `wireshark -k -i -`");
	if (rc)
		goto out;
	c.v.cols = wr_packet_cols;
	c.v.n_cols = wr_n_packet_cols;
	c.v.sink = NULL;
	c.v.sink_ctx = &c;
	c.v.packet = on_packet;
	rc = wr_view_open(&c.v,
		WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP | (c.o.drops ? WR_NEED_DROP : 0), false);
	if (rc)
		goto out;
	if (n) {
		wc.path = argv[0];
		wc.snap = (uint32_t)c.o.snap;
		wc.rotate_bytes = c.o.rotate_size;
		wc.rotate_ns = c.o.rotate_time;
		wc.rotate_files = (uint32_t)c.o.keep;
		wc.filter = c.v.cfg.expr;
		if (wr_capw_open(&wc, &c.w, &c.e)) {
			rc = 1 + wr_die("capture", WR_EXIT_LACKS, "%s", c.e.text);
			goto out;
		}
		wr_capw_flush(c.w, &c.e);
	}
	wr_copied_choose(c.v.filter, (uint32_t)c.o.snap, &k);
	if (wr_kern_capture(wr_pipe_kern(c.v.pipe), &k)) {
		rc = 1 + wr_die("capture", WR_EXIT_LACKS,
				 "the socket tap does not work here; `weir doctor` tells why");
		goto out;
	}
	if (c.o.drops && wr_kern_capture_drops(wr_pipe_kern(c.v.pipe), &k)) {
		rc = 1 + wr_die("capture", WR_EXIT_LACKS,
				 "what the kernel drops is not seen here; `weir doctor` tells why");
		goto out;
	}
	if (c.o.drops)
		c.rules = wr_rules_new();
	wr_view_run(&c.v, 200000000, on_tick, &c);
	wr_kern_capture(wr_pipe_kern(c.v.pipe), NULL);
	wr_kern_capture_drops(wr_pipe_kern(c.v.pipe), NULL);
	wr_kern_counters(wr_pipe_kern(c.v.pipe), kc);
	if (c.w && !c.rc)
		c.rc = wr_capw_close(c.w, kc[WR_KC_DATA_LOST], &c.e);
	else
		wr_capw_close(c.w, kc[WR_KC_DATA_LOST], NULL);
	c.w = NULL;
	fprintf(stderr,
		"weir capture: %" PRIu64 " packets written, %" PRIu64 " copied, %" PRIu64
		" refused by the filter in the "
		"kernel, %" PRIu64 " lost in the ring\n",
		n ? c.written : c.v.emitted, kc[WR_KC_DATA_IN], kc[WR_KC_FILTERED],
		kc[WR_KC_DATA_LOST]);
	if (c.o.drops)
		fprintf(stderr,
			"weir capture: %" PRIu64 " of the packets were dropped by the kernel\n",
			c.dropped);
	if (c.rc && c.rc != -EPIPE)
		rc = 1 + wr_die("capture", WR_EXIT_LACKS, "%s", c.e.text);
out:
	wr_rules_free(c.rules);
	wr_capw_close(c.w, 0, NULL);
	wr_view_free(&c.v);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_capture = {
	.name = "capture",
	.args = "[FILE]",
	.help = "packets with their owner into a pcapng file",
	.more = "Captures at the sockets of this host and of its containers, from the IP header on. Every packet carries\n"
		"a comment: direction, process, user, container, connection. FILE - is standard output; without FILE the\n"
		"packets are printed. What the kernel can decide of the expression (protocol, one port, one network, pid,\n"
		"process) it decides before the copy. With --drops also packets that the kernel drops, in all namespaces, each\n"
		"with the reason, the function and the firewall's rule: they begin with \"drop\" (frame.comment in Wireshark).",
	.examples = "  weir capture -w 'process curl and port 443' out.pcapng\n"
		    "  weir capture -w 'port 53' - | wireshark -k -i -\n"
		    "  weir capture -w 'tcp.flags ~ R' --for 1m\n"
		    "  weir capture --drops -w 'host 10.0.0.5 and direction = drop' lost.pcapng",
	.opts = &opts,
	.view = true,
	.run = run,
};
