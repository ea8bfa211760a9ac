// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "burst.h"

struct found {
	unsigned n;
	struct wr_burst_found last;
};

static void on_burst(void *ctx, const struct wr_burst_found *b)
{
	struct found *f = ctx;

	f->n++;
	f->last = *b;
}

static struct wr_series s;
static struct found f;

static void begin(uint64_t over, uint64_t factor)
{
	memset(&s, 0, sizeof(s));
	memset(&f, 0, sizeof(f));
	s.over = over;
	s.factor = factor;
	wr_series_begin(&s, 5000);
}

TEST(what_stands_out)
{
	begin(10000, 4);
	for (uint64_t i = 5000; i < 7000; i++)
		wr_series_add(&s, i, i >= 6500 && i < 6503 ? 50000 : 1000, 1, on_burst, &f);
	wr_series_upto(&s, 7000, on_burst, &f);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.last.from, 6500);
	assert_int_equal(f.last.to, 6503);
	assert_int_equal(f.last.bytes, 150000);
	assert_int_equal(f.last.packets, 3);
	assert_int_equal(f.last.peak, 50000);
	assert_true(f.last.usual > 990 && f.last.usual < 1010);
	assert_int_equal(s.bytes, 1997 * 1000 + 150000);
	assert_int_equal(s.packets, 2000);
	assert_int_equal(s.peak, 50000);
	assert_int_equal(s.peak10, 150000 + 7000);
}

/* A burst does not begin and end with a step: the rest of it in the steps beside. */
TEST(shoulders)
{
	begin(10000, 4);
	wr_series_add(&s, 5999, 100, 1, on_burst, &f);
	wr_series_add(&s, 6000, 4000, 4, on_burst, &f);
	wr_series_add(&s, 6001, 50000, 50, on_burst, &f);
	wr_series_add(&s, 6002, 6000, 6, on_burst, &f);
	wr_series_add(&s, 6003, 100, 1, on_burst, &f);
	wr_series_upto(&s, 6010, on_burst, &f);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.last.from, 6000);
	assert_int_equal(f.last.to, 6003);
	assert_int_equal(f.last.bytes, 60000);
	assert_int_equal(f.last.packets, 60);
	assert_int_equal(f.last.peak, 50000);
}

/* A steady stream is none, however fast; nor is a little one. */
TEST(what_does_not)
{
	begin(10000, 4);
	for (uint64_t i = 5000; i < 8000; i++)
		wr_series_add(&s, i, 100000, 70, on_burst, &f);
	wr_series_upto(&s, 9000, on_burst, &f);
	assert_in_range(f.n, 0, 1); /* that it began */
	assert_true(!f.n || f.last.from == 5000);
	begin(10000, 4);
	for (uint64_t i = 5000; i < 8000; i += 500)
		wr_series_add(&s, i, 9999, 7, on_burst, &f);
	wr_series_upto(&s, 9000, on_burst, &f);
	assert_int_equal(f.n, 0);
}

TEST(gaps)
{
	begin(10000, 4);
	wr_series_add(&s, 6000, 20000, 1, on_burst, &f);
	wr_series_add(&s, 6002, 20000, 1, on_burst, &f);
	assert_int_equal(f.n, 0);
	wr_series_add(&s, 6005, 20000, 1, on_burst, &f); /* two between: another one */
	assert_int_equal(f.n, 1);
	assert_int_equal(f.last.to, 6003);
	assert_int_equal(f.last.bytes, 40000);
	wr_series_upto(&s, 6007, on_burst, &f);
	assert_int_equal(f.n, 1);
	wr_series_upto(&s, 6008, on_burst, &f);
	assert_int_equal(f.n, 2);
	/* after a pause longer than what is kept, nothing of it is left */
	wr_series_add(&s, 60000, 20000, 1, on_burst, &f);
	assert_int_equal(s.sum, 20000);
	assert_int_equal(s.bursts, 2);
}

TEST_MAIN(RUN(what_stands_out), RUN(what_does_not), RUN(gaps), RUN(shoulders))
