// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "tcprules.h"

#define SYN WR_TCP_SYN
#define ACK WR_TCP_ACK
#define FIN WR_TCP_FIN
#define RST WR_TCP_RST
#define UP 0
#define DOWN 1

static struct wr_tcp_rules r;
static struct wr_pkt p; /* what the next segment has besides */
static bool ignored;

/* A segment; the section that it breaks, "" for none. */
static const char *see(unsigned dir, uint32_t seq, uint32_t ack, uint8_t flags, uint32_t len)
{
	const char *rule;

	p.seq = seq;
	p.ack = ack;
	p.flags = flags;
	p.payload_len = len;
	p.window = 1000;
	rule = wr_tcp_rules_see(&r, dir, &p, &ignored);
	return rule ? rule : "";
}

static void with(bool mss, bool scale, bool sack, bool stamps)
{
	memset(&p, 0, sizeof(p));
	p.has_mss = mss;
	p.has_wscale = scale;
	p.wscale = scale ? 7 : 0;
	p.has_sack = sack;
	p.has_ts = stamps;
}

/* 101 and 501 are next. */
static void shake(void)
{
	memset(&r, 0, sizeof(r));
	with(true, true, true, true);
	assert_string_equal(see(UP, 100, 0, SYN, 0), "");
	assert_string_equal(see(DOWN, 500, 101, SYN | ACK, 0), "");
	with(false, false, false, true);
	assert_string_equal(see(UP, 101, 501, ACK, 0), "");
}

#define BREAKS(call, section)                                                                      \
	do {                                                                                       \
		const char *is_ = call;                                                            \
		if (strncmp(is_, section ":", sizeof(section)) != 0)                               \
			fail_msg("line %d: '%s' instead of %s", __LINE__, is_, section);           \
		assert_string_equal(call, ""); /* once */                                          \
	} while (0)

TEST(a_whole_life_breaks_nothing)
{
	shake();
	assert_string_equal(see(UP, 101, 501, ACK, 1000), "");
	assert_string_equal(see(UP, 1101, 501, ACK, 60000), ""); /* one piece of many segments */
	assert_string_equal(see(UP, 101, 501, ACK, 1000), ""); /* again */
	assert_string_equal(see(DOWN, 501, 1101, ACK, 0), "");
	p.has_sack_blocks = true;
	assert_string_equal(see(DOWN, 501, 1101, ACK, 0), "");
	p.has_sack_blocks = false;
	assert_string_equal(see(DOWN, 500, 61101, ACK, 1), ""); /* keep-alive */
	assert_string_equal(see(DOWN, 501, 61101, ACK | FIN, 10), "");
	assert_string_equal(see(DOWN, 501, 61101, ACK | FIN, 10), "");
	assert_string_equal(see(DOWN, 511, 61101, ACK, 1), ""); /* keep-alive behind the FIN */
	assert_string_equal(see(DOWN, 505, 61101, ACK | FIN, 6), "");
	assert_string_equal(see(UP, 61101, 512, ACK | FIN, 0), "");
	with(false, false, false, false); /* a reset needs no timestamp */
	assert_string_equal(see(UP, 61102, 0, RST, 0), "");
	assert_string_equal(see(DOWN, 101, 0, RST, 0), ""); /* an old one, as told by an old ACK */
}

TEST(each_rule_is_told_once_a_side)
{
	shake();
	with(true, false, false, true);
	BREAKS(see(UP, 101, 501, ACK, 0), "RFC 9293 3.2");
	BREAKS(see(DOWN, 501, 101, ACK, 0), "RFC 9293 3.2");
	with(false, true, false, true);
	BREAKS(see(UP, 101, 501, ACK, 0), "RFC 7323 2.2");
	with(false, false, true, true);
	BREAKS(see(UP, 101, 501, ACK, 0), "RFC 2018 2");
	with(false, false, false, false);
	BREAKS(see(UP, 101, 501, ACK, 5), "RFC 7323 3.2");
	with(false, false, false, true);
	BREAKS(see(DOWN, 501, 101, WR_TCP_PSH, 5), "RFC 9293 3.1");
	p.reserved = 4;
	BREAKS(see(UP, 106, 506, ACK, 5), "RFC 9293 3.1");
	p.reserved = 0;
	assert_string_equal(see(UP, 111, 506, ACK | FIN, 5), "");
	BREAKS(see(UP, 117, 506, ACK, 5), "RFC 9293 3.6");
	assert_false(ignored);
	BREAKS(see(UP, 117 + 200000, 0, RST, 0), "RFC 9293 3.5.3");
	assert_true(ignored); /* each time */
	BREAKS(see(DOWN, 501u - 200000u, 0, RST, 0), "RFC 9293 3.5.3");
}

TEST(what_was_not_agreed_on)
{
	memset(&r, 0, sizeof(r));
	with(true, false, false, true);
	assert_string_equal(see(UP, 100, 0, SYN, 0), "");
	with(true, true, false, false);
	BREAKS(see(DOWN, 500, 101, SYN | ACK, 0), "RFC 7323 2.2");
	with(false, false, false, false); /* the server has no timestamps: none are needed */
	assert_string_equal(see(UP, 101, 501, ACK, 10), "");
	p.has_sack_blocks = true;
	BREAKS(see(DOWN, 501, 101, ACK, 0), "RFC 2018 4");
	/* SYN+ACK of something else; of data in the SYN (RFC 7413) it is right */
	memset(&r, 0, sizeof(r));
	with(true, false, false, false);
	assert_string_equal(see(UP, 100, 0, SYN, 20), "");
	assert_string_equal(see(DOWN, 500, 121, SYN | ACK, 0), "");
	assert_string_equal(see(DOWN, 500, 101, SYN | ACK, 0), "");
	BREAKS(see(DOWN, 500, 122, SYN | ACK, 0), "RFC 9293 3.10.7.3");
	/* the port is used again: the late answer is to the try before */
	memset(&r, 0, sizeof(r));
	assert_string_equal(see(UP, 100, 0, SYN, 0), "");
	assert_string_equal(see(UP, 9000, 0, SYN, 0), "");
	assert_string_equal(see(DOWN, 500, 101, SYN | ACK, 0), "");
}

TEST(who_was_not_there_from_the_begin_accuses_nobody)
{
	memset(&r, 0, sizeof(r));
	with(false, false, false, true);
	assert_string_equal(see(UP, 101, 501, ACK, 10), "");
	with(false, false, false, false);
	p.has_sack_blocks = true;
	assert_string_equal(see(DOWN, 501, 111, ACK, 10), "");
	assert_string_equal(see(DOWN, 900501, 0, RST, 0), "");
	p.bad = WR_BAD_TCP_OPTION; /* told as such */
	p.reserved = 2;
	assert_string_equal(see(UP, 111, 501, ACK, 10), "");
}

TEST_MAIN(RUN(a_whole_life_breaks_nothing), RUN(each_rule_is_told_once_a_side),
	RUN(what_was_not_agreed_on), RUN(who_was_not_there_from_the_begin_accuses_nobody))
