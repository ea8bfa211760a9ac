// SPDX-License-Identifier: Apache-2.0
/* Any bytes as records on the agent's socket, and as a configuration file. */
#include "../../src/ctl/config.h"
#include "../../src/event/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_Alignas(16) char ev[WR_EVENT_MAX];
	struct wr_config c;
	struct wr_err e;
	size_t at = 0;
	ssize_t k;

	while (at < n && (k = wr_unpack((struct wr_bytes){p + at, n - at}, ev, sizeof(ev))) > 0) {
		struct wr_buf b = WR_BUF(WR_MAX_LINE);

		wr_json(&b, (const struct wr_event *)(void *)ev, NULL);
		wr_csv(&b, (const struct wr_event *)(void *)ev, NULL);
		wr_buf_free(&b);
		at += (size_t)k;
	}
	if (!wr_config_parse("fuzz", (const char *)p, n, &c, &e))
		wr_config_free(&c);
	return 0;
}
