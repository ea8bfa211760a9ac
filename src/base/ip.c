// SPDX-License-Identifier: Apache-2.0
#include "ip.h"

#include <arpa/inet.h>

bool wr_ip_of(const struct sockaddr *sa, struct wr_ip *ret)
{
	const void *p = sa;

	if (sa && sa->sa_family == AF_INET)
		*ret = wr_ip4(&((const struct sockaddr_in *)p)->sin_addr);
	else if (sa && sa->sa_family == AF_INET6)
		*ret = wr_ip6(&((const struct sockaddr_in6 *)p)->sin6_addr);
	else
		return false;
	return true;
}

bool wr_ip_any(const struct wr_ip *a)
{
	static const uint8_t zero[16];

	return !memcmp(a->b, zero, 16) || (wr_ip_is4(a) && !memcmp(a->b + 12, zero, 4));
}

size_t wr_ip_text(const struct wr_ip *a, char *buf)
{
	if (wr_ip_is4(a)) {
		char *p = buf;

		for (int i = 12; i < 16; i++) {
			unsigned v = a->b[i];

			if (v > 99)
				*p++ = (char)('0' + v / 100);
			if (v > 9)
				*p++ = (char)('0' + v / 10 % 10);
			*p++ = (char)('0' + v % 10);
			*p++ = i < 15 ? '.' : 0;
		}
		return (size_t)(p - buf) - 1;
	}
	if (!inet_ntop(AF_INET6, a->b, buf, WR_IP_TEXT))
		buf[0] = 0;
	return strlen(buf);
}

int wr_ip_parse(struct wr_str s, struct wr_ip *ret, struct wr_ip *ret_mask)
{
	char t[64], *slash;
	struct wr_ip a, m;
	uint64_t bits = 128;
	uint8_t v4[4];
	bool is4;

	if (s.n >= sizeof(t))
		return -EINVAL;
	wr_copy(t, sizeof(t), s);
	slash = strchr(t, '/');
	if (slash)
		*slash++ = 0;
	is4 = inet_pton(AF_INET, t, v4) == 1;
	if (is4)
		a = wr_ip4(v4);
	else if (inet_pton(AF_INET6, t, a.b) != 1)
		return -EINVAL;
	if (slash) {
		if (wr_parse_u64(wr_str(slash), &bits) || bits > (is4 ? 32 : 128))
			return -EINVAL;
		if (is4)
			bits += 96;
	}
	for (unsigned i = 0; i < 16; i++) {
		m.b[i] = bits >= 8 * (i + 1) ? 0xff
			 : bits <= 8 * i     ? 0
					     : (uint8_t)(0xff00 >> (bits - 8 * i));
		a.b[i] &= m.b[i];
	}
	*ret = a;
	if (ret_mask)
		*ret_mask = m;
	return 0;
}

bool wr_ip_in(const struct wr_ip *a, const struct wr_ip *net, const struct wr_ip *mask)
{
	for (unsigned i = 0; i < 16; i++) {
		if ((a->b[i] & mask->b[i]) != net->b[i])
			return false;
	}
	return true;
}

char *wr_mac_text(const uint8_t *mac, char *buf)
{
	snprintf(buf, WR_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		mac[4], mac[5]);
	return buf;
}

bool wr_host_port(struct wr_str s, struct wr_str *ret_host, struct wr_str *ret_port)
{
	bool brackets = s.n && s.p[0] == '[';
	const char *end = s.n ? brackets ? memchr(s.p, ']', s.n) : memchr(s.p, ':', s.n) : NULL;
	size_t left = end ? (size_t)(s.p + s.n - end) : 0; /* with what @end is at */

	*ret_port = (struct wr_str){NULL, 0};
	if (brackets) {
		if (!end || (left > 1 && (end[1] != ':' || left == 2)))
			return false;
		*ret_host = (struct wr_str){s.p + 1, (size_t)(end - s.p) - 1};
		if (left > 1)
			*ret_port = (struct wr_str){end + 2, left - 2};
		return ret_host->n > 0;
	}
	if (!end || memchr(end + 1, ':', left - 1)) { /* two colons: an address of IPv6 */
		*ret_host = s;
		return s.n > 0;
	}
	*ret_host = (struct wr_str){s.p, (size_t)(end - s.p)};
	*ret_port = (struct wr_str){end + 1, left - 1};
	return left > 1;
}
