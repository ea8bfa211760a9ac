// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "logjoin.h"

#define MS 1000000ull
#define S 1000000000ull

struct got {
	char text[4096];
};

static void on_request(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;
	struct got *g = ctx;
	size_t n = strlen(g->text);

	snprintf(g->text + n, sizeof(g->text) - n, "[%.*s]", (int)r->resource.n, r->resource.p);
}

static void on_line(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_log *l = (const void *)e;
	struct got *g = ctx;
	size_t n = strlen(g->text);

	snprintf(g->text + n, sizeof(g->text) - n, " %.*s:%.*s", (int)l->by.n, l->by.p,
		(int)l->text.n, l->text.p);
}

static struct wr_logjoin *start(struct got *g)
{
	struct wr_logjoin_config cfg = {
		.hold = 500 * MS, .lines = 64, .request = on_request, .line = on_line, .ctx = g};

	g->text[0] = 0;
	return wr_logjoin_new(&cfg);
}

static void ask(struct wr_logjoin *j, const char *path, uint64_t at, uint64_t us, uint32_t pid,
	const char *trace)
{
	struct wr_ev_request r;

	WR_INIT(&r, request);
	WR_SET(&r, request, time, at);
	WR_SET(&r, request, operation, WR_STR("GET"));
	WR_SET(&r, request, resource, wr_str(path));
	WR_SET(&r, request, duration_us, us);
	WR_SET(&r, request, server_pid, pid);
	if (trace)
		WR_SET(&r, request, trace_id, wr_str(trace));
	wr_logjoin_request(j, &r, at + us * 1000);
}

static void say(struct wr_logjoin *j, const char *source, const char *text, uint64_t at,
	uint64_t unsure, uint32_t pid)
{
	struct wr_logline l = {.time = at,
		.unsure = unsure,
		.pid = {pid},
		.n_pids = pid != 0,
		.source = wr_str(source),
		.text = wr_str(text)};

	wr_logjoin_line(j, &l);
}

TEST(by_trace)
{
	struct got g;
	struct wr_logjoin *j = start(&g);

	say(j, "a", "failed trace=0123456789abcdef0123456789abcdef", 90 * S, 0, 0);
	ask(j, "/x", 10 * S, 100, 1, "0123456789abcdef0123456789abcdef");
	ask(j, "/x", 10 * S, 100, 1, "ffffffffffffffffffffffffffffffff");
	wr_logjoin_turn(j, 0, true);
	assert_string_equal(g.text, "[/x] trace:failed trace=0123456789abcdef0123456789abcdef[/x]");
	wr_logjoin_free(j);
}

TEST(by_what_it_says)
{
	struct got g;
	struct wr_logjoin *j = start(&g);

	say(j, "a", "GET /cart/7 200", 10 * S + 2 * MS, 0, 0);
	say(j, "a", "GET /cart 200", 10 * S + 3 * MS, 0,
		0); /* the longer path has a line of its own */
	say(j, "a", "POST /cart 200", 10 * S + 3 * MS, 0, 0);
	say(j, "a", "GET /cart 500", 20 * S, 0, 0); /* much later */
	say(j, "a", "GET /cart 404", 10 * S, 0, 9); /* another process */
	ask(j, "/cart?token=***", 10 * S, 1000, 1, NULL);
	ask(j, "/", 10 * S, 1000, 1, NULL); /* "/" is in every line */
	ask(j, "/f?n=1", 30 * S, 1000, 1, NULL);
	say(j, "a", "GET /f?n=12 200", 30 * S, 0, 0);
	say(j, "a", "GET /f?n=1 200", 30 * S, 0, 0);
	ask(j, "/g?id=7&key=***", 40 * S, 1000, 1, NULL);
	say(j, "a", "GET /g?id=8&key=secret 200", 40 * S, 0, 0);
	say(j, "a", "GET /g?id=7&key=secret 200", 40 * S, 0, 0);
	wr_logjoin_turn(j, 0, true);
	assert_string_equal(g.text,
		"[/cart?token=***] resource:GET /cart 200[/][/f?n=1] resource:GET /f?n=1 200"
		"[/g?id=7&key=***] resource:GET /g?id=7&key=secret 200");
	assert_int_equal(wr_logjoin_stats(j).lines, 9);
	assert_int_equal(wr_logjoin_stats(j).joined, 3);
	wr_logjoin_free(j);
}

/* Equal requests at once: a line of a log for each, in order. */
TEST(each_its_own)
{
	struct got g;
	struct wr_logjoin *j = start(&g);

	for (unsigned i = 0; i < 3; i++)
		ask(j, "/same", 10 * S + i * MS, 1000, 1, NULL);
	say(j, "access", "GET /same one", 10 * S + 2 * MS, 0, 1);
	say(j, "access", "GET /same two", 10 * S + 3 * MS, 0, 1);
	say(j, "access", "GET /same three", 10 * S + 4 * MS, 0, 1);
	wr_logjoin_turn(j, 0, true);
	assert_string_equal(g.text,
		"[/same] resource:GET /same one[/same] resource:GET /same two[/same] resource:GET /same three");
	wr_logjoin_free(j);
	/* alone it gets all of them */
	j = start(&g);
	ask(j, "/same", 10 * S, 5000, 1, NULL);
	say(j, "app", "GET /same begins", 10 * S + MS, 0, 1);
	say(j, "app", "GET /same ends", 10 * S + 4 * MS, 0, 1);
	wr_logjoin_turn(j, 0, true);
	assert_string_equal(g.text, "[/same] resource:GET /same begins resource:GET /same ends");
	wr_logjoin_free(j);
}

TEST(by_time_only_where_one_is_meant)
{
	struct got g;
	struct wr_logjoin *j = start(&g);

	ask(j, "/a", 10 * S, 1000, 1, NULL);
	ask(j, "/b", 20 * S, 1000, 1, NULL);
	ask(j, "/c", 20 * S, 1000, 1, NULL);
	ask(j, "/d", 20 * S, 1000, 2, NULL);
	say(j, "app", "no such item", 10 * S + MS, 0, 1);
	say(j, "app", "one of two", 20 * S + MS, 0, 1);
	say(j, "app", "of nobody known", 10 * S + MS, 0, 0);
	say(j, "app", "of the other", 20 * S + MS, 0, 2);
	wr_logjoin_turn(j, 0, true);
	assert_string_equal(g.text, "[/a] time:no such item[/b][/c][/d] time:of the other");
	wr_logjoin_free(j);
}

TEST(waits_for_its_lines)
{
	struct got g;
	struct wr_logjoin *j = start(&g);

	ask(j, "/a", 10 * S, 1000, 1, NULL);
	wr_logjoin_turn(j, 10 * S + 100 * MS, false);
	assert_string_equal(g.text, "");
	say(j, "app", "late", 10 * S + 200 * MS, 0, 1);
	/* a clock of whole seconds */
	say(j, "app", "GET /a", 9 * S, S, 1);
	wr_logjoin_turn(j, 11 * S, false);
	assert_string_equal(g.text, "[/a] time:late resource:GET /a");
	wr_logjoin_free(j);
}

TEST(bounded)
{
	struct got g;
	struct wr_logjoin *j = start(&g);
	char text[32];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "GET /%u.", i);
		say(j, "app", text, 10 * S, 0, 0);
	}
	ask(j, "/900x", 10 * S, 1000, 1, NULL);
	wr_logjoin_turn(j, 0, true);
	for (unsigned i = 0; i < 20000; i++) {
		ask(j, "/n", 10 * S, 1000, 1, NULL);
		g.text[0] = 0;
	}
	wr_logjoin_turn(j, 0, true);
	wr_logjoin_free(j);
}

TEST(every_allocation_fails_once)
{
	for (long n = 1; n < 12; n++) {
		struct got g;
		struct wr_logjoin *j;

		wr_alloc_fail_at = n;
		j = start(&g);
		if (j) {
			say(j, "app", "GET /a", 10 * S, 0, 0);
			ask(j, "/a", 10 * S, 1000, 1, NULL);
			wr_logjoin_turn(j, 0, true);
		}
		wr_alloc_fail_at = 0;
		wr_logjoin_free(j);
	}
}

TEST_MAIN(RUN(by_trace), RUN(by_what_it_says), RUN(each_its_own),
	RUN(by_time_only_where_one_is_meant), RUN(waits_for_its_lines), RUN(bounded),
	RUN(every_allocation_fails_once))
