// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "proxied.h"

#define V2 "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"

static ssize_t is(const char *p, size_t n, char *client)
{
	return wr_proxied((struct wr_bytes){(const uint8_t *)p, n}, client);
}

/* Headers as the specification has them, followed by a request; and what only looks so. */
TEST(headers)
{
	static const struct {
		const char *p;
		size_t n;
		ssize_t is;
		const char *client;
	} t[] = {
#define T(text, is, client) {text, sizeof(text) - 1, is, client}
		T("PROXY TCP4 192.0.2.1 198.51.100.7 50000 443\r\nGET /", 45, "192.0.2.1:50000"),
		T("PROXY TCP6 2001:db8::1 2001:db8::2 5 6\r\n", 40, "[2001:db8::1]:5"),
		T("PROXY UNKNOWN\r\nGET", 15, ""),
		T("PROXY UNKNOWN ffff:f::1 whatever 1 2\r\n", 38, ""),
		T("PROXY TCP4 192.0.2.1\r\n", 0, ""),
		T("PROXY TCP4 2001:db8::1 192.0.2.1 1 2\r\n", 0, ""),
		T("PROXY TCP4 192.0.2.1 192.0.2.2 70000 2\r\n", 0, ""),
		T("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", 0, ""),
		T("PROXYING is no method\r\n", 0, ""),
		T("GET / HTTP/1.1\r\n", 0, ""),
		T("\r\n\r\nGET /", 0, ""),
		T(V2 "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x07\xc3\x50\x01\xbb", 28, "192.0.2.1:50000"),
		/* with three bytes of its own behind the addresses */
		T(V2 "\x21\x11\x00\x0f\xc0\x00\x02\x01\xc6\x33\x64\x07\xc3\x50\x01\xbb\x04\x00\x00", 31, "192.0.2.1:50000"),
		T(V2 "\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
		     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x00\x05\x00\x06", 52, "[2001:db8::1]:5"),
		T(V2 "\x20\x00\x00\x00", 16, ""), /* the proxy's own: it looks whether the server is well */
		T(V2 "\x21\x11\x00\x04\xc0\x00\x02\x01", 20, ""), /* too short for its family */
		T(V2 "\x31\x11\x00\x0c", 0, ""),
	};
	char client[WR_PROXIED_TEXT];

	for (unsigned i = 0; i < WR_N(t); i++) {
		if (is(t[i].p, t[i].n, client) != t[i].is || strcmp(client, t[i].client) != 0)
			fail_msg("%u: %zd, '%s'", i, is(t[i].p, t[i].n, client), client);
		/* wherever it is cut: not yet, or that it is none */
		for (size_t n = 0; n < t[i].n; n++) {
			ssize_t k = is(t[i].p, n, client);

			if (k != t[i].is && (k != -1 || (t[i].is && (ssize_t)n >= t[i].is)))
				fail_msg("%u cut at %zu: %zd", i, n, k);
		}
	}
}

TEST_MAIN(RUN(headers))
