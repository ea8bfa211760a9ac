// SPDX-License-Identifier: Apache-2.0
/* Each detector on records as an attack makes them, and on those of its healthy twin. */
#include "../../tests/lib/alerts.h"
#include "detect.h"
#include "dga.h"

#include <unistd.h>

#define SECOND 1000000000ull

static struct wr_detect *d;
static uint64_t at;

static void begin(const struct wr_limits *l)
{
	struct wr_err e = {.text = ""};

	memset(&seen, 0, sizeof(seen));
	d = wr_detect_new("h", false, look, NULL);
	assert_non_null(d);
	if (l && wr_detect_limit(d, l, &e))
		fail_msg("%s", e.text);
	at = 1700000000 * SECOND;
}

/* What was told: one incident of this detector, or (NULL) nothing. */
static void end(const char *detector)
{
	wr_detect_tell(d, at, true);
	if (detector) {
		assert_string_equal(seen.detector, detector);
		assert_int_equal(seen.ids, 1);
	} else if (seen.n) {
		fail_msg("%s: %s", seen.detector, seen.summary);
	}
	wr_detect_free(d);
}

/* A connection as it is told at @at: packets and bytes up and down. */
static struct wr_ev_conn conn(const char *transport, const char *from, const char *to,
	unsigned port, uint64_t packets_up, uint64_t up, uint64_t packets_down, uint64_t down)
{
	struct wr_ev_conn r;

	WR_INIT(&r, conn);
	WR_SET(&r, conn, transport, wr_str(transport));
	WR_SET(&r, conn, event, WR_STR("close"));
	WR_SET(&r, conn, close_reason, WR_STR("fin"));
	WR_SET(&r, conn, client_ip, ip(from));
	WR_SET(&r, conn, client_port, 40000);
	WR_SET(&r, conn, server_ip, ip(to));
	WR_SET(&r, conn, server_port, port);
	WR_SET(&r, conn, packets_to_server, packets_up);
	WR_SET(&r, conn, packets_to_client, packets_down);
	WR_SET(&r, conn, bytes_to_server, up);
	WR_SET(&r, conn, bytes_to_client, down);
	WR_SET(&r, conn, first, at);
	WR_SET(&r, conn, last, at);
	return r;
}

static void tell(struct wr_ev_conn r)
{
	wr_detect_event(d, &r.ev);
}

static const char *addr(unsigned n)
{
	static char t[32];

	snprintf(t, sizeof(t), "198.18.%u.%u", n / 250, 1 + n % 250);
	return t;
}

TEST(floods_of_datagrams)
{
	begin(NULL);
	for (unsigned i = 0; i < 2000; i++, at += SECOND / 1000)
		tell(conn("udp", addr(i), "10.0.0.9", 9999, 5, 500, 0, 0));
	end("udp_flood");
	assert_string_equal(seen.target, "10.0.0.9");
	assert_int_equal(seen.count, 10000);

	begin(NULL); /* a camera: fast, one source, one port, never answered */
	for (unsigned i = 0; i < 60; i++, at += SECOND) {
		struct wr_ev_conn r = conn("udp", "10.0.0.3", "10.0.0.9", 5004, 2000 * (i + 1ull),
			2000000 * (i + 1ull), 0, 0);

		WR_SET(&r, conn, conn, WR_STR("c1"));
		WR_SET(&r, conn, event, i < 59 ? WR_STR("update") : WR_STR("close"));
		WR_SET(&r, conn, first, 1700000000 * SECOND);
		tell(r);
	}
	end(NULL);

	begin(NULL); /* a busy resolver */
	for (unsigned i = 0; i < 20000; i++, at += SECOND / 2000)
		tell(conn("udp", addr(i % 500), "10.0.0.9", 53, 1, 40, 1, 120));
	end(NULL);
}

/* Who is there: in a network of which a few answer; watching those that do; errors to many clients. */
TEST(sweeps_of_icmp)
{
	for (unsigned type = 3; type <= 8; type += 5) {
		begin(NULL);
		for (unsigned i = 0; i < 254; i++, at += SECOND / 50) {
			struct wr_ev_conn r = conn("icmp", "10.0.0.3", addr(i), 0, 1, 56,
				type == 8 && i % 30 == 0, type == 8 && i % 30 == 0 ? 56 : 0);

			WR_SET(&r, conn, icmp_type, type);
			tell(r);
		}
		end(type == 8 ? "port_scan" : NULL);
	}
	assert_string_equal(seen.source, "10.0.0.3");
	assert_non_null(strstr(seen.summary, "10.0.0.3 pinged"));
	begin(NULL);
	for (unsigned i = 0; i < 2000; i++, at += SECOND / 4)
		tell(conn("icmp", "10.0.0.3", addr(i % 40), 0, 1, 56, i % 40 > 3, i % 40 > 3 ? 56 : 0));
	end(NULL);
}

TEST(floods_of_icmp)
{
	begin(NULL);
	for (unsigned i = 0; i < 10; i++, at += SECOND) {
		struct wr_ev_conn r =
			conn("icmp", "10.0.0.3", "10.0.0.9", 0, 1000 * (i + 1ull), 0, 0, 0);

		WR_SET(&r, conn, conn, WR_STR("c1"));
		WR_SET(&r, conn, event, WR_STR("update"));
		WR_SET(&r, conn, first, 1700000000 * SECOND);
		tell(r);
	}
	end("icmp_flood");
	assert_true(seen.count >= 8000);
	begin(NULL); /* ping for days */
	for (unsigned i = 0; i < 100; i++, at += 60 * SECOND) {
		struct wr_ev_conn r = conn("icmp", "10.0.0.3", "10.0.0.9", 0, 60 * (i + 1ull),
			60 * 56 * (i + 1ull), 60 * (i + 1ull), 60 * 56 * (i + 1ull));

		WR_SET(&r, conn, conn, WR_STR("c1"));
		WR_SET(&r, conn, event, WR_STR("update"));
		WR_SET(&r, conn, first, 1700000000 * SECOND);
		tell(r);
	}
	end(NULL);
}

TEST(reflection)
{
	begin(NULL); /* the victim: answers that nobody asked for, from many servers */
	for (unsigned i = 0; i < 500; i++, at += SECOND / 200) {
		struct wr_ev_conn r = conn("udp", addr(i), "10.0.0.9", 47123, 5, 2400, 0, 0);

		WR_SET(&r, conn, client_port, 123); /* who speaks first is taken for the client */
		tell(r);
	}
	end("amplification");
	assert_string_equal(seen.target, "10.0.0.9");
	assert_non_null(strstr(seen.summary, "NTP"));

	begin(NULL); /* the server here that is used */
	for (unsigned i = 0; i < 100; i++, at += SECOND / 50)
		tell(conn("udp", "203.0.113.7", "10.0.0.9", 11211, 1, 60, 20, 28000));
	end("amplification");
	assert_string_equal(seen.target, "203.0.113.7");

	begin(NULL); /* large answers of DNS to who asks a lot */
	for (unsigned i = 0; i < 5000; i++, at += SECOND / 500)
		tell(conn("udp", "10.0.0.3", "10.0.0.9", 53, 1, 60, 1, 300));
	end(NULL);
}

static void upload(uint64_t bytes, const char *to)
{
	struct wr_ev_conn r = conn("tcp", "10.0.0.3", to, 443, bytes / 1000, bytes, 10, 5000);

	WR_SET(&r, conn, client_process, WR_STR("rclone"));
	tell(r);
}

TEST(data_that_leaves)
{
	begin(NULL);
	for (unsigned i = 0; i < 3; i++, at += 60 * SECOND) /* little, as always */
		upload(100000, "198.51.100.9");
	upload(80000000, "203.0.113.50");
	end("exfiltration");
	assert_string_equal(seen.target, "203.0.113.50");
	assert_string_equal(seen.process, "rclone");

	begin(NULL); /* while the connection still goes on; told with its sums again and again */
	for (unsigned i = 1; i <= 60; i++, at += SECOND) {
		struct wr_ev_conn r =
			conn("tcp", "10.0.0.3", "203.0.113.50", 443, i, i * 1000000ull, 1, 100);

		WR_SET(&r, conn, conn, WR_STR("c9"));
		WR_SET(&r, conn, event, WR_STR("update"));
		tell(r);
	}
	end("exfiltration");
	assert_int_equal(seen.count, 60000000);

	begin(NULL); /* inside, or a download, or a video call */
	tell(conn("tcp", "10.0.0.3", "10.0.0.9", 443, 1, 500000000, 1, 100));
	tell(conn("tcp", "10.0.0.3", "203.0.113.50", 443, 1, 5000, 1, 500000000));
	tell(conn("udp", "10.0.0.3", "203.0.113.50", 3478, 1, 500000000, 1, 400000000));
	end(NULL);

	only = "exfiltration"; /* by its clock it is a beacon, too */
	begin(NULL); /* the nightly backup is told at its first nights, and then no more */
	for (unsigned i = 0; i < 200; i++, at += 3600 * SECOND) {
		if (i == 50)
			wr_detect_tell(d, at, true), memset(&seen, 0, sizeof(seen));
		upload(60000000, "203.0.113.60");
	}
	end(NULL);
	only = NULL;
}

TEST(from_host_to_host)
{
	begin(NULL);
	for (unsigned i = 0; i < 8; i++, at += 10 * SECOND)
		tell(conn("tcp", "10.0.0.3",
			(char[]){'1', '0', '.', '0', '.', '1', '.', (char)('1' + i), 0},
			i % 2 ? 22 : 445, 50, 5000, 50, 9000));
	end("lateral_movement");
	assert_string_equal(seen.source, "10.0.0.3");
	assert_non_null(strstr(seen.summary, "SSH, SMB"));
	begin(NULL); /* one host often, and web servers */
	for (unsigned i = 0; i < 50; i++, at += SECOND) {
		tell(conn("tcp", "10.0.0.3", "10.0.1.1", 22, 50, 5000, 50, 9000));
		tell(conn("tcp", "10.0.0.3",
			(char[]){'1', '0', '.', '0', '.', '1', '.', (char)('1' + i % 9), 0}, 443,
			50, 5000, 50, 9000));
	}
	end(NULL);
}

TEST(echoes_that_carry_data)
{
	begin(NULL);
	for (unsigned i = 0; i < 30; i++, at += SECOND)
		tell(conn("icmp", "10.0.0.3", "203.0.113.9", 0, 1, 80, 1, 1000));
	end("icmp_tunnel");
	begin(NULL); /* ping -s 1400, a third of it lost */
	for (unsigned i = 0; i < 300; i++, at += SECOND)
		tell(conn("icmp", "10.0.0.3", "203.0.113.9", 0, 1, 1400, i % 3 != 0,
			i % 3 ? 1400 : 0));
	end(NULL);
}

TEST(a_service_that_resets)
{
	begin(NULL);
	for (unsigned i = 0; i < 600; i++, at += SECOND / 20) {
		struct wr_ev_conn r = conn("tcp", "10.0.0.3", "10.0.0.9", 80, 5, 500, 5, 500);

		if (i % 50 == 0) /* as always */
			WR_SET(&r, conn, close_reason, WR_STR("reset"));
		tell(r);
	}
	wr_detect_tell(d, at, true);
	assert_int_equal(seen.n, 0);
	for (unsigned i = 0; i < 200; i++, at += SECOND / 20) {
		struct wr_ev_conn r = conn("tcp", "10.0.0.3", "10.0.0.9", 80, 5, 500, 5, 500);

		WR_SET(&r, conn, close_reason, WR_STR("reset"));
		WR_SET(&r, conn, closed_by, WR_STR("server"));
		tell(r);
	}
	end("reset_spike");
	assert_non_null(strstr(seen.summary, "the server does it"));
}

static void drops(unsigned n, const char *reason, const char *class)
{
	struct wr_ev_drop r;

	WR_INIT(&r, drop);
	WR_SET(&r, drop, time, at);
	WR_SET(&r, drop, netns, 1);
	WR_SET(&r, drop, reason, wr_str(reason));
	WR_SET(&r, drop, class, wr_str(class));
	WR_SET(&r, drop, count, n);
	wr_detect_event(d, &r.ev);
}

TEST(packets_that_go)
{
	begin(NULL);
	for (unsigned i = 0; i < 900; i++, at += SECOND / 5) {
		drops(30, "NETFILTER_DROP", "policy"); /* a firewall at work */
		drops(1000, "SKB_CONSUMED", "noise");
	}
	end(NULL);
	begin(NULL);
	tell(conn("tcp", "10.0.0.3", "10.0.0.9", 80, 5, 500, 5, 500));
	at += 120 * SECOND;
	for (unsigned i = 0; i < 50; i++, at += SECOND / 5)
		drops(2, "QDISC_DROP", "queue");
	for (unsigned i = 0; i < 10; i++, at += SECOND / 5)
		drops(500, "QDISC_DROP", "queue");
	end("drop_spike");
	assert_string_equal(seen.source, "QDISC_DROP");
	assert_in_range(seen.count, 4500, 5020);
}

TEST(who_may_serve)
{
	struct wr_limits l = wr_limits_default;
	struct wr_ev_conn r;

	l.listeners = "nginx:80,nginx:443,sshd:*";
	begin(&l);
	r = conn("tcp", "10.0.0.3", "10.0.0.9", 80, 5, 500, 5, 500);
	WR_SET(&r, conn, server_process, WR_STR("nginx"));
	tell(r);
	end(NULL);
	begin(&l);
	for (unsigned i = 0; i < 3; i++) {
		r = conn("tcp", "10.0.0.3", "10.0.0.9", 4444, 5, 500, 5, 500);
		WR_SET(&r, conn, server_process, WR_STR("nc"));
		tell(r);
	}
	end("shadow_service");
	assert_int_equal(seen.count, 3);
	assert_string_equal(seen.source, "nc");
}

TEST(the_wrong_language)
{
	struct wr_ev_conn r;

	begin(NULL);
	r = conn("tcp", "10.0.0.3", "203.0.113.9", 443, 5, 500, 5, 500);
	WR_SET(&r, conn, protocol, WR_STR("ssh"));
	tell(r);
	end("unusual_protocol");
	begin(NULL);
	WR_SET(&r, conn, protocol, WR_STR("tls"));
	tell(r);
	WR_SET(&r, conn, server_port, 2222);
	WR_SET(&r, conn, protocol, WR_STR("ssh"));
	tell(r);
	end(NULL);
}

static struct wr_ev_request request(const char *protocol, const char *operation,
	const char *resource, const char *status, const char *detail)
{
	struct wr_ev_request q;

	WR_INIT(&q, request);
	WR_SET(&q, request, time, at);
	WR_SET(&q, request, protocol, wr_str(protocol));
	WR_SET(&q, request, client_ip, ip("10.0.0.3"));
	WR_SET(&q, request, server_ip, ip("10.0.0.9"));
	WR_SET(&q, request, server_port, 5432);
	WR_SET(&q, request, server_service, WR_STR("shop"));
	WR_SET(&q, request, operation, wr_str(operation));
	WR_SET(&q, request, resource, wr_str(resource));
	WR_SET(&q, request, status, wr_str(status));
	WR_SET(&q, request, error, false);
	WR_SET(&q, request, duration_us, 1000);
	if (detail)
		WR_SET(&q, request, detail, wr_str(detail));
	return q;
}

static void ask(struct wr_ev_request q)
{
	wr_detect_event(d, &q.ev);
}

TEST(a_budget_that_burns)
{
	struct wr_limits l = wr_limits_default;

	l.objectives = "other=99%,shop=99%<50ms";
	only = "objective"; /* it is a latency_spike, too */
	begin(&l);
	for (unsigned i = 0; i < 3000; i++, at += SECOND) {
		struct wr_ev_request q = request("http", "GET", "/", "200", NULL);

		WR_SET(&q, request, duration_us,
			i % 200 ? 1000 : 90000); /* a half percent is slow: it may */
		ask(q);
	}
	wr_detect_tell(d, at, true);
	assert_int_equal(seen.n, 0);
	for (unsigned i = 0; i < 900; i++, at += SECOND) {
		struct wr_ev_request q = request("http", "GET", "/", "200", NULL);

		WR_SET(&q, request, duration_us, 90000);
		ask(q);
	}
	end("objective");
	only = NULL;
	assert_string_equal(seen.source, "shop");
}

TEST(known_to_be_bad)
{
	char path[] = "/tmp/weir-threats-XXXXXX";
	struct wr_limits l = wr_limits_default;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	struct wr_ev_request q;

	assert_non_null(f);
	fprintf(f,
		"# a list\n198.51.100.7\n203.0.113.0/24 ; a network\n2001:db8:bad::/48\nevil.example\n"
		"0.0.0.0 ads.example # hosts\nhttps://shop.example/kit.php\n"
		"51c64c77e60f3980eea90869b68c58a8,Dridex\nt13d190900_9dc949149365_97f8aa674fd9\n");
	for (unsigned i = 0; i < 1000000; i++)
		fprintf(f, "%u.%u.%u.%u\n", 11 + i / 65536 % 16, i / 256 % 256, i % 256,
			i * 7 % 256);
	fclose(f);
	l.threat_lists = path;
	begin(&l);
	tell(conn("tcp", "10.0.0.3", "198.51.100.7", 443, 5, 500, 5, 500));
	tell(conn("tcp", "10.0.0.3", "198.51.100.8", 443, 5, 500, 5, 500));
	end("threat_list");
	assert_string_equal(seen.target, "198.51.100.7");
	begin(&l);
	tell(conn("tcp", "203.0.113.77", "10.0.0.9", 443, 5, 500, 5, 500));
	end("threat_list");
	assert_string_equal(seen.source, "203.0.113.77");
	begin(&l);
	tell(conn("tcp", "2001:db8:bad:1::5", "fd00::9", 443, 5, 500, 5, 500));
	end("threat_list");
	begin(&l);
	tell(conn("tcp", "2001:db8:bae::5", "fd00::9", 443, 5, 500, 5, 500));
	ask(request("dns", "A", "notevil.example", "NOERROR", NULL));
	ask(request("dns", "A", "example", "NOERROR", NULL));
	ask(request("tls", "handshake", "", "ok",
		"{\"sni\":\"good.example\",\"ja3\":\"51c64c77e60f3980eea90869b68c58a9\"}"));
	end(NULL);
	begin(&l);
	ask(request("dns", "A", "www.Evil.example", "NOERROR", NULL));
	end("threat_list");
	begin(&l);
	ask(request("dns", "A", "ads.example", "NOERROR", NULL));
	end("threat_list");
	begin(&l);
	ask(request("tls", "handshake", "", "ok",
		"{\"sni\":\"good.example\",\"ja3\":\"51c64c77e60f3980eea90869b68c58a8\"}"));
	end("threat_list");
	begin(&l);
	ask(request("tls", "handshake", "", "ok",
		"{\"ja4\":\"t13d190900_9dc949149365_97f8aa674fd9\"}"));
	end("threat_list");
	begin(&l);
	q = request("http", "GET", "/kit.php", "200", NULL);
	WR_SET(&q, request, detail, WR_STR("{\"version\":\"1.1\",\"host\":\"shop.example\"}"));
	ask(q);
	end("threat_list");
	begin(&l);
	q = request("http", "GET", "/index.html", "200", NULL);
	WR_SET(&q, request, detail, WR_STR("{\"version\":\"1.1\",\"host\":\"shop.example\"}"));
	ask(q);
	end(NULL);
	unlink(path);
}

TEST(who_was_there)
{
	struct wr_limits l = wr_limits_default;

	setenv("TZ", "UTC", 1);
	l.critical = "postgresql,10.0.0.7:22";
	l.critical_hours = "08:00-18:00"; /* 1700000000 is 22:13 UTC */
	begin(&l);
	ask(request(
		"postgresql", "login", "shop", "ok", "{\"command\":\"login\",\"user\":\"alice\"}"));
	ask(request(
		"postgresql", "login", "shop", "ok", "{\"command\":\"login\",\"user\":\"alice\"}"));
	ask(request("postgresql", "SELECT", "SELECT ?", "ok", NULL));
	end("critical_access");
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.source, "10.0.0.3 as alice");
	assert_string_equal(seen.severity, "medium");
	begin(&l);
	at += 12 * 3600 * SECOND;
	tell(conn("tcp", "10.0.0.3", "10.0.0.7", 22, 5, 500, 5, 500));
	tell(conn("tcp", "10.0.0.3", "10.0.0.8", 22, 5, 500, 5, 500));
	end("critical_access");
	assert_string_equal(seen.severity, "low");
	assert_int_equal(seen.count, 1);
}

TEST(who_had_the_file)
{
	struct wr_limits l = wr_limits_default;

	l.files = "/export/secret/*,*.key";
	begin(&l);
	ask(request("nfs", "READ", "a.txt", "ok", "{\"path\":\"/export/public/a.txt\",\"action\":\"read\"}"));
	ask(request("http", "GET", "/export/secret/b", "200", NULL));
	end(NULL);
	begin(&l);
	ask(request("nfs", "GETATTR", "b", "ok", "{\"path\":\"/export/secret/b\"}")); /* no access */
	end(NULL);
	begin(&l);
	ask(request("nfs", "READ", "b", "ok",
		"{\"user\":\"uid 1000\",\"path\":\"/export/secret/b\",\"action\":\"read\"}"));
	end("file_access");
	assert_string_equal(seen.target, "/export/secret/b");
	begin(&l);
	ask(request("smb", "CREATE", "home\\bob\\id.key", "ok",
		"{\"share\":\"\\\\\\\\srv\\\\homes\",\"action\":\"delete\"}"));
	end("file_access");
	assert_string_equal(seen.target, "//srv/homes/home/bob/id.key");
}

TEST(limits_that_are_wrong)
{
	static const struct {
		size_t off;
		const char *value, *words;
	} bad[] = {
		{offsetof(struct wr_limits, objectives), "shop", "SERVICE=99.9%"},
		{offsetof(struct wr_limits, objectives), "shop=100%", "SERVICE=99.9%"},
		{offsetof(struct wr_limits, objectives), "shop=99%<5m", "SERVICE=99.9%"},
		{offsetof(struct wr_limits, threat_lists), "/nonexistent/list",
			"/nonexistent/list: No such"},
		{offsetof(struct wr_limits, critical), "10.0.0.5:99999", "ADDRESS:PORT"},
		{offsetof(struct wr_limits, listeners), "nginx", "PROCESS:PORT"},
		{offsetof(struct wr_limits, listeners), "nginx:http", "PROCESS:PORT"},
	};
	struct wr_limits l = wr_limits_default;

	l.listeners = "nginx:80";
	begin(&l);
	for (unsigned i = 0; i < WR_N(bad); i++) {
		struct wr_limits b = wr_limits_default;
		struct wr_err e = {.text = ""};

		*(const char **)((char *)&b + bad[i].off) = bad[i].value;
		assert_true(wr_detect_limit(d, &b, &e) < 0);
		if (!strstr(e.text, bad[i].words))
			fail_msg("%s: %s", bad[i].value, e.text);
	}
	for (unsigned i = 0; i < 1; i++) { /* the ones before still hold */
		struct wr_ev_conn r = conn("tcp", "10.0.0.3", "10.0.0.9", 4444, 5, 500, 5, 500);

		WR_SET(&r, conn, server_process, WR_STR("nc"));
		tell(r);
	}
	end("shadow_service");
}

/* Names in use that the table of letters was not made from, and names by the ways that malware makes them. */
static const char in_use[] =
	"google youtube facebook wikipedia instagram whatsapp netflix linkedin microsoft pinterest stackoverflow github dropbox spotify paypal "
	"wordpress blogspot walmart bestbuy craigslist nytimes foxnews theguardian washingtonpost bloomberg reuters weather accuweather booking "
	"expedia tripadvisor glassdoor salesforce hubspot mailchimp cloudflare digitalocean letsencrypt digicert verisign symantec kaspersky "
	"doubleclick googleapis gstatic googletagmanager googlesyndication cloudfront amazonaws azureedge windowsupdate akamaiedge scorecardresearch "
	"quantserve chartbeat newrelic optimizely mixpanel intercom atlassian bitbucket jetbrains juniper steampowered epicgames minecraft ubisoft "
	"blizzard rockstargames spiegel sueddeutsche tagesschau lemonde lefigaro elmundo corriere repubblica aftonbladet alibaba aliexpress "
	"bilibili rakuten rambler gosuslugi wildberries allegro hepsiburada trendyol sahibinden hurriyet mercadolibre techcrunch arstechnica "
	"slashdot sourceforge launchpad debian-administration weather-forecast mail-tester speedtest cyberciti digikey mouser farnell hackaday "
	"boardgamegeek goodreads letterboxd soundcloud bandcamp discogs musicbrainz openstreetmap flightradar24 marinetraffic ryanair lufthansa";

static uint64_t seed = 7;

static unsigned rnd(unsigned n)
{
	seed = wr_hash64(seed + 0x9e3779b97f4a7c15ull);
	return (unsigned)(seed % n);
}

TEST(names_made_by_a_program)
{
	unsigned right = 0, wrong = 0, caught = 0, missed = 0;
	struct wr_str list = {in_use, sizeof(in_use) - 1};

	for (size_t b = 0, i = 0; i <= list.n; i++) {
		if (i < list.n && list.p[i] != ' ')
			continue;
		if (wr_dga_like((struct wr_str){list.p + b, i - b}))
			wrong++;
		else
			right++;
		b = i + 1;
	}
	for (unsigned i = 0; i < 4000; i++) {
		static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789",
				  hex[] = "0123456789abcdef", consonants[] = "bcdfghjklmnpqrstvwxz",
				  vowels[] = "aeiou";
		char t[40];
		unsigned n;

		switch (i % 4) {
		case 0: /* letters alone */
			n = 8 + rnd(5);
			for (unsigned k = 0; k < n; k++)
				t[k] = letters[rnd(26)];
			break;
		case 1: /* letters and digits */
			n = 12 + rnd(16);
			for (unsigned k = 0; k < n; k++)
				t[k] = letters[rnd(36)];
			break;
		case 2: /* a hash */
			n = 12 + 4 * rnd(5);
			for (unsigned k = 0; k < n; k++)
				t[k] = hex[rnd(16)];
			break;
		default: /* to be spoken: the hard ones */
			n = 8 + 2 * rnd(3);
			for (unsigned k = 0; k < n; k++)
				t[k] = k % 2 ? vowels[rnd(5)] : consonants[rnd(20)];
		}
		if (wr_dga_like((struct wr_str){t, n}))
			caught++;
		else
			missed++;
	}
	printf("# dga: of %u names in use %u taken for made ones; of %u made ones %u found\n",
		right + wrong, wrong, caught + missed, caught);
	assert_true(wrong * 100 <= (right + wrong) * 5);
	assert_true(caught * 100 >= (caught + missed) * 75);
	assert_true(wr_str_eq(wr_dga_label(WR_STR("www.example.co.uk")), WR_STR("example")));
	assert_true(wr_str_eq(wr_dga_label(WR_STR("a.b.example.org.")), WR_STR("example")));
	assert_true(wr_str_eq(wr_dga_label(WR_STR("example.org")), WR_STR("example")));
	assert_true(wr_str_eq(wr_dga_label(WR_STR("localhost")), WR_STR("")));
	assert_true(wr_str_eq(wr_dga_label(WR_STR("")), WR_STR("")));
	assert_false(wr_dga_like(WR_STR("xn--bcher-kva8445foa")));
	assert_false(wr_dga_like(WR_STR("qxzv\"}{[]vkqjx")));

	begin(NULL);
	for (unsigned i = 0; i < 12; i++, at += SECOND) {
		char name[64];

		snprintf(name, sizeof(name), "%c%cxqz%ukvj%c.info", 'a' + rnd(26), 'a' + rnd(26),
			rnd(10), 'a' + rnd(26));
		ask(request("dns", "A", name, "NXDOMAIN", NULL));
	}
	end("dga");
	begin(NULL); /* typing errors, and random names that exist (a CDN) */
	ask(request("dns", "A", "wikipeda.org", "NXDOMAIN", NULL));
	ask(request("dns", "A", "gogle.com", "NXDOMAIN", NULL));
	for (unsigned i = 0; i < 30; i++) {
		char name[64];

		snprintf(name, sizeof(name), "d%ux9qz%uvk.net", rnd(1000), rnd(1000));
		ask(request("dns", "A", name, "NOERROR", NULL));
	}
	end(NULL);
}

static void asks(const char *from, unsigned target, bool answered)
{
	struct wr_ev_neighbor r;

	WR_INIT(&r, neighbor);
	WR_SET(&r, neighbor, ip, ip(from));
	WR_SET(&r, neighbor, mac, WR_STR("02:00:00:00:00:01"));
	WR_SET(&r, neighbor, target_ip, ip(addr(target)));
	WR_SET(&r, neighbor, asked, 1);
	WR_SET(&r, neighbor, answered, answered);
	WR_SET(&r, neighbor, first, at);
	WR_SET(&r, neighbor, last, at);
	wr_detect_event(d, &r.ev);
}

TEST(who_is_there)
{
	begin(NULL);
	for (unsigned i = 0; i < 250; i++, at += SECOND / 100)
		asks("10.0.0.9", i, i % 50 == 0);
	end("arp_scan");
	assert_string_equal(seen.source, "10.0.0.9");
	assert_in_range(seen.count, 235, 265);

	begin(NULL); /* slowly: an address each minute */
	for (unsigned i = 0; i < 60; i++, at += 60 * SECOND)
		asks("10.0.0.9", i, i % 10 == 0);
	end("arp_scan");

	begin(NULL); /* a router: they are there, but for a few */
	for (unsigned i = 0; i < 250; i++, at += SECOND / 100)
		asks("10.0.0.1", i, i % 20 != 0);
	end(NULL);
	begin(NULL); /* the same router, seen by who gets no answers */
	for (unsigned i = 0; i < 250; i++, at += 6 * SECOND)
		asks("10.0.0.1", i, false);
	end(NULL);
	begin(NULL); /* a host that looks for one which is gone */
	for (unsigned i = 0; i < 5000; i++, at += SECOND)
		asks("10.0.0.7", i % 3, false);
	end(NULL);
}

TEST_MAIN(RUN(who_is_there), RUN(floods_of_datagrams), RUN(sweeps_of_icmp),
	RUN(floods_of_icmp), RUN(reflection),
	RUN(data_that_leaves), RUN(from_host_to_host), RUN(echoes_that_carry_data),
	RUN(a_service_that_resets), RUN(packets_that_go), RUN(who_may_serve),
	RUN(the_wrong_language), RUN(a_budget_that_burns), RUN(known_to_be_bad), RUN(who_was_there),
	RUN(who_had_the_file), RUN(limits_that_are_wrong), RUN(names_made_by_a_program))
