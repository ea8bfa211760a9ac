// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "config.h"

static int parse(const char *text, struct wr_config *c, struct wr_err *e)
{
	return wr_config_parse("f.yaml", text, strlen(text), c, e);
}

TEST(reads_over_defaults)
{
	struct wr_config c;
	struct wr_err e;

	assert_int_equal(
		parse("conns:\n  max: 5000\n  udp_idle: 10s\nlog:\n  level: debug\n", &c, &e), 0);
	assert_int_equal(c.max_conns, 5000);
	assert_true(c.udp_idle == 10000000000ull);
	assert_string_equal(c.log, "debug");
	assert_int_equal(c.state_ring, 2 << 20);
	wr_config_free(&c);
	assert_int_equal(parse("", &c, &e), 0);
	wr_config_free(&c);
	assert_int_equal(parse("# nothing\nconns:\n", &c, &e), 0);
	wr_config_free(&c);
}

TEST(wrong_files_are_refused_with_a_line)
{
	static const struct {
		const char *text, *want;
	} bad[] = {
		{"conns:\n  mx: 5\n",
			"f.yaml:2: there is no option 'conns.mx'; did you mean 'conns.max'?"},
		{"conns:\n  max: many\n", "f.yaml:2: 'conns.max' wants a number"},
		{"conns:\n  max: 5\n", "f.yaml:2: 'conns.max' must be between"},
		{"rings:\n  state: 100000\n", "f.yaml:2: 'rings.state' must be a power of two"},
		{"conns: [1]\n", "f.yaml:1: a list"},
		{"a:\n  b:\n    c: 1\n", "nested too deep"},
		{"conns:\n  max: 5000\n bad\n", "f.yaml:"},
		{"\tx: 1\n", "f.yaml:1:"},
		{"just text\n", "f.yaml:1: expected 'section:'"},
		{"a: &x 1\nb: *x\n", "f.yaml:1: there is no option"},
	};

	for (unsigned i = 0; i < WR_N(bad); i++) {
		struct wr_config c = {.max_conns = 77};
		struct wr_err e = {.text = ""};

		assert_true(parse(bad[i].text, &c, &e) < 0);
		if (!strstr(e.text, bad[i].want))
			fail_msg("%s -> %s", bad[i].text, e.text);
		assert_int_equal(c.max_conns, 77); /* the running one stays */
	}
}

TEST(what_is_shown_reads_back)
{
	struct wr_config a, b;
	struct wr_buf t = WR_BUF(65536), d = WR_BUF(65536);
	struct wr_err e = {.text = ""};

	assert_int_equal(parse("agent:\n  host: \"a b\\\"c\"\nflows:\n  max: 2048\n", &a, &e), 0);
	wr_config_show(&a, &t);
	wr_buf_c(&t, 0);
	if (parse(t.p, &b, &e))
		fail_msg("%s", e.text);
	assert_int_equal(wr_config_diff(&a, &b, &d), 0);
	assert_string_equal(b.host, "a b\"c");
	wr_config_free(&b);
	wr_config_defaults(&b);
	assert_int_equal(wr_config_diff(&a, &b, &d), 2);
	wr_config_free(&a);
	wr_buf_free(&t);
	wr_buf_free(&d);
}

TEST_MAIN(RUN(reads_over_defaults), RUN(wrong_files_are_refused_with_a_line),
	RUN(what_is_shown_reads_back))
