// SPDX-License-Identifier: Apache-2.0
/* Any bytes as records of the rings: the table must keep its ledger. */
#include "../../src/flow/conn.h"

static void sink(void *ctx, const struct wr_event *e)
{
	struct wr_buf b = WR_BUF(WR_MAX_LINE);

	(void)ctx;
	wr_json(&b, e, NULL);
	wr_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct wr_enrich *x = wr_enrich_new(NULL);
	struct wr_conns_config cfg = {.host = "h", .max = 128, .enrich = x, .sink = sink};
	struct wr_conns *t = wr_conns_new(&cfg);
	struct wr_conns_stats s;
	size_t at = 0;

	while (at < n) {
		_Alignas(8) uint8_t r[512] = {0};
		size_t len = wr_min(n - at, sizeof(r));

		memcpy(r, p + at, len);
		at += len;
		if (r[15] & 1) {
			struct wr_flow_key k;
			struct wr_flow v;

			memcpy(&k, r + 16, sizeof(k));
			memcpy(&v, r + 16 + sizeof(k), sizeof(v));
			wr_conns_flow(t, &k, &v, r[15] & 2);
		} else {
			struct wr_rec *h = (struct wr_rec *)(void *)r;

			h->type = h->type % 5;
			wr_conns_record(t, h, len);
		}
	}
	wr_conns_stats(t, &s);
	if (s.records.in != s.records.out + s.records.dropped)
		__builtin_trap();
	wr_conns_mark(t);
	wr_conns_sweep(t);
	wr_conns_free(t);
	wr_enrich_free(x);
	return 0;
}
