// SPDX-License-Identifier: Apache-2.0
#include "../enrich/geo.h"
#include "../flow/capfile.h"
#include "../flow/track.h"
#include "../base/log.h"
#include "../sys/priv.h"
#include "cells.h"
#include "detectors.h"
#include "dump.h"
#include "flowcols.h"

#include <signal.h>
#include <time.h>

struct read_opts {
	const char *kind, *by, *config, *learned, *signatures, *geo;
	uint64_t top;
	bool unmasked, quiet, bytes;
};
static const struct wr_opt rows[] = {
	{"kind", 'k', WR_OPT_TEXT, offsetof(struct read_opts, kind), "conn", "KIND",
		"conn, request, alert, or packet (every packet's headers); conn with --json has all but packets",
		0, 0},
	{"by", 'b', WR_OPT_TEXT, offsetof(struct read_opts, by), NULL, "KEYS",
		"sums by these fields instead", 0, 0},
	{"top", 't', WR_OPT_U64, offsetof(struct read_opts, top), NULL, "N",
		"with --by: only the N largest", 0, 0},
	{"bytes", 0, WR_OPT_BOOL, offsetof(struct read_opts, bytes), NULL, NULL,
		"with --kind request: " WR_DUMP_HELP, 0, 0},
	{"unmasked", 0, WR_OPT_BOOL, offsetof(struct read_opts, unmasked), NULL, NULL,
		"do not mask secrets", 0, 0},
	{"config", 0, WR_OPT_TEXT, offsetof(struct read_opts, config), NULL, "FILE",
		"detect.* and enrich.geo as in this configuration", 0, 0},
	{"geo", 0, WR_OPT_TEXT, offsetof(struct read_opts, geo), NULL, "FILE,...",
		"where addresses are and whose networks: files in MaxMind's format (country, ASN)",
		0, 0},
	{"signatures", 0, WR_OPT_TEXT, offsetof(struct read_opts, signatures), NULL, "FILE,...",
		"rules that are looked for in what was sent (with --json)", 0, 0},
	{"learned", 0, WR_OPT_TEXT, offsetof(struct read_opts, learned), NULL, "FILE",
		"what is usual by this file, which then knows this capture, too; made if it is not there",
		0, 0},
	{"quiet", 'q', WR_OPT_BOOL, offsetof(struct read_opts, quiet), NULL, NULL, "no summary", 0,
		0},
};
static const struct wr_opts opts = {rows, WR_N(rows)};

struct reading {
	struct wr_view v;
	struct read_opts o;
	struct wr_detectors x; /* x.d NULL: no alerts are wanted */
	struct wr_dump dump;
	struct wr_group *g;
	struct wr_track *t;
	struct wr_ends *ends;
	bool packets;
};

static void on_event(void *ctx, const struct wr_event *e)
{
	struct reading *r = ctx;

	if (e->kind == WR_KIND_message) {
		wr_dump_put(&r->dump, &r->v, e);
		return;
	}
	if (r->x.d)
		wr_detect_event(r->x.d, e);
	if (e->kind == WR_KIND_request)
		r->dump.shown = !r->v.done && wr_view_wants(&r->v, e);
	if (e->kind !=
		(unsigned)(r->v.kind - wr_kinds)) { /* the others, whatever the filter is about */
		if (r->v.cfg.json && !r->g && r->v.kind == &wr_kinds[WR_KIND_conn])
			wr_view_put(&r->v, e);
		return;
	}
	if (!wr_view_wants(&r->v, e))
		return;
	if (r->g)
		wr_group_add(r->g, e, false);
	else
		wr_view_put(&r->v, e);
}

static int analyse(struct reading *r, struct wr_cap *c, struct wr_err *e)
{
	struct wr_cap_packet p;
	struct wr_pkt k;
	uint64_t number = 0;
	int rc;

	while ((rc = wr_cap_next(c, &p, e)) > 0) {
		wr_packet_decode_file(&p, &k);
		number++;
		wr_track_packet(r->t, &k);
		if (r->packets) {
			struct wr_packet_text text;
			struct wr_ev_packet ev;
			char name[32];
			const char *iface = wr_cap_interface(c, p.interface, name, sizeof(name));

			wr_packet_event(&k, number, &text, &ev);
			if (iface)
				WR_SET(&ev, packet, interface, wr_str(iface));
			if (wr_view_wants(&r->v, &ev.ev)) {
				WR_UNSET(&ev, packet, payload_data);
				if (r->g)
					wr_group_add(r->g, &ev.ev, false);
				else
					wr_view_put(&r->v, &ev.ev);
			}
		}
		if (r->v.done)
			return 0;
	}
	return rc;
}

/* Names are in the answers of DNS: those are read only where somebody asks for what is in payload. */
static bool names_wanted(const struct reading *r)
{
	return (r->o.by && strstr(r->o.by, "host_name")) ||
	       (r->v.cfg.expr && strstr(r->v.cfg.expr, "host_name")) ||
	       (r->v.cfg.fields && strstr(r->v.cfg.fields, "host_name"));
}

/* All is open: what the file holds cannot reach beyond this process, whatever a parser makes of it. */
static void confine(const struct reading *r)
{
#ifndef __SANITIZE_ADDRESS__ /* it looks for leaks in /proc at the end */
	struct wr_err e = {.text = ""};

	tzset();
	if (wr_priv_confine(r->o.learned, &e))
		wr_log(capture, WR_WARN, "reads without being confined: %s", e.text);
#else
	(void)r;
#endif
}

static void summary(const struct reading *r, const char *path)
{
	struct wr_track_stats s;
	uint64_t bad = 0;
	char a[32], b[32];

	wr_track_stats(r->t, &s);
	for (unsigned i = 1; i < WR_BAD_N; i++)
		bad += s.bad[i];
	fprintf(stderr,
		"%s: %" PRIu64 " packets, %" PRIu64 " bytes, %" PRIu64
		" connections; of the packets %" PRIu64 " tracked, %" PRIu64 " not IP, %" PRIu64
		" cut short, %" PRIu64 " refused; %" PRIu64 " malformed\n",
		path, s.packets, s.bytes, s.connections, s.tracked, s.not_ip, s.cut, s.refused,
		bad);
	if (s.packets)
		fprintf(stderr, "from %s to %s\n", wr_rfc3339(s.first, a), wr_rfc3339(s.last, b));
}

static int run(int argc, char **argv)
{
	struct reading r = {.packets = false};
	struct wr_track_config tc = {.sink = on_event, .ctx = &r};
	struct wr_err e = {.text = ""};
	struct wr_cap *c = NULL;
	struct wr_geo *geo = NULL;
	const char *kind = "conn";
	enum wr_kind_id in;
	int n, rc, got = 0;
	bool by = false;

	for (int i = 1; i < argc; i++) {
		if ((!strcmp(argv[i], "--kind") || !strcmp(argv[i], "-k")) && i + 1 < argc)
			kind = argv[i + 1];
		else if (!strncmp(argv[i], "--kind=", 7))
			kind = argv[i] + 7;
		by |= !strcmp(argv[i], "--by") || !strncmp(argv[i], "--by=", 5) ||
		      !strcmp(argv[i], "-b");
	}
	if (strcmp(kind, "conn") && strcmp(kind, "packet") && strcmp(kind, "request") &&
		strcmp(kind, "alert"))
		return wr_die("read", WR_EXIT_USAGE,
			"--kind is conn, request, packet or alert, not '%s'", kind);
	r.packets = !strcmp(kind, "packet") || wr_by_packets(argc, argv);
	in = r.packets			? WR_KIND_packet
	     : !strcmp(kind, "request") ? WR_KIND_request
	     : !strcmp(kind, "alert")	? WR_KIND_alert
					: WR_KIND_conn;
	if (by && (in == WR_KIND_request || in == WR_KIND_alert))
		return wr_die(
			"read", WR_EXIT_USAGE, "--by sums connections or packets, not %ss", kind);
	rc = wr_view_init(&r.v, &wr_cmd_read, in, by ? WR_KIND_flow : in, &r.o, argc, argv, &n);
	if (!rc && r.o.bytes && in != WR_KIND_request)
		rc = 1 + wr_die("read", WR_EXIT_USAGE, "--bytes wants --kind request");
	if (!rc && r.o.bytes)
		rc = wr_dump_check(&r.v);
	if (!rc && n != 1)
		rc = 1 + wr_die("read", WR_EXIT_USAGE,
				 n ? "one file, please"
				   : "wants a capture file, or - for standard input");
	if (!rc && r.o.by && wr_group_new(&wr_kinds[in], wr_str(r.o.by), &r.g, &e))
		rc = 1 + wr_die("read", WR_EXIT_USAGE, "--by: %s", e.text);
	if (rc)
		goto out;
	r.v.cols = by			   ? wr_flow_cols
		   : r.packets		   ? wr_packet_cols
		   : in == WR_KIND_request ? wr_request_cols
		   : in == WR_KIND_alert   ? wr_alert_cols
					   : wr_conn_cols;
	r.v.n_cols = by			     ? wr_n_flow_cols
		     : r.packets	     ? wr_n_packet_cols
		     : in == WR_KIND_request ? wr_n_request_cols
		     : in == WR_KIND_alert   ? wr_n_alert_cols
					     : wr_n_conn_cols;
	r.v.cmd_waits = true;
	tc.host = r.v.host;
	if (wr_cap_open(argv[0], &c, &e)) {
		rc = 1 + wr_die("read", WR_EXIT_USAGE, "%s%s%s",
				 strcmp(argv[0], "-") ? argv[0] : "standard input", ": ", e.text);
		goto out;
	}
	if (r.packets && !r.g)
		tc.sink = NULL;
	tc.requests =
		names_wanted(&r) || r.v.cfg.json || in == WR_KIND_request || in == WR_KIND_alert;
	tc.unmasked = r.o.unmasked;
	tc.raw = r.o.bytes ? WR_DUMP_BYTES : 0;
	r.dump.on = r.o.bytes;
	r.ends = tc.ends = wr_ends_new();
	r.x.sign = tc.sign = wr_sign_new();
	r.t = r.x.sign && r.ends ? wr_track_new(&tc) : NULL;
	if (!r.t) {
		rc = 1 + wr_die("read", WR_EXIT_LACKS, "no memory");
		goto out;
	}
	if (tc.requests && !r.g && !r.packets)
		r.x.d = wr_detect_new(r.v.host, true, on_event, &r);
	if (wr_detectors_open(&r.x, r.o.config, r.o.signatures, &e)) {
		rc = 1 + wr_die("read", WR_EXIT_USAGE, "%s", e.text);
		goto out;
	}
	if (wr_geo_open(r.o.geo ? r.o.geo : r.x.cfg.geo, &geo, &e)) {
		rc = 1 + wr_die("read", WR_EXIT_USAGE, "%s", e.text);
		goto out;
	}
	wr_ends_geo(r.ends, geo);
	if (r.x.d && r.o.learned && wr_detect_load(r.x.d, r.o.learned, &e)) {
		rc = 1 + wr_die("read", WR_EXIT_USAGE, "%s", e.text);
		goto out;
	}
	signal(SIGPIPE, SIG_IGN);
	confine(&r);
	got = analyse(&r, c, &e);
	wr_track_end(r.t);
	wr_track_malformed(r.t, on_event, &r);
	if (r.x.d)
		wr_detect_tell(r.x.d, UINT64_MAX, true);
	if (r.g) {
		struct wr_track_stats s;

		wr_track_stats(r.t, &s);
		wr_group_put(&r.v, r.g, (unsigned)r.o.top, s.first, s.last);
	}
	wr_view_flush(&r.v);
	if (!r.o.quiet && !r.v.cfg.json && !r.v.broken)
		summary(&r, argv[0]);
	/* what was whole has been reported; the status tells that it was not all */
	if (got < 0)
		rc = 1 + wr_die("read", WR_EXIT_FOUND, "%s: %s", argv[0], e.text);
	else if (in == WR_KIND_alert && r.v.emitted)
		rc = 1 + WR_EXIT_FOUND;
	if (got >= 0 && r.x.d && r.o.learned && wr_detect_save(r.x.d, r.o.learned, &e))
		rc = 1 + wr_die("read", WR_EXIT_LACKS, "%s", e.text);
out:
	wr_view_free(&r.v);
	wr_group_free(r.g);
	wr_track_free(r.t);
	wr_ends_free(r.ends);
	wr_detectors_close(&r.x);
	wr_cap_close(c);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_read = {
	.name = "read",
	.args = "FILE",
	.help = "the same analysis on a capture file",
	.more = "Reads pcap and pcapng, plain, gzip or zstd, from a file or - for standard input; packet time is the\n"
		"clock. Tunnels (GRE, IPIP, VXLAN, Geneve, MPLS, PPPoE) and VLAN tags are looked through. No rights are\n"
		"needed. A damaged file gives what is whole before the damage, a message, and status 1. With --kind alert the\n"
		"status is 1 where something was found.",
	.examples =
		"  weir read x.pcapng\n"
		"  weir read x.pcap.gz --kind packet -w 'tcp.flags ~ R' --json\n"
		"  weir read x.pcap --kind alert --signatures local.rules\n"
		"  weir read - --by server.port,transport < x.pcap\n"
		"  weir read monday.pcap --json --learned usual > /dev/null; weir read tuesday.pcap --json --learned usual",
	.opts = &opts,
	.view = true,
	.run = run,
};
