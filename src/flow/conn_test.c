// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "conn.h"

static struct {
	struct wr_ev_conn last;
	char reason[32], reset[32], by[16], client[32], server[32], icmp[64];
	unsigned open, update, close;
} got;

static void keep(char *to, size_t n, const struct wr_event *e, unsigned field, struct wr_str v)
{
	to[0] = 0;
	if (wr_ev_has(e, field))
		wr_copy(to, n, v);
}

static void sink(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_conn *c = (const void *)e;

	(void)ctx;
	assert_int_equal(e->kind, WR_KIND_conn);
	got.last = *c;
	got.open += wr_str_eq(c->event, WR_STR("open"));
	got.update += wr_str_eq(c->event, WR_STR("update"));
	got.close += wr_str_eq(c->event, WR_STR("close"));
	keep(got.reason, sizeof(got.reason), e, WR_I_conn_close_reason, c->close_reason);
	keep(got.reset, sizeof(got.reset), e, WR_I_conn_reset_reason, c->reset_reason);
	keep(got.by, sizeof(got.by), e, WR_I_conn_closed_by, c->closed_by);
	keep(got.client, sizeof(got.client), e, WR_I_conn_client_process, c->client_process);
	keep(got.server, sizeof(got.server), e, WR_I_conn_server_process, c->server_process);
	keep(got.icmp, sizeof(got.icmp), e, WR_I_conn_icmp, c->icmp);
}

static struct wr_enrich *x;
static struct wr_conns *t;

static void fresh(uint32_t max)
{
	struct wr_conns_config cfg = {.host = "h", .sink = sink, .max = max};

	wr_conns_free(t);
	wr_enrich_free(x);
	memset(&got, 0, sizeof(got));
	x = wr_enrich_new(NULL);
	cfg.enrich = x;
	t = wr_conns_new(&cfg);
	assert_non_null(t);
}

static struct wr_rec_sock rec(uint8_t event, uint64_t cookie, uint8_t role, const char *comm)
{
	struct wr_rec_sock r = {
		.h = {WR_REC_SOCK, sizeof(r), wr_now()}, .cookie = cookie, .event = event};

	memcpy(r.laddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x01", 16);
	memcpy(r.raddr, r.laddr, 16);
	r.lport = role == WR_ROLE_CLIENT ? 40000 : 80;
	r.rport = role == WR_ROLE_CLIENT ? 80 : 40000;
	r.s.role = role;
	r.s.state = 1;
	r.old_state = 1;
	r.s.flags = WR_F_SEQ_KNOWN;
	r.s.iss = role == WR_ROLE_CLIENT ? 100 : 200;
	r.s.irs = role == WR_ROLE_CLIENT ? 200 : 100;
	r.s.t_open = r.h.ts;
	r.s.owner.tgid = (uint32_t)cookie;
	r.s.owner.start_ns = cookie;
	r.s.owner.netns = 1;
	wr_copy(r.s.owner.comm, 16, wr_str(comm));
	return r;
}

static void feed(const struct wr_rec_sock *r)
{
	struct wr_conns_stats s;

	wr_conns_record(t, &r->h, sizeof(*r));
	wr_conns_stats(t, &s);
	assert_int_equal(s.records.in,
		s.records.out + s.records.dropped); /* the ledger, after every record */
}

static void feed_rec(uint8_t event, uint64_t cookie, uint8_t role, const char *comm)
{
	struct wr_rec_sock r = rec(event, cookie, role, comm);

	feed(&r);
}

TEST(two_ends_are_one_connection)
{
	struct wr_rec_sock r;
	struct wr_conns_stats s;

	fresh(0);
	feed_rec(WR_EV_OPEN, 1, WR_ROLE_CLIENT, "curl");
	feed_rec(WR_EV_OPEN, 2, WR_ROLE_SERVER, "nginx");
	wr_conns_stats(t, &s);
	assert_int_equal(s.live, 1);
	assert_int_equal(s.sides, 2);
	r = rec(WR_EV_CLOSE, 1, WR_ROLE_CLIENT, "curl");
	r.bytes_out = 10;
	r.bytes_in = 20;
	r.s.flags |= WR_F_FIN_LOCAL;
	feed(&r);
	assert_int_equal(got.close, 0); /* the other end still lives */
	r = rec(WR_EV_CLOSE, 2, WR_ROLE_SERVER, "nginx");
	r.bytes_out = 20;
	r.bytes_in = 10;
	r.s.flags |= WR_F_FIN_REMOTE;
	feed(&r);
	assert_int_equal(got.close, 1);
	assert_string_equal(got.client, "curl");
	assert_string_equal(got.server, "nginx");
	assert_string_equal(got.by, "client");
	assert_string_equal(got.reason, "fin");
	assert_int_equal(got.last.bytes_to_server, 10);
	assert_int_equal(got.last.bytes_to_client, 20);
	wr_conns_stats(t, &s);
	assert_int_equal(s.live, 0);
	assert_int_equal(s.sides, 0);
}

TEST(nat_does_not_part_them)
{
	struct wr_rec_sock r = rec(WR_EV_OPEN, 2, WR_ROLE_SERVER, "nginx");
	struct wr_conns_stats s;

	fresh(0);
	feed_rec(WR_EV_OPEN, 1, WR_ROLE_CLIENT, "curl");
	r.laddr[12] = r.raddr[12] =
		172; /* other addresses, ports, namespace: the sequence numbers tell */
	r.lport = 8080;
	r.rport = 55555;
	r.s.owner.netns = 2;
	feed(&r);
	wr_conns_stats(t, &s);
	assert_int_equal(s.live, 1);
	/* the same addresses with other sequence numbers are another connection */
	fresh(0);
	feed_rec(WR_EV_OPEN, 1, WR_ROLE_CLIENT, "curl");
	r = rec(WR_EV_OPEN, 2, WR_ROLE_SERVER, "nginx");
	r.s.iss = 999;
	feed(&r);
	wr_conns_stats(t, &s);
	assert_int_equal(s.live, 2);
}

static void close_as(
	uint8_t role, uint8_t old, uint8_t flags, int err, const char *reason, const char *by)
{
	struct wr_rec_sock r = rec(WR_EV_CLOSE, 1, role, "p");

	fresh(0);
	r.old_state = old;
	r.s.flags |= flags;
	r.err = err;
	feed(&r);
	assert_int_equal(got.close, 1);
	assert_string_equal(got.reason, reason);
	assert_string_equal(got.by, by);
}

TEST(how_it_ended)
{
	close_as(WR_ROLE_CLIENT, 2, 0, ECONNREFUSED, "refused", "server");
	close_as(WR_ROLE_CLIENT, 2, 0, ETIMEDOUT, "timed_out", "timeout");
	close_as(WR_ROLE_CLIENT, 2, 0, EHOSTUNREACH, "unreachable", "");
	close_as(WR_ROLE_CLIENT, 2, 0, 0, "aborted", "client");
	close_as(WR_ROLE_CLIENT, 1, WR_F_RST_IN, ECONNRESET, "reset", "server");
	close_as(WR_ROLE_SERVER, 1, WR_F_RST_IN, ECONNRESET, "reset", "client");
	close_as(WR_ROLE_SERVER, 1, WR_F_RST_OUT, 0, "reset", "server");
	close_as(WR_ROLE_CLIENT, 1, 0, ETIMEDOUT, "timed_out", "timeout");
	close_as(WR_ROLE_SERVER, 9, WR_F_FIN_REMOTE, 0, "fin", "client");
}

/* The client is reset; @flags: what the server's socket did before it ended. */
static void reset_behind(uint8_t flags, int err, const char *why)
{
	struct wr_rec_sock r;

	fresh(0);
	feed_rec(WR_EV_OPEN, 1, WR_ROLE_CLIENT, "curl");
	feed_rec(WR_EV_OPEN, 2, WR_ROLE_SERVER, "nginx");
	r = rec(WR_EV_CLOSE, 2, WR_ROLE_SERVER, "nginx");
	r.s.flags |= flags;
	r.err = err;
	feed(&r);
	r = rec(WR_EV_CLOSE, 1, WR_ROLE_CLIENT, "curl");
	r.s.flags |= WR_F_RST_IN;
	r.err = ECONNRESET;
	feed(&r);
	assert_int_equal(got.close, 1);
	assert_string_equal(got.reason, "reset");
	assert_string_equal(got.by, "server");
	assert_string_equal(got.reset, why);
}

TEST(reset_by_an_end_that_was_gone)
{
	reset_behind(0, 0, "no_socket");
	reset_behind(0, ETIMEDOUT, "no_socket"); /* it gave up, and told nobody */
	reset_behind(WR_F_RST_OUT, 0, "");
	reset_behind(WR_F_FIN_LOCAL, 0, "");
	close_as(WR_ROLE_CLIENT, 1, WR_F_RST_IN, ECONNRESET, "reset", "server");
	assert_string_equal(got.reset, ""); /* the other end is not here: nobody knows */
}

TEST(icmp_joins_the_failed_connect)
{
	struct wr_rec_icmp i = {.h = {WR_REC_ICMP, sizeof(i), wr_now()},
		.type = 3,
		.code = 13,
		.proto = 6,
		.sport = 40000,
		.dport = 80};
	struct wr_rec_sock r = rec(WR_EV_CLOSE, 1, WR_ROLE_CLIENT, "p");

	fresh(0);
	memcpy(i.saddr, r.laddr, 16);
	memcpy(i.daddr, r.raddr, 16);
	memcpy(i.from, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\xfe", 16);
	wr_conns_record(t, &i.h, sizeof(i));
	r.old_state = 2;
	r.err = EHOSTUNREACH;
	feed(&r);
	assert_string_equal(got.icmp, "admin_prohibited from 10.0.0.254");
}

TEST(seeded_by_listener)
{
	struct wr_rec_sock r = rec(WR_EV_UPDATE, 9, WR_ROLE_LISTENER, "srv");

	fresh(0);
	r.lport = 40000; /* the listener has the higher port: only the table can tell who serves */
	r.rport = 0;
	r.s.state = 10;
	feed(&r);
	r = rec(WR_EV_UPDATE, 1, WR_ROLE_NONE, "srv");
	r.s.flags = WR_F_SEEDED;
	r.lport = 40000;
	r.rport = 80;
	feed(&r);
	wr_conns_settle(t);
	assert_string_equal(got.server, "srv");
	assert_string_equal(got.client, "");
	assert_int_equal(got.last.server_port, 40000);
}

TEST(udp_flow_lives_and_ends)
{
	struct wr_flow_key k = {.cookie = 5, .lport = 1000, .rport = 53, .proto = 17, .family = 2};
	struct wr_flow v = {.packets_out = 1,
		.bytes_out = 30,
		.first_dir = 1,
		.first = wr_now(),
		.last = wr_now()};
	struct wr_conns_stats s;

	fresh(0);
	assert_false(wr_conns_flow(t, &k, &v, false));
	assert_int_equal(got.open, 1);
	assert_int_equal(got.last.client_port, 1000);
	v.packets_in = 1;
	v.bytes_in = 100;
	assert_false(wr_conns_flow(t, &k, &v, false));
	wr_conns_settle(t);
	assert_int_equal(got.update, 1);
	wr_conns_tick(t, v.last + 31000000000ull, 0);
	assert_true(wr_conns_flow(t, &k, &v, false)); /* idle */
	v.bytes_in = 120; /* came between reading and removal: counted */
	wr_conns_flow(t, &k, &v, true);
	assert_int_equal(got.close, 1);
	assert_int_equal(got.last.bytes_to_client, 120);
	wr_conns_stats(t, &s);
	assert_int_equal(s.live, 0);
}

TEST(forwarded_flow_counts_once)
{
	struct wr_flow_key k = {.lport = 1000, .rport = 53, .proto = 17, .family = 2, .ifindex = 1};
	struct wr_flow v = {.packets_out = 5,
		.bytes_out = 50,
		.first_dir = 1,
		.first = wr_now(),
		.last = wr_now()};
	struct wr_conns_stats s;

	fresh(0);
	memcpy(k.laddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\0\x01", 16);
	memcpy(k.raddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x02\0\x01", 16);
	wr_conns_flow(t, &k, &v, false);
	k.ifindex = 2; /* the same packets on the way out */
	wr_conns_flow(t, &k, &v, false);
	wr_conns_stats(t, &s);
	assert_int_equal(s.live, 1);
	assert_int_equal(got.last.bytes_to_server, 50);
	/* what a socket counts is left to the socket */
	fresh(0);
	k.cookie = 7;
	wr_conns_flow(t, &k, &v, false);
	k.cookie = 0;
	wr_conns_flow(t, &k, &v, false);
	wr_conns_stats(t, &s);
	assert_int_equal(s.live, 1);
	assert_int_equal(s.records.in, s.records.out + s.records.dropped);
}

TEST(full_table_is_counted)
{
	struct wr_conns_stats s;

	fresh(128);
	for (uint64_t i = 1; i <= 300; i++) {
		struct wr_rec_sock r = rec(WR_EV_OPEN, i, WR_ROLE_CLIENT, "p");

		r.lport = (uint16_t)(1000 + i);
		r.s.iss = (uint32_t)i;
		feed(&r);
	}
	wr_conns_stats(t, &s);
	assert_int_equal(s.live, 128);
	assert_int_equal(s.refused, 172);
	assert_int_equal(s.records.dropped, 172);
}

TEST(lost_closes_are_swept)
{
	struct wr_conns_stats s;

	fresh(0);
	for (uint64_t i = 1; i <= 50; i++) {
		struct wr_rec_sock r =
			rec(WR_EV_OPEN, i, i & 1 ? WR_ROLE_CLIENT : WR_ROLE_SERVER, "p");

		r.s.iss += (uint32_t)((i - 1) / 2) * 1000;
		r.s.irs += (uint32_t)((i - 1) / 2) * 1000;
		feed(&r);
	}
	wr_conns_stats(t, &s);
	assert_int_equal(s.live, 25);
	wr_conns_mark(t);
	for (uint64_t i = 1; i <= 10; i++) { /* of ten sockets a reading still tells */
		struct wr_rec_sock r =
			rec(WR_EV_UPDATE, i, i & 1 ? WR_ROLE_CLIENT : WR_ROLE_SERVER, "p");

		feed(&r);
	}
	wr_conns_sweep(t);
	wr_conns_stats(t, &s);
	assert_int_equal(s.live, 5);
	assert_int_equal(got.close, 20);
}

TEST(allocation_failures_change_nothing)
{
	for (long i = 1; i < 12; i++) {
		struct wr_rec_sock r = rec(WR_EV_OPEN, 1, WR_ROLE_CLIENT, "p");
		struct wr_conns_stats s;

		fresh(0);
		wr_alloc_fail_at = i;
		feed(&r);
		wr_alloc_fail_at = 0;
		r = rec(WR_EV_CLOSE, 1, WR_ROLE_CLIENT, "p");
		feed(&r);
		wr_conns_stats(t, &s);
		assert_int_equal(s.live, 0);
	}
	wr_conns_free(t);
	wr_enrich_free(x);
	t = NULL;
	x = NULL;
}

static unsigned told;
static uint64_t told_syns, told_up, told_ns;

static void on_syns(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_syns *r = (const void *)e;

	(void)ctx;
	assert_int_equal(e->kind, WR_KIND_syns);
	assert_int_equal(r->server_port, 80);
	told++;
	told_syns = r->count;
	told_up = r->established;
	told_ns = r->to - r->from;
}

/* A record where many SYNs became nothing since the one before; none for what comes slowly or comes up. */
TEST(syns_that_become_nothing)
{
	const uint64_t second = 1000000000, begin = 5000 * second;
	struct wr_syn_key k = {.netns = 1, .port = 80};
	struct wr_syns v = {.syns = 1000};
	struct wr_conns_stats s;

	fresh(0);
	wr_conns_sink(t, on_syns, NULL);
	wr_conns_tick(t, begin, 0);
	wr_conns_syns(t, &k, &v);
	assert_int_equal(told, 1);
	assert_int_equal(told_syns, 1000);
	v = (struct wr_syns){.syns = 6000, .established = 4995}; /* of 5,000 more 5 are missing */
	wr_conns_tick(t, begin + second, 0);
	wr_conns_syns(t, &k, &v);
	assert_int_equal(told, 1);
	for (unsigned i = 0; i < 100; i++) { /* four a second */
		v.syns += 4;
		wr_conns_tick(t, begin + (2 + i) * second, 0);
		wr_conns_syns(t, &k, &v);
	}
	assert_int_equal(told, 1);
	v.syns += 70;
	v.established += 10;
	wr_conns_syns(t, &k, &v);
	assert_int_equal(told, 2);
	assert_true(told_syns - told_up >= 60 && told_syns <= 120 && told_ns <= 10 * second);
	v = (struct wr_syns){.syns = 5}; /* the kernel began anew */
	wr_conns_syns(t, &k, &v);
	assert_int_equal(told, 2);
	wr_conns_stats(t, &s);
	assert_int_equal(s.records.in, s.records.out + s.records.dropped);
}

TEST_MAIN(RUN(two_ends_are_one_connection), RUN(nat_does_not_part_them), RUN(how_it_ended),
	RUN(reset_by_an_end_that_was_gone), RUN(icmp_joins_the_failed_connect),
	RUN(seeded_by_listener), RUN(udp_flow_lives_and_ends), RUN(forwarded_flow_counts_once),
	RUN(full_table_is_counted), RUN(lost_closes_are_swept), RUN(syns_that_become_nothing),
	RUN(allocation_failures_change_nothing))
