/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bursts in a series of steps of equal length (a millisecond, ten of them): a step is hot when it has at least
 * @over bytes and @factor times what the second before it had on average; hot steps with at most one between
 * them are one burst, with the step before and behind it if these stand out too. Packets and bytes of all
 * steps add up to the totals.
 */
#ifndef WR_BURST_H
#define WR_BURST_H

#include "../base/base.h"

#define WR_SERIES_KEPT 1000 /* steps that say what is usual */

struct wr_burst_found {
	uint64_t from, to; /* steps; to: behind the last one */
	uint64_t bytes, packets, peak; /* peak: bytes of its greatest step */
	double usual; /* bytes a step, of the second before */
};
typedef void (*wr_burst_found_fn)(void *ctx, const struct wr_burst_found *b);

struct wr_series {
	uint64_t over, factor; /* MUST be set */
	uint64_t first, last; /* steps; first 0: nothing yet */
	uint64_t bytes, packets, peak, peak10,
		bursts; /* peak10: of ten steps that begin at a multiple of ten */
	uint64_t ten, ten_bytes, sum; /* sum: of kept */
	uint64_t hot; /* the last hot step; 0: no burst is under way */
	struct wr_burst_found now;
	uint64_t step_packets; /* of the last step */
	uint32_t kept[WR_SERIES_KEPT];
};

/* @begin: the step at which looking began: before it nothing is known, not nothing was sent. */
void wr_series_begin(struct wr_series *s, uint64_t begin);
/* Steps come in order; those without traffic may be left out. */
void wr_series_add(struct wr_series *s, uint64_t step, uint64_t bytes, uint64_t packets,
	wr_burst_found_fn fn, void *ctx);
/* Nothing more comes before @step: a burst that ended is told. */
void wr_series_upto(struct wr_series *s, uint64_t step, wr_burst_found_fn fn, void *ctx);

#endif
