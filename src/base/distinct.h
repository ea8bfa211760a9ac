/* SPDX-License-Identifier: Apache-2.0 */
/* A count of distinct values, to a few percent up to some thousands (linear counting, Whang 1990). */
#ifndef WR_DISTINCT_H
#define WR_DISTINCT_H

#include <stdint.h>

#define WR_DISTINCT_BITS 1024
struct wr_distinct {
	uint64_t bit[WR_DISTINCT_BITS / 64];
};
void wr_distinct_add(struct wr_distinct *c, uint64_t hash);
unsigned wr_distinct_count(const struct wr_distinct *c);

#endif
