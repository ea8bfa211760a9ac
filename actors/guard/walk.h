/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a frame to what the guard's rules look at: tags, options, extension headers, fragments, tunnels, each to a
 * stated depth; what goes beyond is said, never passed over. Included by guard.bpf.c alone.
 */
#ifndef WR_GUARD_WALK_H
#define WR_GUARD_WALK_H

#include "../../bpf/wr_bytes.h"
#include "guard_abi.h"

#define MAX_TAGS 4 /* VLAN tags of a frame (802.1ad has two) */
#define MAX_EXT 8 /* IPv6 extension headers */
#define MAX_OFF 2040

struct xdp_md {
	__u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

/* Where the walk of a packet stands. */
struct walk {
	__u32 off, ip; /* ip: of the header that was read last */
	__u16 type; /* EtherType of what is at @off; 0: Ethernet */
	__u8 more : 1, later : 1; /* there is a tunnel to look into; a later fragment */
	__u8 first : 1; /* the first one of a fragmented packet */
	__u16 payload, top; /* where it begins (0: there is none), where the packet ends by its own header */
	__u32 id; /* of a fragment */
};

/* What cannot be parsed: the headers end early; there are more than are followed. */
enum { BAD_CUT = 64, BAD_CHAIN };

static __always_inline void set16(struct wr_g_packet *p, __u32 d, __u16 v)
{
	p->v[d] = v;
	p->has |= 1u << d;
}

#define AT(n)                                                                                      \
	({                                                                                         \
		if (w->off > MAX_OFF)                                                              \
			return BAD_CHAIN;                                                          \
		__u8 *_h = data + w->off;                                                          \
		if ((void *)_h + (n) > end)                                                        \
			return BAD_CUT;                                                            \
		_h;                                                                                \
	})

/* Ethernet and its tags: IEEE 802.1Q, 802.1ad. */
static __always_inline int ethernet(void *data, void *end, struct walk *w, struct wr_g_packet *p)
{
	__u8 *h = AT(14);

	w->type = be16_at(h + 12);
	w->off += 14;
	for (int i = 0; i <= MAX_TAGS; i++) {
		if (w->type != 0x8100 && w->type != 0x88a8 && w->type != 0x9100)
			return 0;
		h = AT(4);
		if (!(p->has & 1u << WR_G_VLAN))
			set16(p, WR_G_VLAN, be16_at(h) & 0xfff);
		w->type = be16_at(h + 2);
		w->off += 4;
	}
	return BAD_CHAIN;
}

/* Where a packet ends; longer ones than can be said (offloads, RFC 2675) have no length in the header. */
static __always_inline __u16 ends(__u32 from, __u32 length)
{
	return !length || from + length > 65535 ? 65535 : from + length;
}

static __always_inline int ipv4(
	void *data, void *end, struct walk *w, struct wr_g_packet *p, __u8 *proto)
{
	__u8 *h = AT(20);
	__u16 frag = be16_at(h + 6);

	if (h[0] >> 4 != 4 || (h[0] & 15) < 5)
		return BAD_CUT;
	*proto = h[9];
	p->v6 = 0;
	p->addr[0][1] = bpf_ntohl(*(__u32 *)(h + 12));
	p->addr[1][1] = bpf_ntohl(*(__u32 *)(h + 16));
	set16(p, WR_G_VERSION, 4);
	set16(p, WR_G_TTL, h[8]);
	set16(p, WR_G_DSCP, h[1] >> 2);
	set16(p, WR_G_FRAG, !!(frag & 0x2000) | !!(frag & 0x1fff) << 1);
	w->later = (frag & 0x1fff) != 0;
	w->first = !w->later && (frag & 0x2000);
	w->id = be16_at(h + 4);
	w->top = ends(w->off, be16_at(h + 2));
	w->off += (h[0] & 15) * 4;
	return 0;
}

static __always_inline int ipv6(
	void *data, void *end, struct walk *w, struct wr_g_packet *p, __u8 *proto)
{
	__u8 *h = AT(40), next = h[6];

	if (h[0] >> 4 != 6)
		return BAD_CUT;
	p->v6 = 1;
	p->addr[0][0] = be64_at(h + 8);
	p->addr[0][1] = be64_at(h + 16);
	p->addr[1][0] = be64_at(h + 24);
	p->addr[1][1] = be64_at(h + 32);
	set16(p, WR_G_VERSION, 6);
	set16(p, WR_G_TTL, h[7]);
	set16(p, WR_G_DSCP, (be16_at(h) >> 6) & 0x3f);
	set16(p, WR_G_FRAG, 0);
	w->off += 40;
	w->top = ends(w->off, be16_at(h + 4));
	for (int i = 0; i <= MAX_EXT; i++) {
		__u32 len;

		/* RFC 8200 4, RFC 4302 2.2, RFC 6275 6.1, RFC 7401 5.1, RFC 5533 5.1 */
		if (next != 0 && next != 43 && next != 60 && next != 51 && next != 44 &&
			next != 135 && next != 139 && next != 140) {
			*proto = next;
			return 0;
		}
		h = AT(8);
		len = next == 51 ? (h[1] + 2) * 4 : next == 44 ? 8 : (h[1] + 1) * 8;
		if (next == 44) {
			__u16 frag = be16_at(h + 2);

			set16(p, WR_G_FRAG, (frag & 1) | !!(frag & 0xfff8) << 1);
			w->later = (frag & 0xfff8) != 0;
			w->first = !w->later && (frag & 1);
			w->id = bpf_ntohl(*(__u32 *)(h + 4));
			if (w->later) { /* behind it is the middle of something */
				*proto = h[0];
				return 0;
			}
		}
		next = h[0];
		w->off += len;
	}
	return BAD_CHAIN;
}

/* What the packet carries: ports, flags, type; or a tunnel, whose inside is looked at next. */
static __always_inline int transport(
	void *data, void *end, struct walk *w, struct wr_g_packet *p, __u8 proto)
{
	__u8 *h;
	__u16 flags;

	w->payload = w->off;
	switch (proto) {
	case IPPROTO_TCP:
		h = AT(20);
		set16(p, WR_G_FLAGS, h[13]);
		w->payload = w->off + (h[12] >> 4) * 4;
		break;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		h = AT(8);
		w->payload = w->off + 8;
		break;
	case 132: /* SCTP */
	case 33: /* DCCP */
		h = AT(8);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		h = AT(4);
		set16(p, WR_G_ITYPE, h[0]);
		set16(p, WR_G_ICODE, h[1]);
		return 0;
	case 4: /* RFC 2003 */
	case 41: /* RFC 4213 */
		w->type = proto == 4 ? ETH_P_IP : ETH_P_IPV6;
		w->more = !w->first;
		return 0;
	case 47: /* RFC 2784, RFC 2890 */
		h = AT(4);
		flags = be16_at(h);
		if (flags & 7)
			return 0;
		w->type = be16_at(h + 2);
		w->off += 4 + (flags >> 15 & 1) * 4 + (flags >> 13 & 1) * 4 + (flags >> 12 & 1) * 4;
		if (w->type == 0x6558)
			w->type = 0;
		w->more = !w->first;
		return 0;
	default:
		return 0;
	}
	set16(p, WR_G_SPORT, be16_at(h));
	set16(p, WR_G_DPORT, be16_at(h + 2));
	if (proto != IPPROTO_UDP || w->first)
		return 0;
	if (p->v[WR_G_DPORT] == 4789) { /* VXLAN, RFC 7348: what is too short is none */
		if (data + w->off + 16 + 14 <= end && w->off <= MAX_OFF) {
			w->off += 16;
			w->type = 0;
			w->more = 1;
		}
	} else if (p->v[WR_G_DPORT] == 6081) { /* Geneve, RFC 8926 */
		if (w->off <= MAX_OFF && (void *)h + 16 + 14 <= end) {
			__u16 type = be16_at(h + 10);

			w->off += 16 + (h[8] & 0x3f) * 4;
			w->type = type == 0x6558 ? 0 : type;
			w->more = 1;
		}
	}
	return 0;
}

/*
 * The packet that most are: IPv4 and nothing before it, whole, without options, with TCP or UDP and no tunnel. Its
 * values can stay in registers. The walk below says the same of it, in three times the time.
 */
static __always_inline int read_plain(void *data, void *end, __u32 bytes, struct wr_g_packet *p)
{
	__u8 *h = data;
	int tcp;

	if (data + 54 > end) /* a header of TCP */
		return 0;
	tcp = h[23] == IPPROTO_TCP;
	if (*(__u16 *)(h + 12) != bpf_htons(ETH_P_IP) || h[14] != 0x45 ||
		*(__u16 *)(h + 20) & bpf_htons(0x3fff) || !(tcp || h[23] == IPPROTO_UDP))
		return 0;
	p->v[WR_G_SPORT] = be16_at(h + 34);
	p->v[WR_G_DPORT] = be16_at(h + 36);
	if (!tcp && (p->v[WR_G_DPORT] == 4789 || p->v[WR_G_DPORT] == 6081))
		return 0;
	p->addr[0][0] = p->addr[1][0] = 0;
	p->addr[0][1] = bpf_ntohl(*(__u32 *)(h + 26));
	p->addr[1][1] = bpf_ntohl(*(__u32 *)(h + 30));
	p->v[WR_G_VERSION] = 4;
	p->v[WR_G_PROTO] = h[23];
	p->v[WR_G_TTL] = h[22];
	p->v[WR_G_DSCP] = h[15] >> 2;
	p->v[WR_G_FLAGS] = h[47];
	p->v[WR_G_FRAG] = 0;
	p->v[WR_G_LENGTH] = bytes > 65535 ? 65535 : bytes;
	p->has = 1u << WR_G_VERSION | 1u << WR_G_PROTO | 1u << WR_G_TTL | 1u << WR_G_DSCP |
		 1u << WR_G_FRAG | 1u << WR_G_SPORT | 1u << WR_G_DPORT | 1u << WR_G_LENGTH |
		 1u << WR_G_SRC | 1u << WR_G_DST | (__u32)tcp << WR_G_FLAGS;
	p->bytes = bytes;
	return 1;
}

/* The same, with where the walk then stands. */
static __always_inline int walk_plain(void *data, void *end, struct walk *w, struct wr_g_packet *p)
{
	if (!read_plain(data, end, p->bytes, p))
		return 0;
	w->ip = 14;
	w->off = 34;
	w->payload = 34 + (p->v[WR_G_PROTO] == IPPROTO_TCP ? (((__u8 *)data)[46] >> 4) * 4 : 8);
	w->top = ends(14, be16_at(data + 16));
	return 1;
}

/* One layer. 1: nothing that rules look at. */
static __always_inline int layer(void *data, void *end, struct walk *w, struct wr_g_packet *p)
{
	__u8 proto = 0;
	int rc = 0;

	w->more = w->later = w->first = w->payload = 0;
	if (!w->off && !(p->has & 1u << WR_G_VLAN) && walk_plain(data, end, w, p))
		return 0;
	if (!w->type)
		rc = ethernet(data, end, w, p);
	if (rc)
		return rc;
	w->ip = w->off;
	if (w->type == ETH_P_IP)
		rc = ipv4(data, end, w, p, &proto);
	else if (w->type == ETH_P_IPV6)
		rc = ipv6(data, end, w, p, &proto);
	else
		return 1;
	if (rc)
		return rc;
	set16(p, WR_G_PROTO, proto);
	p->has |= 1u << WR_G_SRC | 1u << WR_G_DST;
	return w->later ? 0 : transport(data, end, w, p, proto);
}

/* Not static: the verifier walks a layer once, and not for each that a packet may have (6.1 would give up). */
__noinline int layer_xdp(struct xdp_md *ctx, struct walk *w, struct wr_g_packet *p)
{
	if (!w || !p)
		return BAD_CUT;
	return layer((void *)(long)ctx->data, (void *)(long)ctx->data_end, w, p);
}

__noinline int layer_tc(struct __sk_buff *ctx, struct walk *w, struct wr_g_packet *p)
{
	if (!w || !p)
		return BAD_CUT;
	return layer((void *)(long)ctx->data, (void *)(long)ctx->data_end, w, p);
}

#endif
