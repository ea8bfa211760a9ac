// SPDX-License-Identifier: Apache-2.0
#include "export.h"

static bool put(struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f)
{
	(void)first;
	(void)f;
	wr_json(b, e, NULL);
	return true;
}

const struct wr_exporter wr_exporter_json = {
	.name = "json",
	.help = "weir's own records, a line each (docs/RECORDS.md)",
	.example = "/var/log/weir.json",
	.kinds = "conn,request,drop,alert,loss",
	.path = {"/"},
	.type = "application/x-ndjson",
	.lines = true,
	.put = put,
};
