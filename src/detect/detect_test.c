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
			conn(d, "203.0.113.5", 100 + (i / 1000 * 37) % 100,
				1000000000ull + (100000 - i) * 1000000ull, false);
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

TEST(ones_own_networks)
{
	static const char *const own[] = {"0.1.2.3", "10.9.8.7", "100.64.0.1", "100.127.1.1",
		"127.0.0.1", "169.254.1.1", "172.16.0.1", "172.31.9.9", "192.168.3.4",
		"224.0.0.251", "255.255.255.255", "::", "::1", "fc00::1", "fdff::1", "fe80::1",
		"ff02::fb"};
	static const char *const others[] = {"1.1.1.1", "100.63.0.1", "100.128.0.1", "169.253.0.1",
		"172.15.0.1", "172.32.0.1", "192.167.0.1", "223.1.1.1", "2001:db8::1", "::2",
		"1::", "fec0::1"};
	struct wr_ip a, m;

	for (unsigned i = 0; i < WR_N(own); i++) {
		assert_int_equal(wr_ip_parse(wr_str(own[i]), &a, &m), 0);
		assert_false(wr_ip_is_public(&a));
	}
	for (unsigned i = 0; i < WR_N(others); i++) {
		assert_int_equal(wr_ip_parse(wr_str(others[i]), &a, &m), 0);
		assert_true(wr_ip_is_public(&a));
	}
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

static uint64_t seed = 3;

static uint64_t rnd(uint64_t n)
{
	seed = wr_hash64(seed + 0x9e3779b97f4a7c15ull);
	return seed % n;
}

struct seen {
	unsigned n, ids;
	char detector[24], summary[256], id[20];
};

static void look(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_alert *a = (const void *)e;
	struct seen *s = ctx;

	s->n++;
	if (!wr_str_eq(a->id, wr_str(s->id)))
		s->ids++;
	wr_copy(s->id, sizeof(s->id), a->id);
	wr_copy(s->detector, sizeof(s->detector), a->detector);
	wr_copy(s->summary, sizeof(s->summary), a->summary);
}

/* @seconds of 50 requests a second: durations around @us, one of @fails fails (0 = none). */
static uint64_t requests(
	struct wr_detect *d, uint64_t at, unsigned seconds, uint64_t us, unsigned fails)
{
	struct wr_ev_request q;
	struct wr_ip ip, m;

	assert_int_equal(wr_ip_parse(WR_STR("10.0.0.9"), &ip, &m), 0);
	for (unsigned i = 0; i < seconds * 50; i++, at += 20000000) {
		WR_INIT(&q, request);
		WR_SET(&q, request, time, at);
		WR_SET(&q, request, protocol, WR_STR("http"));
		WR_SET(&q, request, server_ip, ip);
		WR_SET(&q, request, server_port, 80);
		WR_SET(&q, request, server_service, WR_STR("shop"));
		WR_SET(&q, request, operation, WR_STR("GET"));
		WR_SET(&q, request, resource, WR_STR("/cart"));
		WR_SET(&q, request, status, WR_STR("503"));
		WR_SET(&q, request, duration_us,
			us / 2 + rnd(us) + (rnd(50) ? 0 : us * 20)); /* a long tail */
		WR_SET(&q, request, st_application, q.duration_us);
		WR_SET(&q, request, error, fails && !rnd(fails));
		wr_detect_event(d, &q.ev);
	}
	wr_detect_tell(d, at, true);
	return at;
}

TEST(a_service_that_begins_to_fail)
{
	struct seen s = {.n = 0};
	struct wr_detect *d = wr_detect_new("h", false, look, &s);
	uint64_t at = requests(d, 1000000000000ull, 120, 1000, 100);

	at = requests(d, at, 60, 1000, 50); /* twice as many errors, by chance or not: no alarm */
	assert_int_equal(s.n, 0);
	at = requests(d, at, 5, 1000, 3);
	assert_true(s.n >= 1);
	assert_string_equal(s.detector, "error_spike");
	assert_non_null(strstr(s.summary, "GET /cart: 503"));
	at = requests(d, at, 20, 1000, 3);
	assert_int_equal(s.ids, 1); /* one incident that grows */
	s.n = 0;
	requests(d, at, 30, 1000, 100);
	assert_true(s.n <= 1);
	wr_detect_free(d);
}

TEST(a_service_that_becomes_slow)
{
	struct seen s = {.n = 0};
	struct wr_detect *d = wr_detect_new("h", false, look, &s);
	uint64_t at = requests(d, 1000000000000ull, 120, 1000, 0);

	at = requests(d, at, 30, 1300, 0); /* a third more: no alarm */
	assert_int_equal(s.n, 0);
	at = requests(d, at, 6, 8000, 0);
	assert_true(s.n >= 1);
	assert_string_equal(s.detector, "latency_spike");
	assert_non_null(strstr(s.summary, "application"));
	assert_int_equal(s.ids, 1);
	/* what lasts becomes usual, and is not told for ever */
	at = requests(d, at, 400, 8000, 0);
	s.n = 0;
	requests(d, at, 60, 8000, 0);
	assert_int_equal(s.n, 0);
	wr_detect_free(d);
}

TEST_MAIN(RUN(a_service_that_begins_to_fail), RUN(a_service_that_becomes_slow), RUN(distinct),
	RUN(scan_in_a_crowd), RUN(entries), RUN(ones_own_networks))
