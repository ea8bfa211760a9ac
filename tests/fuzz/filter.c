// SPDX-License-Identifier: Apache-2.0
/* Any text as a filter expression, matched against a record. */
#include "../../src/event/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct wr_filter_hint h;
	struct wr_ev_conn r;
	struct wr_filter *f;
	struct wr_err e;
	char *s = strndup((const char *)p, n);

	WR_INIT(&r, conn);
	WR_SET(&r, conn, transport, WR_STR("tcp"));
	WR_SET(&r, conn, server_port, 80);
	if (s && !wr_filter_compile(&wr_kinds[WR_KIND_conn], s, &f, &e)) {
		wr_filter_match(f, &r.ev);
		wr_filter_hint(f, &h);
		wr_filter_free(f);
	}
	free(s);
	return 0;
}
