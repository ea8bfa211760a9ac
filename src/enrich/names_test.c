// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "../base/limits.h"
#include "names.h"

static struct wr_ip ip(const char *t)
{
	struct wr_ip a, mask;

	assert_int_equal(wr_ip_parse(wr_str(t), &a, &mask), 0);
	return a;
}

static void is(
	struct wr_names *n, const char *client, const char *addr, uint64_t at, const char *want)
{
	struct wr_ip c = ip(client), a = ip(addr);
	struct wr_str s = wr_names_find(n, &c, &a, at);

	assert_int_equal(s.n, strlen(want));
	assert_memory_equal(s.p ? s.p : "", want, s.n);
}

static void told(
	struct wr_names *n, const char *client, const char *addr, const char *name, uint64_t at)
{
	struct wr_ip c = ip(client), a = ip(addr);

	wr_names_add(n, &c, &a, wr_str(name), at);
}

TEST(whose_and_when)
{
	struct wr_names *n = wr_names_new();

	is(n, "10.0.0.1", "192.0.2.1", 5, "");
	told(n, "10.0.0.1", "192.0.2.1", "a.example", 10);
	is(n, "10.0.0.1", "192.0.2.1", 20, "a.example");
	is(n, "10.0.0.1", "192.0.2.1", 5, "a.example"); /* older than what is known of it */
	is(n, "10.0.0.2", "192.0.2.1", 20, "a.example"); /* its resolver asked for it */
	is(n, "10.0.0.1", "192.0.2.2", 20, "");

	told(n, "10.0.0.1", "192.0.2.1", "b.example",
		30); /* two names of a host that serves many */
	is(n, "10.0.0.1", "192.0.2.1", 20, "a.example"); /* what is open keeps its name */
	is(n, "10.0.0.1", "192.0.2.1", 40, "b.example");
	told(n, "10.0.0.1", "192.0.2.1", "a.example", 50);
	is(n, "10.0.0.1", "192.0.2.1", 40, "b.example");
	is(n, "10.0.0.1", "192.0.2.1", 60, "a.example");

	told(n, "10.0.0.2", "192.0.2.1", "c.example", 70); /* each its own */
	is(n, "10.0.0.2", "192.0.2.1", 80, "c.example");
	is(n, "10.0.0.1", "192.0.2.1", 80, "a.example");
	is(n, "10.0.0.3", "192.0.2.1", 80, "c.example");

	told(n, "::1", "2001:db8::1", "six.example", 90);
	is(n, "::1", "2001:db8::1", 91, "six.example");
	told(n, "::1", "2001:db8::2", "", 90);
	is(n, "::1", "2001:db8::2", 91, "");
	assert_int_equal(wr_names_count(n), 2);
	wr_names_free(n);
	wr_names_free(NULL);
}

TEST(bounded)
{
	struct wr_names *n = wr_names_new();
	char t[32];

	for (unsigned i = 0; i < 100; i++) { /* of one address the last few */
		snprintf(t, sizeof(t), "n%u.example", i);
		told(n, "10.0.0.1", "192.0.2.1", t, 1000 + i);
	}
	assert_int_equal(wr_names_count(n), 1);
	is(n, "10.0.0.1", "192.0.2.1", 2000, "n99.example");
	is(n, "10.0.0.1", "192.0.2.1", 1096, "n96.example");
	is(n, "10.0.0.1", "192.0.2.1", 1095, "n96.example");

	for (unsigned i = 0; i < 2 * WR_MAX_NAMES;
		i++) { /* of all addresses those that were named last */
		snprintf(t, sizeof(t), "10.%u.%u.%u", 1 + (i >> 16), i >> 8 & 255, i & 255);
		told(n, "10.0.0.1", t, t, 3000 + i);
		told(n, "10.0.0.1", "192.0.2.1", "often.example", 3000 + i);
	}
	assert_int_equal(wr_names_count(n), WR_MAX_NAMES);
	is(n, "10.0.0.1", "10.1.0.0", UINT64_MAX, "");
	is(n, "10.0.0.1", "10.1.127.255", UINT64_MAX, "10.1.127.255");
	is(n, "10.0.0.1", "192.0.2.1", UINT64_MAX, "often.example");
	wr_names_free(n);
}

TEST_MAIN(RUN(whose_and_when), RUN(bounded))
