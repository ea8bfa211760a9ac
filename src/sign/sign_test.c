// SPDX-License-Identifier: Apache-2.0
/* Rules, what they match, wherever the stream is cut; and files that are no rules. */
#include "../../tests/lib/test.h"
#include "../base/ip.h"
#include "sign.h"

static char file[64];
static char fired[256]; /* numbers of the rules that matched, in order of the first match */
static unsigned n_fired;
static struct wr_sign_hit last_hit;

static void put_file(const char *text)
{
	FILE *f;

	snprintf(file, sizeof(file), "/tmp/weir-sign-%d.rules", getpid());
	f = fopen(file, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static char why[512];
static void refused(void *ctx, const struct wr_sign_refusal *r)
{
	(void)ctx;
	snprintf(why, sizeof(why), "%u: %" PRIu64 ": %s", r->line, r->sid, r->why);
}

static struct wr_sign *load(const char *text)
{
	struct wr_sign *s = wr_sign_new();
	struct wr_err e = {.text = ""};

	put_file(text);
	why[0] = 0;
	assert_non_null(s);
	if (wr_sign_load(s, file, refused, NULL, &e))
		fail_msg("%s", e.text);
	unlink(file);
	return s;
}

static void on_hit(void *ctx, const struct wr_sign_hit *h)
{
	struct wr_ev_match r;
	char word[32];

	(void)ctx;
	last_hit = *h;
	WR_INIT(&r, match);
	wr_sign_fill(h, &r);
	snprintf(word, sizeof(word), " %" PRIu64, r.sid);
	n_fired++;
	if (strlen(fired) + strlen(word) < sizeof(fired))
		snprintf(fired + strlen(fired), sizeof(fired) - strlen(fired), "%s", word);
}

struct message {
	char dir; /* 'c' the client's, 's' the server's, 'u' a datagram of the client */
	const char *text;
	size_t n; /* 0: strlen() */
};

/* @step: bytes at once; 0: a message at once */
static void say(
	struct wr_sign *s, const struct message *m, unsigned n, const char *protocol, size_t step)
{
	struct wr_sign_state *st = NULL;
	struct wr_sign_at at = {.protocol = protocol, .hit = on_hit};

	fired[0] = 0;
	n_fired = 0;
	for (unsigned i = 0; i < n && m[i].text; i++) {
		size_t len = m[i].n ? m[i].n : strlen(m[i].text);

		at.dir = m[i].dir == 's';
		at.udp = m[i].dir == 'u';
		for (size_t k = 0; k < len;) {
			size_t part = step && !at.udp ? wr_min(step, len - k) : len;
			/* exactly as long as it is, so that a read behind it is seen */
			uint8_t *copy = malloc(part);

			memcpy(copy, m[i].text + k, part);
			wr_sign_data(s, &st, &at, (struct wr_bytes){copy, part});
			free(copy);
			k += part;
		}
	}
	wr_sign_end(s, &st, &at);
	wr_sign_forget(s, &st);
}

#define GET                                                                                        \
	"GET /a%2Fb/%65tc/passwd?x=1 HTTP/1.1\r\nHost: Shop.Example\r\nUser-Agent: sqlmap/1.7\r\nCookie: id=7\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 5\r\n\r\nhello"
#define R(options) "alert tcp any any -> any any (msg:\"t\"; " options " sid:1;)\n"
#define H(options) "alert http any any -> any any (msg:\"t\"; " options " sid:1;)\n"

static const struct {
	const char *rule, *protocol;
	struct message m[4];
	bool matches;
} cases[] = {
	{R("content:\"passwd\";"), NULL, {{'c', GET, 0}}, true},
	{R("content:\"PASSWD\";"), NULL, {{'c', GET, 0}}, false},
	{R("content:\"PASSWD\"; nocase;"), NULL, {{'c', GET, 0}}, true},
	{R("flow:to_client; content:\"passwd\";"), NULL, {{'c', GET, 0}}, false},
	{R("flow:established,to_client; content:\"nginx\";"), NULL, {{'c', GET, 0}, {'s', OK, 0}},
		true},
	{R("content:\"GET\"; depth:3;"), NULL, {{'c', GET, 0}}, true},
	{R("content:\"GET\"; offset:1;"), NULL, {{'c', GET, 0}}, false},
	{R("content:\"ET\"; offset:1; depth:2;"), NULL, {{'c', GET, 0}}, true},
	{R("content:\"T /\"; offset:1; depth:3;"), NULL, {{'c', GET, 0}}, false},
	{R("content:\"GET\"; startswith; content:\"HTTP\"; distance:10; within:40;"), NULL,
		{{'c', GET, 0}}, true},
	{R("content:\"GET\"; content:\"HTTP\"; distance:0; within:10;"), NULL, {{'c', GET, 0}},
		false},
	/* the first place of "a" is not the one that "b" follows */
	{R("content:\"a\"; content:\"b\"; distance:0; within:1;"), NULL, {{'c', "axaxab", 0}},
		true},
	{R("content:\"a\"; content:\"b\"; distance:0; within:1;"), NULL, {{'c', "axaxaxb", 0}},
		false},
	{R("content:\"ab\"; content:\"ab\"; distance:-1;"), NULL, {{'c', "ab", 0}}, false},
	{R("content:\"aa\"; content:\"aa\"; distance:-1; within:2;"), NULL, {{'c', "aaa", 0}},
		true},
	{R("content:\"|0d 0a 0D0a|\";"), NULL, {{'c', GET, 0}}, true},
	{R("content:\"a\\;b\\\"c\\\\\";"), NULL, {{'c', "xa;b\"c\\y", 0}}, true},
	{R("content:\"|00|\"; content:\"x\"; distance:0;"), NULL, {{'c', "\0\0x", 3}}, true},
	{R("content:\"passwd\"; content:!\"nobody\";"), NULL, {{'c', GET, 0}}, true},
	{R("content:\"passwd\"; content:!\"HTTP\";"), NULL, {{'c', GET, 0}}, false},
	{R("content:\"hello\"; endswith;"), NULL, {{'c', GET, 0}, {'s', OK, 0}}, true},
	{R("content:\"hell\"; endswith;"), NULL, {{'c', GET, 0}, {'s', OK, 0}}, false},
	{R("content:\"hello\"; isdataat:!1,relative;"), NULL, {{'s', OK, 0}}, true},
	{R("content:\"hell\"; isdataat:1,relative;"), NULL, {{'s', OK, 0}}, true},
	{R("content:\"hello\"; isdataat:1,relative;"), NULL, {{'s', OK, 0}}, false},
	{R("content:\"GET\"; pcre:\"/e?tc.passwd\\?x=\\d/\";"), NULL, {{'c', GET, 0}}, true},
	{R("content:\"GET\"; pcre:\"/PASSWD/i\";"), NULL, {{'c', GET, 0}}, true},
	{R("content:\"GET\"; pcre:\"/^ .a/R\";"), NULL, {{'c', GET, 0}}, true},
	{R("content:\"GET\"; pcre:\"/^GET/R\";"), NULL, {{'c', GET, 0}}, false},
	{R("content:\"GET\"; pcre:!\"/passwd/\";"), NULL, {{'c', GET, 0}}, false},
	{R("pcre:\"/pas{2}wd/\";"), NULL, {{'c', GET, 0}}, true},
	{R("content:\"x\"; dsize:1;"), NULL, {{'c', "x", 0}, {'s', "y", 0}}, true},
	{R("content:\"x\"; dsize:<3;"), NULL, {{'c', "xyz", 0}, {'s', "y", 0}}, false},
	{R("content:\"x\"; dsize:2<>4;"), NULL, {{'c', "xyz", 0}, {'s', "y", 0}}, true},
	{R("content:\"x\"; dsize:>2;"), NULL, {{'c', "xyz", 0}}, true},
	{R("content:\"x\"; dsize:>3;"), NULL, {{'c', "xyz", 0}}, false},
	{R("content:\"x\"; byte_test:2,>,500,0,relative;"), NULL, {{'c', "..x\x02\x00", 5}}, true},
	{R("content:\"x\"; byte_test:2,>,600,0,relative;"), NULL, {{'c', "..x\x02\x00", 5}}, false},
	{R("content:\"x\"; byte_test:2,=,2,0,relative,little;"), NULL, {{'c', "..x\x02\x00", 5}},
		true},
	{R("content:\"len=\"; byte_test:4,>,1000,0,relative,string,dec;"), NULL,
		{{'c', "len=2048;", 0}}, true},
	{R("content:\"L\"; byte_jump:1,0,relative; content:\"end\"; distance:0; within:3;"), NULL,
		{{'c', "L\x02..end", 7}}, true},
	{R("content:\"L\"; byte_jump:1,0,relative; content:\"end\"; distance:0; within:3;"), NULL,
		{{'c', "L\x03..end", 7}}, false},
	/* over the end of a message, with an answer between: an attacker may do so */
	{R("content:\"secret-word\";"), NULL,
		{{'c', "GET / secret", 0}, {'s', "ok", 0}, {'c', "-word", 0}}, true},
	{R("content:\"secret\"; depth:6;"), NULL,
		{{'c', "x", 0}, {'s', "y", 0}, {'c', "secret", 0}}, true},
	{R("content:\"sets\"; flowbits:set,a; flowbits:noalert;") "alert tcp any any -> any any (content:\"asks\"; flowbits:isset,a; sid:2;)\n",
		NULL, {{'c', "sets", 0}, {'s', "asks", 0}}, true},
	{R("content:\"sets\"; flowbits:set,a; flowbits:noalert;") "alert tcp any any -> any any (content:\"asks\"; flowbits:isset,a; sid:2;)\n",
		NULL, {{'c', "no", 0}, {'s', "asks", 0}}, false},
	{R("content:\"asks\"; flowbits:isnotset,a;"), NULL, {{'c', "asks", 0}}, true},
	/* parts of HTTP */
	{H("http.method; content:\"GET\"; http.uri; content:\"/etc/passwd\";"), "http",
		{{'c', GET, 0}}, true},
	{H("content:\"/etc/passwd\";"), "http", {{'c', GET, 0}}, false},
	{H("http.uri.raw; content:\"%65tc\";"), "http", {{'c', GET, 0}}, true},
	{H("content:\"/etc/passwd\"; http_uri; content:\"sqlmap\"; http_user_agent;"), "http",
		{{'c', GET, 0}}, true},
	{H("http.host; content:\"shop.example\";"), "http", {{'c', GET, 0}}, true},
	{H("http.host.raw; content:\"shop.example\";"), "http", {{'c', GET, 0}}, false},
	{H("http.cookie; content:\"id=7\"; startswith; endswith;"), "http", {{'c', GET, 0}}, true},
	{H("http.header; content:\"passwd\";"), "http", {{'c', GET, 0}}, false},
	{H("http.header; content:\"Cookie|3a|\";"), "http", {{'c', GET, 0}}, true},
	{H("http.stat_code; content:\"200\"; http.server; content:\"nginx\"; file.data; content:\"hello\";"),
		"http", {{'c', GET, 0}, {'s', OK, 0}}, true},
	{H("http.uri; content:\"/2\";"), "http",
		{{'c', "GET /1 HTTP/1.1\r\nContent-Length: 2\r\n\r\n..GET /2 HTTP/1.1\r\n\r\n", 0}},
		true},
	{H("http.request_body; content:\"..\"; dsize:<1000;"), "http",
		{{'c', "GET /1 HTTP/1.1\r\nContent-Length: 2\r\n\r\n..GET /2 HTTP/1.1\r\n\r\n", 0},
			{'s', OK, 0}},
		true},
	{H("http.uri; content:\"/etc\"; pcre:\"/passwd$/U\";"), "http",
		{{'c', "GET /%65tc/passwd HTTP/1.0\r\n\r\n", 0}}, true},
	{H("content:\"GET\";"), "redis", {{'c', GET, 0}}, false},
	{H("content:\"GET\";"), NULL, {{'c', GET, 0}}, false},
	/* names */
	{"alert dns any any -> any any (dns.query; content:\"evil.example\"; nocase; endswith; sid:1;)\n",
		"dns",
		{{'u',
			"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x04"
			"Evil\x07"
			"example\0\0\x01\0\x01",
			34}},
		true},
	{"alert dns any any -> any any (dns.query; content:\"evil.example\"; nocase; endswith; sid:1;)\n",
		"dns",
		{{'u',
			"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x04"
			"good\x07"
			"example\0\0\x01\0\x01",
			34}},
		false},
	{"alert udp any any -> any any (content:\"ping\"; dsize:4; sid:1;)\n", NULL,
		{{'u', "ping", 0}}, true},
	{"alert udp any any -> any any (content:\"ping\"; dsize:4; sid:1;)\n", NULL,
		{{'c', "ping", 0}}, false},
	{"alert tcp any any -> any any (content:\"ping\"; sid:1;)\n", NULL, {{'u', "ping", 0}},
		false},
	{"alert ip any any -> any any (content:\"ping\"; sid:1;)\n", NULL, {{'u', "ping", 0}},
		true},
};

TEST(what_matches_wherever_it_is_cut)
{
	static const size_t steps[] = {0, 1, 2, 3, 7, 50};

	for (unsigned i = 0; i < WR_N(cases); i++) {
		struct wr_sign *s = load(cases[i].rule);

		if (why[0])
			fail_msg("%s: %s", cases[i].rule, why);
		for (unsigned k = 0; k < WR_N(steps); k++) {
			say(s, cases[i].m, WR_N(cases[i].m), cases[i].protocol, steps[k]);
			if ((n_fired > 0) != cases[i].matches || n_fired > 1)
				fail_msg("case %u, %zu bytes at once: %u matches (%s) of %s", i,
					steps[k], n_fired, fired, cases[i].rule);
		}
		wr_sign_free(s);
	}
}

/* Each message once; the place is told in bytes of the stream. */
TEST(messages)
{
	struct wr_sign *s = load(R("content:\"bad\";"));
	struct message m[6] = {{'c', "a bad", 0}, {'s', "ok", 0}, {'c', "bad bad", 0},
		{'s', "ok", 0}, {'c', "good", 0}, {'s', "bad", 0}};
	static char big[70000];

	say(s, m, 6, NULL, 0);
	assert_string_equal(fired, " 1 1 1");
	/* far behind in a long message, over the border of what is looked at at once */
	memset(big, 'x', sizeof(big));
	for (size_t at = 4094; at < 69000; at += 4096)
		memcpy(big + at, at == 4094 + 4096 * 9 ? "bad" : "bxd", 3);
	m[0] = (struct message){'c', big, sizeof(big)};
	say(s, m, 1, NULL, 0);
	assert_string_equal(fired, " 1");
	assert_int_equal(last_hit.offset, 4094 + 4096 * 9);
	wr_sign_free(s);
}

/* What is missing is not seen as if it followed. */
TEST(gaps)
{
	struct wr_sign *s = load(R(
		"content:\"abcd\";") "alert tcp any any -> any any (content:\"ef\"; depth:2; sid:2;)\n");
	struct wr_sign_state *st = NULL;
	struct wr_sign_at at = {.hit = on_hit};

	fired[0] = 0;
	wr_sign_data(s, &st, &at, (struct wr_bytes){(const uint8_t *)"ab", 2});
	wr_sign_gap(s, &st, &at, 10);
	wr_sign_data(s, &st, &at, (struct wr_bytes){(const uint8_t *)"cd", 2});
	assert_string_equal(fired, "");
	wr_sign_gap(s, &st, &at, 10);
	/* the begin of a message is not known there */
	wr_sign_data(s, &st, &at, (struct wr_bytes){(const uint8_t *)"ef abcd", 7});
	assert_string_equal(fired, " 1");
	assert_int_equal(last_hit.offset, 27);
	wr_sign_forget(s, &st);
	wr_sign_free(s);
}

static bool fires(struct wr_sign *s, const char *src, unsigned sport, const char *dst,
	unsigned dport, uint64_t at)
{
	struct wr_ev_match r;
	struct wr_ip a, b, mask;

	assert_int_equal(wr_ip_parse(wr_str(src), &a, &mask), 0);
	assert_int_equal(wr_ip_parse(wr_str(dst), &b, &mask), 0);
	WR_INIT(&r, match);
	r.time = at * 1000000000ull;
	r.sender = WR_STR("client");
	r.client_ip = a;
	r.client_port = sport;
	r.server_ip = b;
	r.server_port = dport;
	return wr_sign_fires(s, last_hit.rule, &r);
}

static struct wr_sign *matched(const char *rule)
{
	struct wr_sign *s = load(rule);
	struct message m = {'c', "x", 0};

	if (why[0])
		fail_msg("%s: %s", rule, why);
	say(s, &m, 1, NULL, 0);
	assert_int_equal(n_fired, 1);
	return s;
}

TEST(ends)
{
	struct wr_sign *s = matched(
		"alert tcp [10.0.0.0/8,!10.1.0.0/16,2001:db8::/32] 1024: -> !192.0.2.1 [80,8000:8080,!8010] (content:\"x\"; sid:1;)\n");

	assert_true(fires(s, "10.2.3.4", 40000, "198.51.100.1", 80, 1));
	assert_true(fires(s, "2001:db8::7", 1024, "198.51.100.1", 8080, 1));
	assert_false(fires(s, "10.1.3.4", 40000, "198.51.100.1", 80, 1));
	assert_false(fires(s, "11.1.3.4", 40000, "198.51.100.1", 80, 1));
	assert_false(fires(s, "10.2.3.4", 1000, "198.51.100.1", 80, 1));
	assert_false(fires(s, "10.2.3.4", 40000, "192.0.2.1", 80, 1));
	assert_false(fires(s, "10.2.3.4", 40000, "198.51.100.1", 8010, 1));
	assert_false(fires(s, "10.2.3.4", 40000, "198.51.100.1", 81, 1));
	wr_sign_free(s);
	s = matched(
		"ipvar NET [192.0.2.0/24,!192.0.2.9]\nalert tcp $NET any <> $HOME_NET $HTTP_PORTS (content:\"x\"; sid:1;)\n");
	assert_true(fires(s, "192.0.2.1", 1, "10.0.0.1", 2, 1));
	assert_true(fires(s, "10.0.0.1", 1, "192.0.2.1", 2, 1));
	assert_false(fires(s, "192.0.2.9", 1, "10.0.0.1", 2, 1));
	assert_false(fires(s, "192.0.2.1", 1, "8.8.8.8", 2, 1));
	wr_sign_free(s);
}

static unsigned count(const char *threshold, unsigned n, unsigned sources)
{
	char rule[256];
	struct wr_sign *s;
	unsigned yes = 0;

	snprintf(rule, sizeof(rule), "alert tcp any any -> any any (content:\"x\"; %s sid:1;)\n",
		threshold);
	s = matched(rule);
	/* one each second, from each source */
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < sources; k++) {
			char src[32];

			snprintf(src, sizeof(src), "10.0.%u.%u", k / 250, k % 250 + 1);
			yes += fires(s, src, 1, "10.9.9.9", 80, 100 + i);
		}
	}
	wr_sign_free(s);
	return yes;
}

TEST(thresholds)
{
	assert_int_equal(count("", 30, 1), 30);
	assert_int_equal(
		count("threshold: type limit, track by_src, count 2, seconds 10;", 30, 1), 6);
	assert_int_equal(
		count("threshold: type limit, track by_src, count 2, seconds 10;", 30, 5), 30);
	assert_int_equal(
		count("threshold: type limit, track by_dst, count 2, seconds 10;", 30, 5), 6);
	assert_int_equal(
		count("threshold: type threshold, track by_src, count 5, seconds 10;", 30, 1), 6);
	assert_int_equal(
		count("threshold: type threshold, track by_src, count 20, seconds 10;", 30, 1), 0);
	assert_int_equal(
		count("threshold: type both, track by_src, count 5, seconds 10;", 30, 1), 3);
	assert_int_equal(count("detection_filter: track by_src, count 5, seconds 10;", 30, 1), 15);
	/* more sources than are kept: some begin anew, none fires too early */
	assert_int_equal(
		count("threshold: type threshold, track by_src, count 40, seconds 100;", 30, 20000),
		0);
}

/* A rule that is half understood is left out, with the reason. */
TEST(what_is_not_known)
{
	static const struct {
		const char *rule, *why;
	} no[] = {
		{R("content:\"x\"; luajit:a.lua;"), "1: 1: the word luajit"},
		{R("content:\"|zz|\";"), "1: 1: hexadecimal digits that are none"},
		{R("content:\"|0|\";"), "1: 1: hexadecimal digits that are none"},
		{R("content:\"|00\";"), "1: 1: hexadecimal digits without an end"},
		{R("content:\"\";"), "1: 1: an empty content"},
		{R("content:x;"), "1: 1: a text without quotes"},
		{R("content:\"x\",nocase;"),
			"1: 1: something behind a text (the language of Snort 3?)"},
		{R("nocase;"), "1: 1: nocase without a content before it"},
		{R("content:\"x\"; depth:many;"), "1: 1: 'many' is not a number that fits"},
		{R("pcre:\"/(/\";"), "1: 1: pcre: missing closing parenthesis at character 2"},
		{R("pcre:\"/a/Z\";"), "1: 1: the flag Z of a pcre"},
		{R("flow:not_established; content:\"x\";"), "1: 1: flow: 'not_established'"},
		{R("flow:to_server;"), "1: 1: no content: nothing to look for in what is sent"},
		{"alert tcp $NOWHERE any -> any any (content:\"x\"; sid:1;)\n",
			"1: 1: $NOWHERE: a variable that is not set"},
		{"alert tcp any 99999 -> any any (content:\"x\"; sid:1;)\n",
			"1: 1: 99999: not a port or a range of ports"},
		{"alert tcp 1.2.3 any -> any any (content:\"x\"; sid:1;)\n",
			"1: 1: 1.2.3: not an address or a network"},
		{"alert tcp !any any -> any any (content:\"x\"; sid:1;)\n",
			"1: 1: !any: not any: nothing can match"},
		{"alert sctp any any -> any any (content:\"x\"; sid:1;)\n",
			"1: 1: the protocol sctp"},
		{"pass tcp any any -> any any (content:\"x\"; sid:1;)\n", "1: 1: the action pass"},
		{R("content:\"x\"; threshold: type limit, track by_src, count 0, seconds 1;"),
			"1: 1: a threshold has a type, count and seconds"},
		{"ipvar A $B\nipvar B $A\nalert tcp $A any -> any any (content:\"x\"; sid:7;)\n",
			"3: 7: $A: lists or variables too deep in each other"},
	};

	for (unsigned i = 0; i < WR_N(no); i++) {
		struct wr_sign *s = load(no[i].rule);
		struct wr_sign_stats st;

		assert_string_equal(why, no[i].why);
		wr_sign_stats(s, &st);
		assert_int_equal(st.rules, 0);
		assert_int_equal(st.refused, 1);
		wr_sign_free(s);
	}
}

static void no_rules(const char *text, const char *want)
{
	struct wr_sign *s = wr_sign_new();
	struct wr_err e = {.text = ""};
	const char *said;

	put_file(text);
	assert_true(wr_sign_load(s, file, NULL, NULL, &e) < 0);
	said = strstr(e.text, ".rules:");
	assert_non_null(said);
	assert_string_equal(said + 7, want);
	unlink(file);
	wr_sign_free(s);
}

TEST(files_that_are_none)
{
	struct wr_sign *s = wr_sign_new();
	struct wr_err e = {.text = ""};

	no_rules("# ok\nhello\n", "2: not a rule: HEADER (OPTIONS) is one");
	no_rules("alert tcp any any -> any (content:\"x\"; sid:1;)\n",
		"1: not a rule: its header is ACTION PROTOCOL ADDRESS PORT -> ADDRESS PORT");
	no_rules("alert tcp any any - any any (content:\"x\"; sid:1;)\n",
		"1: not a rule: its header is ACTION PROTOCOL ADDRESS PORT -> ADDRESS PORT");
	no_rules("shout tcp any any -> any any (content:\"x\"; sid:1;)\n",
		"1: not a rule: it begins with alert, drop or reject");
	no_rules("alert tcp any any -> any any (content:\"x; sid:1;)\n",
		"1: a text without its closing quote");
	no_rules("alert tcp any any -> any any (content:\"x\"; sid:1)\n",
		"1: an option without ';' behind it");
	no_rules("\n\nalert tcp any any -> any any (content:\"x\";)\n", "3: a rule without sid");
	no_rules("ipvar X\n",
		"1: a variable is: ipvar NAME VALUE (of at most 511 bytes; at most 64)");
	assert_int_equal(wr_sign_load(s, "/nonexistent.rules", NULL, NULL, &e), -ENOENT);
	assert_string_equal(e.text,
		"detect.signatures: cannot open /nonexistent.rules: No such file or directory");
	wr_sign_free(s);
	/* over several lines */
	s = load("alert tcp any any -> any any \\\n  (content:\"x\"; \\\n sid:1;)\n");
	wr_sign_free(s);
}

/* Rules that would take for ever do not. */
TEST(bounded)
{
	struct wr_sign *s = load(R(
		"content:\"a\"; content:\"a\"; distance:0; content:\"a\"; distance:0; content:\"a\"; distance:0; content:\"b\"; distance:0;") "alert tcp any any -> any any (content:\"a\"; pcre:\"/(a+)+$/\"; sid:2;)\n");
	struct wr_sign_stats st;
	char text[4001];
	struct message m = {'c', text, 0};

	memset(text, 'a', 4000);
	text[4000] = 0;
	text[3999] = '!';
	say(s, &m, 1, NULL, 0);
	assert_string_equal(fired, "");
	wr_sign_stats(s, &st);
	assert_true(st.given_up > 0);
	wr_sign_free(s);
}

/* Other rules while connections are open. */
TEST(reload)
{
	struct wr_sign *s = load(R("content:\"old\";")), *fresh;
	struct wr_sign_state *st = NULL;
	struct wr_sign_at at = {.hit = on_hit};

	fired[0] = 0;
	wr_sign_data(s, &st, &at, (struct wr_bytes){(const uint8_t *)"ol", 2});
	fresh = load("alert tcp any any -> any any (content:\"new\"; sid:5;)\n");
	wr_sign_take(s, fresh);
	wr_sign_data(s, &st, &at, (struct wr_bytes){(const uint8_t *)"d new", 5});
	assert_string_equal(fired, " 5");
	wr_sign_take(s, wr_sign_new());
	assert_false(wr_sign_has_rules(s));
	wr_sign_data(s, &st, &at, (struct wr_bytes){(const uint8_t *)"new", 3});
	assert_string_equal(fired, " 5");
	wr_sign_forget(s, &st);
	wr_sign_free(s);
}

TEST_MAIN(RUN(what_matches_wherever_it_is_cut), RUN(messages), RUN(gaps), RUN(ends),
	RUN(thresholds), RUN(what_is_not_known), RUN(files_that_are_none), RUN(bounded),
	RUN(reload))
