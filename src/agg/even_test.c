// SPDX-License-Identifier: Apache-2.0
/* Against values that were integrated apart; with two degrees of freedom it is exp(-x/2). */
#include "../../tests/lib/test.h"
#include "even.h"

#include <math.h>

static void is(double want, unsigned k, const uint64_t *n)
{
	double p = wr_even_p(n, k);

	if (fabs(p - want) > 0.0005)
		fail_msg("%f, not %f", p, want);
}

TEST(known)
{
	is(1, 3, (const uint64_t[]){100, 100, 100});
	is(0.3173, 2, (const uint64_t[]){55, 45});
	is(0.0455, 2, (const uint64_t[]){60, 40});
	is(0.7788, 3, (const uint64_t[]){95, 105, 100});
	is(0.9735, 5, (const uint64_t[]){20, 22, 18, 19, 21});
	is(0, 2, (const uint64_t[]){1000, 10});
}

TEST(too_few)
{
	assert_true(wr_even_p((const uint64_t[]){4, 4}, 2) < 0);
	assert_true(wr_even_p((const uint64_t[]){100}, 1) < 0);
	assert_true(wr_even_p(NULL, 0) < 0);
}

TEST_MAIN(RUN(known), RUN(too_few))
