// SPDX-License-Identifier: Apache-2.0
#include "burst.h"

#define GAP 2 /* steps from one hot one to the next of the same burst */
#define LEAST 100 /* steps before what is usual is known */

void wr_series_begin(struct wr_series *s, uint64_t begin)
{
	s->first = s->last = begin;
}

/* Steps in between had nothing. */
static void advance(struct wr_series *s, uint64_t step)
{
	uint64_t n = wr_min(step - s->last, (uint64_t)WR_SERIES_KEPT);

	for (uint64_t i = step - n + 1; i <= step; i++) {
		s->sum -= s->kept[i % WR_SERIES_KEPT];
		s->kept[i % WR_SERIES_KEPT] = 0;
	}
	s->last = step;
}

static void end(struct wr_series *s, wr_burst_found_fn fn, void *ctx)
{
	s->hot = 0;
	s->bursts++;
	fn(ctx, &s->now);
}

void wr_series_upto(struct wr_series *s, uint64_t step, wr_burst_found_fn fn, void *ctx)
{
	if (s->hot && step > s->hot + GAP)
		end(s, fn, ctx);
}

void wr_series_add(struct wr_series *s, uint64_t step, uint64_t bytes, uint64_t packets,
	wr_burst_found_fn fn, void *ctx)
{
	uint64_t at = s->last, before = s->kept[at % WR_SERIES_KEPT],
		 packets_before = s->step_packets;
	uint64_t known, b;
	double usual;

	if (step > s->last) {
		advance(s, step);
		s->step_packets = 0;
	}
	wr_series_upto(s, step, fn, ctx);
	known = wr_max(wr_min(step - s->first, (uint64_t)WR_SERIES_KEPT), (uint64_t)LEAST);
	usual = (double)s->sum / (double)known;
	s->bytes += bytes;
	s->packets += packets;
	s->step_packets += packets;
	/* a late one of the same step is added to it */
	b = wr_min(s->kept[step % WR_SERIES_KEPT] + bytes, (uint64_t)UINT32_MAX);
	s->sum += b - s->kept[step % WR_SERIES_KEPT];
	s->kept[step % WR_SERIES_KEPT] = (uint32_t)b;
	s->peak = wr_max(s->peak, b);
	if (step / 10 != s->ten) {
		s->ten = step / 10;
		s->ten_bytes = 0;
	}
	s->ten_bytes += bytes;
	s->peak10 = wr_max(s->peak10, s->ten_bytes);
	if ((double)b < (double)s->factor * usual || (b < s->over && s->hot + 1 != step))
		return;
	if (b < s->over) { /* its end */
		s->now.to = step + 1;
		s->now.bytes += bytes;
		s->now.packets += packets;
		return;
	}
	if (!s->hot) {
		s->now = (struct wr_burst_found){.from = step, .usual = usual};
		bytes = b;
		packets = s->step_packets;
		if (at + 1 == step && before && (double)before >= (double)s->factor * usual)
			s->now = (struct wr_burst_found){
				at, 0, before, packets_before, before, usual};
	}
	s->hot = step;
	s->now.to = step + 1;
	s->now.bytes += bytes;
	s->now.packets += packets;
	s->now.peak = wr_max(s->now.peak, b);
}
