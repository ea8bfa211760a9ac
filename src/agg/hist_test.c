// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "hist.h"

TEST(quantiles_are_within_the_stated_error)
{
	static struct wr_hist h, a, b;

	for (uint64_t v = 0; v <= 1000000; v++) {
		wr_hist_add(&h, v);
		wr_hist_add(v & 1 ? &a : &b, v);
	}
	for (int i = 1; i <= 100; i++) {
		double want = i * 10000.0, got = (double)wr_hist_quantile(&h, i / 100.0);

		assert_true(got >= want - 2 && got <= want * (1 + 1.0 / 16) + 2);
	}
	assert_int_equal(wr_hist_quantile(&h, 1), 1000000);
	wr_hist_merge(&a, &b);
	assert_memory_equal(&a, &h, sizeof(h));
}

TEST(ends_of_the_scale)
{
	static struct wr_hist h;

	assert_int_equal(wr_hist_quantile(&h, 0.5), 0);
	wr_hist_add(&h, UINT64_MAX);
	wr_hist_add(&h, 0);
	assert_int_equal(wr_hist_quantile(&h, 0.5), 0);
	assert_int_equal(wr_hist_quantile(&h, 1), (1ull << 40) - 1);
	for (unsigned k = 0; k < 40; k++) {
		static struct wr_hist one;

		memset(&one, 0, sizeof(one));
		wr_hist_add(&one, 1ull << k);
		assert_int_equal(wr_hist_quantile(&one, 0.5), 1ull << k);
	}
}

TEST_MAIN(RUN(quantiles_are_within_the_stated_error), RUN(ends_of_the_scale))
