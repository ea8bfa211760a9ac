// SPDX-License-Identifier: Apache-2.0
#include "proxied.h"

#include <arpa/inet.h>

#define V1_MAX 107 /* with CRLF */

static const uint8_t v2_begin[12] = {
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* False: these bytes, as far as they are there, are not its first ones. */
static bool begins(struct wr_bytes b, const void *with, size_t n)
{
	return !memcmp(b.p, with, wr_min(b.n, n));
}

static void end_text(int family, const void *ip, unsigned port, char *to)
{
	char t[INET6_ADDRSTRLEN];

	if (inet_ntop(family, ip, t, sizeof(t)))
		snprintf(to, WR_PROXIED_TEXT, family == AF_INET6 ? "[%s]:%u" : "%s:%u", t, port);
}

/* "PROXY TCP4 192.0.2.1 198.51.100.7 50000 443": who, for whom; "PROXY UNKNOWN". */
static ssize_t v1(struct wr_bytes b, char *client)
{
	const uint8_t *lf = memchr(b.p, '\n', wr_min(b.n, (size_t)V1_MAX));
	struct wr_str line, w[6] = {{0}};
	char ip[INET6_ADDRSTRLEN];
	uint8_t a[16];
	uint64_t port;
	unsigned n = 0;
	int family;

	if (!lf)
		return b.n >= V1_MAX ? 0 : -1;
	line = (struct wr_str){(const char *)b.p, (size_t)(lf - b.p)};
	if (!line.n || line.p[line.n - 1] != '\r')
		return 0;
	line.n--;
	for (size_t i = 0; i < line.n && n < WR_N(w); i++) {
		if (line.p[i] == ' ') {
			n++;
			continue;
		}
		if (!w[n].n)
			w[n].p = line.p + i;
		w[n].n++;
	}
	family = wr_str_eq(w[1], WR_STR("TCP6")) ? AF_INET6 : AF_INET;
	if (n == 5 && wr_copy(ip, sizeof(ip), w[2]) && inet_pton(family, ip, a) == 1 &&
		!wr_parse_u64(w[4], &port) && port <= 65535)
		end_text(family, a, (unsigned)port, client);
	else if (!wr_str_eq(w[1], WR_STR("UNKNOWN")))
		return 0;
	return (ssize_t)line.n + 2;
}

static ssize_t v2(struct wr_bytes b, char *client)
{
	size_t n;

	if (b.n < 16)
		return -1;
	if (b.p[12] >> 4 != 2 || (b.p[12] & 15) > 1)
		return 0;
	n = 16 + ((size_t)b.p[14] << 8 | b.p[15]);
	if (b.n < n)
		return -1;
	/* command 0: the proxy itself, as when it looks whether the server is well */
	if ((b.p[12] & 15) == 1 && b.p[13] >> 4 == 1 && n >= 16 + 12)
		end_text(AF_INET, b.p + 16, (unsigned)(b.p[24] << 8 | b.p[25]), client);
	else if ((b.p[12] & 15) == 1 && b.p[13] >> 4 == 2 && n >= 16 + 36)
		end_text(AF_INET6, b.p + 16, (unsigned)(b.p[48] << 8 | b.p[49]), client);
	return (ssize_t)n;
}

ssize_t wr_proxied(struct wr_bytes b, char *ret_client)
{
	*ret_client = 0;
	if (!b.n)
		return -1;
	if (begins(b, v2_begin, sizeof(v2_begin)))
		return b.n < sizeof(v2_begin) ? -1 : v2(b, ret_client);
	if (begins(b, "PROXY ", 6))
		return b.n < 6 ? -1 : v1(b, ret_client);
	return 0;
}
