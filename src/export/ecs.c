// SPDX-License-Identifier: Apache-2.0
#include "export.h"

static bool put(struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f)
{
	(void)first;
	(void)f;
	wr_form_ecs(b, e);
	wr_buf_c(b, '\n');
	return true;
}

const struct wr_exporter wr_exporter_ecs = {
	.name = "ecs",
	.help = "Elastic Common Schema, a line each, for a SIEM",
	.example = "/var/log/weir-ecs.json",
	.kinds = "conn,request,drop,alert",
	.path = {"/"},
	.type = "application/x-ndjson",
	.lines = true,
	.put = put,
};
