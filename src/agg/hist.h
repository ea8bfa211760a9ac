/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A histogram of durations: log-linear buckets, 16 for each power of two, so that a quantile is at most
 * 1/16 (6.3 %) above the value. Mergeable by adding. What is beyond the last bucket counts in it; the
 * maximum is exact.
 */
#ifndef WR_HIST_H
#define WR_HIST_H

#include "../base/base.h"
#include "../base/buf.h"

#define WR_HIST_SUB 16
#define WR_HIST_BUCKETS (WR_HIST_SUB * 37) /* up to 2^40: microseconds of 12 days */

struct wr_hist {
	uint64_t n, sum, max;
	uint32_t b[WR_HIST_BUCKETS];
};

void wr_hist_add(struct wr_hist *h, uint64_t v);
void wr_hist_merge(struct wr_hist *to, const struct wr_hist *from);
/* Upper bound of the bucket that holds the @q-quantile (0..1), never above the maximum; 0 when empty. */
uint64_t wr_hist_quantile(const struct wr_hist *h, double q);
/* As JSON: [[bucket, count], ...] of those that are not empty; and added from that, with its sum and maximum. */
void wr_hist_json(const struct wr_hist *h, struct wr_buf *b);
void wr_hist_add_json(struct wr_hist *h, struct wr_str json, uint64_t sum, uint64_t max);
/* The largest value of a bucket. */
uint64_t wr_hist_bound(unsigned bucket);

#endif
