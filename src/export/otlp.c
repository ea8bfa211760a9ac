// SPDX-License-Identifier: Apache-2.0
#include "export.h"

/* OTLP over HTTP in its JSON form (opentelemetry-proto, "JSON Protobuf Encoding"): ids in hex, 64-bit numbers as text. */
enum { TRACES, LOGS, METRICS };
enum { KIND_SERVER = 2, KIND_CLIENT = 3, STATUS_OK = 1, STATUS_ERROR = 2 };

static unsigned lane(const struct wr_event *e)
{
	return e->kind == WR_KIND_request ? TRACES : e->kind == WR_KIND_metric ? METRICS : LOGS;
}

static void text(struct wr_buf *b, const char *key, struct wr_str v)
{
	wr_buf_lit(b, "{\"key\":");
	wr_buf_json(b, wr_str(key));
	wr_buf_lit(b, ",\"value\":{\"stringValue\":");
	wr_buf_json(b, v);
	wr_buf_lit(b, "}}");
}

/* Every field of the record under its OpenTelemetry name. */
static void attributes(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_kind *k = &wr_kinds[e->kind];
	struct wr_buf t = WR_BUF(WR_MAX_LINE);

	wr_buf_lit(b, "\"attributes\":[");
	text(b, "weir.kind", wr_str(k->name));
	for (unsigned i = 0; i < k->n; i++) {
		const struct wr_field *f = &k->fields[i];
		char name[96];

		if (!wr_ev_has(e, i) || !strcmp(f->otel, "timestamp"))
			continue;
		if (f->otel[0])
			wr_copy(name, sizeof(name), wr_str(f->otel));
		else
			snprintf(name, sizeof(name), "weir.%s", f->name);
		t.n = 0;
		wr_plain(&t, e, i);
		wr_buf_c(b, ',');
		switch ((enum wr_type)f->type) {
		case WR_U64:
			wr_buf_lit(b, "{\"key\":");
			wr_buf_json(b, wr_str(name));
			wr_buf_printf(b, ",\"value\":{\"intValue\":\"%.*s\"}}", (int)t.n, t.p);
			break;
		case WR_F64:
			wr_buf_lit(b, "{\"key\":");
			wr_buf_json(b, wr_str(name));
			wr_buf_printf(b, ",\"value\":{\"doubleValue\":%.9g}}",
				*(const double *)wr_ev_at(e, f));
			break;
		case WR_BOOL:
			wr_buf_lit(b, "{\"key\":");
			wr_buf_json(b, wr_str(name));
			wr_buf_printf(b, ",\"value\":{\"boolValue\":%s}}",
				*(const uint64_t *)wr_ev_at(e, f) ? "true" : "false");
			break;
		case WR_STRING:
		case WR_ADDR:
		case WR_TIME:
		case WR_JSON:
			text(b, name, wr_buf_view(&t));
		}
	}
	wr_buf_c(b, ']');
	wr_buf_free(&t);
}

static void resource(struct wr_buf *b, const struct wr_form *f, struct wr_str service)
{
	wr_buf_lit(b, "\"resource\":{\"attributes\":[");
	text(b, "service.name", service.n ? service : WR_STR("weir"));
	wr_buf_c(b, ',');
	text(b, "host.name", wr_str(f->host));
	wr_buf_lit(b, "]}");
}

static bool is_hex(struct wr_str s, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		any |= c != '0';
	}
	return s.n == n && any;
}

/* The span that asked, as its header field had it. */
static void parent(struct wr_buf *b, struct wr_str detail)
{
	struct wr_str id = wr_json_text(detail, "parent_id");

	if (!is_hex(id, 16))
		return;
	wr_buf_lit(b, "\"parentSpanId\":\"");
	wr_buf_str(b, id);
	wr_buf_lit(b, "\",");
}

static void span(struct wr_buf *b, const struct wr_ev_request *r, const struct wr_form *f)
{
	/* whose request it is on this host: the server's, else the client's */
	bool server = r->server_process.n || !r->client_process.n;
	uint64_t a = wr_hash(r->conn.p, r->conn.n, r->time), c = wr_hash64(a ^ r->duration_us);

	wr_buf_c(b, '{');
	resource(b, f,
		server ? (r->server_service.n ? r->server_service : r->server_process)
		       : (r->client_service.n ? r->client_service : r->client_process));
	wr_buf_lit(b, ",\"scopeSpans\":[{\"scope\":{\"name\":\"weir\"},\"spans\":[{\"traceId\":\"");
	if (is_hex(r->trace_id, 32))
		wr_buf_str(b, r->trace_id);
	else
		wr_buf_printf(b, "%016" PRIx64 "%016" PRIx64, a ? a : 1, c);
	wr_buf_printf(b, "\",\"spanId\":\"%016" PRIx64 "\",", c ? c : 1);
	parent(b, r->detail);
	wr_buf_lit(b, "\"name\":");
	{
		struct wr_buf t = WR_BUF(1024);

		wr_buf_printf(&t, "%.*s%s%.*s", (int)wr_min(r->operation.n, (size_t)60),
			r->operation.p, r->operation.n && r->resource.n ? " " : "",
			(int)wr_min(r->resource.n, (size_t)200), r->resource.p);
		wr_buf_json(b, t.n ? wr_buf_view(&t) : r->protocol);
		wr_buf_free(&t);
	}
	wr_buf_printf(b,
		",\"kind\":%d,\"startTimeUnixNano\":\"%" PRIu64 "\",\"endTimeUnixNano\":\"%" PRIu64
		"\",",
		server ? KIND_SERVER : KIND_CLIENT, r->time, r->time + r->duration_us * 1000);
	attributes(b, &r->ev);
	if (wr_ev_has(&r->ev, WR_I_request_error))
		wr_buf_printf(b, ",\"status\":{\"code\":%d}", r->error ? STATUS_ERROR : STATUS_OK);
	wr_buf_lit(b, "}]}]}");
}

static void log_record(struct wr_buf *b, const struct wr_event *e, const struct wr_form *f)
{
	static const struct {
		unsigned number;
		const char *text;
	} severity[] = {[2] = {18, "ERROR"},
		[3] = {17, "ERROR"},
		[4] = {13, "WARN"},
		[5] = {10, "INFO"},
		[6] = {9, "INFO"}};
	unsigned s = wr_form_severity(e);
	struct wr_buf t = WR_BUF(WR_MAX_LINE);
	struct wr_str service = wr_form_text(e, "owner.service", &t), words;

	wr_buf_c(b, '{');
	resource(b, f, service);
	words = wr_form_text(e, "summary", &t);
	if (!words.n)
		words = wr_form_text(e, "meaning", &t);
	if (!words.n)
		words = wr_str(wr_kinds[e->kind].help);
	wr_buf_printf(b,
		",\"scopeLogs\":[{\"scope\":{\"name\":\"weir\"},\"logRecords\":[{\"timeUnixNano\":\"%" PRIu64
		"\",\"observedTimeUnixNano\":\"%" PRIu64
		"\",\"severityNumber\":%u,\"severityText\":\"%s\",\"body\":{\"stringValue\":",
		wr_form_time(e), wr_now() + (uint64_t)wr_utc_offset(), severity[s].number,
		severity[s].text);
	wr_buf_json(b, words);
	wr_buf_lit(b, "},");
	attributes(b, e);
	wr_buf_lit(b, "}]}]}");
	wr_buf_free(&t);
}

static void gauge(struct wr_buf *b, const struct wr_ev_metric *m, const struct wr_form *f)
{
	wr_buf_c(b, '{');
	resource(b, f, WR_STR("weir"));
	wr_buf_lit(b, ",\"scopeMetrics\":[{\"scope\":{\"name\":\"weir\"},\"metrics\":[{\"name\":");
	wr_buf_json(b, m->name);
	wr_buf_lit(b, ",\"unit\":");
	wr_buf_json(b, m->unit);
	wr_buf_printf(b,
		",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"%" PRIu64
		"\",\"asDouble\":%.17g}]}}]}]}",
		m->time, m->value);
}

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
	if (e->kind == WR_KIND_request)
		span(b, (const void *)e, f);
	else if (e->kind == WR_KIND_metric)
		gauge(b, (const void *)e, f);
	else
		log_record(b, e, f);
	return true;
}

const struct wr_exporter wr_exporter_otlp = {
	.name = "otlp",
	.help = "OpenTelemetry: requests as spans, alerts and drops as logs, counters as metrics (OTLP/HTTP, JSON)",
	.example = "http://127.0.0.1:4318",
	.kinds = "request,alert,drop,metric",
	.path = {"/v1/traces", "/v1/logs", "/v1/metrics"},
	.type = "application/json",
	.lane = lane,
	.begin = begin,
	.end = end,
	.put = put,
};
