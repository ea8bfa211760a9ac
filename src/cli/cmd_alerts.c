// SPDX-License-Identifier: Apache-2.0
#include "../flow/owner.h"
#include "detectors.h"
#include "flowcols.h"
#include "explain.h"
#include "view.h"

#define EVERY 1000000000ull /* ns */

struct alerts_config {
	const char *config, *check;
	bool detectors;
};
#define O(field) offsetof(struct alerts_config, field)
static const struct wr_opt rows[] = {
	{"config", 0, WR_OPT_TEXT, O(config), NULL, "FILE",
		"detectors of its own with the limits (detect.*) of this configuration", 0, 0},
	{"check-rules", 0, WR_OPT_TEXT, O(check), NULL, "FILE,...",
		"only tells which signatures of these files cannot be used, and why", 0, 0},
	{"detectors", 0, WR_OPT_BOOL, O(detectors), NULL, NULL,
		"lists the detectors: what each finds, and its ATT&CK technique", 0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

struct alerts {
	struct wr_view v;
	struct alerts_config o;
	struct wr_detectors x;
	bool found;
};

static void on_alert(void *ctx, const struct wr_event *e)
{
	struct alerts *a = ctx;

	if (!wr_view_wants(&a->v, e))
		return;
	a->found = true;
	wr_view_put(&a->v, e);
}

/* Of detectors of its own: the agent's alerts have it. */
static void on_own_alert(void *ctx, const struct wr_event *e)
{
	struct wr_ev_alert r = *(const struct wr_ev_alert *)(const void *)e;
	struct wr_buf parents = WR_BUF(2048);

	wr_owner_parents(&r, &parents);
	on_alert(ctx, &r.ev);
	wr_buf_free(&parents);
}

/* What the agent or history raised comes out; without them the pipeline's records go to detectors of its own. */
static void on_event(void *ctx, const struct wr_event *e)
{
	struct alerts *a = ctx;

	if (e->kind == WR_KIND_loss)
		wr_view_put(&a->v, e);
	else if (e->kind == WR_KIND_alert)
		on_alert(a, e);
	else
		wr_detect_event(a->x.d, e);
}

static void on_tick(void *ctx)
{
	struct alerts *a = ctx;

	wr_detect_tell(a->x.d, wr_now() + (uint64_t)wr_utc_offset(), false);
}

static void c_time(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_alert_time);
}
static void c_severity(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_alert_severity);
}
static void c_detector(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_alert_detector);
}
static void c_count(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_u64(b, ((const struct wr_ev_alert *)(const void *)e)->count);
}
static void c_owner(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_alert *r = (const void *)e;

	if (r->owner_process.n)
		wr_buf_printf(b, "%.*s/%" PRIu64, (int)r->owner_process.n, r->owner_process.p,
			r->owner_pid);
}
static void c_summary(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_alert_summary);
}

const struct wr_col wr_alert_cols[] = {
	{"TIME", 12, false, 2, c_time},
	{"SEVERITY", 8, false, 1, c_severity},
	{"DETECTOR", 14, false, 0, c_detector},
	{"COUNT", 7, true, 4, c_count},
	{"OWNER", 16, false, 3, c_owner},
	{"SUMMARY", 40, false, 0, c_summary},
};
const unsigned wr_n_alert_cols = WR_N(wr_alert_cols);

static void list(void)
{
	const struct wr_detector *d;

	for (unsigned i = 0; (d = wr_detector_row(i)); i++)
		printf("%-18s %-10s %s\n", d->name, d->attack_id, d->help);
}

static int run(int argc, char **argv)
{
	struct alerts a = {.found = false};
	struct wr_err e = {.text = ""};
	int n, rc = wr_view_init(
		       &a.v, &wr_cmd_alerts, WR_KIND_alert, WR_KIND_alert, &a.o, argc, argv, &n);

	if (!rc && n == 2 && !strcmp(argv[0], "explain")) {
		rc = 1 + wr_explain(a.v.cfg.store, a.v.cfg.socket, argv[1]);
		goto out;
	}
	if (!rc && n)
		rc = 1 + wr_die(a.v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[0]);
	if (!rc && a.o.detectors) {
		list();
		rc = 1;
	}
	if (!rc && a.o.check)
		rc = 1 + wr_signatures_check(a.v.cmd, a.o.check);
	if (rc)
		goto out;
	a.x.d = wr_detect_new(a.v.host, false, on_own_alert, &a);
	a.x.sign = wr_sign_new();
	if (!a.x.d || !a.x.sign) {
		rc = 1 + wr_die(a.v.cmd, WR_EXIT_LACKS, "no memory");
		goto out;
	}
	if (wr_detectors_open(&a.x, a.o.config, NULL, &e)) {
		rc = 1 + wr_die(a.v.cmd, WR_EXIT_USAGE, "%s", e.text);
		goto out;
	}
	a.v.cfg.standalone |= !!a.o.config;
	a.v.cols = wr_alert_cols;
	a.v.n_cols = wr_n_alert_cols;
	a.v.sink = on_event;
	a.v.sink_ctx = &a;
	a.v.cfg.once = false;
	a.v.requests = true;
	a.v.sign = a.x.sign;
	rc = wr_view_open(&a.v,
		WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP | WR_NEED_ICMP | WR_NEED_DROP |
			WR_NEED_ARP,
		true);
	if (rc)
		goto out;
	wr_view_run(&a.v, EVERY, on_tick, &a);
	wr_detect_tell(a.x.d, wr_now() + (uint64_t)wr_utc_offset(), true);
	rc = 1 + (a.found ? WR_EXIT_FOUND : WR_EXIT_OK);
out:
	wr_view_free(&a.v);
	wr_detectors_close(&a.x);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_alerts = {
	.name = "alerts",
	.args = "[explain ID]",
	.help = "detections with their evidence",
	.more = "Watches until Ctrl-C (or --for): scans, floods, guessed passwords, tunnels, data that leaves, beacons, known\n"
		"bad addresses, services that begin to fail or become slow; --detectors lists them, `detect:` in the\n"
		"configuration has their limits and lists. One alert for each attack; while it grows it is told again,\n"
		"with the same id, at most every 10 s. The same detectors read captures: `weir read FILE --json`. A\n"
		"running agent has them at work; without one sensors are loaded for it (root). --since shows those that\n"
		"were raised before; explain ID shows one in full, with the limits that decided and the records behind it.\n"
		"Signatures are rules in a subset of Suricata's language (detect.signatures); --check-rules tells what of\n"
		"a file is not in it. Status 1: something was found.",
	.examples = "  weir alerts\n"
		    "  weir alerts explain 4be26f17\n"
		    "  weir alerts --json --for 1h -w 'severity = high'\n"
		    "  weir read x.pcap --json | jq 'select(.kind == \"alert\")'",
	.opts = &opts,
	.view = true,
	.run = run,
};
