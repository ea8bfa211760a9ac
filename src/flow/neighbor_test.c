// SPDX-License-Identifier: Apache-2.0
/* ARP by pairs: each request is in a record, also when there are more pairs than places. */
#include "../../tests/lib/test.h"
#include "neighbor.h"

static struct {
	uint64_t records, asked, answered;
	struct wr_ev_neighbor last;
	char mac[20];
} seen;

static void look(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_neighbor *r = (const void *)e;

	(void)ctx;
	seen.records++;
	seen.asked += r->asked;
	seen.answered += r->answered;
	seen.last = *r;
	wr_copy(seen.mac, sizeof(seen.mac), r->target_mac);
}

static struct wr_arp arp(unsigned op, uint32_t from, uint32_t to)
{
	const uint8_t a[4] = {10, (uint8_t)(from >> 16), (uint8_t)(from >> 8), (uint8_t)from};
	const uint8_t b[4] = {10, (uint8_t)(to >> 16), (uint8_t)(to >> 8), (uint8_t)to};

	return (struct wr_arp){.ts = 1000,
		.op = (uint16_t)op,
		.sender = wr_ip4(a),
		.target = wr_ip4(b),
		.mac = {2, 0, 0, 0, 0, (uint8_t)from}};
}

static void put(struct wr_neighbors *t, unsigned op, uint32_t from, uint32_t to)
{
	struct wr_arp a = arp(op, from, to);

	wr_neighbors_packet(t, &a, look, NULL);
}

TEST(pairs)
{
	struct wr_neighbors *t = wr_neighbors_new("h");
	struct wr_arp a;

	assert_non_null(t);
	memset(&seen, 0, sizeof(seen));
	put(t, 1, 1, 2);
	put(t, 1, 1, 2);
	put(t, 2, 2, 1);
	put(t, 2, 9, 1); /* nobody asked for it */
	put(t, 1, 5, 5); /* an announcement */
	put(t, 3, 1, 7); /* RARP */
	a = arp(1, 0, 9);
	memset(&a.sender, 0, sizeof(a.sender)); /* a probe */
	wr_neighbors_packet(t, &a, look, NULL);
	wr_neighbors_flush(t, look, NULL);
	assert_int_equal(seen.records, 1);
	assert_int_equal(seen.last.asked, 2);
	assert_int_equal(seen.last.answered, 1);
	assert_string_equal(seen.mac, "02:00:00:00:00:02");
	wr_neighbors_flush(t, look, NULL);
	assert_int_equal(seen.records, 1); /* nothing changed */
	wr_neighbors_free(t);
}

TEST(flood)
{
	struct wr_neighbors *t = wr_neighbors_new("h");

	assert_non_null(t);
	memset(&seen, 0, sizeof(seen));
	for (uint32_t i = 0; i < 100000; i++)
		put(t, 1, 1, i + 2);
	wr_neighbors_flush(t, look, NULL);
	assert_int_equal(seen.asked, 100000);
	assert_int_equal(seen.records, 100000);
	wr_neighbors_free(t);
}

TEST_MAIN(RUN(pairs), RUN(flood))
