// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a stored block, and as the inside of one. */
#include "../../src/store/block.h"

#include <zstd.h>

static void read_all(struct wr_bytes b, enum wr_kind_id kind)
{
	struct wr_block_reader *r;
	union {
		struct wr_event e;
		char room[WR_EVENT_MAX];
	} u;
	struct wr_buf out = WR_BUF(WR_MAX_LINE);

	if (wr_block_open(b, kind, NULL, &r))
		return;
	while (wr_block_next(r, &u.e) == 1) {
		out.n = 0;
		wr_json(&out, &u.e, NULL);
	}
	wr_block_close(r);
	wr_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint32_t head[2] = {0x31425257u, (uint32_t)n};
	size_t bound = ZSTD_compressBound(n), packed;
	uint8_t *b = malloc(sizeof(head) + bound);

	if (!b)
		return 0;
	read_all((struct wr_bytes){p, n}, WR_KIND_conn);
	memcpy(b, head, sizeof(head));
	packed = ZSTD_compress(b + sizeof(head), bound, p, n, 1);
	if (!ZSTD_isError(packed)) {
		read_all((struct wr_bytes){b, sizeof(head) + packed}, WR_KIND_request);
		read_all((struct wr_bytes){b, sizeof(head) + packed}, WR_KIND_traffic);
	}
	free(b);
	return 0;
}
