// SPDX-License-Identifier: Apache-2.0
#include "export.h"

static bool put(struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f)
{
	(void)first;
	(void)f;
	wr_buf_lit(b, "{\"create\":{}}\n");
	wr_form_ecs(b, e);
	wr_buf_c(b, '\n');
	return true;
}

/* {"errors":true,"items":[{"create":{"status":400,"error":{"type":"...","reason":"..."}}}]}: an item each. */
static uint64_t rejected(struct wr_bytes answer, struct wr_err *why)
{
	static const char errors[] = "\"errors\":true", status[] = "\"status\":";
	struct wr_str all = {(const char *)answer.p, answer.n};
	uint64_t n = 0;

	if (!all.n || !memmem(all.p, all.n, errors, sizeof(errors) - 1))
		return 0;
	for (const char *end = all.p + all.n, *p = all.p;
		(p = memmem(p, (size_t)(end - p), status, sizeof(status) - 1));) {
		p += sizeof(status) - 1;
		n += p < end && *p >= '4';
	}
	all = wr_json_text(all, "reason");
	wr_fail(why, 0, "%.*s", (int)wr_min(all.n, (size_t)100), all.p);
	return n;
}

const struct wr_exporter wr_exporter_elasticsearch = {
	.name = "elasticsearch",
	.help = "ECS documents by the bulk API of Elasticsearch or OpenSearch",
	.example = "https://127.0.0.1:9200",
	.kinds = "conn,request,drop,alert",
	.path = {"/weir/_bulk"},
	.type = "application/x-ndjson",
	.put = put,
	.rejected = rejected,
};
