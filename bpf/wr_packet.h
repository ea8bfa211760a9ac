/* SPDX-License-Identifier: GPL-2.0-only */
/* The heads of a packet that is somewhere in the kernel: read from its buffer, wherever they are. */
#ifndef WR_PACKET_H
#define WR_PACKET_H

#include "wr_sock.h"

#define ETH_P_ARP 0x0806

struct heads {
	__u16 sport, dport; /* ICMP: type, code */
	__u8 saddr[16], daddr[16];
	__u8 proto, family; /* family 0: not IP, or not readable */
	__u8 tcp_flags, ttl;
	__u32 seq;
	__u16 ip_id, pad;
};

/* @net: where the network header is; @protocol: EtherType. What cannot be read stays zero. */
static __always_inline void heads_read(struct heads *k, unsigned char *net, __be16 protocol)
{
	__u8 h[40], l4[14];
	__u32 off;

	if (bpf_probe_read_kernel(h, sizeof(h), net))
		return;
	if (protocol == bpf_htons(ETH_P_ARP)) { /* RFC 826: whose address, which one is asked for */
		if (h[4] != 6 || h[5] != 4)
			return;
		k->family = AF_INET;
		v4_mapped_at(k->saddr, h + 14);
		v4_mapped_at(k->daddr, h + 24);
		return;
	}
	if (protocol == bpf_htons(ETH_P_IP) && h[0] >> 4 == 4) {
		k->family = AF_INET;
		k->proto = h[9];
		k->ttl = h[8];
		k->ip_id = h[4] << 8 | h[5];
		v4_mapped_at(k->saddr, h + 12);
		v4_mapped_at(k->daddr, h + 16);
		off = (h[0] & 15) * 4;
		if ((h[6] & 0x1f) | h[7]) /* a later fragment has no ports */
			return;
	} else if (protocol == bpf_htons(ETH_P_IPV6) && h[0] >> 4 == 6) {
		k->family = AF_INET6;
		k->proto = h[6];
		k->ttl = h[7];
		__builtin_memcpy(k->saddr, h + 8, 16);
		__builtin_memcpy(k->daddr, h + 24, 16);
		off = 40;
		if (!k->proto) { /* hop-by-hop options (RFC 8200 4.3): multicast listener reports */
			if (bpf_probe_read_kernel(l4, 2, net + off))
				return;
			k->proto = l4[0];
			off += (l4[1] + 1) * 8;
		}
	} else {
		return;
	}
	if (bpf_probe_read_kernel(l4, sizeof(l4), net + off))
		return;
	switch (k->proto) {
	case IPPROTO_TCP:
		k->tcp_flags = l4[13];
		k->seq = (__u32)l4[4] << 24 | l4[5] << 16 | l4[6] << 8 | l4[7];
		/* fallthrough */
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		k->sport = l4[0] << 8 | l4[1];
		k->dport = l4[2] << 8 | l4[3];
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		k->sport = l4[0];
		k->dport = l4[1];
	}
}

#endif
