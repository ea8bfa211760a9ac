// SPDX-License-Identifier: Apache-2.0
#include "otlp.h"

static void begin(struct wr_buf *b, unsigned lane, const struct wr_form *f)
{
	static const char *const name[WR_LANES] = {
		"resourceSpans", "resourceLogs", "resourceMetrics"};

	(void)f;
	wr_buf_printf(b, "{\"%s\":[", name[lane]);
}

static void end(struct wr_buf *b, unsigned lane)
{
	(void)lane;
	wr_buf_lit(b, "]}");
}

static bool put(struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f)
{
	if (!first)
		wr_buf_c(b, ',');
	return wr_otlp_put(b, e, f, true);
}

/* {"partialSuccess":{"rejectedSpans":"3","errorMessage":"..."}} */
static uint64_t rejected(struct wr_bytes answer, struct wr_err *why)
{
	static const char *const name[] = {
		"rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"};
	struct wr_str all = {(const char *)answer.p, answer.n}, n = {"", 0};
	uint64_t v = 0;

	for (unsigned i = 0; i < WR_N(name) && !n.n; i++)
		n = wr_json_text(all, name[i]);
	if (!n.n || wr_parse_u64(n, &v))
		return 0;
	n = wr_json_text(all, "errorMessage");
	wr_fail(why, 0, "%.*s", (int)wr_min(n.n, (size_t)100), n.p);
	return v;
}

const struct wr_exporter wr_exporter_otlp_json = {
	.name = "otlp_json",
	.help = "the same in OTLP's JSON form, over HTTP",
	.example = "http://127.0.0.1:4318",
	.kinds = "request,alert,drop,metric",
	.path = {"/v1/traces", "/v1/logs", "/v1/metrics"},
	.type = "application/json",
	.lane = wr_otlp_lane,
	.begin = begin,
	.end = end,
	.put = put,
	.rejected = rejected,
};
