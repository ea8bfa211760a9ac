// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "detect.h"

TEST(distinct)
{
	for (unsigned n = 1; n <= 3000; n = n * 3 / 2 + 1) {
		struct wr_distinct c = {{0}};

		for (unsigned i = 0; i < n * 4; i++) /* each value four times */
			wr_distinct_add(&c, wr_hash64(i % n + 1000));
		assert_in_range(wr_distinct_count(&c), n - n / 8, n + n / 8 + 1);
	}
}


static void nothing(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	(void)d;
	(void)self;
	(void)e;
}

static void sink(void *ctx, const struct wr_event *e)
{
	++*(unsigned *)ctx;
	assert_int_equal(e->kind, WR_KIND_alert);
}

static void conn(struct wr_detect *d, const char *from, unsigned port, uint64_t at, bool answered)
{
	struct wr_ev_conn r;
	struct wr_ip a, b, m;

	assert_int_equal(wr_ip_parse(wr_str(from), &a, &m), 0);
	assert_int_equal(wr_ip_parse(WR_STR("10.0.0.9"), &b, &m), 0);
	WR_INIT(&r, conn);
	WR_SET(&r, conn, transport, WR_STR("tcp"));
	WR_SET(&r, conn, event, WR_STR("close"));
	WR_SET(&r, conn, close_reason, answered ? WR_STR("fin") : WR_STR("refused"));
	WR_SET(&r, conn, client_ip, a);
	WR_SET(&r, conn, server_ip, b);
	WR_SET(&r, conn, server_port, port);
	WR_SET(&r, conn, first, at);
	wr_detect_event(d, &r.ev);
}

/* A scan among a hundred thousand other sources, its attempts in any order, is one incident that is told. */
TEST(scan_in_a_crowd)
{
	unsigned told = 0;
	struct wr_detect *d = wr_detect_new("h", false, sink, &told);
	char ip[32];

	assert_non_null(d);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(ip, sizeof(ip), "10.%u.%u.%u", 1 + i / 65536, i / 256 % 256, i % 256);
		conn(d, ip, 80, 1000000000ull + i * 1000000ull, true);
		if (i % 1000 == 0)
			conn(d, "203.0.113.5", 100 + (i / 1000 * 37) % 100, 1000000000ull + (100000 - i) * 1000000ull,
				false);
	}
	assert_true(wr_detect_evicted(d) > 50000); /* bounded */
	wr_detect_tell(d, 200000000000ull, false);
	assert_int_equal(told, 1);
	wr_detect_tell(d, 200000000001ull, true);
	assert_int_equal(told, 1); /* it did not grow */
	conn(d, "203.0.113.5", 9999, 150000000000ull, false);
	wr_detect_tell(d, 200000000002ull, false);
	assert_int_equal(told, 1); /* not yet again */
	wr_detect_tell(d, 211000000000ull, false);
	assert_int_equal(told, 2);
	wr_detect_free(d);
}

TEST(entries)
{
	static const struct wr_detector other = {.name = "x", .event = nothing};
	unsigned told = 0;
	struct wr_detect *d = wr_detect_new("h", false, sink, &told);

	assert_null(wr_detect_entry(d, &other, 1, 1)); /* not in the table of detectors: no state */
	wr_detect_free(d);
	wr_detect_free(NULL);
}

TEST_MAIN(RUN(distinct), RUN(scan_in_a_crowd), RUN(entries))
