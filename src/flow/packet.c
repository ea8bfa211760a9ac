// SPDX-License-Identifier: Apache-2.0
#include "packet.h"
#include "../base/rd.h"
#include "capfile.h"

#define WR_M_ROW(id, name, help) {name, help},
static const struct {
	const char *name, *help;
} bad_rows[] = {{"", ""}, WR_MALFORMED(WR_M_ROW)};
#undef WR_M_ROW

enum {
	T_IP4 = 0x0800,
	T_ARP = 0x0806,
	T_VLAN = 0x8100,
	T_IP6 = 0x86dd,
	T_QINQ = 0x88a8,
	T_QINQ_OLD = 0x9100,
	T_MPLS = 0x8847,
	T_MPLS_MC = 0x8848,
	T_PPPOE = 0x8864,
	T_TEB = 0x6558
};

const char *wr_bad_name(enum wr_bad b)
{
	return b < WR_BAD_N ? bad_rows[b].name : "?";
}

const char *wr_bad_help(enum wr_bad b)
{
	return b < WR_BAD_N ? bad_rows[b].help : "?";
}

const char *wr_proto_name(uint8_t proto)
{
	switch (proto) {
	case 1:
		return "icmp";
	case 2:
		return "igmp";
	case 6:
		return "tcp";
	case 17:
		return "udp";
	case 47:
		return "gre";
	case 50:
		return "esp";
	case 51:
		return "ah";
	case 58:
		return "icmp6";
	case 89:
		return "ospf";
	case 132:
		return "sctp";
	case 136:
		return "udplite";
	}
	return "other";
}

static void bad(struct wr_pkt *p, enum wr_bad b)
{
	if (!p->bad)
		p->bad = (uint8_t)b;
}

/* A read beyond the captured bytes: malformed only if the wire had no more either. */
static void ends(struct wr_pkt *p, enum wr_bad b)
{
	if (p->captured < p->length)
		p->cut = true;
	else
		bad(p, b);
}

static void network(struct wr_pkt *p, struct wr_rd *r, uint16_t type, unsigned depth);
static void ip(struct wr_pkt *p, struct wr_rd *r, uint16_t type, unsigned depth);

static void tunnel(struct wr_pkt *p, uint8_t t)
{
	if (p->n_tunnels < WR_MAX_TUNNELS)
		p->tunnels[p->n_tunnels++] = t;
}

static void ethernet(struct wr_pkt *p, struct wr_rd *r, unsigned depth)
{
	const uint8_t *m = wr_rd_take(r, 14);

	if (!m) {
		ends(p, WR_BAD_LINK);
		return;
	}
	memcpy(p->mac, m, 12);
	p->has_mac = true;
	network(p, r, wr_be16(m + 12), depth);
}

static void tcp_options(struct wr_pkt *p, const uint8_t *o, size_t n)
{
	size_t i = 0;

	while (i < n) {
		uint8_t kind = o[i], len;

		if (kind == 0)
			return;
		if (kind == 1) {
			i++;
			continue;
		}
		if (i + 1 >= n || (len = o[i + 1]) < 2 || i + len > n) {
			bad(p, WR_BAD_TCP_OPTION);
			return;
		}
		if (kind == 2 && len == 4) {
			p->mss = wr_be16(o + i + 2);
			p->has_mss = true;
		} else if (kind == 3 && len == 3) {
			p->wscale = o[i + 2] > 14 ? 14 : o[i + 2]; /* RFC 7323 2.3 */
			p->has_wscale = true;
		} else if (kind == 4 && len == 2) {
			p->has_sack = true;
		} else if (kind == 5) {
			p->has_sack_blocks = true;
		} else if (kind == 8 && len == 10) {
			p->tsval = wr_be32(o + i + 2);
			p->tsecr = wr_be32(o + i + 6);
			p->has_ts = true;
		}
		i += len;
	}
}

static void tcp(struct wr_pkt *p, struct wr_rd *r, uint32_t len)
{
	const uint8_t *h = wr_rd_take(r, 20), *o;
	uint32_t off;
	uint8_t f;

	if (!h) {
		if (len >= 20 || p->captured < p->length)
			p->cut = true;
		if (len < 20)
			bad(p, WR_BAD_TCP_CUT);
		if (wr_rd_left(r) >= 4) { /* at least the ports */
			h = wr_rd_take(r, 4);
			p->sport = wr_be16(h);
			p->dport = wr_be16(h + 2);
			p->has_ports = true;
		}
		return;
	}
	p->sport = wr_be16(h);
	p->dport = wr_be16(h + 2);
	p->has_ports = true;
	p->seq = wr_be32(h + 4);
	p->ack = wr_be32(h + 8);
	p->ns = h[12] & 1;
	p->reserved = h[12] & 0x0e;
	p->flags = f = h[13];
	p->window = wr_be16(h + 14);
	p->urgent = wr_be16(h + 18);
	off = (h[12] >> 4) * 4u;
	if (off < 20 || off > len) {
		bad(p, WR_BAD_TCP_OFFSET);
		return;
	}
	p->payload_len = len - off;
	p->payload_cap = 0;
	o = wr_rd_take(r, off - 20);
	if (!o) { /* the length is known all the same */
		p->cut = true;
		return;
	}
	p->options = o;
	p->n_options = (uint8_t)(off - 20);
	p->payload = r->p;
	p->payload_cap = (uint32_t)wr_min(wr_rd_left(r), (size_t)p->payload_len);
	tcp_options(p, o, off - 20);
	if ((f & (WR_TCP_SYN | WR_TCP_FIN)) == (WR_TCP_SYN | WR_TCP_FIN))
		bad(p, WR_BAD_TCP_SYNFIN);
	else if ((f & (WR_TCP_SYN | WR_TCP_RST)) == (WR_TCP_SYN | WR_TCP_RST))
		bad(p, WR_BAD_TCP_SYNRST);
	else if (!(f & 0x3f))
		bad(p, WR_BAD_TCP_NULL);
	else if (!(f & WR_TCP_ACK) && (f & (WR_TCP_FIN | WR_TCP_PSH | WR_TCP_URG)) ==
					      (WR_TCP_FIN | WR_TCP_PSH | WR_TCP_URG))
		bad(p, WR_BAD_TCP_XMAS);
	else if ((f & 0x3f) == WR_TCP_FIN)
		bad(p, WR_BAD_TCP_FIN);
	if (!p->sport || !p->dport)
		bad(p, WR_BAD_PORT_ZERO);
}

/* VXLAN (RFC 7348) and Geneve (RFC 8926) by port and a header that can be; else it stays UDP. */
static bool udp_tunnel(struct wr_pkt *p, unsigned depth)
{
	const uint8_t *d = p->payload;
	struct wr_rd in;
	uint32_t opt;

	if (p->payload_cap < 8 || depth >= WR_MAX_TUNNELS || p->mf)
		return false;
	if (p->dport == 4789 && d[0] == 0x08 && !d[7]) {
		tunnel(p, WR_TUN_VXLAN);
		p->vni = wr_be32(d + 4) >> 8;
		p->has_vni = true;
		in = wr_rd(d + 8, p->payload_cap - 8);
		ethernet(p, &in, depth + 1);
		return true;
	}
	if (p->dport == 6081 && !(d[0] & 0xc0) && !(d[1] & 0x3f)) {
		opt = (d[0] & 0x3f) * 4u;
		if (p->payload_cap < 8 + opt)
			return false;
		tunnel(p, WR_TUN_GENEVE);
		p->vni = wr_be32(d + 4) >> 8;
		p->has_vni = true;
		in = wr_rd(d + 8 + opt, p->payload_cap - 8 - opt);
		if (wr_be16(d + 2) == T_TEB)
			ethernet(p, &in, depth + 1);
		else
			network(p, &in, wr_be16(d + 2), depth + 1);
		return true;
	}
	return false;
}

static void udp(struct wr_pkt *p, struct wr_rd *r, uint32_t len, unsigned depth)
{
	const uint8_t *h = wr_rd_take(r, 8);
	uint32_t u;

	if (!h) {
		if (len < 8)
			bad(p, WR_BAD_UDP_LENGTH);
		else
			p->cut = true;
		return;
	}
	p->sport = wr_be16(h);
	p->dport = wr_be16(h + 2);
	p->has_ports = true;
	u = wr_be16(h + 4);
	if (!u) /* a jumbogram (RFC 2675) or offload */
		u = len;
	if (u < 8 || (u > len && !p->mf)) {
		bad(p, WR_BAD_UDP_LENGTH);
		u = len;
	}
	p->payload_len = wr_min(u, len) - 8;
	p->payload = r->p;
	p->payload_cap = (uint32_t)wr_min(wr_rd_left(r), (size_t)p->payload_len);
	if (!p->dport) /* a source port of zero means that no answer is wanted (RFC 768) */
		bad(p, WR_BAD_PORT_ZERO);
	udp_tunnel(p, depth);
}

static void gre(struct wr_pkt *p, struct wr_rd *r, unsigned depth)
{
	const uint8_t *h = wr_rd_take(r, 4);
	uint16_t flags, type;

	if (!h) {
		ends(p, WR_BAD_TUNNEL);
		return;
	}
	flags = wr_be16(h);
	type = wr_be16(h + 2);
	if ((flags & 7) > 1) {
		bad(p, WR_BAD_TUNNEL);
		return;
	}
	if (flags & 0x8000)
		wr_rd_take(r, 4);
	if (flags & 0x2000) {
		p->vni = wr_rd_be32(r);
		p->has_vni = true;
	}
	if (flags & 0x1000)
		wr_rd_take(r, 4);
	if ((flags & 7) == 1 && (flags & 0x80))
		wr_rd_take(r, 4);
	if (r->bad) {
		ends(p, WR_BAD_TUNNEL);
		return;
	}
	if (depth >= WR_MAX_TUNNELS)
		return;
	tunnel(p, WR_TUN_GRE);
	if (type == T_TEB)
		ethernet(p, r, depth + 1);
	else if (type == T_IP4 || type == T_IP6 || type == T_MPLS)
		network(p, r, type, depth + 1);
}

/* @len: bytes of the transport by the IP header's own length */
static void transport(struct wr_pkt *p, struct wr_rd *r, uint32_t len, unsigned depth)
{
	const uint8_t *h;

	p->payload_len = len;
	p->payload = r->p;
	p->payload_cap = (uint32_t)wr_min(wr_rd_left(r), (size_t)len);
	if (p->mf || p->frag_off) {
		p->frag.p = r->p;
		p->frag.len = len;
		p->frag.cap = p->payload_cap;
		p->frag.off = p->frag_off;
		p->frag.id = p->ip_id;
		p->frag.src = p->src;
		p->frag.dst = p->dst;
		p->frag.version = p->ip_version;
		p->frag.proto = p->proto;
		p->frag.depth = (uint8_t)depth;
		p->frag.more = p->mf;
	}
	if (p->frag_off) /* ports are in the first fragment */
		return;
	if (p->mf && (p->proto == 6 ? len < 20 : p->proto == 17 && len < 8))
		bad(p, WR_BAD_FRAG_TINY);
	switch (p->proto) {
	case 6:
		tcp(p, r, len);
		break;
	case 17:
	case 136:
		udp(p, r, len, depth);
		break;
	case 33: /* DCCP, RFC 4340 5.1 */
	case 132: /* SCTP, RFC 9260 3.1: what is behind the ports is told as payload */
		h = wr_rd_take(r, 4);
		if (h) {
			p->sport = wr_be16(h);
			p->dport = wr_be16(h + 2);
			p->has_ports = true;
		}
		break;
	case 1:
	case 58:
		h = wr_rd_take(r, 4);
		if (!h) {
			if (len < 4)
				bad(p, WR_BAD_ICMP_CUT);
			return;
		}
		p->icmp_type = h[0];
		p->icmp_code = h[1];
		if (len < 8)
			bad(p, WR_BAD_ICMP_CUT);
		break;
	case 4:
	case 41:
		if (depth >= WR_MAX_TUNNELS || p->mf)
			return;
		tunnel(p, WR_TUN_IPIP);
		ip(p, r, p->proto == 4 ? T_IP4 : T_IP6, depth + 1);
		break;
	case 47:
		if (!p->mf) /* else: when the datagram is whole */
			gre(p, r, depth);
		break;
	}
}

void wr_packet_whole(const struct wr_pkt *head, const uint8_t *data, uint32_t n, struct wr_pkt *ret)
{
	struct wr_rd r = wr_rd(data, n);

	*ret = *head;
	ret->captured = ret->length = n;
	ret->ip_len += n - head->frag.len;
	ret->mf = ret->has_ports = ret->cut = false;
	ret->bad = 0;
	ret->data = NULL;
	ret->frag.p = NULL;
	transport(ret, &r, n, head->frag.depth);
}

static bool checksum_wrong(const uint8_t *h, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += wr_be16(h + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum != 0xffff;
}

static void ip4(struct wr_pkt *p, struct wr_rd *r, unsigned depth)
{
	const uint8_t *h = r->p, *o;
	size_t left = wr_rd_left(r);
	uint32_t ihl, total;
	uint16_t frag;

	if (left < 20) {
		ends(p, WR_BAD_IP_CUT);
		return;
	}
	ihl = (h[0] & 15) * 4u;
	total = wr_be16(h + 2);
	p->ip_version = 4;
	p->tos = h[1];
	p->ip_id = wr_be16(h + 4);
	frag = wr_be16(h + 6);
	p->df = frag & 0x4000;
	p->mf = frag & 0x2000;
	p->frag_off = (uint16_t)((frag & 0x1fff) * 8);
	p->ttl = h[8];
	p->proto = h[9];
	p->src = wr_ip4(h + 12);
	p->dst = wr_ip4(h + 16);
	if (ihl < 20) {
		bad(p, WR_BAD_IP_IHL);
		return;
	}
	if (!total) /* segmentation offload: the frame tells (tcpdump and wireshark do the same) */
		total = (uint32_t)left + (p->length - p->captured);
	p->ip_len = total;
	if (total < ihl) {
		bad(p, WR_BAD_IP_LENGTH);
		return;
	}
	if (total > left && p->captured >= p->length)
		bad(p, WR_BAD_IP_LENGTH);
	if (left < ihl) {
		ends(p, WR_BAD_IP_IHL);
		return;
	}
	for (o = h + 20; o < h + ihl;) { /* RFC 791 3.1 */
		if (*o == 0)
			break;
		if (*o == 1) {
			o++;
			continue;
		}
		if (o + 1 >= h + ihl || o[1] < 2 || o + o[1] > h + ihl) {
			bad(p, WR_BAD_IP_OPTION);
			break;
		}
		o += o[1];
	}
	if (checksum_wrong(h, ihl) && (h[10] | h[11])) /* zero: left to the hardware */
		bad(p, WR_BAD_IP_CHECKSUM);
	if (!p->ttl)
		bad(p, WR_BAD_IP_TTL);
	if ((h[12] & 0xf0) == 0xe0 || wr_be32(h + 12) == 0xffffffff)
		bad(p, WR_BAD_IP_SOURCE);
	if (p->df && p->frag_off)
		bad(p, WR_BAD_FRAG_FLAGS);
	if (p->mf && (total - ihl) % 8)
		bad(p, WR_BAD_FRAG_SIZE);
	if (p->frag_off + total - ihl > 65535)
		bad(p, WR_BAD_FRAG_LONG);
	r->p += ihl;
	if (wr_rd_left(r) > total - ihl) /* the frame's padding */
		r->end = r->p + (total - ihl);
	transport(p, r, total - ihl, depth);
}

static void ip6(struct wr_pkt *p, struct wr_rd *r, unsigned depth)
{
	const uint8_t *h = wr_rd_take(r, 40);
	uint32_t len;
	uint8_t next;

	if (!h) {
		ends(p, WR_BAD_IP_CUT);
		return;
	}
	p->ip_version = 6;
	p->tos = (uint8_t)(h[0] << 4 | h[1] >> 4);
	p->flow_label = wr_be32(h) & 0xfffff;
	len = wr_be16(h + 4);
	next = h[6];
	p->ttl = h[7];
	p->src = wr_ip6(h + 8);
	p->dst = wr_ip6(h + 24);
	p->mf = p->df = false;
	p->frag_off = 0;
	if (!len) /* a jumbogram (RFC 2675) or offload */
		len = (uint32_t)wr_rd_left(r) + (p->length - p->captured);
	p->ip_len = len + 40;
	if (len > wr_rd_left(r) && p->captured >= p->length)
		bad(p, WR_BAD_IP_LENGTH);
	if (!p->ttl)
		bad(p, WR_BAD_IP_TTL);
	if (h[8] == 0xff)
		bad(p, WR_BAD_IP_SOURCE);
	if (wr_rd_left(r) > len)
		r->end = r->p + len;
	for (unsigned i = 0;
		next == 0 || next == 43 || next == 60 || next == 44 || next == 51 || next == 135;
		i++) {
		const uint8_t *x;
		uint32_t n;

		if (i == 8) {
			bad(p, WR_BAD_V6_EXT);
			return;
		}
		if (next == 0 && i)
			bad(p, WR_BAD_V6_ORDER);
		if (wr_rd_left(r) < 8) {
			ends(p, WR_BAD_V6_EXT);
			p->proto = next;
			return;
		}
		x = r->p;
		n = next == 44 ? 8 : next == 51 ? (x[1] + 2u) * 4 : (x[1] + 1u) * 8;
		if (n > len || n > wr_rd_left(r)) {
			ends(p, WR_BAD_V6_EXT);
			p->proto = next;
			return;
		}
		if (next == 44) {
			p->frag_off = wr_be16(x + 2) & 0xfff8;
			p->mf = x[3] & 1;
			p->ip_id = wr_be16(x + 6);
			if (p->frag_off + len - 8 > 65535 + 40u)
				bad(p, WR_BAD_FRAG_LONG);
			if (p->mf && (len - 8) % 8)
				bad(p, WR_BAD_FRAG_SIZE);
		}
		next = x[0];
		r->p += n;
		len -= n;
		if (p->frag_off)
			break;
	}
	p->proto = next;
	transport(p, r, len, depth);
}

static void ip(struct wr_pkt *p, struct wr_rd *r, uint16_t type, unsigned depth)
{
	unsigned v;

	/* of a tunnel only the innermost counts */
	p->has_ports = false;
	p->sport = p->dport = 0;
	p->flags = 0;
	p->mf = p->df = false;
	p->frag_off = 0;
	p->payload_len = p->payload_cap = 0;
	if (!wr_rd_left(r)) {
		ends(p, WR_BAD_IP_CUT);
		return;
	}
	v = r->p[0] >> 4;
	if (v != (type == T_IP4 ? 4u : 6u)) {
		bad(p, WR_BAD_IP_VERSION);
		return;
	}
	if (type == T_IP4)
		ip4(p, r, depth);
	else
		ip6(p, r, depth);
	if (!p->bad && p->has_ports && p->sport == p->dport && !memcmp(&p->src, &p->dst, 16) &&
		!(wr_ip_is4(&p->src) ? p->src.b[12] == 127 : p->src.b[15] == 1))
		bad(p, WR_BAD_IP_LAND);
}

static void arp(struct wr_pkt *p, struct wr_rd *r)
{
	const uint8_t *h = wr_rd_take(r, 8);
	const uint8_t *a;

	if (!h) {
		ends(p, WR_BAD_ARP);
		return;
	}
	if (!wr_be16(h + 6) || wr_be16(h + 6) > 25 || (wr_be16(h) == 1 && h[4] != 6) ||
		(wr_be16(h + 2) == T_IP4 && h[5] != 4)) {
		bad(p, WR_BAD_ARP);
		return;
	}
	a = wr_rd_take(r, 20);
	if (a && h[4] == 6 && h[5] == 4) {
		p->src = wr_ip4(a + 6);
		p->dst = wr_ip4(a + 16);
		p->arp_op = wr_be16(h + 6);
		p->arp_mac = a;
	} else if (!a) {
		ends(p, WR_BAD_ARP);
	}
}

static void network(struct wr_pkt *p, struct wr_rd *r, uint16_t type, unsigned depth)
{
	const uint8_t *t;

	for (unsigned i = 0; type == T_VLAN || type == T_QINQ || type == T_QINQ_OLD; i++) {
		t = wr_rd_take(r, 4);
		if (!t || i == 4) {
			ends(p, WR_BAD_VLAN);
			return;
		}
		if (!p->n_vlan) {
			p->vlan = wr_be16(t) & 0xfff;
			p->prio = t[0] >> 5;
		} else {
			p->vlan_inner = wr_be16(t) & 0xfff;
		}
		p->n_vlan = (uint8_t)wr_min(p->n_vlan + 1, 255);
		type = wr_be16(t + 2);
	}
	p->eth_type = type;
	switch (type) {
	case T_IP4:
	case T_IP6:
		ip(p, r, type, depth);
		return;
	case T_ARP:
		arp(p, r);
		return;
	case T_MPLS:
	case T_MPLS_MC:
		tunnel(p, WR_TUN_MPLS);
		for (unsigned i = 0;; i++) {
			t = wr_rd_take(r, 4);
			if (!t || i == 16) {
				ends(p, WR_BAD_MPLS);
				return;
			}
			if (!p->has_mpls) {
				p->mpls = wr_be32(t) >> 12;
				p->has_mpls = true;
			}
			if (t[2] & 1)
				break;
		}
		if (wr_rd_left(r) && r->p[0] >> 4 == 4)
			ip(p, r, T_IP4, depth);
		else if (wr_rd_left(r) && r->p[0] >> 4 == 6)
			ip(p, r, T_IP6, depth);
		else if (wr_rd_left(r) > 18 && !(r->p[0] >> 4) && depth < WR_MAX_TUNNELS) {
			wr_rd_take(r, 4); /* pseudowire control word (RFC 4448) */
			ethernet(p, r, depth + 1);
		}
		return;
	case T_PPPOE:
		t = wr_rd_take(r, 8);
		if (!t) {
			ends(p, WR_BAD_LINK);
			return;
		}
		tunnel(p, WR_TUN_PPPOE);
		if (wr_be16(t + 6) == 0x21)
			ip(p, r, T_IP4, depth);
		else if (wr_be16(t + 6) == 0x57)
			ip(p, r, T_IP6, depth);
		return;
	}
}

void wr_packet_decode(
	const uint8_t *data, uint32_t captured, uint32_t length, uint16_t link, struct wr_pkt *p)
{
	struct wr_rd r = wr_rd(data, captured);
	const uint8_t *t;
	uint32_t af;

	memset(p, 0, sizeof(*p));
	p->captured = captured;
	p->length = length;
	p->data = data;
	switch (link) {
	case WR_LINK_ETHERNET:
		ethernet(p, &r, 0);
		return;
	case WR_LINK_SLL:
		t = wr_rd_take(&r, 16);
		if (!t)
			break;
		if (wr_be16(t + 4) == 6) {
			memcpy(p->mac + 6, t + 6, 6);
			p->has_mac = true;
		}
		network(p, &r, wr_be16(t + 14), 0);
		return;
	case WR_LINK_SLL2:
		t = wr_rd_take(&r, 20);
		if (!t)
			break;
		if (t[11] == 6) {
			memcpy(p->mac + 6, t + 12, 6);
			p->has_mac = true;
		}
		network(p, &r, wr_be16(t), 0);
		return;
	case WR_LINK_NULL:
	case WR_LINK_LOOP: /* host order of the writer: the family fits in a byte either way */
		t = wr_rd_take(&r, 4);
		if (!t)
			break;
		af = t[0] | t[3];
		network(p, &r, af == 2 ? T_IP4 : T_IP6, 0);
		return;
	case WR_LINK_RAW:
	case 12: /* DLT_RAW written as a link type, on most systems */
	case 14:
	case WR_LINK_IPV4:
	case WR_LINK_IPV6:
		if (!captured)
			break;
		p->eth_type = data[0] >> 4 == 6 ? T_IP6 : T_IP4;
		ip(p, &r, p->eth_type, 0);
		return;
	default:
		p->cut = true;
		return;
	}
	ends(p, WR_BAD_LINK);
}

void wr_packet_decode_file(const struct wr_cap_packet *f, struct wr_pkt *p)
{
	wr_packet_decode(f->data, f->captured, f->length, f->link, p);
	p->ts = f->ts;
	if (p->cut && !p->ip_version && f->snap && f->captured < f->snap &&
		(p->eth_type == T_IP4 || p->eth_type == T_IP6))
		bad(p, WR_BAD_IP_CUT);
}

static void tcp_event(const struct wr_pkt *p, struct wr_packet_text *text, struct wr_ev_packet *r)
{
	static const char letters[] = "FSRPAUEC";
	static const char *const kinds[] = {
		"eol", "nop", "mss", "wscale", "sack_permitted", "sack", NULL, NULL, "timestamp"};
	char *f = text->flags;
	size_t n = 0;

	for (unsigned i = 0; i < 8; i++) {
		if (p->flags >> i & 1)
			*f++ = letters[i];
	}
	if (p->ns)
		*f++ = 'N';
	*f = 0;
	WR_SET(r, packet, flags, wr_str(text->flags));
	WR_SET(r, packet, seq, p->seq);
	WR_SET(r, packet, ack, p->ack);
	WR_SET(r, packet, window, p->window);
	if (p->has_mss)
		WR_SET(r, packet, opt_mss, p->mss);
	if (p->has_wscale)
		WR_SET(r, packet, opt_wscale, p->wscale);
	WR_SET(r, packet, opt_sack, p->has_sack);
	if (p->has_ts) {
		WR_SET(r, packet, opt_tsval, p->tsval);
		WR_SET(r, packet, opt_tsecr, p->tsecr);
	}
	text->options[0] = 0;
	for (unsigned i = 0; i < p->n_options && n + 24 < sizeof(text->options);) {
		uint8_t k = p->options[i];

		n += (size_t)snprintf(text->options + n, sizeof(text->options) - n,
			n ? ",%s" : "%s", k < WR_N(kinds) && kinds[k] ? kinds[k] : "other");
		if (!k)
			break;
		if (k > 1 && (i + 1 >= p->n_options || p->options[i + 1] < 2))
			break;
		i += k == 1 ? 1u : p->options[i + 1];
	}
	if (n)
		WR_SET(r, packet, options, wr_str(text->options));
	if (p->flags & WR_TCP_URG)
		WR_SET(r, packet, urgent, p->urgent);
}

void wr_packet_event(const struct wr_pkt *p, uint64_t number, struct wr_packet_text *text,
	struct wr_ev_packet *r)
{
	static const char *const tunnels[] = {
		"", "gre", "ipip", "vxlan", "geneve", "mpls", "pppoe"};

	WR_INIT(r, packet);
	WR_SET(r, packet, time, p->ts);
	WR_SET(r, packet, number, number);
	WR_SET(r, packet, length, p->length);
	WR_SET(r, packet, captured, p->captured);
	if (p->has_mac) {
		WR_SET(r, packet, dst_mac, wr_str(wr_mac_text(p->mac, text->mac[0])));
		WR_SET(r, packet, src_mac, wr_str(wr_mac_text(p->mac + 6, text->mac[1])));
	}
	if (p->eth_type)
		WR_SET(r, packet, eth_type, p->eth_type);
	if (p->n_vlan) {
		WR_SET(r, packet, vlan, p->vlan);
		WR_SET(r, packet, vlan_prio, p->prio);
	}
	if (p->n_vlan > 1)
		WR_SET(r, packet, vlan_inner, p->vlan_inner);
	if (p->has_mpls)
		WR_SET(r, packet, mpls, p->mpls);
	if (p->n_tunnels) {
		size_t n = 0;

		for (unsigned i = 0; i < p->n_tunnels && n < sizeof(text->tunnel); i++)
			n += (size_t)snprintf(text->tunnel + n, sizeof(text->tunnel) - n,
				i ? ",%s" : "%s", tunnels[p->tunnels[i]]);
		WR_SET(r, packet, tunnel, wr_str(text->tunnel));
	}
	if (p->has_vni)
		WR_SET(r, packet, vni, p->vni);
	if (p->ip_version || p->eth_type == T_ARP) {
		WR_SET(r, packet, src_ip, p->src);
		WR_SET(r, packet, dst_ip, p->dst);
	}
	if (p->ip_version) {
		WR_SET(r, packet, ip_version, p->ip_version);
		WR_SET(r, packet, ip_proto, p->proto);
		WR_SET(r, packet, ttl, p->ttl);
		WR_SET(r, packet, dscp, p->tos >> 2);
		WR_SET(r, packet, ecn, p->tos & 3);
		WR_SET(r, packet, ip_id, p->ip_id);
		WR_SET(r, packet, ip_len, p->ip_len);
		WR_SET(r, packet, df, p->df);
		WR_SET(r, packet, mf, p->mf);
		WR_SET(r, packet, frag_off, p->frag_off);
		if (p->ip_version == 6)
			WR_SET(r, packet, flow_label, p->flow_label);
		WR_SET(r, packet, transport, wr_str(wr_proto_name(p->proto)));
		WR_SET(r, packet, payload, p->payload_len);
		if (p->payload_cap && !p->frag_off)
			WR_SET(r, packet, payload_data,
				((struct wr_str){(const char *)p->payload, p->payload_cap}));
	} else if (p->eth_type == T_ARP) {
		WR_SET(r, packet, transport, WR_STR("arp"));
	}
	if (p->has_ports) {
		WR_SET(r, packet, src_port, p->sport);
		WR_SET(r, packet, dst_port, p->dport);
	}
	if (p->has_ports && p->proto == 6)
		tcp_event(p, text, r);
	if (p->ip_version && (p->proto == 1 || p->proto == 58) && !p->frag_off) {
		WR_SET(r, packet, icmp_type, p->icmp_type);
		WR_SET(r, packet, icmp_code, p->icmp_code);
	}
	if (p->bad)
		WR_SET(r, packet, malformed, wr_str(wr_bad_name(p->bad)));
}
