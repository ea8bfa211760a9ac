// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "routes.h"

#include <errno.h>

static bool match(const char *list, const char *protocol, uint16_t port, const char *url)
{
	struct wr_err e = {.text = ""};
	struct wr_routes *r;
	bool yes;

	assert_int_equal(wr_routes_new(list, &r, &e), 0);
	yes = wr_routes_match(r, protocol, port, wr_str(url));
	wr_routes_free(r);
	return yes;
}

TEST(matches)
{
	assert_true(match("http:8080/debug", "http", 8080, "/debug"));
	assert_true(match("http:8080/debug", "http", 8080, "/debug?token=x"));
	assert_true(match("http:8080/debug", "http", 8080, "/debug/vars"));
	assert_true(match("http:8080/debug", "http", 8080, "http://a.test/debug/vars?x"));
	assert_false(match("http:8080/debug", "http", 8080, "/debugger?token=x"));
	assert_false(match("http:8080/debug", "http", 8081, "/debug"));
	assert_false(match("http:8080/debug", "http2", 8080, "/debug"));
	assert_false(match("http:8080/debug", "http", 8080, "/"));
	assert_false(match("http:8080/debug", NULL, 8080, "/debug"));
	assert_true(match("/a,:5432", "postgresql", 5432, ""));
	assert_false(match("/a", "postgresql", 5432, ""));
	assert_true(match("redis", "redis", 6379, ""));
	assert_true(match("/", "http", 80, "/x?password=1"));
	assert_true(match("/", "http", 80, "http://a.test?password=1"));
	assert_false(match("", "http", 80, "/"));
	/* what a server may take for another path */
	assert_false(match("/debug", "http", 80, "/debug/../login?password=x"));
	assert_false(match("/debug", "http", 80, "/debug/%2e%2e/login?password=x"));
	assert_false(match("/debug", "http", 80, "/debug\\..\\login"));
	/* a URL in the query is not the request's */
	assert_false(match("/debug", "http", 80, "/login?next=http://a.test/debug"));
}

static int wrong(const char *list)
{
	struct wr_err e = {.text = ""};
	struct wr_routes *r;
	int rc = wr_routes_new(list, &r, &e);

	assert_true(rc && e.text[0] && !r);
	return rc;
}

TEST(refused)
{
	char many[1024] = "", path[400];

	assert_int_equal(wrong("htpp"), -EINVAL);
	assert_int_equal(wrong("http:0"), -EINVAL);
	assert_int_equal(wrong("http:65536"), -EINVAL);
	assert_int_equal(wrong("http:x/y"), -EINVAL);
	assert_int_equal(wrong(":"), -EINVAL);
	for (unsigned i = 0; i < 65; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), ",/%u", i);
	assert_int_equal(wrong(many), -E2BIG);
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = 0;
	assert_int_equal(wrong(path), -EINVAL);
}

TEST_MAIN(RUN(matches), RUN(refused))
