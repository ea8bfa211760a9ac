// SPDX-License-Identifier: Apache-2.0
#include "distinct.h"
#include "base.h"

void wr_distinct_add(struct wr_distinct *c, uint64_t hash)
{
	c->bit[hash % WR_DISTINCT_BITS / 64] |= 1ull << (hash & 63);
}

/* -m ln(zeros / m), without libm: ln by its series around powers of two */
static double ln(double x)
{
	double y, sum = 0, term;
	int k = 0;

	while (x < 0.75) {
		x *= 2;
		k--;
	}
	y = (x - 1) / (x + 1);
	term = y;
	for (unsigned i = 1; i < 20; i += 2) {
		sum += term / i;
		term *= y * y;
	}
	return 2 * sum + k * 0.6931471805599453;
}

unsigned wr_distinct_count(const struct wr_distinct *c)
{
	unsigned set = 0;

	for (unsigned i = 0; i < WR_N(c->bit); i++)
		set += (unsigned)__builtin_popcountll(c->bit[i]);
	if (set == WR_DISTINCT_BITS)
		set--;
	return (unsigned)(-WR_DISTINCT_BITS *
				  ln((double)(WR_DISTINCT_BITS - set) / WR_DISTINCT_BITS) +
			  0.5);
}
