// SPDX-License-Identifier: Apache-2.0
#include "otlp.h"

#include <endian.h>

enum { KIND_SERVER = 2, KIND_CLIENT = 3, STATUS_OK = 1, STATUS_ERROR = 2 };
enum { VARINT, I64, LEN }; /* wire types (protobuf, "Encoding") */

/* A field: its number in protobuf, its name in JSON. */
struct name {
	uint8_t number;
	const char *json;
};
static const struct name
	/* KeyValue, AnyValue (common/v1) */
	KEY = {1, "key"},
	VALUE = {2, "value"}, STRING = {1, "stringValue"}, BOOLEAN = {2, "boolValue"},
	INT = {3, "intValue"}, DOUBLE = {4, "doubleValue"},
	/*
	 * ResourceSpans, ResourceLogs, ResourceMetrics: the request's only field, in JSON its name stands before
	 * the batch; Resource, ScopeSpans, InstrumentationScope
	 */
	RESOURCE_OF = {1, NULL}, RESOURCE = {1, "resource"}, ATTRIBUTES = {1, "attributes"},
	SCOPE = {1, "scope"}, NAME = {1, "name"},
	SCOPE_OF[] = {{2, "scopeSpans"}, {2, "scopeLogs"}, {2, "scopeMetrics"}},
	RECORD[] = {{2, "spans"}, {2, "logRecords"}, {2, "metrics"}},
	/* Span (trace/v1) */
	TRACE_ID = {1, "traceId"}, SPAN_ID = {2, "spanId"}, PARENT = {4, "parentSpanId"},
	SPAN_NAME = {5, "name"}, KIND = {6, "kind"}, START = {7, "startTimeUnixNano"},
	END = {8, "endTimeUnixNano"}, SPAN_ATTRIBUTES = {9, "attributes"}, STATUS = {15, "status"},
	CODE = {3, "code"},
	/* LogRecord (logs/v1) */
	TIME = {1, "timeUnixNano"}, SEVERITY = {2, "severityNumber"},
	SEVERITY_TEXT = {3, "severityText"}, BODY = {5, "body"}, LOG_ATTRIBUTES = {6, "attributes"},
	OBSERVED = {11, "observedTimeUnixNano"},
	/* Metric, Gauge, NumberDataPoint (metrics/v1) */
	UNIT = {3, "unit"}, GAUGE = {5, "gauge"}, POINTS = {1, "dataPoints"},
	POINT_TIME = {3, "timeUnixNano"}, AS_DOUBLE = {4, "asDouble"};

/* Both forms of one message: what it is written into, and where. */
struct out {
	struct wr_buf *b;
	bool json, comma;
};

static void varint(struct wr_buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		wr_buf_c(b, (char)(v | 0x80));
	wr_buf_c(b, (char)v);
}

static void begin_json(struct out *o, const char *name)
{
	if (o->comma)
		wr_buf_c(o->b, ',');
	if (name)
		wr_buf_printf(o->b, "\"%s\":", name);
	o->comma = true;
}

/* A message inside; in a list it has no name of its own in JSON. Where it begins, for close_message(). */
static size_t open_message(struct out *o, struct name f, bool in_list)
{
	if (o->json) {
		begin_json(o, in_list ? NULL : f.json);
		wr_buf_c(o->b, '{');
		o->comma = false;
	} else {
		varint(o->b, (uint64_t)f.number << 3 | LEN);
	}
	return o->b->n;
}

/* Its length stands before it: known now, what was written moves behind it. */
static void close_message(struct out *o, size_t at)
{
	size_t n = o->b->n - at, room;

	o->comma = true;
	if (o->json) {
		wr_buf_c(o->b, '}');
		return;
	}
	varint(o->b, n);
	if (o->b->cut)
		return;
	room = o->b->n - at - n;
	memmove(o->b->p + at + room, o->b->p + at, n);
	o->b->n = at;
	varint(o->b, n);
	o->b->n = at + room + n;
}

static void open_list(struct out *o, struct name f)
{
	if (!o->json)
		return;
	begin_json(o, f.json);
	wr_buf_c(o->b, '[');
	o->comma = false;
}

static void close_list(struct out *o)
{
	if (o->json)
		wr_buf_c(o->b, ']');
	o->comma = true;
}

static void bytes(struct out *o, struct name f, struct wr_str v)
{
	varint(o->b, (uint64_t)f.number << 3 | LEN);
	varint(o->b, v.n);
	wr_buf_str(o->b, v);
}

static void text(struct out *o, struct name f, struct wr_str v)
{
	if (o->json) {
		begin_json(o, f.json);
		wr_buf_json(o->b, v);
	} else if (wr_json_plain(v)) {
		bytes(o, f, v);
	} else { /* a string of protobuf is UTF-8: bytes of the network need not be */
		struct wr_buf t = WR_BUF(WR_MAX_LINE * 4);

		wr_buf_utf8(&t, v);
		bytes(o, f, wr_buf_view(&t));
		wr_buf_free(&t);
	}
}

/* An id in hex digits. */
static void id(struct out *o, struct name f, struct wr_str hex)
{
	uint8_t raw[16];

	if (o->json) {
		text(o, f, hex);
		return;
	}
	for (size_t i = 0; i < hex.n / 2 && i < sizeof(raw); i++)
		raw[i] =
			(uint8_t)(wr_hex_digit(hex.p[2 * i]) << 4 | wr_hex_digit(hex.p[2 * i + 1]));
	bytes(o, f, (struct wr_str){(const char *)raw, hex.n / 2});
}

static void number(struct out *o, struct name f, uint64_t v, bool is_enum)
{
	if (!o->json) {
		varint(o->b, (uint64_t)f.number << 3 | VARINT);
		varint(o->b, v);
		return;
	}
	begin_json(o, f.json);
	wr_buf_printf(o->b, is_enum ? "%" PRIu64 : "\"%" PRIu64 "\"", v);
}

static void fixed(struct out *o, struct name f, const void *v)
{
	uint64_t le;

	memcpy(&le, v, sizeof(le));
	le = htole64(le);
	varint(o->b, (uint64_t)f.number << 3 | I64);
	wr_buf_put(o->b, &le, sizeof(le));
}

static void nanoseconds(struct out *o, struct name f, uint64_t v)
{
	if (o->json)
		number(o, f, v, false);
	else
		fixed(o, f, &v);
}

static void real(struct out *o, struct name f, double v)
{
	if (!o->json) {
		fixed(o, f, &v);
		return;
	}
	begin_json(o, f.json);
	wr_buf_printf(o->b, "%.17g", v);
}

static void boolean(struct out *o, struct name f, bool v)
{
	if (!o->json) {
		number(o, f, v, true);
		return;
	}
	begin_json(o, f.json);
	wr_buf_str(o->b, v ? WR_STR("true") : WR_STR("false"));
}

static void text_value(struct out *o, struct name f, struct wr_str v)
{
	size_t at = open_message(o, f, false);

	text(o, STRING, v);
	close_message(o, at);
}

static void text_attribute(struct out *o, struct name list, const char *key, struct wr_str v)
{
	size_t at = open_message(o, list, true);

	text(o, KEY, wr_str(key));
	text_value(o, VALUE, v);
	close_message(o, at);
}

static void attribute(struct out *o, struct name list, const struct wr_event *e, unsigned i)
{
	const struct wr_field *f = &wr_kinds[e->kind].fields[i];
	struct wr_buf t = WR_BUF(WR_MAX_LINE);
	size_t at = open_message(o, list, true), value;
	char name[96];

	if (f->otel[0])
		wr_copy(name, sizeof(name), wr_str(f->otel));
	else
		snprintf(name, sizeof(name), "weir.%s", f->name);
	text(o, KEY, wr_str(name));
	value = open_message(o, VALUE, false);
	switch ((enum wr_type)f->type) {
	case WR_U64: {
		uint64_t v = 0;

		wr_plain(&t, e, i); /* some numbers are made of others */
		wr_parse_u64(wr_buf_view(&t), &v);
		number(o, INT, v, false);
		break;
	}
	case WR_F64:
		real(o, DOUBLE, *(const double *)wr_ev_at(e, f));
		break;
	case WR_BOOL:
		boolean(o, BOOLEAN, *(const uint64_t *)wr_ev_at(e, f));
		break;
	case WR_STRING:
	case WR_ADDR:
	case WR_TIME:
	case WR_JSON:
		wr_plain(&t, e, i);
		text(o, STRING, wr_buf_view(&t));
	}
	close_message(o, value);
	close_message(o, at);
	wr_buf_free(&t);
}

/* Every field of the record under its OpenTelemetry name. */
static void attributes(struct out *o, struct name list, const struct wr_event *e)
{
	const struct wr_kind *k = &wr_kinds[e->kind];

	open_list(o, list);
	text_attribute(o, list, "weir.kind", wr_str(k->name));
	wr_ev_each (e, k, i) {
		if (strcmp(k->fields[i].otel, "timestamp") != 0)
			attribute(o, list, e, i);
	}
	close_list(o);
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

static struct wr_str service_of(const struct wr_ev_request *r, bool server)
{
	return server ? (r->server_service.n ? r->server_service : r->server_process)
		      : (r->client_service.n ? r->client_service : r->client_process);
}

/* Whose request it is on this host: the server's, else the client's. */
static bool is_server(const struct wr_ev_request *r)
{
	return r->server_process.n || !r->client_process.n;
}

static void span(struct out *o, const struct wr_ev_request *r)
{
	uint64_t a = wr_hash(r->conn.p, r->conn.n, r->time), c = wr_hash64(a ^ r->duration_us);
	struct wr_str trace = r->trace_id, parent = wr_json_text(r->detail, "parent_id");
	struct wr_buf name = WR_BUF(1024);
	char made[40];
	size_t at;

	if (!is_hex(trace, 32)) {
		snprintf(made, sizeof(made), "%016" PRIx64 "%016" PRIx64, a ? a : 1, c);
		trace = wr_str(made);
	}
	id(o, TRACE_ID, trace);
	snprintf(made, sizeof(made), "%016" PRIx64, c ? c : 1);
	id(o, SPAN_ID, wr_str(made));
	if (is_hex(parent, 16)) /* the span that asked, as its header field had it */
		id(o, PARENT, parent);
	wr_buf_printf(&name, "%.*s%s%.*s", (int)wr_min(r->operation.n, (size_t)60), r->operation.p,
		r->operation.n && r->resource.n ? " " : "", (int)wr_min(r->resource.n, (size_t)200),
		r->resource.p);
	text(o, SPAN_NAME, name.n ? wr_buf_view(&name) : r->protocol);
	wr_buf_free(&name);
	number(o, KIND, is_server(r) ? KIND_SERVER : KIND_CLIENT, true);
	nanoseconds(o, START, r->time);
	nanoseconds(o, END, r->time + r->duration_us * 1000);
	attributes(o, SPAN_ATTRIBUTES, &r->ev);
	if (wr_ev_has(&r->ev, WR_I_request_error)) {
		at = open_message(o, STATUS, false);
		number(o, CODE, r->error ? STATUS_ERROR : STATUS_OK, true);
		close_message(o, at);
	}
}

static void log_record(struct out *o, const struct wr_event *e)
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
	struct wr_str words = wr_form_text(e, "summary", &t);

	if (!words.n)
		words = wr_form_text(e, "meaning", &t);
	if (!words.n)
		words = wr_str(wr_kinds[e->kind].help);
	nanoseconds(o, TIME, wr_form_time(e));
	nanoseconds(o, OBSERVED, wr_now() + (uint64_t)wr_utc_offset());
	number(o, SEVERITY, severity[s].number, true);
	text(o, SEVERITY_TEXT, wr_str(severity[s].text));
	text_value(o, BODY, words);
	attributes(o, LOG_ATTRIBUTES, e);
	wr_buf_free(&t);
}

static void gauge(struct out *o, const struct wr_ev_metric *m)
{
	size_t at, point;

	text(o, NAME, m->name);
	text(o, UNIT, m->unit);
	at = open_message(o, GAUGE, false);
	open_list(o, POINTS);
	point = open_message(o, POINTS, true);
	nanoseconds(o, POINT_TIME, m->time);
	real(o, AS_DOUBLE, m->value);
	close_message(o, point);
	close_list(o);
	close_message(o, at);
}

unsigned wr_otlp_lane(const struct wr_event *e)
{
	return e->kind == WR_KIND_request  ? WR_OTLP_TRACES
	       : e->kind == WR_KIND_metric ? WR_OTLP_METRICS
					   : WR_OTLP_LOGS;
}

bool wr_otlp_put(struct wr_buf *b, const struct wr_event *e, const struct wr_form *f, bool json)
{
	const struct wr_ev_request *r = (const void *)e;
	unsigned lane = wr_otlp_lane(e);
	struct out o = {.b = b, .json = json};
	struct wr_buf t = WR_BUF(WR_MAX_LINE);
	struct wr_str service = lane == WR_OTLP_TRACES ? service_of(r, is_server(r))
				: lane == WR_OTLP_LOGS ? wr_form_text(e, "owner.service", &t)
						       : WR_STR("weir");
	size_t all = open_message(&o, RESOURCE_OF, true), scope, at;

	at = open_message(&o, RESOURCE, false);
	open_list(&o, ATTRIBUTES);
	text_attribute(&o, ATTRIBUTES, "service.name", service.n ? service : WR_STR("weir"));
	text_attribute(&o, ATTRIBUTES, "host.name", wr_str(f->host));
	close_list(&o);
	close_message(&o, at);
	open_list(&o, SCOPE_OF[lane]);
	scope = open_message(&o, SCOPE_OF[lane], true);
	at = open_message(&o, SCOPE, false);
	text(&o, NAME, WR_STR("weir"));
	close_message(&o, at);
	open_list(&o, RECORD[lane]);
	at = open_message(&o, RECORD[lane], true);
	if (lane == WR_OTLP_TRACES)
		span(&o, r);
	else if (lane == WR_OTLP_METRICS)
		gauge(&o, (const void *)e);
	else
		log_record(&o, e);
	close_message(&o, at);
	close_list(&o);
	close_message(&o, scope);
	close_list(&o);
	close_message(&o, all);
	wr_buf_free(&t);
	return true;
}

static bool put(struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f)
{
	(void)first;
	return wr_otlp_put(b, e, f, false);
}

static bool get_varint(struct wr_bytes *b, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; b->n && shift < 64; shift += 7) {
		uint8_t c = *b->p;

		b->p++;
		b->n--;
		*ret |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return true;
	}
	return false;
}

/* The next field of a message; of LEN its bytes. */
static bool get_field(struct wr_bytes *b, uint64_t *ret_tag, uint64_t *ret_v, struct wr_str *ret_s)
{
	*ret_s = (struct wr_str){"", 0};
	if (!b->n || !get_varint(b, ret_tag))
		return false;
	if ((*ret_tag & 7) != VARINT && (*ret_tag & 7) != LEN)
		return false;
	if (!get_varint(b, ret_v))
		return false;
	if ((*ret_tag & 7) == VARINT)
		return true;
	if (*ret_v > b->n)
		return false;
	*ret_s = (struct wr_str){(const char *)b->p, *ret_v};
	b->p += *ret_v;
	b->n -= *ret_v;
	return true;
}

/* ExportTraceServiceResponse and its like: partial_success {rejected = 1, error_message = 2}. */
static uint64_t rejected(struct wr_bytes answer, struct wr_err *why)
{
	uint64_t tag, v, n = 0;
	struct wr_str s;

	if (!get_field(&answer, &tag, &v, &s) || tag != (1 << 3 | LEN))
		return 0;
	answer = (struct wr_bytes){(const uint8_t *)s.p, s.n};
	while (get_field(&answer, &tag, &v, &s)) {
		if (tag == (1 << 3 | VARINT))
			n = v;
		else if (tag == (2 << 3 | LEN))
			wr_fail(why, 0, "%.*s", (int)wr_min(s.n, (size_t)100), s.p);
	}
	return n;
}

#define SERVICE(of, what) "/opentelemetry.proto.collector." of ".v1." what "Service/Export"

const struct wr_exporter wr_exporter_otlp = {
	.name = "otlp",
	.help = "OpenTelemetry (OTLP): requests as spans, alerts and drops as logs, counters as metrics",
	.example = "http://127.0.0.1:4318",
	.kinds = "request,alert,drop,metric",
	.path = {"/v1/traces", "/v1/logs", "/v1/metrics"},
	.rpc = {SERVICE("trace", "Trace"), SERVICE("logs", "Logs"), SERVICE("metrics", "Metrics")},
	.type = "application/x-protobuf",
	.lane = wr_otlp_lane,
	.put = put,
	.rejected = rejected,
};
