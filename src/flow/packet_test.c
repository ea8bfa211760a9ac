// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "packet.h"

#define A 0x0a000001
#define B 0x0a000002

static struct wr_pkt k;

static void decode(const uint8_t *p, uint32_t n)
{
	wr_packet_decode(p, n, n, WR_LINK_ETHERNET, &k);
}

TEST(tcp)
{
	uint8_t p[200];
	uint32_t n = eth_tcp(p, A, 1234, B, 80, 1000, 2000, WR_TCP_ACK | WR_TCP_PSH, 500, 10);

	decode(p, n);
	assert_int_equal(k.bad, WR_BAD_NONE);
	assert_true(k.has_ports && k.sport == 1234 && k.dport == 80 && k.seq == 1000 &&
		    k.ack == 2000 && k.window == 500);
	assert_int_equal(k.payload_len, 10);
	/* the frame's padding is not payload */
	memset(p + n, 0, 6);
	wr_packet_decode(p, n + 6, n + 6, WR_LINK_ETHERNET, &k);
	assert_int_equal(k.payload_len, 10);
	assert_int_equal(k.payload_cap, 10);
	/* cut by the snap length: the wire's length counts */
	wr_packet_decode(p, n - 5, n, WR_LINK_ETHERNET, &k);
	assert_int_equal(k.bad, WR_BAD_NONE);
	assert_int_equal(k.payload_len, 10);
	assert_int_equal(k.payload_cap, 5);
}

TEST(vlan_qinq_mpls)
{
	uint8_t in[100], p[200];
	uint32_t n = eth_udp(in, A, 53, B, 1000, 4);

	memcpy(p, in, 12);
	memcpy(p + 12, "\x88\xa8\x20\x64\x81\x00\x00\x07\x08\x00", 10);
	memcpy(p + 22, in + 14, n - 14);
	decode(p, n + 8);
	assert_true(k.vlan == 100 && k.vlan_inner == 7 && k.prio == 1 && k.sport == 53 && !k.bad);
	memcpy(p + 12, "\x88\x47\x00\x01\x00\x40\x00\x02\x01\x40", 10);
	memcpy(p + 22, in + 14, n - 14);
	decode(p, n + 8);
	assert_true(k.has_mpls && k.mpls == 16 && k.sport == 53 && !k.bad);
}

TEST(tunnels)
{
	uint8_t in[200], p[400];
	uint32_t n = eth_tcp(in, A, 1, B, 2, 3, 4, WR_TCP_ACK, 5, 0), m;

	/* VXLAN */
	m = eth_udp(p, B, 5555, A, 4789, 8 + n);
	memcpy(p + 42, "\x08\0\0\0\0\x01\x02\0", 8);
	memcpy(p + 50, in, n);
	decode(p, m);
	assert_true(
		k.proto == 6 && k.sport == 1 && k.has_vni && k.vni == 0x102 && k.n_tunnels == 1);
	/* the same port without the header stays UDP */
	p[42] = 0;
	decode(p, m);
	assert_true(k.proto == 17 && k.dport == 4789 && !k.n_tunnels);
	/* Geneve with 4 bytes of options */
	m = eth_udp(p, B, 5555, A, 6081, 12 + n);
	memcpy(p + 42, "\x01\0\x65\x58\0\0\x09\0\0\0\0\0", 12);
	memcpy(p + 54, in, n);
	decode(p, m);
	assert_true(k.proto == 6 && k.sport == 1 && k.vni == 9);
	/* GRE with key, then IP */
	m = eth_ip4(p, B, A, 47, 8 + n - 14);
	memcpy(p + 34, "\x20\0\x08\0\0\0\0\x2a", 8);
	memcpy(p + 42, in + 14, n - 14);
	decode(p, m);
	assert_true(k.proto == 6 && k.sport == 1 && k.vni == 42);
	/* IPIP */
	m = eth_ip4(p, B, A, 4, n - 14);
	memcpy(p + 34, in + 14, n - 14);
	decode(p, m);
	assert_true(k.proto == 6 && k.sport == 1 && k.tunnels[0] == WR_TUN_IPIP);
	/* nested without end */
	for (unsigned i = 0; i < 15; i++)
		eth_ip4(p + 20 * i, B, A, 4, 300 - 20 * i);
	decode(p, 334);
	assert_true(k.n_tunnels <= WR_MAX_TUNNELS);
}

TEST(ipv6_extensions)
{
	uint8_t p[120] = {0};

	memcpy(p, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x86\xdd\x60\x0a\xbc\xde\0\x18\0\x40", 22);
	p[22 + 15] = 1;
	p[22 + 31] = 2;
	p[54] = 60; /* hop-by-hop, destination options, UDP */
	p[62] = 17;
	put16(p + 70, 53);
	put16(p + 72, 99);
	put16(p + 74, 8);
	decode(p, 78);
	assert_true(k.proto == 17 && k.sport == 53 && k.flow_label == 0xabcde && !k.bad);
	p[54] = 0; /* hop-by-hop twice */
	decode(p, 78);
	assert_int_equal(k.bad, WR_BAD_V6_ORDER);
	p[54] = 60;
	p[63] = 200; /* an extension beyond the packet */
	decode(p, 78);
	assert_int_equal(k.bad, WR_BAD_V6_EXT);
}

/* One packet for each thing that can be wrong; the healthy twin is right. */
TEST(malformed)
{
	uint8_t p[300];
	uint32_t n;

#define FRESH n = eth_tcp(p, A, 1234, B, 80, 1, 2, WR_TCP_ACK, 100, 40)
#define IS(want)                                                                                   \
	do {                                                                                       \
		decode(p, n);                                                                      \
		assert_string_equal(wr_bad_name(k.bad), wr_bad_name(WR_BAD_##want));               \
		FRESH;                                                                             \
	} while (0)
#define SUM ip4_sum(p + 14)
	FRESH;
	IS(NONE);
	n = 10;
	IS(LINK);
	n = 20;
	IS(IP_CUT);
	put16(p + 12, 0x8100);
	n = 16;
	IS(VLAN);
	p[14] = 0x65;
	IS(IP_VERSION);
	p[14] = 0x44;
	IS(IP_IHL);
	put16(p + 16, 10);
	SUM;
	IS(IP_LENGTH);
	put16(p + 16, 1000);
	SUM;
	IS(IP_LENGTH);
	p[14] = 0x46; /* four bytes of options: an option of length 1 */
	p[34] = 7;
	p[35] = 1;
	SUM;
	IS(IP_OPTION);
	p[24] ^= 1;
	IS(IP_CHECKSUM);
	p[22] = 0;
	SUM;
	IS(IP_TTL);
	put32(p + 26, 0xe0000001);
	SUM;
	IS(IP_SOURCE);
	put32(p + 26, B);
	put16(p + 34, 80);
	SUM;
	IS(IP_LAND);
	put16(p + 20, 0x4001);
	SUM;
	IS(FRAG_FLAGS);
	put16(p + 20, 0x1fff);
	SUM;
	IS(FRAG_LONG);
	n = eth_tcp(p, A, 1234, B, 80, 1, 2, WR_TCP_ACK, 100, 41);
	put16(p + 20, 0x2001);
	SUM;
	IS(FRAG_SIZE);
	put16(p + 16, 28);
	put16(p + 20, 0x2000);
	SUM;
	n = 42;
	IS(FRAG_TINY);
	put16(p + 16, 30);
	SUM;
	n = 44;
	IS(TCP_CUT);
	p[46] = 0x40;
	IS(TCP_OFFSET);
	p[46] = 0x60;
	p[54] = 2;
	p[55] = 40;
	IS(TCP_OPTION);
	p[47] = 0;
	IS(TCP_NULL);
	p[47] = 0x29;
	IS(TCP_XMAS);
	p[47] = 0x03;
	IS(TCP_SYNFIN);
	p[47] = 0x06;
	IS(TCP_SYNRST);
	p[47] = 0x01;
	IS(TCP_FIN);
	put16(p + 36, 0);
	IS(PORT_ZERO);
	n = eth_udp(p, A, 1, B, 2, 10);
	put16(p + 38, 4);
	IS(UDP_LENGTH);
	n = eth_ip4(p, A, B, 1, 3);
	IS(ICMP_CUT);
	put16(p + 12, 0x0806);
	memset(p + 14, 0, 28);
	IS(ARP);
	put16(p + 12, 0x8847);
	memset(p + 14, 0, 100);
	n = 100;
	IS(MPLS);
	n = eth_ip4(p, A, B, 47, 8);
	put16(p + 34, 0x0007);
	IS(TUNNEL);
}

/* Every header byte with every value, at every length: under sanitizers, nothing may be read outside. */
TEST(every_byte_mutated)
{
	static const uint16_t links[] = {
		WR_LINK_ETHERNET, WR_LINK_RAW, WR_LINK_SLL, WR_LINK_SLL2, WR_LINK_NULL, 9999};
	uint8_t base[200], in[120];
	uint32_t n, m = eth_tcp(in, A, 1, B, 2, 3, 4, WR_TCP_ACK, 5, 8);

	n = eth_udp(base, A, 5555, B, 4789, 8 + m);
	memcpy(base + 42, "\x08\0\0\0\0\0\x01\0", 8);
	memcpy(base + 50, in, m);
	for (unsigned l = 0; l < WR_N(links); l++) {
		for (uint32_t i = 0; i < n; i++) {
			for (unsigned v = 0; v < 256; v += l ? 17 : 1) {
				uint8_t *p = malloc(n);
				struct wr_packet_text text;
				struct wr_ev_packet ev;

				memcpy(p, base, n);
				p[i] = (uint8_t)v;
				wr_packet_decode(p, n, n, links[l], &k);
				wr_packet_event(&k, 1, &text, &ev);
				free(p);
			}
		}
		for (uint32_t len = 0; len <= n; len++) {
			uint8_t *p = malloc(len ? len : 1);

			memcpy(p, base, len);
			wr_packet_decode(p, len, n, links[l], &k);
			wr_packet_decode(p, len, len, links[l], &k);
			free(p);
		}
	}
}

TEST_MAIN(RUN(tcp), RUN(vlan_qinq_mpls), RUN(tunnels), RUN(ipv6_extensions), RUN(malformed),
	RUN(every_byte_mutated))
