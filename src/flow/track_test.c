// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "track.h"

#define C 0x0a000001
#define S 0x0a000002
#define MS 1000000ull

static struct wr_ev_conn last;
static char reason[32], by[16], state[24];
static unsigned records;
static struct wr_track *t;
static uint64_t now;

static void sink(void *ctx, const struct wr_event *e)
{
	(void)ctx;
	last = *(const struct wr_ev_conn *)(const void *)e;
	reason[0] = by[0] = state[0] = 0;
	if (wr_ev_has(e, WR_I_conn_close_reason))
		wr_copy(reason, sizeof(reason), last.close_reason);
	if (wr_ev_has(e, WR_I_conn_closed_by))
		wr_copy(by, sizeof(by), last.closed_by);
	if (wr_ev_has(e, WR_I_conn_state))
		wr_copy(state, sizeof(state), last.state);
	records++;
}

static void fresh(void)
{
	struct wr_track_config cfg = {.host = "h", .sink = sink};

	wr_track_free(t);
	t = wr_track_new(&cfg);
	records = 0;
	now = 1000000 * MS;
}

static void send_(bool up, uint32_t seq, uint32_t ack, uint8_t flags, uint32_t len, uint16_t win)
{
	uint8_t p[2000];
	struct wr_pkt k;
	uint32_t n = up ? eth_tcp(p, C, 4000, S, 80, seq, ack, flags, win, len)
			: eth_tcp(p, S, 80, C, 4000, seq, ack, flags, win, len);

	wr_packet_decode(p, n, n, WR_LINK_ETHERNET, &k);
	k.ts = now += MS;
	wr_track_packet(t, &k);
}
#define UP(seq, ack, flags, len) send_(true, seq, ack, flags, len, 1000)
#define DOWN(seq, ack, flags, len) send_(false, seq, ack, flags, len, 1000)
#define SYN WR_TCP_SYN
#define ACK WR_TCP_ACK
#define FIN WR_TCP_FIN
#define RST WR_TCP_RST

static void shake(void)
{
	UP(100, 0, SYN, 0);
	DOWN(500, 101, SYN | ACK, 0);
	UP(101, 501, ACK, 0);
}

TEST(whole_life)
{
	fresh();
	shake();
	UP(101, 501, ACK, 50);
	DOWN(501, 151, ACK, 1000);
	UP(151, 1501, ACK, 0);
	UP(151, 1501, FIN | ACK, 0);
	DOWN(1501, 152, FIN | ACK, 0);
	UP(152, 1502, ACK, 0);
	assert_int_equal(records, 1);
	assert_string_equal(reason, "fin");
	assert_string_equal(by, "client");
	assert_int_equal(last.bytes_to_server, 50);
	assert_int_equal(last.bytes_to_client, 1000);
	assert_int_equal(last.packets_to_server, 6);
	assert_int_equal(last.retransmits, 0);
	assert_int_equal(last.out_of_order, 0);
	assert_int_equal(last.handshake_us, 1000);
	assert_int_equal(last.duration_ms, 8);
	wr_track_end(t);
	assert_int_equal(records, 1);
}

TEST(loss_and_order)
{
	fresh();
	shake();
	DOWN(501, 101, ACK, 100);
	DOWN(701, 101, ACK, 100); /* a hole of 100 */
	DOWN(601, 101, ACK, 100); /* late: out of order, not sent twice */
	DOWN(601, 101, ACK, 100); /* and again: that is a retransmission */
	DOWN(751, 101, ACK, 100); /* half old, half new */
	UP(101, 851, ACK, 0);
	UP(100, 851, ACK, 0); /* keep-alive */
	wr_track_end(t);
	assert_int_equal(last.bytes_to_client, 350);
	assert_int_equal(last.out_of_order, 1);
	assert_int_equal(last.retransmits_to_client, 2);
	assert_int_equal(last.retransmits_to_server, 0);
	assert_string_equal(state, "established");
}

TEST(windows_and_duplicates)
{
	fresh();
	shake();
	DOWN(501, 101, ACK, 100);
	DOWN(601, 101, ACK, 100);
	UP(101, 601, ACK, 0);
	UP(101, 601, ACK, 0);
	UP(101, 601, ACK, 0);
	send_(true, 101, 701, ACK, 0, 0);
	now += 9 * MS;
	send_(true, 101, 701, ACK, 0, 1000);
	wr_track_end(t);
	assert_int_equal(last.duplicate_acks, 2);
	assert_int_equal(last.zero_windows, 1);
	assert_int_equal(last.zero_window_ms, 10);
}

TEST(refused_and_reset)
{
	fresh();
	UP(100, 0, SYN, 0);
	DOWN(0, 101, RST | ACK, 0);
	assert_string_equal(reason, "refused");
	assert_string_equal(by, "server");
	fresh();
	shake();
	UP(101, 501, RST, 0);
	assert_string_equal(reason, "reset");
	assert_string_equal(by, "client");
	DOWN(501, 101, ACK, 10); /* late packets join the closed connection, no new record */
	assert_int_equal(records, 1);
	UP(9000, 0, SYN, 0); /* the same ports anew */
	wr_track_end(t);
	assert_int_equal(records, 2);
	assert_string_equal(state, "syn_sent");
}

TEST(joined_in_the_middle)
{
	fresh();
	DOWN(501, 101, ACK, 100); /* from port 80: the server */
	UP(101, 601, ACK, 10);
	wr_track_end(t);
	assert_int_equal(last.server_port, 80);
	assert_int_equal(last.bytes_to_client, 100);
	assert_int_equal(last.bytes_to_server, 10);
}

TEST(any_order_of_segments_sums_to_the_same)
{
	uint32_t seed = 1;

	for (unsigned round = 0; round < 200; round++) {
		uint8_t order[8] = {0, 1, 2, 3, 4, 5, 6, 7};

		fresh();
		shake();
		for (unsigned i = 7; i > 0; i--) {
			uint8_t x;
			unsigned j;

			seed = seed * 1103515245 + 12345;
			j = (seed >> 16) % (i + 1);
			x = order[i];
			order[i] = order[j];
			order[j] = x;
		}
		for (unsigned i = 0; i < 8; i++)
			UP(101 + order[i] * 100u, 501, ACK, 100);
		wr_track_end(t);
		assert_int_equal(last.bytes_to_server, 800);
		assert_int_equal(last.retransmits, 0);
	}
}

TEST(fragments_keep_their_ports)
{
	uint8_t p[100];
	struct wr_pkt k;
	uint32_t n;

	fresh();
	n = eth_udp(p, C, 5000, S, 53, 32);
	put16(p + 20, 0x2000);
	ip4_sum(p + 14);
	wr_packet_decode(p, n, n, WR_LINK_ETHERNET, &k);
	k.ts = now;
	wr_track_packet(t, &k);
	n = eth_ip4(p, C, S, 17, 24);
	put16(p + 20, 5);
	ip4_sum(p + 14);
	wr_packet_decode(p, n, n, WR_LINK_ETHERNET, &k);
	k.ts = now;
	wr_track_packet(t, &k);
	wr_track_end(t);
	assert_int_equal(records, 1);
	assert_int_equal(last.server_port, 53);
	assert_int_equal(last.packets_to_server, 2);
	assert_int_equal(last.bytes_to_server, 56);
}

TEST(memory_is_bounded)
{
	struct wr_track_config cfg = {.host = "h", .sink = sink, .max = 128};
	struct wr_track_stats s;
	uint8_t p[100];

	wr_track_free(t);
	t = wr_track_new(&cfg);
	records = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t n = eth_udp(p, C + i, 5000, S, 53, 10);
		struct wr_pkt k;

		wr_packet_decode(p, n, n, WR_LINK_ETHERNET, &k);
		k.ts = now + i;
		wr_track_packet(t, &k);
	}
	wr_track_end(t);
	wr_track_stats(t, &s);
	assert_int_equal(records, 1000); /* who had to make room was reported */
	assert_int_equal(s.packets, s.tracked + s.not_ip + s.cut + s.refused);
	wr_track_free(t);
	t = NULL;
}

/* A reset that is not of the other end: whoever is blinded by it does not see what comes behind. */
TEST(a_forged_reset_ends_nothing)
{
	fresh();
	shake();
	UP(101, 501, ACK, 10);
	UP(101 + 300000, 0, RST, 0);
	DOWN(501 + 300000, 0, RST, 0);
	UP(111, 501, ACK, 10);
	assert_int_equal(records, 0);
	UP(121, 501, ACK | FIN, 0);
	DOWN(501, 122, ACK | FIN, 0);
	UP(122, 502, ACK, 0);
	assert_string_equal(reason, "fin");
	assert_int_equal(last.bytes_to_server, 20);
	assert_int_equal(last.packets_to_server, 7);
}

static void evidence_of(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_alert *a = (const void *)e;

	wr_copy(ctx, 256, a->evidence);
}

TEST(a_malformed_packet_is_shown_without_its_payload)
{
	char text[256] = "", want[256];
	uint8_t p[2000];
	struct wr_pkt k;
	uint32_t n;
	int at;

	fresh();
	UP(100, 0, SYN, 0);
	n = eth_tcp(p, C, 4000, S, 80, 101, 0, 0, 1000, 40);
	wr_packet_decode(p, n, n, WR_LINK_ETHERNET, &k);
	assert_int_equal(k.bad, WR_BAD_TCP_NULL);
	wr_track_packet(t, &k);
	wr_track_malformed(t, evidence_of, text);
	at = snprintf(want, sizeof(want), "[{\"packet\":2,\"bytes\":\"");
	for (unsigned i = 0; i < 54; i++)
		at += snprintf(want + at, sizeof(want) - (size_t)at, "%02x", p[i]);
	snprintf(want + at, sizeof(want) - (size_t)at, "\"}]");
	assert_string_equal(text, want);
}

TEST_MAIN(RUN(whole_life), RUN(loss_and_order), RUN(windows_and_duplicates), RUN(refused_and_reset),
	RUN(joined_in_the_middle), RUN(any_order_of_segments_sums_to_the_same),
	RUN(fragments_keep_their_ports), RUN(memory_is_bounded),
	RUN(a_forged_reset_ends_nothing),
	RUN(a_malformed_packet_is_shown_without_its_payload))
