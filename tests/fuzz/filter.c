// SPDX-License-Identifier: Apache-2.0
/* Any text as a filter expression, matched against records. */
#include "../../src/event/filter.h"

static void try_one(const struct wr_kind *k, const char *s, const struct wr_event *ev)
{
	struct wr_filter_hint h;
	struct wr_filter *f;
	struct wr_err e;

	if (wr_filter_compile(k, s, &f, &e))
		return;
	wr_filter_match(f, ev);
	wr_filter_hint(f, &h);
	wr_filter_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct wr_ev_conn r;
	struct wr_ev_packet q;
	char *s = strndup((const char *)p, n);

	WR_INIT(&r, conn);
	WR_SET(&r, conn, transport, WR_STR("tcp"));
	WR_SET(&r, conn, server_port, 80);
	WR_INIT(&q, packet);
	WR_SET(&q, packet, payload_data, WR_STR("\x16\x03\x01"));
	if (s) {
		try_one(&wr_kinds[WR_KIND_conn], s, &r.ev);
		try_one(&wr_kinds[WR_KIND_packet], s, &q.ev);
	}
	free(s);
	return 0;
}
