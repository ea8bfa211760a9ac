/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One packet's headers, from the link to the transport, through tags and tunnels to the innermost
 * flow. Pure: no state, no allocation, any bytes. A packet that the capture cut (captured < length) is
 * not malformed; one whose own lengths contradict each other is.
 */
#ifndef WR_PACKET_H
#define WR_PACKET_H

#include "../event/event.h"

/* Link types (https://www.tcpdump.org/linktypes.html) that are understood. */
enum {
	WR_LINK_NULL = 0,
	WR_LINK_ETHERNET = 1,
	WR_LINK_RAW = 101,
	WR_LINK_LOOP = 108,
	WR_LINK_SLL = 113,
	WR_LINK_IPV4 = 228,
	WR_LINK_IPV6 = 229,
	WR_LINK_SLL2 = 276,
};

#define WR_MALFORMED(M)                                                                            \
	M(LINK, "link_header", "the link header is cut short")                                     \
	M(VLAN, "vlan_tag", "a VLAN tag is cut short")                                             \
	M(MPLS, "mpls_stack", "the MPLS label stack does not end")                                 \
	M(IP_VERSION, "ip_version", "the IP version does not fit the EtherType")                   \
	M(IP_IHL, "ip_header_length", "IPv4 header length below 20 or beyond the packet")          \
	M(IP_LENGTH, "ip_length", "IP length below the header or beyond the frame")                \
	M(IP_CUT, "ip_truncated", "the packet ends within the IP header")                          \
	M(IP_OPTION, "ip_option", "an IPv4 option runs over the header")                           \
	M(IP_CHECKSUM, "ip_checksum", "the IPv4 header checksum is wrong")                         \
	M(IP_TTL, "ip_ttl_zero", "time to live is zero")                                           \
	M(IP_LAND, "land", "source and destination are the same address and port")                 \
	M(IP_SOURCE, "ip_source", "the source is a multicast or broadcast address")                \
	M(FRAG_LONG, "ping_of_death", "fragments add up to more than 65,535 bytes")                \
	M(FRAG_TINY, "tiny_fragment", "the first fragment does not hold the transport header")     \
	M(FRAG_FLAGS, "fragment_flags", "don't fragment, and yet a fragment")                      \
	M(FRAG_SIZE, "fragment_size", "a fragment's length is not a multiple of 8")                \
	M(FRAG_OVERLAP, "fragment_overlap", "fragments overlap")                                   \
	M(V6_EXT, "ipv6_extension",                                                                \
		"an extension header runs over the packet or the chain is too long")               \
	M(V6_ORDER, "ipv6_hop_by_hop", "hop-by-hop options not directly behind the IPv6 header")   \
	M(TCP_CUT, "tcp_truncated", "the packet ends within the TCP header")                       \
	M(TCP_OFFSET, "tcp_data_offset", "TCP header length below 20 or beyond the packet")        \
	M(TCP_OPTION, "tcp_option", "a TCP option runs over the header")                           \
	M(TCP_NULL, "tcp_null", "no TCP flag is set")                                              \
	M(TCP_XMAS, "tcp_xmas", "FIN, PSH and URG without ACK")                                    \
	M(TCP_SYNFIN, "tcp_syn_fin", "SYN together with FIN")                                      \
	M(TCP_SYNRST, "tcp_syn_rst", "SYN together with RST")                                      \
	M(TCP_FIN, "tcp_fin_alone", "FIN without ACK")                                             \
	M(PORT_ZERO, "port_zero", "TCP or UDP port zero")                                          \
	M(UDP_LENGTH, "udp_length", "UDP length below 8 or not the IP payload's")                  \
	M(ICMP_CUT, "icmp_truncated", "the packet ends within the ICMP header")                    \
	M(ARP, "arp", "ARP with lengths or operation that cannot be")                              \
	M(TUNNEL, "tunnel", "a tunnel header that cannot be")

#define WR_M_ENUM(id, ...) WR_BAD_##id,
enum wr_bad { WR_BAD_NONE, WR_MALFORMED(WR_M_ENUM) WR_BAD_N };
#undef WR_M_ENUM

const char *wr_bad_name(enum wr_bad b);
const char *wr_bad_help(enum wr_bad b);

enum { WR_TUN_GRE = 1, WR_TUN_IPIP, WR_TUN_VXLAN, WR_TUN_GENEVE, WR_TUN_MPLS, WR_TUN_PPPOE };

#define WR_TCP_FIN 0x01
#define WR_TCP_SYN 0x02
#define WR_TCP_RST 0x04
#define WR_TCP_PSH 0x08
#define WR_TCP_ACK 0x10
#define WR_TCP_URG 0x20

/* Of two sequence numbers, which may have gone past the end (RFC 9293 3.4). */
static inline bool wr_seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

struct wr_pkt {
	uint64_t ts; /* UTC, ns */
	uint32_t captured, length;
	const uint8_t *data; /* all of it, borrowed; NULL: put together of fragments */
	uint8_t mac[12]; /* destination, source */
	uint16_t eth_type, arp_op; /* arp_op: 0 where it is none */
	uint16_t vlan, vlan_inner;
	uint32_t mpls, vni, flow_label;
	struct wr_ip src, dst;
	uint16_t sport, dport, ip_id, frag_off, window, urgent, mss;
	uint32_t ip_len, seq, ack, tsval, tsecr;
	uint32_t payload_len; /* of the transport, by its own lengths */
	uint32_t payload_cap; /* of that, captured */
	const uint8_t *payload; /* borrowed from the packet */
	const uint8_t *options; /* TCP */
	const uint8_t *arp_mac; /* the sender as ARP says it, where there is arp_op */
	uint8_t n_options;
	uint8_t n_vlan, prio, n_tunnels, tunnels[WR_MAX_TUNNELS];
	uint8_t ip_version, proto, ttl, tos, flags, wscale, icmp_type, icmp_code;
	uint8_t bad; /* enum wr_bad: the first thing that is wrong */
	bool has_mac, has_mpls, has_vni, has_ports, has_mss, has_wscale, has_sack, has_ts, df, mf,
		cut;
	bool ns; /* TCP flag AE/NS, bit 8 */
	uint8_t reserved; /* bits of the TCP header that must be zero (RFC 9293 3.1) */
	bool has_sack_blocks;
	struct { /* of a fragment: its part of the datagram, behind the IP headers; else p is NULL */
		const uint8_t *p;
		uint32_t len, cap, off, id;
		struct wr_ip src, dst;
		uint8_t version, proto, depth; /* depth: tunnels around it */
		bool more;
	} frag;
};

void wr_packet_decode(
	const uint8_t *data, uint32_t captured, uint32_t length, uint16_t link, struct wr_pkt *ret);

/* The datagram that fragments add up to: @head is the first one, @data what they hold behind the IP headers. */
void wr_packet_whole(
	const struct wr_pkt *head, const uint8_t *data, uint32_t n, struct wr_pkt *ret);

/* The same for a packet of a file: one without a whole network header is malformed unless the file's own
 * snap length cut it. */
struct wr_cap_packet;
void wr_packet_decode_file(const struct wr_cap_packet *f, struct wr_pkt *ret);

/* A packet record; its strings live in @text. */
struct wr_packet_text {
	char flags[12], options[128], tunnel[64], mac[2][18];
};
void wr_packet_event(const struct wr_pkt *p, uint64_t number, struct wr_packet_text *text,
	struct wr_ev_packet *ret);

const char *wr_proto_name(uint8_t proto);

#endif
