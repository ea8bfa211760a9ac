// SPDX-License-Identifier: Apache-2.0
/* What is before NUL as rules, the rest as what is sent; then all of it under rules that use everything. */
#include "../../src/sign/sign.h"

static const char all[] =
	"alert http any any -> any any (http.uri; content:\"a\"; http.host; content:\"b\"; sid:1;)\n"
	"alert ip any any -> any any (content:\"a\"; content:!\"b\"; distance:0; within:9; sid:2;)\n"
	"alert dns any any -> any any (dns.query; content:\"a\"; pcre:\"/a+b?$/R\"; sid:3;)\n"
	"alert tcp any any -> any any (content:\"a\"; byte_jump:1,0,relative; isdataat:2,relative; sid:4;)\n"
	"alert tcp any any -> any any (tls.sni; content:\"a\"; sid:5;)\n"
	"alert tcp any any -> any any (byte_test:2,>,3,1; dsize:>1; sid:6;)\n";

static void hit(void *ctx, const struct wr_sign_hit *h)
{
	struct wr_ev_match r;

	(void)ctx;
	WR_INIT(&r, match);
	wr_sign_fill(h, &r);
}

static void say(struct wr_sign *s, const uint8_t *p, size_t n)
{
	static const char *const protocols[] = {"http", "dns", NULL};

	for (unsigned k = 0; k < WR_N(protocols); k++) {
		struct wr_sign_state *st = NULL;
		struct wr_sign_at at = {.protocol = protocols[k], .hit = hit};

		for (size_t i = 0; i < n;) {
			size_t part = wr_min((size_t)(p[i] + 1), n - i);

			at.dir = p[i] & 1;
			at.udp = protocols[k] && protocols[k][0] == 'd';
			if (p[i] == 255)
				wr_sign_gap(s, &st, &at, 7);
			wr_sign_data(s, &st, &at, (struct wr_bytes){p + i, part});
			i += part;
		}
		wr_sign_end(s, &st, &at);
		wr_sign_forget(s, &st);
	}
}

static struct wr_sign *load(const void *text, size_t n)
{
	struct wr_sign *s = wr_sign_new();
	struct wr_err e;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/weir-fuzz-sign-%d", getpid());
	f = fopen(path, "we");
	if (f) {
		fwrite(text, 1, n, f);
		fclose(f);
	}
	if (!f || !s || wr_sign_load(s, path, NULL, NULL, &e)) {
		wr_sign_free(s);
		s = NULL;
	}
	unlink(path);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct wr_sign *known;
	const uint8_t *end = n ? memchr(p, 0, n) : NULL;
	size_t rule = end ? (size_t)(end - p) : n;
	struct wr_sign *s = load(p, rule);

	if (!known)
		known = load(all, sizeof(all) - 1);
	if (s)
		say(s, p + rule, n - rule);
	say(known, p, n);
	wr_sign_free(s);
	return 0;
}
