// SPDX-License-Identifier: Apache-2.0
#include "export.h"

/* Open Cybersecurity Schema Framework 1.1: classes, categories and enumerations by schema.ocsf.io. */
#define CLASS_FINDING 2004
#define CLASS_NETWORK 4001
#define CLASS_HTTP 4002
#define CLASS_DNS 4003

static void endpoint(struct wr_buf *b, const char *name, const struct wr_event *e, const char *end)
{
	static const struct {
		const char *field, *as;
		bool number;
	} part[] = {{"ip", "ip", false}, {"port", "port", true}, {"host_name", "hostname", false},
		{"service", "svc_name", false}};
	struct wr_buf t = WR_BUF(4096);
	bool any = false;

	wr_buf_printf(b, ",\"%s\":{", name);
	for (unsigned i = 0; i < WR_N(part); i++) {
		char field[48];
		struct wr_str v;

		snprintf(field, sizeof(field), "%s.%s", end, part[i].field);
		v = wr_form_text(e, field, &t);
		if (!v.n)
			continue;
		wr_buf_printf(b, "%s\"%s\":", any ? "," : "", part[i].as);
		if (part[i].number)
			wr_buf_str(b, v);
		else
			wr_buf_json(b, v);
		any = true;
	}
	wr_buf_c(b, '}');
	wr_buf_free(&t);
}

static void head(struct wr_buf *b, const struct wr_event *e, const struct wr_form *f,
	unsigned class, unsigned activity, unsigned severity)
{
	wr_buf_printf(b,
		"{\"class_uid\":%u,\"category_uid\":%u,\"activity_id\":%u,\"type_uid\":%u,\"severity_id\":%u,\"time\":%" PRIu64
		",\"metadata\":{\"version\":\"1.1.0\",\"product\":{"
		"\"name\":\"weir\",\"vendor_name\":\"weir\",\"version\":\"%s\"}}"
		",\"device\":{\"type_id\":0,\"hostname\":",
		class, class / 1000, activity, class * 100 + activity, severity,
		wr_form_time(e) / 1000000, WR_VERSION);
	wr_buf_json(b, wr_str(f->host));
	wr_buf_c(b, '}');
}

static void finding(struct wr_buf *b, const struct wr_ev_alert *a, const struct wr_form *f)
{
	unsigned severity = wr_str_eq(a->severity, WR_STR("high"))     ? 4
			    : wr_str_eq(a->severity, WR_STR("medium")) ? 3
								       : 2;

	head(b, &a->ev, f, CLASS_FINDING, a->last == a->first ? 1 : 2, severity);
	wr_buf_lit(b, ",\"message\":");
	wr_buf_json(b, a->summary);
	wr_buf_lit(b, ",\"finding_info\":{\"uid\":");
	wr_buf_json(b, a->id);
	wr_buf_lit(b, ",\"title\":");
	wr_buf_json(b, a->detector);
	wr_buf_lit(b, ",\"desc\":");
	wr_buf_json(b, a->summary);
	wr_buf_printf(b, ",\"first_seen_time\":%" PRIu64 ",\"last_seen_time\":%" PRIu64,
		a->first / 1000000, a->last / 1000000);
	if (a->attack_id.n) {
		wr_buf_lit(b, ",\"attacks\":[{\"technique\":{\"uid\":");
		wr_buf_json(b, a->attack_id);
		wr_buf_lit(b, "}}]");
	}
	wr_buf_printf(b, "},\"count\":%" PRIu64 ",\"confidence_score\":%.0f", a->count,
		a->confidence * 100);
	if (a->advice.n) {
		wr_buf_lit(b, ",\"remediation\":{\"desc\":");
		wr_buf_json(b, a->advice);
		wr_buf_c(b, '}');
	}
	if (a->source.n) {
		wr_buf_lit(b, ",\"evidences\":[{\"src_endpoint\":{\"name\":");
		wr_buf_json(b, a->source);
		wr_buf_lit(b, "},\"dst_endpoint\":{\"name\":");
		wr_buf_json(b, a->target.n ? a->target : WR_STR(""));
		wr_buf_lit(b, "}}]");
	}
	wr_buf_lit(b, "}\n");
}

static void network(struct wr_buf *b, const struct wr_ev_conn *r, const struct wr_form *f)
{
	unsigned activity = wr_str_eq(r->event, WR_STR("open"))		    ? 1
			    : wr_str_eq(r->close_reason, WR_STR("reset"))   ? 3
			    : wr_str_eq(r->close_reason, WR_STR("refused")) ? 5
			    : wr_str_eq(r->event, WR_STR("close"))	    ? 2
									    : 6;

	head(b, &r->ev, f, CLASS_NETWORK, activity, 1);
	endpoint(b, "src_endpoint", &r->ev, "client");
	endpoint(b, "dst_endpoint", &r->ev, "server");
	wr_buf_lit(b, ",\"connection_info\":{\"direction_id\":0,\"protocol_name\":");
	wr_buf_json(b, r->transport);
	wr_buf_lit(b, ",\"uid\":");
	wr_buf_json(b, r->conn);
	wr_buf_printf(b,
		"},\"traffic\":{\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64
		",\"packets_in\":%" PRIu64 ",\"packets_out\":%" PRIu64 "},\"duration\":%" PRIu64
		"}\n",
		r->bytes_to_client, r->bytes_to_server, r->packets_to_client, r->packets_to_server,
		r->duration_ms);
}

static void dns(struct wr_buf *b, const struct wr_ev_request *r, const struct wr_form *f)
{
	head(b, &r->ev, f, CLASS_DNS, 6, r->error ? 2 : 1); /* query and response */
	endpoint(b, "src_endpoint", &r->ev, "client");
	endpoint(b, "dst_endpoint", &r->ev, "server");
	wr_buf_lit(b, ",\"query\":{\"hostname\":");
	wr_buf_json(b, r->resource);
	wr_buf_lit(b, ",\"type\":");
	wr_buf_json(b, r->operation);
	wr_buf_lit(b, "},\"rcode\":");
	wr_buf_json(b, r->status.n ? r->status : WR_STR("no_response"));
	wr_buf_lit(b, "}\n");
}

static void http(struct wr_buf *b, const struct wr_ev_request *r, const struct wr_form *f)
{
	static const char *const methods[] = {
		"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE"};
	char status[8];
	unsigned activity = 99;

	for (unsigned i = 0; i < WR_N(methods); i++) {
		if (wr_str_eq(r->operation, wr_str(methods[i])))
			activity = i + 1;
	}
	head(b, &r->ev, f, CLASS_HTTP, activity, r->error ? 2 : 1);
	endpoint(b, "src_endpoint", &r->ev, "client");
	endpoint(b, "dst_endpoint", &r->ev, "server");
	wr_buf_lit(b, ",\"http_request\":{\"http_method\":");
	wr_buf_json(b, r->operation);
	wr_buf_lit(b, ",\"url\":{\"path\":");
	wr_buf_json(b, r->resource);
	wr_buf_lit(b, "}}");
	wr_copy(status, sizeof(status), r->status);
	if (strspn(status, "0123456789") == 3)
		wr_buf_printf(b, ",\"http_response\":{\"code\":%.3s,\"latency\":%" PRIu64 "}",
			status, r->duration_us / 1000);
	wr_buf_lit(b, "}\n");
}

static bool put(struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f)
{
	const struct wr_ev_request *r = (const void *)e;

	(void)first;
	if (e->kind == WR_KIND_alert)
		finding(b, (const void *)e, f);
	else if (e->kind == WR_KIND_conn)
		network(b, (const void *)e, f);
	else if (e->kind == WR_KIND_request && wr_str_eq(r->protocol, WR_STR("dns")))
		dns(b, r, f);
	else if (e->kind == WR_KIND_request && r->protocol.n >= 4 &&
		 !memcmp(r->protocol.p, "http", 4))
		http(b, r, f);
	else
		return false; /* no class for it */
	return true;
}

const struct wr_exporter wr_exporter_ocsf = {
	.name = "ocsf",
	.help = "Open Cybersecurity Schema Framework, a line each: findings, network, HTTP and DNS activity",
	.example = "/var/log/weir-ocsf.json",
	.kinds = "alert,conn,request",
	.path = {"/"},
	.type = "application/x-ndjson",
	.lines = true,
	.put = put,
};
