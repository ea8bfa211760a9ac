// SPDX-License-Identifier: Apache-2.0
/* What is usual: learned from records of days, kept in a file, not moved by what is odd. */
#include "../../tests/lib/alerts.h"
#include "detect.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static struct wr_detect *d;
static uint64_t at;
static uint64_t seed;
static char file[64];
static const char *country; /* of the servers; NULL: not known */

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % n;
}

/* @learned: what the test before kept */
static void begin(const char *detector, bool learned)
{
	struct wr_err e = {.text = ""};

	snprintf(file, sizeof(file), "/tmp/weir-learn-%d", getpid());
	memset(&seen, 0, sizeof(seen));
	only = detector;
	d = wr_detect_new("h", true, look, NULL);
	assert_non_null(d);
	if (learned && wr_detect_load(d, file, &e))
		fail_msg("%s", e.text);
}

static void limits(const struct wr_limits *l)
{
	struct wr_err e = {.text = ""};

	if (wr_detect_limit(d, l, &e))
		fail_msg("%s", e.text);
}

static void quiet(void)
{
	wr_detect_tell(d, at, true);
	if (seen.n)
		fail_msg("%s: %s", seen.detector, seen.summary);
}

/* One incident of it. */
static void alarm_of(uint64_t least)
{
	wr_detect_tell(d, at, true);
	assert_int_equal(seen.ids, 1);
	assert_true(seen.count >= least);
}

static void conn(const char *from, const char *to, unsigned port, uint64_t up, uint64_t down)
{
	struct wr_ev_conn r;

	WR_INIT(&r, conn);
	WR_SET(&r, conn, transport, WR_STR("tcp"));
	WR_SET(&r, conn, event, WR_STR("close"));
	WR_SET(&r, conn, close_reason, WR_STR("fin"));
	WR_SET(&r, conn, client_ip, ip(from));
	WR_SET(&r, conn, client_port, 40000);
	WR_SET(&r, conn, server_ip, ip(to));
	WR_SET(&r, conn, server_port, port);
	if (country)
		WR_SET(&r, conn, server_country, wr_str(country));
	WR_SET(&r, conn, packets_to_server, 5);
	WR_SET(&r, conn, packets_to_client, 5);
	WR_SET(&r, conn, bytes_to_server, up);
	WR_SET(&r, conn, bytes_to_client, down);
	WR_SET(&r, conn, handshake_us, 100);
	WR_SET(&r, conn, first, at);
	WR_SET(&r, conn, last, at);
	wr_detect_event(d, &r.ev);
}

/* A web server behind its proxy, and its database: @days of them. */
static void shop(unsigned days)
{
	for (uint64_t until = at + days * DAY; at < until; at += 10 * MINUTE) {
		conn("10.0.0.2", "10.0.0.3", 80, 100, 1000);
		conn("10.0.0.3", "10.0.0.4", 5432, 100, 1000);
	}
}

TEST(ports)
{
	begin("unusual_port", false);
	at = 1700000000 * SECOND;
	shop(2);
	quiet();
	conn("10.0.0.3", "10.0.0.4", 4444, 100, 100); /* new to both, told of the one that serves */
	alarm_of(1);
	assert_string_equal(seen.source, "10.0.0.4");
	assert_string_equal(seen.target, "tcp port 4444");
	wr_detect_free(d);

	begin("unusual_port", false); /* too few days, and one who uses another at each time */
	at = 1700000000 * SECOND;
	for (unsigned i = 0; i < 5000; i++, at += MINUTE)
		conn("10.0.0.2", "203.0.113.3", 20000 + i % 3000, 100, 1000);
	conn("10.0.0.2", "203.0.113.3", 4444, 100, 1000);
	quiet();
	wr_detect_free(d);

	begin("unusual_port", false);
	at = 1700000000 * SECOND;
	shop(1);
	conn("10.0.0.3", "10.0.0.4", 4444, 100, 100);
	quiet();
	wr_detect_free(d);
}

TEST(peers)
{
	struct wr_limits l = wr_limits_default;

	begin("unusual_peer", false);
	at = 1700000000 * SECOND;
	shop(3);
	quiet();
	conn("10.0.0.3", "203.0.113.66", 443, 100, 100);
	alarm_of(1);
	assert_string_equal(seen.source, "10.0.0.3");
	assert_non_null(strstr(seen.summary, "203.0.113.66 port 443"));
	/* it goes on: an hour of it is no habit, and the next is odd, too */
	for (unsigned i = 0; i < 6; i++, at += 10 * MINUTE)
		conn("10.0.0.3", "203.0.113.66", 443, 100, 100);
	conn("10.0.0.3", "198.51.100.66", 443, 100, 100);
	alarm_of(8);
	/* on three days it is one */
	for (unsigned i = 0; i < 3; i++) {
		shop(1);
		conn("10.0.0.3", "203.0.113.66", 443, 100, 100);
	}
	memset(&seen, 0, sizeof(seen));
	shop(1);
	wr_detect_tell(d, at, true);
	memset(&seen, 0, sizeof(seen));
	conn("10.0.0.3", "203.0.113.67", 443, 100, 100); /* of the same network */
	quiet();
	wr_detect_free(d);

	begin("unusual_peer", false); /* a server of the Internet always has new clients */
	at = 1700000000 * SECOND;
	for (unsigned i = 0; i < 20000; i++, at += 20 * SECOND) {
		char from[32];

		snprintf(from, sizeof(from), "203.%u.%u.1", rnd(250), rnd(250));
		conn(from, "10.0.0.3", 443, 100, 1000);
	}
	quiet();
	wr_detect_free(d);

	begin("unusual_peer", false); /* said, not learned */
	l.peers = "10.0.0.3=10.0.0.0/24,10.0.0.3=192.0.2.7";
	limits(&l);
	at = 1700000000 * SECOND;
	conn("10.0.0.3", "10.0.0.99", 443, 100, 100);
	conn("10.0.0.3", "192.0.2.7", 443, 100, 100);
	quiet();
	conn("10.0.0.3", "192.0.2.8", 443, 100, 100);
	alarm_of(1);
	wr_detect_free(d);
}

/* A new peer in a country where nobody was talked to before is worse than one in a usual one. */
TEST(countries)
{
	struct wr_limits l = wr_limits_default;

	for (unsigned i = 0; i < 2; i++) {
		begin("unusual_peer", false);
		at = 1700000000 * SECOND;
		for (unsigned k = 0; k < 500; k++, at += 10 * MINUTE) {
			country = k % 5 ? "DE" : "FR";
			conn("10.0.0.3", k % 5 ? "203.0.113.1" : "198.51.100.1", 443, 100, 1000);
		}
		quiet();
		country = i ? "KP" : "DE";
		conn("10.0.0.3", "192.88.98.66", 443, 100, 100);
		alarm_of(1);
		assert_string_equal(seen.severity, i ? "high" : "medium");
		assert_int_equal(!strstr(seen.summary, "nobody of that country before"), !i);
		assert_non_null(strstr(seen.summary, i ? "(KP)" : "(DE)"));
		wr_detect_free(d);
	}

	begin("unusual_peer",
		false); /* under sanitizers: what is no such list is refused, not reckoned with */
	for (unsigned i = 0; i < 6; i++) {
		static const char *const bad[] = {
			"de", "=DE", "shop=", "shop=D", "shop=DE+", "shop=DE,x"};
		struct wr_err e = {.text = ""};

		l.peer_countries = bad[i];
		assert_int_equal(wr_detect_limit(d, &l, &e), -EINVAL);
	}
	l = wr_limits_default;
	wr_detect_free(d);

	begin("unusual_peer", false); /* said, not learned: from the first connection on */
	l.peers = "10.0.0.3=192.88.98.0/24";
	l.peer_countries = "*=DE+at,10.0.0.3=FR,10.0.0.4=KP";
	limits(&l);
	country = "AT";
	conn("10.0.0.4", "203.0.113.1", 443, 100, 100);
	country = "KP";
	conn("10.0.0.4", "203.0.113.2", 443, 100, 100);
	conn("10.0.0.3", "192.88.98.66", 443, 100, 100); /* detect.peers names it */
	country = NULL;
	conn("10.0.0.4", "203.0.113.3", 443, 100, 100); /* nobody knows where */
	quiet();
	country = "KP";
	conn("10.0.0.5", "203.0.113.2", 443, 100, 100);
	alarm_of(1);
	assert_string_equal(seen.source, "10.0.0.5");
	assert_non_null(strstr(seen.summary, "detect.peer_countries does not name KP"));
	country = NULL;
	wr_detect_free(d);
}

/* A flood of addresses takes nothing of what was learned. */
TEST(flood)
{
	begin("unusual_peer", false);
	at = 1700000000 * SECOND;
	shop(2);
	for (unsigned i = 0; i < 200000; i++, at += SECOND / 1000) {
		char from[32];

		snprintf(from, sizeof(from), "10.%u.%u.%u", 1 + rnd(250), rnd(250), rnd(250));
		conn(from, "10.9.9.9", 443, 100, 1000);
	}
	conn("10.0.0.3", "203.0.113.66", 443, 100, 100);
	alarm_of(1);
	wr_detect_free(d);
}

/* Connections a minute of a service: by day and night, and hardly any on weekends. */
static unsigned due(uint64_t t)
{
	unsigned hour = (unsigned)(t / HOUR % 24), day = (unsigned)((t / DAY + 4) % 7);

	return day == 0 || day == 6 ? 10 : hour >= 8 && hour < 18 ? 100 : 20;
}

static void week(unsigned days)
{
	for (uint64_t until = at + days * DAY; at < until;) {
		unsigned n = due(at) + rnd(due(at) / 5 + 1);

		for (unsigned i = 0; i < n; i++, at += MINUTE / n)
			conn("10.0.0.2", "10.0.0.3", 80, 500, 5000);
		at = (at / MINUTE + 1) * MINUTE;
	}
}

/* @n a minute for so many minutes */
static void minutes(unsigned minutes, unsigned n, const char *from)
{
	for (unsigned k = 0; k < minutes; k++) {
		for (unsigned i = 0; i < n; i++, at += MINUTE / (n + 1))
			conn(from, "10.0.0.3", 80, 500, 5000);
		if (!n) /* somebody else is seen, so it was watched */
			conn("10.0.0.50", "10.0.0.51", 22, 1, 1);
		at = (at / MINUTE + 1) * MINUTE;
	}
}

static const uint64_t monday = 1699833600 * SECOND; /* 2023-11-13 00:00 UTC */

TEST(baselines)
{
	struct wr_err e = {.text = ""};

	begin("baseline_deviation", false);
	at = monday;
	week(15);
	quiet(); /* two weekends are none */
	assert_int_equal(wr_detect_save(d, file, &e), 0);
	at += 3 * HOUR; /* at night: 100 is usual by day only, and this is more */
	minutes(10, 400, "10.0.0.2");
	alarm_of(8);
	assert_string_equal(
		seen.source, "10.0.0.2"); /* the pair explains its service and its client */
	assert_string_equal(seen.target, "10.0.0.3:80");
	wr_detect_free(d);

	begin("baseline_deviation",
		true); /* the same behind a restart; with many clients it is the service's */
	at = monday + 15 * DAY;
	week(1);
	quiet();
	for (unsigned k = 0; k < 10; k++) {
		for (unsigned i = 0; i < 4000; i++, at += MINUTE / 4001) {
			char from[32];

			snprintf(from, sizeof(from), "10.7.%u.%u", rnd(250), rnd(250));
			conn(from, "10.0.0.3", 80, 500, 5000);
		}
		at = (at / MINUTE + 1) * MINUTE;
	}
	alarm_of(7);
	assert_string_equal(seen.source, "");
	assert_non_null(strstr(seen.summary, "more connections"));
	wr_detect_free(d);

	begin("baseline_deviation", true); /* it falls silent by day */
	at = monday + 15 * DAY;
	for (uint64_t until = at + 10 * HOUR; at < until;)
		minutes(1, due(at), "10.0.0.2");
	quiet();
	minutes(8, 0, "");
	alarm_of(5);
	assert_non_null(strstr(seen.summary, "fewer connections"));
	wr_detect_free(d);

	begin("baseline_deviation", true); /* neither weir nor its host being away is an outage */
	at = monday + 15 * DAY + 10 * HOUR;
	week(1);
	at += 5 * HOUR;
	week(1);
	quiet();
	wr_detect_free(d);

	begin("baseline_deviation", false); /* nothing is known yet */
	at = monday + 8 * HOUR;
	minutes(600, 30, "10.0.0.2");
	minutes(20, 500, "10.0.0.2");
	quiet();
	wr_detect_free(d);
}

/* An attack of a day is not what is usual on the next. */
TEST(not_poisoned)
{
	begin("baseline_deviation", false);
	at = monday;
	week(3);
	minutes(24 * 60, 2000, "10.0.0.2");
	alarm_of(1000);
	at += 10 * MINUTE;
	week(1);
	wr_detect_tell(d, at, true);
	memset(&seen, 0, sizeof(seen));
	minutes(10, 2000, "10.0.0.2");
	alarm_of(7);
	wr_detect_free(d);
}

/* A request a second of a service; the largest of a minute is about @largest. */
static void requests(uint64_t span, uint64_t largest)
{
	for (uint64_t until = at + span; at < until; at += SECOND) {
		bool large = at / SECOND % 60 == 7;
		uint64_t n = large ? largest - rnd((unsigned)largest / 8) : 500 + rnd(500);
		struct wr_ev_request q;

		WR_INIT(&q, request);
		WR_SET(&q, request, time, at);
		WR_SET(&q, request, protocol, WR_STR("http"));
		WR_SET(&q, request, client_ip, ip("10.0.0.2"));
		WR_SET(&q, request, server_ip, ip("10.0.0.3"));
		WR_SET(&q, request, server_port, 80);
		WR_SET(&q, request, request_bytes, 300);
		WR_SET(&q, request, response_bytes, n);
		wr_detect_event(d, &q.ev);
	}
}

/* As many requests as ever, of the same service; single ones are far larger: the sum of all hardly tells. */
TEST(large_answers)
{
	begin("baseline_deviation", false);
	at = monday;
	requests(3 * DAY, 60000); /* one of them is always larger than the others */
	requests(MINUTE, 3000000); /* once is no news */
	requests(20 * MINUTE, 60000);
	quiet();
	requests(8 * MINUTE, 3000000);
	alarm_of(4);
	assert_non_null(strstr(seen.summary, "larger responses than usual"));
	assert_non_null(strstr(seen.summary, "bytes for the largest"));
	wr_detect_free(d);
	begin("baseline_deviation", false); /* that none is large is no news either */
	at = monday;
	requests(9 * DAY, 3000000);
	requests(HOUR, 1000);
	quiet();
	wr_detect_free(d);
}

static void call(const char *from, const char *method, const char *path)
{
	struct wr_ev_request q;

	WR_INIT(&q, request);
	WR_SET(&q, request, time, at);
	WR_SET(&q, request, protocol, WR_STR("http"));
	WR_SET(&q, request, client_ip, ip(from));
	WR_SET(&q, request, server_ip, ip("10.0.0.3"));
	WR_SET(&q, request, server_port, 80);
	WR_SET(&q, request, operation, wr_str(method));
	WR_SET(&q, request, resource, wr_str(path));
	WR_SET(&q, request, status, WR_STR("200"));
	wr_detect_event(d, &q.ev);
	at += SECOND;
}

/* A visit as the page makes it, with what people do: some look at more, some leave early. */
static void visit(const char *from)
{
	char path[96];

	call(from, "GET", "/");
	call(from, "POST", "/login");
	for (unsigned i = 0; i < 1 + rnd(5); i++) {
		snprintf(path, sizeof(path), "/items/%u?page=%u", rnd(100000), rnd(9));
		call(from, "GET", path);
		if (!rnd(3))
			call(from, "GET", "/cart");
	}
	if (rnd(2)) {
		snprintf(path, sizeof(path), "/orders/9f86d081-884c-7d65-9a2f-eaa0c55ad%03u",
			rnd(1000));
		call(from, "GET", "/cart");
		call(from, "POST", "/orders");
		call(from, "GET", path);
	}
	at += 40 * MINUTE;
}

TEST(calls)
{
	struct wr_limits l = wr_limits_default;
	char from[32];

	l.api_sequence_learn = 3600;
	begin("api_sequence", false);
	limits(&l);
	at = monday;
	for (unsigned i = 0; i < 400; i++) {
		snprintf(from, sizeof(from), "10.1.0.%u", rnd(200));
		visit(from);
	}
	quiet();
	/* somebody who goes through the orders without having been let in */
	for (unsigned i = 0; i < 3; i++) {
		call("10.1.0.250", "GET", "/orders/1");
		call("10.1.0.250", "GET", "/admin/export");
		call("10.1.0.250", "DELETE", "/items/5");
	}
	alarm_of(5);
	assert_string_equal(seen.source, "10.1.0.250");
	assert_string_equal(seen.target, "10.0.0.3:80");
	at += HOUR;
	wr_detect_tell(d, at, true); /* that is over */
	memset(&seen, 0, sizeof(seen));
	for (unsigned i = 0; i < 3; i++) { /* he comes again: it did not become usual */
		call("10.1.0.250", "GET", "/orders/1");
		call("10.1.0.250", "GET", "/admin/export");
		call("10.1.0.250", "DELETE", "/items/5");
	}
	alarm_of(5);
	wr_detect_free(d);

	/* a new version of the page: all clients do something else, the first few are told, then it is usual */
	begin("api_sequence", false);
	limits(&l);
	at = monday;
	for (unsigned i = 0; i < 200; i++) {
		snprintf(from, sizeof(from), "10.1.0.%u", rnd(200));
		visit(from);
	}
	for (unsigned i = 0; i < 200; i++) {
		snprintf(from, sizeof(from), "10.1.0.%u", rnd(200));
		call(from, "GET", "/v2/start");
		call(from, "GET", "/v2/items");
		call(from, "GET", "/v2/cart");
		at += 40 * MINUTE;
	}
	quiet();
	wr_detect_free(d);
}

static void damage(long offset, int byte)
{
	FILE *f = fopen(file, "r+");

	assert_non_null(f);
	fseek(f, offset, SEEK_SET);
	fputc(byte, f);
	fclose(f);
}

TEST(files)
{
	struct wr_err e = {.text = ""};
	struct stat st;

	begin("unusual_port", false);
	at = 1700000000 * SECOND;
	shop(2);
	assert_int_equal(wr_detect_save(d, file, &e), 0);
	wr_detect_free(d);
	wr_seed ^= 12345; /* another process */
	begin("unusual_port", true);
	conn("10.0.0.3", "10.0.0.4", 4444, 100, 100);
	alarm_of(1);
	wr_detect_free(d);

	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (unsigned i = 0; i < 200; i++) { /* any byte of it: refused, nothing of it is taken */
		long offset = (long)rnd((unsigned)st.st_size);
		FILE *f = fopen(file, "r");
		int was;

		assert_non_null(f);
		fseek(f, offset, SEEK_SET);
		was = fgetc(f);
		fclose(f);
		damage(offset, was ^ (1 + (int)rnd(255)));
		begin("unusual_port", false);
		assert_int_equal(wr_detect_load(d, file, &e), -EBADMSG);
		conn("10.0.0.3", "10.0.0.4", 4444, 100, 100);
		quiet();
		wr_detect_free(d);
		damage(offset, was);
	}
	assert_int_equal(truncate(file, st.st_size / 2), 0);
	begin("unusual_port", false);
	assert_int_equal(wr_detect_load(d, file, &e), -EBADMSG);
	assert_int_equal(truncate(file, 0), 0);
	assert_int_equal(wr_detect_load(d, file, &e), 0); /* nothing was learned */
	unlink(file);
	assert_int_equal(wr_detect_load(d, file, &e), 0);
	assert_int_equal(wr_detect_save(d, "/nonexistent/x", &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/x"));
	wr_detect_free(d);
}

TEST_MAIN(RUN(ports), RUN(peers), RUN(countries), RUN(flood), RUN(baselines), RUN(not_poisoned),
	RUN(large_answers),
	RUN(calls), RUN(files))
