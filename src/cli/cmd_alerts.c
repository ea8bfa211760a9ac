// SPDX-License-Identifier: Apache-2.0
#include "../detect/detect.h"
#include "view.h"

#define EVERY 1000000000ull /* ns */

struct alerts {
	struct wr_view v;
	struct wr_detect *d;
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

/* What the agent or history raised comes out; without them the pipeline's records go to detectors of its own. */
static void on_event(void *ctx, const struct wr_event *e)
{
	struct alerts *a = ctx;

	if (e->kind == WR_KIND_loss)
		wr_view_put(&a->v, e);
	else if (e->kind == WR_KIND_alert)
		on_alert(a, e);
	else
		wr_detect_event(a->d, e);
}

static void on_tick(void *ctx)
{
	struct alerts *a = ctx;

	wr_detect_tell(a->d, wr_now() + (uint64_t)wr_utc_offset(), false);
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

static const struct wr_col cols[] = {
	{"TIME", 12, false, 2, c_time},
	{"SEVERITY", 8, false, 1, c_severity},
	{"DETECTOR", 14, false, 0, c_detector},
	{"COUNT", 7, true, 4, c_count},
	{"OWNER", 16, false, 3, c_owner},
	{"SUMMARY", 40, false, 0, c_summary},
};

static int run(int argc, char **argv)
{
	struct alerts a = {.found = false};
	int n, rc = wr_view_init(
		       &a.v, &wr_cmd_alerts, WR_KIND_alert, WR_KIND_alert, NULL, argc, argv, &n);

	if (!rc && n)
		rc = 1 + wr_die(a.v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[0]);
	if (rc)
		goto out;
	a.d = wr_detect_new(a.v.host, false, on_alert, &a);
	if (!a.d) {
		rc = 1 + wr_die(a.v.cmd, WR_EXIT_LACKS, "no memory");
		goto out;
	}
	a.v.cols = cols;
	a.v.n_cols = WR_N(cols);
	a.v.sink = on_event;
	a.v.sink_ctx = &a;
	a.v.cfg.once = false;
	a.v.requests = true;
	rc = wr_view_open(&a.v,
		WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP | WR_NEED_ICMP | WR_NEED_DROP, true);
	if (rc)
		goto out;
	wr_view_run(&a.v, EVERY, on_tick, &a);
	wr_detect_tell(a.d, wr_now() + (uint64_t)wr_utc_offset(), true);
	rc = 1 + (a.found ? WR_EXIT_FOUND : WR_EXIT_OK);
out:
	wr_view_free(&a.v);
	wr_detect_free(a.d);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_alerts = {
	.name = "alerts",
	.args = "",
	.help = "detections with their evidence",
	.more = "Watches until Ctrl-C (or --for): port scans, SYN floods, guessed passwords, tunnels in DNS, beacons, weak\n"
		"TLS, services that begin to fail or to take longer than is usual. One\n"
		"alert for each attack; while it grows it is told again, with the same id, at most every 10 s. The same\n"
		"detectors read captures: `weir read FILE --json`. A running agent has them at work; without one sensors are\n"
		"loaded for it (root). --since shows those that were raised before. Status 1: something was found.",
	.examples = "  weir alerts\n"
		    "  weir alerts --json --for 1h -w 'severity = high'\n"
		    "  weir read x.pcap --json | jq 'select(.kind == \"alert\")'",
	.view = true,
	.run = run,
};
