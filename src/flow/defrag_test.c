// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "defrag.h"

#define C 0x0a000001
#define S 0x0a000002

static struct wr_defrag *d;
static struct wr_pkt whole;
static uint16_t port[2];
static bool known;
static uint64_t now = 1000;

/* One fragment of the UDP datagram @u (with its header) of @n bytes; @snap: bytes that the capture kept. */
static enum wr_frag frag(
	const uint8_t *u, uint32_t n, uint16_t id, uint32_t from, uint32_t to, uint32_t snap)
{
	static uint8_t p[70000];
	uint32_t len = eth_ip4(p, C, S, 17, to - from);
	struct wr_pkt k;

	memcpy(p + 34, u + from, to - from);
	put16(p + 18, id);
	put16(p + 20, from / 8 | (to < n ? 0x2000 : 0));
	ip4_sum(p + 14);
	wr_packet_decode(p, snap && snap < len ? snap : len, len, WR_LINK_ETHERNET, &k);
	k.ts = now;
	return wr_defrag_add(d, &k, &whole, port, &known);
}

static void fresh(void)
{
	wr_defrag_free(d);
	d = wr_defrag_new();
	assert_non_null(d);
}

static uint32_t datagram(uint8_t *u, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		u[8 + i] = (uint8_t)rand();
	put16(u, 5000);
	put16(u + 2, 2049);
	put16(u + 4, 8 + len);
	put16(u + 6, 0);
	return 8 + len;
}

/* Any cuts, any order, duplicates: the datagram once, when the last piece is there. */
TEST(any_order)
{
	static uint8_t u[66000];

	fresh();
	srand(7);
	for (unsigned round = 0; round < 3000; round++) {
		uint32_t n = datagram(u, 100 + (uint32_t)rand() % (round % 50 ? 3000 : 65400));
		uint32_t cut[66], k = 0;
		unsigned order[65], done = 0;

		cut[k++] = 0;
		while (k < 60 && cut[k - 1] + 8 < n) {
			uint32_t most = (n - cut[k - 1]) / 8, step = 8 * (1 + (uint32_t)rand() % most);

			if (cut[k - 1] + step >= n)
				break;
			cut[k] = cut[k - 1] + step;
			k++;
		}
		if (k == 1)
			continue;
		cut[k] = n;
		for (unsigned i = 0; i < k; i++)
			order[i] = i;
		for (unsigned i = k; i > 1; i--) {
			unsigned j = (unsigned)rand() % i, x = order[j];

			order[j] = order[i - 1];
			order[i - 1] = x;
		}
		for (unsigned i = 0; i < k; i++) {
			uint32_t from = cut[order[i]], to = cut[order[i] + 1];
			enum wr_frag rc = frag(u, n, (uint16_t)round, from, to, 0);

			assert_int_equal(rc, i + 1 == k ? WR_FRAG_WHOLE : WR_FRAG_MORE);
			if (i + 1 < k && rand() % 4 == 0)
				assert_int_equal(
					frag(u, n, (uint16_t)round, from, to, 0), WR_FRAG_MORE);
			done += rc == WR_FRAG_WHOLE;
			if (from == 0 && to >= 8)
				assert_int_equal(port[1], 2049);
		}
		assert_int_equal(done, 1);
		assert_int_equal(whole.payload_len, n - 8);
		assert_int_equal(whole.payload_cap, n - 8);
		assert_memory_equal(whole.payload, u + 8, n - 8);
		assert_int_equal(whole.dport, 2049);
		assert_int_equal(whole.bad, 0);
	}
}

TEST(what_cannot_be_whole)
{
	static uint8_t u[4000];
	uint32_t n = datagram(u, 3000);

	fresh();
	assert_int_equal(frag(u, n, 1, 0, 1480, 0), WR_FRAG_MORE);
	assert_int_equal(frag(u, n, 1, 1472, n, 0), WR_FRAG_OVERLAP); /* teardrop */
	assert_true(known);
	assert_int_equal(frag(u, n, 1, 1480, n, 0), WR_FRAG_LOST);
	assert_int_equal(frag(u, n, 2, 0, 1480, 0), WR_FRAG_MORE);
	assert_int_equal(frag(u, n, 2, 1480, n, 100), WR_FRAG_LOST); /* cut by the capture */
	assert_int_equal(frag(u, n, 3, 1480, n, 0), WR_FRAG_MORE); /* the first one is not there */
	assert_false(known);
	now += 40ull * 1000000000;
	assert_int_equal(frag(u, n, 3, 0, 1480, 0), WR_FRAG_MORE); /* too late */
}

/* 100,000 datagrams without an end, 60 KiB each: bounded, and a whole one still comes through. */
TEST(memory_is_bounded)
{
	static uint8_t u[66000];
	uint32_t n = datagram(u, 65000);

	fresh();
	for (unsigned i = 0; i < 100000; i++)
		frag(u, n, (uint16_t)i, 0, 60000, 0);
	now += 40ull * 1000000000;
	for (unsigned i = 0; i < 65536; i++) {
		frag(u, n, (uint16_t)i, 0, 64, 0);
		now += 1000000;
	}
	n = datagram(u, 1000);
	assert_int_equal(frag(u, n, 7, 0, 504, 0), WR_FRAG_MORE);
	assert_int_equal(frag(u, n, 7, 504, n, 0), WR_FRAG_WHOLE);
	wr_defrag_free(d);
	d = NULL;
}

TEST_MAIN(RUN(any_order), RUN(what_cannot_be_whole), RUN(memory_is_bounded))
