// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "expose.h"

static void ask(struct wr_expose *x, const char *service, uint64_t us)
{
	struct wr_ev_request q;

	WR_INIT(&q, request);
	WR_SET(&q, request, server_service, wr_str(service));
	WR_SET(&q, request, protocol, WR_STR("http"));
	WR_SET(&q, request, duration_us, us);
	wr_expose_event(x, &q.ev);
}

static bool has(const struct wr_buf *b, const char *line)
{
	return memmem(b->p, b->n, line, strlen(line));
}

/* More services than there is room for: each request is in one series, none is lost. */
TEST(bounded)
{
	struct wr_expose *x = wr_expose_new();
	struct wr_buf b = WR_BUF(4u << 20);
	char name[32];

	assert_non_null(x);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "s%u", i % 1000);
		ask(x, name, 1000);
	}
	wr_expose_text(x, &b);
	assert_false(b.cut);
	assert_true(has(&b, "weir_requests_total{service=\"s0\",protocol=\"http\"} 5\n"));
	assert_true(has(&b, "weir_requests_total{service=\"s199\",protocol=\"http\"} 5\n"));
	assert_true(
		has(&b, "weir_requests_total{service=\"(other)\",protocol=\"(other)\"} 4000\n"));
	assert_false(has(&b, "s200\""));
	wr_buf_free(&b);
	wr_expose_free(x);
}

TEST(buckets_and_labels)
{
	struct wr_expose *x = wr_expose_new();
	struct wr_buf b = WR_BUF(1u << 20);

	ask(x, "a\"b\\c\nd", 500);
	ask(x, "a\"b\\c\nd", 501);
	ask(x, "a\"b\\c\nd", 20000000);
	wr_expose_text(x, &b);
	assert_true(has(&b,
		"weir_request_duration_seconds_bucket{service=\"a\\\"b\\\\c d\",protocol=\"http\",le=\"0.0005\"} 1\n"));
	assert_true(has(&b, "le=\"0.001\"} 2\n"));
	assert_true(has(&b, "le=\"10\"} 2\n"));
	assert_true(has(&b, "le=\"+Inf\"} 3\n"));
	assert_true(has(&b,
		"weir_request_duration_seconds_count{service=\"a\\\"b\\\\c d\",protocol=\"http\"} 3\n"));
	wr_buf_free(&b);
	wr_expose_free(x);
	wr_expose_free(NULL);
}

TEST_MAIN(RUN(bounded), RUN(buckets_and_labels))
