/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: 16 bytes, IPv4 as v4-mapped (RFC 4291 2.5.5.2), so that one comparison serves both. */
#ifndef WR_IP_H
#define WR_IP_H

#include "base.h"

struct wr_ip {
	uint8_t b[16];
};

static inline bool wr_ip_is4(const struct wr_ip *a)
{
	static const uint8_t pfx[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return !memcmp(a->b, pfx, 12);
}
static inline struct wr_ip wr_ip4(const void *be)
{
	struct wr_ip a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};

	memcpy(a.b + 12, be, 4);
	return a;
}
static inline struct wr_ip wr_ip6(const void *b)
{
	struct wr_ip a;

	memcpy(a.b, b, 16);
	return a;
}

/* An address as a number, for sums and orders. */
typedef unsigned __int128 wr_u128;
static inline wr_u128 wr_ip_number(const struct wr_ip *a)
{
	wr_u128 v = 0;

	for (unsigned i = 0; i < 16; i++)
		v = v << 8 | a->b[i];
	return v;
}
static inline struct wr_ip wr_ip_numbered(wr_u128 v)
{
	struct wr_ip a;

	for (unsigned i = 16; i-- > 0; v >>= 8)
		a.b[i] = (uint8_t)v;
	return a;
}

struct sockaddr;
/* Of AF_INET or AF_INET6; false: another family, or NULL. */
bool wr_ip_of(const struct sockaddr *sa, struct wr_ip *ret);
bool wr_ip_any(const struct wr_ip *a); /* 0.0.0.0 or :: */

/* "02:00:5e:10:00:01" of 6 bytes; returns @buf, of WR_MAC_TEXT bytes. */
#define WR_MAC_TEXT 18
char *wr_mac_text(const uint8_t *mac, char *buf);

#define WR_IP_TEXT 46
/* Text as in RFC 5952; @buf of WR_IP_TEXT bytes. Returns the length. */
size_t wr_ip_text(const struct wr_ip *a, char *buf);

/* "10.0.0.0/8", "::1", "10.1.2.3": address and mask; 0 or -EINVAL. Host bits are cleared. */
int wr_ip_parse(struct wr_str s, struct wr_ip *ret, struct wr_ip *ret_mask);
/*
 * "host:port", "[::1]:port", ":port", "host", "[::1]" or an IPv6 address without brackets, which has no port: views into
 * @s without the brackets, *@ret_port empty where there is none. False: it is none of these.
 */
bool wr_host_port(struct wr_str s, struct wr_str *ret_host, struct wr_str *ret_port);
bool wr_ip_in(const struct wr_ip *a, const struct wr_ip *net, const struct wr_ip *mask);

#endif
