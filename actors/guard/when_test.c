// SPDX-License-Identifier: Apache-2.0
/* Every minute of a week against a plain reading of the words. */
#include "../../tests/lib/test.h"
#include "when.h"

static uint32_t left(const char *text, int wday, int h, int m, int s)
{
	struct tm t = {.tm_wday = wday, .tm_hour = h, .tm_min = m, .tm_sec = s};
	struct wr_guard_when w;

	assert_int_equal(wr_guard_when_parse(wr_str(text), &w), 0);
	return wr_guard_when_left(&w, &t);
}

TEST(windows)
{
	assert_int_equal(left("08:00-18:00", 3, 7, 59, 59), 0);
	assert_int_equal(left("08:00-18:00", 3, 8, 0, 0), 36000);
	assert_int_equal(left("08:00-18:00", 3, 17, 59, 59), 1);
	assert_int_equal(left("08:00-18:00", 3, 18, 0, 0), 0);
	assert_int_equal(left("22:00-06:00", 0, 23, 0, 30), 7 * 3600 - 30);
	assert_int_equal(left("22:00-06:00", 0, 5, 0, 0), 3600); /* it began on Saturday */
	assert_int_equal(left("fri@22:00-06:00", 6, 5, 0, 0), 3600);
	assert_int_equal(left("fri@22:00-06:00", 5, 5, 0, 0), 0);
	assert_int_equal(left("sat@22:00-06:00", 0, 5, 0, 0), 3600); /* over the end of the week */
	assert_int_equal(left("mon-fri", 5, 23, 59, 0), 60);
	assert_int_equal(left("mon-fri", 1, 0, 0, 0), 5 * 86400);
	assert_int_equal(left("mon-fri", 0, 12, 0, 0), 0);
	assert_int_equal(left("Sat,sun", 6, 0, 0, 0), 2 * 86400);
	assert_int_equal(left("fri-mon", 0, 0, 0, 0), 2 * 86400);
	assert_int_equal(left("mon-sun", 4, 1, 2, 3), UINT32_MAX);
	assert_int_equal(left("00:00-24:00", 4, 1, 2, 3), UINT32_MAX);
	assert_int_equal(left("mon@00:00-24:00", 1, 23, 0, 0), 3600);
}

TEST(no_windows)
{
	static const char *const bad[] = {"", "8:00-18:00", "08:00", "08:00-", "24:00-06:00",
		"08:00-08:00", "25:00-26:00", "08:60-09:00", "mo-fr", "mon-", "mon@", "mon@8-9",
		"@08:00-09:00", "mon,", "mon-fri@", "08:00-18:00@mon", "23:00-24:01"};
	struct wr_guard_when w, none = {.days = 0};
	struct tm t = {.tm_wday = 0};

	for (unsigned i = 0; i < WR_N(bad); i++) {
		if (wr_guard_when_parse(wr_str(bad[i]), &w) != -EINVAL)
			fail_msg("%s", bad[i]);
	}
	assert_int_equal(wr_guard_when_left(&none, &t), UINT32_MAX);
}

TEST(text_and_back)
{
	static const char *const same[] = {"22:00-06:00", "mon,tue",
		"sun,mon,tue,wed,thu,fri@08:00-18:00", "00:00-24:00", "sat@00:30-24:00"};

	for (unsigned i = 0; i < WR_N(same); i++) {
		char text[WR_GUARD_WHEN_TEXT];
		struct wr_guard_when w;

		assert_int_equal(wr_guard_when_parse(wr_str(same[i]), &w), 0);
		wr_guard_when_text(&w, text);
		assert_string_equal(text, same[i]);
	}
}

TEST(each_minute_of_a_week)
{
	for (unsigned k = 0; k < 200; k++) {
		struct wr_guard_when w = {.days = (uint8_t)(1 + k * 37 % 127),
			.from = (uint16_t)(k * 131 % 1440),
			.to = (uint16_t)(k * 577 % 1441)};

		if (w.from == w.to)
			continue;
		for (unsigned m = 0; m < 7 * 1440; m += 7) {
			struct tm t = {.tm_wday = (int)(m / 1440),
				.tm_hour = (int)(m / 60 % 24),
				.tm_min = (int)(m % 60)};
			unsigned at = m % 1440, yesterday = (m / 1440 + 6) % 7;
			bool today = w.days >> (m / 1440) & 1, before = w.days >> yesterday & 1,
			     want;

			want = w.from < w.to ? today && at >= w.from && at < w.to
					     : (today && at >= w.from) || (before && at < w.to);
			if (!!wr_guard_when_left(&w, &t) != want)
				fail_msg("days %x %u-%u at %u: %d", w.days, w.from, w.to, m, want);
		}
	}
}

TEST_MAIN(RUN(windows), RUN(no_windows), RUN(text_and_back), RUN(each_minute_of_a_week))
