/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the kernel's routing, neighbour, link and queue tables, in the namespace of the socket. */
#ifndef WR_RTNL_H
#define WR_RTNL_H

#include "../base/base.h"
#include "../base/ip.h"

#define WR_IFNAME 16

/* A netlink socket of the current namespace, or -errno. */
int wr_rtnl_open(void);

struct wr_route {
	int err; /* what is answered instead: ENETUNREACH, EACCES, EHOSTUNREACH, EINVAL; 0 = a route */
	uint8_t type; /* RTN_* of linux/rtnetlink.h */
	uint32_t oif, table, mtu; /* mtu 0: the device's */
	struct wr_ip gateway, src; /* all zero: none */
	bool via; /* there is a gateway */
};
/* The way to @dst; @src MAY be NULL; @iif 0: sent by this host, else arrived there. 0; -errno of the question. */
int wr_rtnl_route(int fd, const struct wr_ip *dst, const struct wr_ip *src, uint32_t iif,
	struct wr_route *ret);

struct wr_neigh {
	uint16_t state; /* NUD_* of linux/neighbour.h; 0 = no entry */
	char mac[WR_MAC_TEXT];
};
int wr_rtnl_neigh(int fd, uint32_t ifindex, const struct wr_ip *ip, struct wr_neigh *ret);

struct wr_link {
	uint32_t index, mtu, flags, peer,
		master; /* flags: IFF_*; peer: index of the other end, 0 = none */
	int32_t peer_ns; /* its namespace as this one numbers it; -1: this one */
	char name[WR_IFNAME + 1], kind[16]; /* "veth", "bridge", ... "" = a real device */
	char mac[WR_MAC_TEXT];
	char xdp; /* a program is attached */
	/* packets that it counts as lost since it exists (struct rtnl_link_stats64 of linux/if_link.h) */
	struct wr_link_lost {
		uint64_t rx_errors, rx_dropped, rx_missed; /* apart from each other */
		uint64_t rx_crc; /* of rx_errors */
		uint64_t tx_errors, tx_dropped;
	} lost;
};
/* At most @max; their number or -errno. */
int wr_rtnl_links(int fd, struct wr_link *ret, unsigned max);

struct wr_addr {
	uint32_t ifindex;
	struct wr_ip ip;
	uint8_t prefix;
};
int wr_rtnl_addrs(int fd, struct wr_addr *ret, unsigned max);

struct wr_qdisc {
	uint32_t handle, ifindex, qlen, backlog, drops,
		overlimits; /* qlen in packets, backlog in bytes */
	char kind[16];
};
int wr_rtnl_qdiscs(int fd, struct wr_qdisc *ret, unsigned max);

/* How this namespace numbers the one of descriptor @netns; -1: it does not. */
int32_t wr_rtnl_nsid(int fd, int netns);

#endif
