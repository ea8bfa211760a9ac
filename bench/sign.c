// SPDX-License-Identifier: Apache-2.0
/*
 * What signatures cost: ns a message (a request of HTTP of 600 bytes, and its answer) by the number of rules, how long
 * loading them takes, and the memory. Rules are alike those of public sets: a literal of 6 to 20 bytes in the URI, a
 * header, or the bytes as they are; one in 50 has a literal that every message has, and something that it has not.
 */
#include "../src/sign/sign.h"

#include <sys/resource.h>

#define MESSAGES 200000u

static uint64_t seed = 1, hits;

static unsigned rnd(unsigned n)
{
	seed = wr_hash64(seed + 0x9e3779b97f4a7c15ull);
	return (unsigned)(seed % n);
}

static void hit(void *ctx, const struct wr_sign_hit *h)
{
	(void)ctx;
	(void)h;
	hits++;
}

static void rules(FILE *f, unsigned n)
{
	static const char *const where[] = {"http.uri; ", "http.header; ", "", "http.user_agent; "};

	for (unsigned i = 0; i < n; i++) {
		char word[24];
		unsigned len = 6 + rnd(15);

		for (unsigned k = 0; k < len; k++)
			word[k] = (char)('a' + rnd(26));
		word[len] = 0;
		if (i % 50 == 49)
			fprintf(f,
				"alert tcp any any -> any any (msg:\"r\"; flow:to_server; content:\"User-Agent|3a| Mozilla\"; content:\"%s\"; distance:0; sid:%u;)\n",
				word, i + 1);
		else
			fprintf(f,
				"alert http any any -> any any (msg:\"r\"; flow:to_server; %scontent:\"%s\"; nocase; pcre:\"/%s\\d+/i\"; sid:%u;)\n",
				where[rnd(4)], word, word, i + 1);
	}
}

static const char ask[] =
	"GET /shop/items/4711?color=blue&size=42 HTTP/1.1\r\nHost: shop.example\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
	"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n"
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n"
	"Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n"
	"Sec-Fetch-Site: same-origin\r\nPriority: u=1\r\n\r\n";
static const char answer[] =
	"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nyes";

int main(void)
{
	static const unsigned counts[] = {0, 10, 1000, 10000, 30000};

	printf("| rules | loading | ns a request and its answer | requests a second on a core | memory |\n"
	       "| ---: | ---: | ---: | ---: | ---: |\n");
	for (unsigned c = 0; c < WR_N(counts); c++) {
		struct wr_sign *s = wr_sign_new();
		struct wr_sign_at at = {.protocol = "http", .hit = hit};
		char path[] = "/tmp/weir-bench-sign-XXXXXX";
		int fd = mkstemp(path);
		FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
		struct wr_err e = {.text = ""};
		uint64_t begin, took, best = UINT64_MAX;
		struct rusage u;

		if (!s || !f)
			return 1;
		rules(f, counts[c]);
		fclose(f);
		begin = wr_now();
		if (wr_sign_load(s, counts[c] ? path : "", NULL, NULL, &e)) {
			fprintf(stderr, "%s\n", e.text);
			return 1;
		}
		took = wr_now() - begin;
		unlink(path);
		for (unsigned round = 0; round < 3; round++) {
			struct wr_sign_state *st = NULL;

			begin = wr_now();
			for (unsigned i = 0; i < MESSAGES; i++) {
				at.dir = 0;
				wr_sign_data(s, &st, &at,
					(struct wr_bytes){(const uint8_t *)ask, sizeof(ask) - 1});
				at.dir = 1;
				wr_sign_data(s, &st, &at,
					(struct wr_bytes){
						(const uint8_t *)answer, sizeof(answer) - 1});
				if (i % 100 == 99) {
					wr_sign_end(s, &st, &at);
					wr_sign_forget(s, &st);
				}
			}
			best = wr_min(best, wr_now() - begin);
		}
		getrusage(RUSAGE_SELF, &u);
		printf("| %u | %.2f s | %.0f | %.2f M | %.0f MiB |\n", counts[c],
			(double)took / 1e9, (double)best / MESSAGES,
			1e3 / ((double)best / MESSAGES), (double)u.ru_maxrss / 1024);
		wr_sign_free(s);
	}
	printf("\nMatches: %llu (there was nothing to find). Memory is that of the whole program at its most so far.\n",
		(unsigned long long)hits);
	return 0;
}
