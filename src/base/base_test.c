// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "htab.h"
#include "ip.h"
#include "opt.h"
#include "slab.h"

TEST(words_of_a_list)
{
	struct wr_str list = WR_STR(",a,,bc,"), w;

	assert_true(wr_next_word(&list, &w) && wr_str_eq(w, WR_STR("a")));
	assert_true(wr_next_word(&list, &w) && wr_str_eq(w, WR_STR("bc")));
	assert_false(wr_next_word(&list, &w));
	assert_false(wr_next_word(&list, &w));
}

TEST(numbers)
{
	uint64_t v = 7;

	assert_int_equal(wr_parse_u64(WR_STR("18446744073709551615"), &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(wr_parse_u64(WR_STR("0x1f"), &v), 0);
	assert_int_equal(v, 31);
	v = 7;
	assert_int_equal(wr_parse_u64(WR_STR("18446744073709551616"), &v), -ERANGE);
	assert_int_equal(wr_parse_u64(WR_STR(""), &v), -EINVAL);
	assert_int_equal(wr_parse_u64(WR_STR("1x"), &v), -EINVAL);
	assert_int_equal(v, 7); /* outputs stay untouched on failure */
	assert_int_equal(wr_parse_duration(WR_STR("1.5ms"), &v), 0);
	assert_int_equal(v, 1500000);
	assert_int_equal(wr_parse_duration(WR_STR("2"), &v), 0);
	assert_int_equal(v, 2000000000);
	assert_int_equal(wr_parse_duration(WR_STR("10parsec"), &v), -EINVAL);
	assert_int_equal(wr_parse_size(WR_STR("4k"), &v), 0);
	assert_int_equal(v, 4096);
	assert_int_equal(wr_parse_size(WR_STR("1MB"), &v), 0);
	assert_int_equal(v, 1000000);
}

TEST(addresses)
{
	struct wr_ip a, m, b;
	char t[WR_IP_TEXT];

	assert_int_equal(wr_ip_parse(WR_STR("10.1.2.3/8"), &a, &m), 0);
	wr_ip_text(&a, t);
	assert_string_equal(t, "10.0.0.0");
	wr_ip_parse(WR_STR("10.200.0.9"), &b, NULL);
	assert_true(wr_ip_in(&b, &a, &m));
	wr_ip_parse(WR_STR("11.0.0.1"), &b, NULL);
	assert_false(wr_ip_in(&b, &a, &m));
	assert_int_equal(wr_ip_parse(WR_STR("2001:db8::/33"), &a, &m), 0);
	wr_ip_parse(WR_STR("2001:db8:7fff::1"), &b, NULL);
	assert_true(wr_ip_in(&b, &a, &m));
	wr_ip_parse(WR_STR("2001:db8:8000::1"), &b, NULL);
	assert_false(wr_ip_in(&b, &a, &m));
	assert_int_equal(wr_ip_parse(WR_STR("10.0.0.1/33"), &a, &m), -EINVAL);
	assert_int_equal(wr_ip_parse(WR_STR("300.0.0.1"), &a, &m), -EINVAL);
	assert_int_equal(wr_ip_text(&b, t), 16);
	assert_string_equal(t, "2001:db8:8000::1");
}

TEST(json_is_always_utf8)
{
	struct wr_buf b = WR_BUF(256);

	wr_buf_json(&b, WR_STR("a\"\\\n\x01\xff\xc3\xa9\xed\xa0\x80"));
	assert_text(b,
		"\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	wr_buf_text(&b, WR_STR("ok\x1b[31m\xc2\x9b"), 64);
	assert_text(b, "ok?[31m?");
	wr_buf_free(&b);
}

TEST(buffer_has_a_ceiling)
{
	struct wr_buf b = WR_BUF(10);

	wr_buf_put(&b, "12345678", 8);
	wr_buf_put(&b, "abc", 3);
	assert_true(b.cut);
	assert_int_equal(b.n, 8);
	wr_buf_free(&b);
}

struct obj {
	struct wr_hnode node;
	unsigned v;
};

TEST(table_and_slab)
{
	struct wr_htab t = {0};
	struct wr_slab s = WR_SLAB(struct obj, 1024);
	unsigned seen = 0;

	for (unsigned i = 0; i < 1024; i++) {
		struct obj *o = wr_slab_get(&s);

		assert_non_null(o);
		o->v = i;
		assert_int_equal(wr_htab_add(&t, &o->node, i % 100), 0);
	}
	assert_null(wr_slab_get(&s));
	assert_int_equal(s.refused, 1);
	for (struct wr_hnode *n = wr_htab_first(&t, 5); n; n = wr_htab_next(n->next, 5))
		seen++;
	assert_int_equal(seen, 11);
	wr_htab_each (&t, i, n) {
		struct obj *o = wr_container(n, struct obj, node);

		wr_htab_del(&t, n);
		wr_slab_put(&s, o);
	}
	assert_int_equal(t.n, 0);
	assert_int_equal(s.used, 0);
	wr_htab_free(&t);
	wr_slab_free(&s);
}

struct cfg {
	bool b;
	uint64_t n, d;
	const char *t;
};
static const struct wr_opt rows[] = {
	{"bool", 'b', WR_OPT_BOOL, offsetof(struct cfg, b), NULL, NULL, "", 0, 0},
	{"number", 'n', WR_OPT_U64, offsetof(struct cfg, n), "5", "N", "", 1, 100},
	{"time", 0, WR_OPT_DURATION, offsetof(struct cfg, d), NULL, "T", "", 0, 0},
	{"text", 0, WR_OPT_TEXT, offsetof(struct cfg, t), NULL, "S", "", 0, 0},
};

TEST(options)
{
	struct wr_opts o = {rows, WR_N(rows)};
	struct cfg c = {0};
	struct wr_opt_set set = {o, &c};
	struct wr_err e;
	char *argv[] = {(char[]){"x"}, (char[]){"file"}, (char[]){"-b"}, (char[]){"--number=7"},
		(char[]){"--time"}, (char[]){"2s"}, (char[]){"--"}, (char[]){"-n"}};
	char *bad[] = {(char[]){"x"}, (char[]){"--numbr"}, (char[]){"3"}};
	char *range[] = {(char[]){"x"}, (char[]){"-n"}, (char[]){"500"}};

	wr_opt_defaults(&o, &c);
	assert_int_equal(c.n, 5);
	assert_int_equal(wr_opt_parse(&set, 1, 8, argv, &e), 2);
	assert_string_equal(argv[0], "file");
	assert_string_equal(argv[1], "-n");
	assert_true(c.b && c.n == 7 && c.d == 2000000000);
	assert_int_equal(wr_opt_parse(&set, 1, 3, bad, &e), -EINVAL);
	assert_non_null(strstr(e.text, "did you mean '--number'"));
	assert_int_equal(wr_opt_parse(&set, 1, 3, range, &e), -EINVAL);
	assert_non_null(strstr(e.text, "between 1 and 100"));
}

TEST(host_and_port)
{
	static const struct {
		const char *text, *host, *port;
	} good[] = {{"a.test:80", "a.test", "80"}, {"a.test", "a.test", ""},
		{"[::1]:22", "::1", "22"}, {"[::1]", "::1", ""}, {"2001:db8::1", "2001:db8::1", ""},
		{":22", "", "22"}, {"10.0.0.0/8:53", "10.0.0.0/8", "53"}};
	static const char *const bad[] = {"", "a:", "[::1", "[]:1", "[::1]x", "[::1]:", ":"};
	struct wr_str host, port;

	for (unsigned i = 0; i < WR_N(good); i++) {
		assert_true(wr_host_port(wr_str(good[i].text), &host, &port));
		assert_true(wr_str_eq(host, wr_str(good[i].host)));
		assert_true(wr_str_eq(port, wr_str(good[i].port)));
	}
	for (unsigned i = 0; i < WR_N(bad); i++) {
		if (wr_host_port(wr_str(bad[i]), &host, &port))
			fail_msg("%s", bad[i]);
	}
}

/* Long texts are whole, or the buffer says that it is cut. */
TEST(printf_long)
{
	char text[5000];
	struct wr_buf b = WR_BUF(16384), small = WR_BUF(3000);

	for (size_t n = 1000; n < sizeof(text); n += 7) {
		memset(text, 'a' + (int)(n % 26), n);
		text[n] = 0;
		b.n = 0;
		wr_buf_printf(&b, "<%s>", text);
		assert_int_equal(b.n, n + 2);
		assert_memory_equal(b.p + 1, text, n);
		assert_int_equal(b.p[n + 1], '>');
	}
	assert_false(b.cut);
	wr_buf_printf(&small, "%s", text);
	assert_true(small.cut);
	assert_int_equal(small.n, 0);
	wr_buf_free(&b);
	wr_buf_free(&small);
}

TEST_MAIN(RUN(printf_long), RUN(words_of_a_list), RUN(numbers), RUN(addresses), RUN(host_and_port),
	RUN(json_is_always_utf8), RUN(buffer_has_a_ceiling), RUN(table_and_slab), RUN(options))
