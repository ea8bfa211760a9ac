// SPDX-License-Identifier: Apache-2.0
#include "export.h"

static void begin(struct wr_buf *b, unsigned lane, const struct wr_form *f)
{
	(void)lane;
	(void)f;
	wr_buf_lit(b, "{\"streams\":[");
}

static void end(struct wr_buf *b, unsigned lane)
{
	(void)lane;
	wr_buf_lit(b, "]}");
}

/* Labels are few and bounded: kind, severity, host. The line is the record. */
static bool put(struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f)
{
	struct wr_buf line = WR_BUF(WR_MAX_LINE), t = WR_BUF(256);
	struct wr_str severity = wr_form_text(e, "severity", &t);

	wr_json(&line, e, NULL);
	if (line.n && line.p[line.n - 1] == '\n')
		line.n--;
	wr_buf_printf(b,
		"%s{\"stream\":{\"job\":\"weir\",\"kind\":\"%s\",\"host\":", first ? "" : ",",
		wr_kinds[e->kind].name);
	wr_buf_json(b, wr_str(f->host));
	if (severity.n) {
		wr_buf_lit(b, ",\"severity\":");
		wr_buf_json(b, severity);
	}
	wr_buf_printf(b, "},\"values\":[[\"%" PRIu64 "\",", wr_form_time(e));
	wr_buf_json(b, wr_buf_view(&line));
	wr_buf_lit(b, "]]}");
	first = !line.cut;
	wr_buf_free(&line);
	wr_buf_free(&t);
	return first;
}

const struct wr_exporter wr_exporter_loki = {
	.name = "loki",
	.help = "Grafana Loki's push API",
	.example = "http://127.0.0.1:3100",
	.kinds = "alert,drop,request",
	.path = {"/loki/api/v1/push"},
	.type = "application/json",
	.begin = begin,
	.end = end,
	.put = put,
};
