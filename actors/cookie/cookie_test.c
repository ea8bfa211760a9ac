// SPDX-License-Identifier: Apache-2.0
/* SYN cookies: what was answered is known again, what was not is not; options as clients write them. */
#include "../../tests/lib/test.h"
#include "cookie_abi.h"

#include <string.h>

/* as other implementations have it (openssl mac SIPHASH): key 00 01 .. 0f, messages 00 01 .. of 8 and 24 bytes */
TEST(the_hash_is_siphash)
{
	static const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	uint64_t m[3] = {0x0706050403020100, 0x0f0e0d0c0b0a0908, 0x1716151413121110};

	assert_int_equal(wr_cookie_sip(key, m, 1), 0x93f5f5799a932462);
	assert_int_equal(wr_cookie_sip(key, m, 3), 0xb8ad50c6f649af94);
}

TEST(a_cookie_comes_back)
{
	struct wr_cookie_ctl c = {.key = {1, 2}};
	unsigned others = 0;

	for (uint32_t i = 0; i < 200000; i++) {
		struct wr_cookie_of o = {.a = {i & 1 ? i : 0, i * 7u, 3, 4},
			.sport = (uint16_t)i,
			.dport = 80,
			.seq = i * 2654435761u,
			.v6 = i & 1};
		static const uint16_t mss[] = {
			100, 536, 1220, 1300, 1400, 1420, 1440, 1460, 8940, 9000};
		uint16_t asked = mss[i % 10];
		uint32_t k = wr_cookie_make(&c, &o, 100, asked),
			 got = wr_cookie_check(&c, &o, 100, k);

		assert_true(got && (got <= asked || got == wr_cookie_mss(o.v6, 0)));
		assert_int_equal(wr_cookie_check(&c, &o, 101, k), got);
		others += wr_cookie_check(&c, &o, 102, k) != 0;
		others += wr_cookie_check(&c, &o, 99, k) != 0;
		others += wr_cookie_check(&c, &o, 100, k + 4) != 0;
		o.sport++;
		others += wr_cookie_check(&c, &o, 100, k) != 0;
		o.sport--;
		o.seq++;
		others += wr_cookie_check(&c, &o, 100, k) != 0;
		o.seq--;
		o.a[1]++;
		others += wr_cookie_check(&c, &o, 100, k) != 0;
	}
	assert_true(others < 4); /* 1.2 million times 8 of 2^32 */
}

static void reads(const char *bytes, uint32_t n, uint32_t mss, int wscale, bool sack, bool stamp)
{
	struct wr_cookie_bytes b = {{0}};
	struct wr_cookie_opts o;

	memcpy(b.b, bytes, n);
	wr_cookie_read(&b, n, &o);
	assert_int_equal(o.mss, mss);
	assert_int_equal(o.wscale, wscale);
	assert_int_equal(o.sack, sack);
	assert_int_equal(o.stamp, stamp);
}

TEST(options)
{
	struct wr_cookie_bytes b;
	struct wr_cookie_opts o;
	uint32_t x = 1;

	reads("\2\4\x05\xb4\4\2\x08\x0a\1\2\3\4\0\0\0\0\1\3\3\7", 20, 1460, 7, true,
		true); /* Linux */
	reads("\2\4\x05\xb4\1\3\3\x08\1\1\4\2", 12, 1460, 8, true, false); /* Windows */
	reads("\2\4\x05\xb4\1\3\3\6\1\1\x08\x0a\1\2\3\4\0\0\0\0\4\2\0\0", 24, 1460, 6, true,
		true); /* macOS */
	reads("", 0, 536, 15, false, false);
	reads("\3\3\x28", 3, 536, 14, false, false); /* RFC 7323 2.3: as if it were 14 */
	reads("\2\4\x05", 3, 536, 15, false, false); /* cut */
	reads("\x1e\0\2\4\1\1", 6, 536, 15, false, false); /* a length that is none */
	for (unsigned i = 0; i < 300000; i++) { /* any bytes */
		for (unsigned k = 0; k < sizeof(b.b); k++)
			b.b[k] = (uint8_t)((x = x * 1103515245 + 12345) >> 20) & (i & 1 ? 15 : 255);
		wr_cookie_read(&b, i % 41, &o);
		assert_true(o.wscale <= 15);
	}
}

/* The short way reads what the long one reads, or leaves it. */
TEST(usual_options)
{
	static const uint8_t usual[20] = {
		2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 9, 8, 7, 6, 1, 3, 3, 7};
	struct wr_cookie_bytes b;
	uint32_t words[5], x = 1, taken = 0;

	for (unsigned i = 0; i < 200000; i++) {
		struct wr_cookie_opts a, o = {.pad = 77};

		memset(&b, 0, sizeof(b));
		memcpy(b.b, usual, sizeof(usual));
		for (unsigned k = 0; k < i % 4; k++) {
			x = x * 1103515245 + 12345;
			b.b[(x >> 20) % 20] = (uint8_t)(x >> 12);
		}
		memcpy(words, b.b, sizeof(words));
		if (!wr_cookie_read_usual(words, &o)) {
			assert_int_equal(o.pad, 77);
			continue;
		}
		taken++;
		wr_cookie_read(&b, 20, &a);
		assert_memory_equal(&a, &o, sizeof(a));
	}
	assert_in_range(taken, 50000, 190000);
}

TEST_MAIN(RUN(the_hash_is_siphash), RUN(a_cookie_comes_back), RUN(options), RUN(usual_options))
