/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka, and packets built by hand. TEST(name) and TEST_MAIN(names). */
#ifndef WR_TEST_H
#define WR_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/base/base.h"
#include "../../src/base/buf.h"

#define TEST(name) static void name(void **state_ __attribute__((unused)))
#define RUN(name) cmocka_unit_test(name)
#define TEST_MAIN(...)                                                                             \
	int main(void)                                                                             \
	{                                                                                          \
		const struct CMUnitTest tests[] = {__VA_ARGS__};                                   \
		return cmocka_run_group_tests(tests, NULL, NULL);                                  \
	}

#define assert_text(b, want)                                                                       \
	do {                                                                                       \
		wr_buf_c(&(b), 0);                                                                 \
		assert_string_equal((b).p, (want));                                                \
		(b).n = 0;                                                                         \
	} while (0)

/* Ethernet + IPv4 + TCP/UDP into @p; returns the length. Sums are right. */
static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static inline void ip4_sum(uint8_t *ip)
{
	uint32_t s = 0;

	put16(ip + 10, 0);
	for (unsigned i = 0; i < (ip[0] & 15u) * 4; i += 2)
		s += (uint32_t)ip[i] << 8 | ip[i + 1];
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	put16(ip + 10, ~s & 0xffff);
}

static inline uint32_t eth_ip4(uint8_t *p, uint32_t src, uint32_t dst, uint8_t proto, uint32_t len)
{
	memset(p, 0, 34);
	memcpy(p, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", 14);
	p[14] = 0x45;
	put16(p + 16, 20 + len);
	p[22] = 64;
	p[23] = proto;
	put32(p + 26, src);
	put32(p + 30, dst);
	ip4_sum(p + 14);
	return 34 + len;
}

static inline uint32_t eth_tcp(uint8_t *p, uint32_t src, uint16_t sport, uint32_t dst,
	uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags, uint16_t win, uint32_t len)
{
	uint8_t *t = p + 34;

	memset(t, 0, 20 + len);
	put16(t, sport);
	put16(t + 2, dport);
	put32(t + 4, seq);
	put32(t + 8, ack);
	t[12] = 0x50;
	t[13] = flags;
	put16(t + 14, win);
	return eth_ip4(p, src, dst, 6, 20 + len);
}

static inline uint32_t eth_udp(
	uint8_t *p, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint32_t len)
{
	uint8_t *t = p + 34;

	put16(t, sport);
	put16(t + 2, dport);
	put16(t + 4, 8 + len);
	put16(t + 6, 0);
	return eth_ip4(p, src, dst, 17, 8 + len);
}

#endif
