// SPDX-License-Identifier: Apache-2.0
#include "../event/event.h"
#include "../store/store.h"
#include "http.h"

#define WR_ROUTE(n, m, p, r, ps, h) {#n, m, p, ps, h, WR_RIGHT_##r},
static const struct {
	const char *name, *method, *path, *params, *help;
	enum wr_right right;
} routes[] = {
#include "routes.def"
};
#undef WR_ROUTE

#define WR_PARAM(n, t, h) {#n, t, h},
static const struct {
	const char *name, *type, *help;
} params[] = {
#include "params.def"
};
#undef WR_PARAM

static void parameter(
	struct wr_buf *b, const char *in, struct wr_str name, const char *type, const char *help)
{
	wr_buf_printf(b, "{\"name\":\"%.*s\",\"in\":\"%s\",\"required\":%s,\"schema\":{",
		(int)name.n, name.p, in, strcmp(in, "path") ? "false" : "true");
	if (!strcmp(type, "count")) {
		wr_buf_lit(b, "\"type\":\"integer\",\"minimum\":0");
	} else if (!strcmp(type, "page")) {
		wr_buf_printf(b, "\"type\":\"integer\",\"minimum\":1,\"maximum\":%d", WR_API_PAGE);
	} else if (!strcmp(type, "kind")) {
		wr_buf_lit(b, "\"enum\":[");
		for (unsigned k = 0; k < WR_KINDS; k++)
			wr_buf_printf(b, "%s\"%s\"", k ? "," : "", wr_kinds[k].name);
		wr_buf_c(b, ']');
	} else if (!strcmp(type, "format")) {
		wr_buf_lit(b, "\"enum\":[\"json\",\"ndjson\",\"csv\"]");
	} else {
		wr_buf_lit(b, "\"type\":\"string\",\"minLength\":1");
	}
	wr_buf_lit(b, "},\"description\":");
	wr_buf_json(b, wr_str(help));
	wr_buf_c(b, '}');
}

static void answers(struct wr_buf *b, const char *path, enum wr_right right)
{
	const char *type = strstr(path, "/live/") ? "text/event-stream"
			   : strstr(path, "/packets/") || strstr(path, "/capture")
				   ? "application/x-pcapng"
				   : "application/json";

	if (!strcmp(path, "/metrics"))
		type = "application/openmetrics-text";
	wr_buf_printf(
		b, "\"responses\":{\"200\":{\"description\":\"done\",\"content\":{\"%s\":{}", type);
	if (strstr(path, "/query") || strstr(path, "/records/"))
		wr_buf_lit(b, ",\"application/x-ndjson\":{}");
	if (strstr(path, "/query"))
		wr_buf_lit(b, ",\"text/csv\":{}");
	wr_buf_lit(b, "}}");
	if (right != WR_RIGHT_NONE) {
		static const char *const codes[] = {
			"400", "401", "403", "404", "405", "413", "429", "500", "503", "504"};

		for (unsigned i = 0; i < WR_N(codes); i++)
			wr_buf_printf(
				b, ",\"%s\":{\"$ref\":\"#/components/responses/error\"}", codes[i]);
	}
	wr_buf_c(b, '}');
}

static void route(struct wr_buf *b, unsigned i)
{
	size_t n = strlen(routes[i].path);
	bool tail = routes[i].path[n - 1] == '/', any = tail;
	bool packets = !strcmp(routes[i].name, "packets");
	struct wr_str l = wr_str(routes[i].params), w;

	wr_buf_printf(b, "\"%s%s\":{\"%s\":{\"operationId\":\"%s\",\"summary\":", routes[i].path,
		packets ? "{id}"
		: tail	? "{kind}"
			: "",
		strcmp(routes[i].method, "GET") ? "post" : "get", routes[i].name);
	wr_buf_json(b, wr_str(routes[i].help));
	wr_buf_lit(b, ",\"parameters\":[");
	if (tail && packets)
		parameter(b, "path", WR_STR("id"), "string", "of an alert");
	else if (tail)
		parameter(b, "path", WR_STR("kind"), "kind", "kind of record");
	while (wr_next_word(&l, &w)) {
		for (unsigned p = 0; p < WR_N(params); p++) {
			if (!wr_str_eq(w, wr_str(params[p].name)))
				continue;
			if (any)
				wr_buf_c(b, ',');
			any = true;
			parameter(b, "query", w, params[p].type, params[p].help);
		}
	}
	wr_buf_lit(b, "],");
	if (routes[i].right == WR_RIGHT_NONE)
		wr_buf_lit(b, "\"security\":[],");
	else
		wr_buf_printf(b, "\"security\":[{\"%s\":[]}],", wr_right_names[routes[i].right]);
	answers(b, routes[i].path, routes[i].right);
	wr_buf_lit(b, "}}");
}

static void kind(struct wr_buf *b, const struct wr_kind *k)
{
	static const char *const types[] = {
		"integer", "number", "boolean", "string", "string", "string", "object"};

	wr_buf_printf(b, "\"%s\":{\"type\":\"object\",\"description\":", k->name);
	wr_buf_json(b, wr_str(k->help));
	wr_buf_lit(b, ",\"properties\":{\"kind\":{\"const\":");
	wr_buf_json(b, wr_str(k->name));
	wr_buf_c(b, '}');
	for (unsigned i = 0; i < k->n; i++) {
		wr_buf_c(b, ',');
		wr_buf_json(b, wr_str(k->fields[i].name));
		wr_buf_printf(b, ":{\"type\":\"%s\",\"description\":", types[k->fields[i].type]);
		wr_buf_json(b, wr_str(k->fields[i].help));
		wr_buf_c(b, '}');
	}
	wr_buf_lit(b, "}}");
}

void wr_api_describe(struct wr_buf *b)
{
	bool any = false;

	wr_buf_lit(b,
		"{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"weir\",\"version\":\"" WR_VERSION
		"\",\"description\":"
		"\"What a host's connections, requests and packets do, live and from history. Dotted names of fields are "
		"nested objects in records.\"},\"paths\":{");
	for (unsigned i = 0; i < WR_N(routes); i++) {
		if (i)
			wr_buf_c(b, ',');
		route(b, i);
	}
	wr_buf_lit(b,
		"},\"components\":{\"securitySchemes\":{"
		"\"read\":{\"type\":\"http\",\"scheme\":\"bearer\"},\"payload\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
		"\"control\":{\"type\":\"http\",\"scheme\":\"bearer\"}},"
		"\"responses\":{\"error\":{\"description\":\"what failed and why\",\"content\":{\"application/json\":{\"schema\":"
		"{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"string\"}}}}}}},"
		"\"schemas\":{");
	for (unsigned k = 0; k < WR_KINDS; k++) {
		if (any)
			wr_buf_c(b, ',');
		any = true;
		kind(b, &wr_kinds[k]);
	}
	wr_buf_lit(b, "}}}\n");
}

void wr_route_openapi(struct wr_call *c)
{
	wr_api_describe(&c->body);
}
