// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a packet of any link type, through decode, record and tracker. */
#include "../../src/flow/track.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint16_t links[] = {1, 101, 113, 276, 0, 108, 228};
	struct wr_track_config cfg = {.host = "h", .max = 128};
	struct wr_track *t = wr_track_new(&cfg);
	struct wr_track_stats s;
	size_t at = 0;

	while (t && at + 4 < n) {
		uint16_t link = links[p[at] % WR_N(links)];
		uint32_t len = wr_min((uint32_t)p[at + 1] | (uint32_t)(p[at + 2] & 7) << 8,
			(uint32_t)(n - at - 4));
		struct wr_packet_text text;
		struct wr_ev_packet ev;
		struct wr_buf b = WR_BUF(WR_MAX_LINE);
		struct wr_pkt k;

		wr_packet_decode(p + at + 4, len, len + p[at + 3], link, &k);
		k.ts = at * 1000000;
		wr_packet_event(&k, at, &text, &ev);
		wr_json(&b, &ev.ev, NULL);
		wr_buf_free(&b);
		wr_track_packet(t, &k);
		at += 4 + len;
	}
	wr_track_stats(t, &s);
	if (s.packets != s.tracked + s.not_ip + s.cut + s.refused)
		__builtin_trap();
	wr_track_end(t);
	wr_track_free(t);
	return 0;
}
