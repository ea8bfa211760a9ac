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

const struct wr_exporter wr_exporter_elasticsearch = {
	.name = "elasticsearch",
	.help = "ECS documents by the bulk API of Elasticsearch or OpenSearch",
	.example = "https://127.0.0.1:9200",
	.kinds = "conn,request,drop,alert",
	.path = {"/weir/_bulk"},
	.type = "application/x-ndjson",
	.put = put,
};
