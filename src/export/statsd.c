// SPDX-License-Identifier: Apache-2.0
#include "export.h"

/* Part of a name: what separates there becomes "_". */
static void part(struct wr_buf *b, struct wr_str v)
{
	wr_buf_c(b, '.');
	for (size_t i = 0; i < v.n && i < 60; i++) {
		char c = v.p[i];
		bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '-';

		wr_buf_c(b, fits ? c : '_');
	}
	if (!v.n)
		wr_buf_c(b, '_');
}

static bool put(struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f)
{
	size_t at = wr_message_begin(b);

	(void)first;
	(void)f;
	if (e->kind == WR_KIND_request) {
		const struct wr_ev_request *q = (const void *)e;

		wr_buf_lit(b, "weir.requests");
		part(b, q->server_service);
		part(b, q->protocol);
		wr_buf_printf(b, ":%.3f|ms", (double)q->duration_us / 1000);
		if (q->error) {
			wr_buf_lit(b, "\nweir.errors");
			part(b, q->server_service);
			part(b, q->protocol);
			wr_buf_lit(b, ":1|c");
		}
	} else if (e->kind == WR_KIND_alert) {
		wr_buf_lit(b, "weir.alerts");
		part(b, ((const struct wr_ev_alert *)(const void *)e)->detector);
		wr_buf_lit(b, ":1|c");
	} else if (e->kind == WR_KIND_drop) {
		const struct wr_ev_drop *d = (const void *)e;

		wr_buf_lit(b, "weir.drops");
		part(b, d->reason);
		wr_buf_printf(b, ":%" PRIu64 "|c", d->count);
	} else if (e->kind == WR_KIND_metric) {
		const struct wr_ev_metric *m = (const void *)e;

		wr_buf_printf(b, "%.*s:%.0f|g", (int)m->name.n, m->name.p, m->value);
	} else {
		return false;
	}
	wr_message_end(b, at);
	return true;
}

const struct wr_exporter wr_exporter_statsd = {
	.name = "statsd",
	.help = "StatsD: durations of requests, errors, drops, alerts, weir's own counters",
	.example = "udp://127.0.0.1:8125",
	.kinds = "request,drop,alert,metric",
	.port = "8125",
	.messages = true,
	.put = put,
};
