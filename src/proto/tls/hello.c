// SPDX-License-Identifier: Apache-2.0
/*
 * Client and server hello: version, server name, ALPN, cipher; the fingerprints JA3 and JA3S
 * (github.com/salesforce/ja3) and JA4 (github.com/FoxIO-LLC/ja4).
 */
#include "hello.h"

#include <nettle/md5.h>
#include <nettle/sha2.h>

#define MAX_ITEMS 128

enum {
	X_SNI = 0,
	X_GROUPS = 10,
	X_POINTS = 11,
	X_SIGALGS = 13,
	X_ALPN = 16,
	X_EARLY = 42,
	X_VERSIONS = 43,
	X_ECH = 0xfe0d
};

static const struct {
	uint16_t id;
	const char *name;
} ciphers[] = {{0x1301, "TLS_AES_128_GCM_SHA256"}, {0x1302, "TLS_AES_256_GCM_SHA384"},
	{0x1303, "TLS_CHACHA20_POLY1305_SHA256"},
	{0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
	{0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
	{0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
	{0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
	{0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
	{0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
	{0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"},
	{0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"},
	{0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"},
	{0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"},
	{0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"},
	{0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"},
	{0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256"}, {0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384"},
	{0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA"}, {0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA"},
	{0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256"}, {0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256"},
	{0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"}, {0x0005, "TLS_RSA_WITH_RC4_128_SHA"},
	{0x0004, "TLS_RSA_WITH_RC4_128_MD5"}};
struct list {
	uint16_t v[MAX_ITEMS];
	unsigned n;
};

/* RFC 8701 */
static bool grease(uint16_t v)
{
	return (v & 0x0f0f) == 0x0a0a && v >> 8 == (v & 0xff);
}

static void add(struct list *l, uint16_t v)
{
	if (!grease(v) && l->n < MAX_ITEMS)
		l->v[l->n++] = v;
}

static const char *version_name(uint16_t v)
{
	switch (v) {
	case 0x0300:
		return "SSL 3.0";
	case 0x0301:
		return "TLS 1.0";
	case 0x0302:
		return "TLS 1.1";
	case 0x0303:
		return "TLS 1.2";
	case 0x0304:
		return "TLS 1.3";
	}
	return "unknown";
}

static void put_list(struct wr_buf *b, const struct list *l, const char *fmt, char sep)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (i)
			wr_buf_c(b, sep);
		wr_buf_printf(b, fmt, l->v[i]);
	}
}

static void md5(struct wr_str s, char out[33])
{
	struct md5_ctx c;
	uint8_t d[MD5_DIGEST_SIZE];

	md5_init(&c);
	md5_update(&c, s.n, (const uint8_t *)s.p);
	md5_digest(&c, sizeof(d), d);
	wr_hex(out, d, sizeof(d));
}

/* The first 12 digits of SHA-256, or zeros for nothing. */
static void sha12(struct wr_str s, char out[13])
{
	struct sha256_ctx c;
	uint8_t d[SHA256_DIGEST_SIZE];

	if (!s.n) {
		wr_copy(out, 13, WR_STR("000000000000"));
		return;
	}
	sha256_init(&c);
	sha256_update(&c, s.n, (const uint8_t *)s.p);
	sha256_digest(&c, sizeof(d), d);
	wr_hex(out, d, 6);
}

static int cmp(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static bool alnum(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

struct hello {
	uint16_t version;
	struct list ciphers, ext, groups, points, versions, sigalgs;
	struct wr_str sni, alpn_first;
	bool ech;
};

static void ja3(struct wr_request *r, const struct hello *h)
{
	struct wr_buf b = WR_BUF(8192);
	char out[33];

	wr_buf_printf(&b, "%u,", h->version);
	put_list(&b, &h->ciphers, "%u", '-');
	wr_buf_c(&b, ',');
	put_list(&b, &h->ext, "%u", '-');
	wr_buf_c(&b, ',');
	put_list(&b, &h->groups, "%u", '-');
	wr_buf_c(&b, ',');
	put_list(&b, &h->points, "%u", '-');
	md5(wr_buf_view(&b), out);
	wr_req_detail(r, "ja3", wr_str(out));
	wr_buf_free(&b);
}

static void ja4(struct wr_request *r, const struct hello *h, char transport)
{
	struct wr_buf b = WR_BUF(8192);
	struct list sorted = h->ciphers, ext = {.n = 0};
	uint16_t v = h->version;
	char c[13], e[13], alpn[3] = "00", out[64];

	for (unsigned i = 0; i < h->versions.n; i++)
		v = i ? wr_max(v, h->versions.v[i]) : h->versions.v[i];
	if (h->alpn_first.n) {
		char a = h->alpn_first.p[0], z = h->alpn_first.p[h->alpn_first.n - 1];

		if (alnum(a) && alnum(z)) {
			alpn[0] = a;
			alpn[1] = z;
		} else {
			snprintf(out, sizeof(out), "%02x%02x", (uint8_t)a, (uint8_t)z);
			alpn[0] = out[0];
			alpn[1] = out[3];
		}
	}
	qsort(sorted.v, sorted.n, sizeof(sorted.v[0]), cmp);
	put_list(&b, &sorted, "%04x", ',');
	sha12(wr_buf_view(&b), c);
	b.n = 0;
	for (unsigned i = 0; i < h->ext.n; i++) {
		if (h->ext.v[i] != X_SNI && h->ext.v[i] != X_ALPN)
			ext.v[ext.n++] = h->ext.v[i];
	}
	qsort(ext.v, ext.n, sizeof(ext.v[0]), cmp);
	put_list(&b, &ext, "%04x", ',');
	if (h->sigalgs.n && b.n) {
		wr_buf_c(&b, '_');
		put_list(&b, &h->sigalgs, "%04x", ',');
	}
	sha12(wr_buf_view(&b), e);
	snprintf(out, sizeof(out), "%c%s%c%02u%02u%s_%s_%s", transport,
		v == 0x0304   ? "13"
		: v == 0x0303 ? "12"
		: v == 0x0302 ? "11"
		: v == 0x0301 ? "10"
		: v == 0x0300 ? "s3"
			      : "00",
		h->sni.n ? 'd' : 'i', wr_min(h->ciphers.n, 99u), wr_min(h->ext.n, 99u), alpn, c, e);
	wr_req_detail(r, "ja4", wr_str(out));
	wr_buf_free(&b);
}

static void list16(struct wr_rd *r, struct list *l)
{
	unsigned n = wr_rd_be16(r) / 2;

	while (n-- && !r->bad)
		add(l, wr_rd_be16(r));
}

static void extension(struct hello *h, uint16_t type, struct wr_rd x)
{
	unsigned n;

	switch (type) {
	case X_SNI:
		wr_rd_take(&x, 3);
		n = wr_rd_be16(&x);
		h->sni = (struct wr_str){(const char *)wr_rd_take(&x, n), n};
		if (x.bad)
			h->sni.n = 0;
		break;
	case X_GROUPS:
		list16(&x, &h->groups);
		break;
	case X_SIGALGS:
		list16(&x, &h->sigalgs);
		break;
	case X_POINTS:
		for (n = wr_rd_u8(&x); n && !x.bad; n--)
			add(&h->points, wr_rd_u8(&x));
		break;
	case X_ALPN:
		wr_rd_be16(&x);
		n = wr_rd_u8(&x);
		h->alpn_first = (struct wr_str){(const char *)wr_rd_take(&x, n), n};
		if (x.bad)
			h->alpn_first.n = 0;
		break;
	case X_VERSIONS:
		for (n = wr_rd_u8(&x) / 2u; n && !x.bad; n--)
			add(&h->versions, wr_rd_be16(&x));
		break;
	case X_ECH:
		h->ech = true;
		break;
	}
}

int wr_client_hello(
	struct wr_request *q, struct wr_bytes b, char transport, struct wr_hello_facts *f)
{
	struct wr_rd r = wr_rd(b.p, b.n), x;
	struct hello h = {.version = 0};
	unsigned n;

	h.version = wr_rd_be16(&r);
	wr_rd_take(&r, 32);
	wr_rd_take(&r, wr_rd_u8(&r));
	list16(&r, &h.ciphers);
	wr_rd_take(&r, wr_rd_u8(&r));
	if (r.bad)
		return -EBADMSG;
	n = wr_rd_left(&r) ? wr_rd_be16(&r) : 0;
	while (n >= 4 && !r.bad) {
		uint16_t type = wr_rd_be16(&r), len = wr_rd_be16(&r);
		const uint8_t *p = wr_rd_take(&r, len);

		if (!p)
			break;
		x = wr_rd(p, len);
		extension(&h, type, x);
		if (f && type == X_EARLY)
			f->early = true;
		add(&h.ext, type);
		n -= wr_min(n, 4u + len);
	}
	wr_req_op(q, WR_STR("handshake"));
	if (h.sni.n) {
		wr_req_resource(q, h.sni);
		wr_req_detail(q, "sni", h.sni);
	}
	if (h.alpn_first.n)
		wr_req_detail(q, "alpn_offered", h.alpn_first);
	if (h.ech)
		wr_req_detail(q, "ech", WR_STR("offered"));
	ja3(q, &h);
	ja4(q, &h, transport);
	return 0;
}

static const char *cipher_name(uint16_t id, char buf[8])
{
	for (unsigned i = 0; i < WR_N(ciphers); i++) {
		if (ciphers[i].id == id)
			return ciphers[i].name;
	}
	snprintf(buf, 8, "0x%04x", id);
	return buf;
}

int wr_server_hello(struct wr_request *q, struct wr_bytes b, struct wr_hello_facts *f)
{
	/* RFC 8446 4.1.3: this "random" marks a retry */
	static const uint8_t retry[8] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11};
	struct wr_rd r = wr_rd(b.p, b.n);
	uint16_t version = wr_rd_be16(&r), real = version, cipher;
	const uint8_t *random = wr_rd_take(&r, 32);
	struct wr_buf t = WR_BUF(2048);
	struct wr_str alpn = {0};
	char out[33], buf[8];
	unsigned n;

	wr_rd_take(&r, wr_rd_u8(&r));
	cipher = wr_rd_be16(&r);
	wr_rd_u8(&r);
	if (r.bad || !random)
		return -EBADMSG;
	if (!memcmp(random, retry, sizeof(retry)))
		return 1;
	wr_buf_printf(&t, "%u,%u,", version, cipher);
	n = wr_rd_left(&r) ? wr_rd_be16(&r) : 0;
	for (bool first = true; n >= 4 && !r.bad; first = false) {
		uint16_t type = wr_rd_be16(&r), len = wr_rd_be16(&r);
		const uint8_t *p = wr_rd_take(&r, len);

		if (!p)
			break;
		if (!first)
			wr_buf_c(&t, '-');
		wr_buf_u64(&t, type);
		if (type == X_VERSIONS && len == 2)
			real = wr_be16(p);
		else if (type == X_ALPN && len > 3 && p[2] == len - 3)
			alpn = (struct wr_str){(const char *)p + 3, p[2]};
		n -= wr_min(n, 4u + len);
	}
	if (f) {
		f->version = real;
		f->cipher = cipher;
	}
	md5(wr_buf_view(&t), out);
	wr_buf_free(&t);
	wr_req_detail(q, "version", wr_str(version_name(real)));
	wr_req_detail(q, "cipher", wr_str(cipher_name(cipher, buf)));
	if (alpn.n)
		wr_req_detail(q, "alpn", alpn);
	wr_req_detail(q, "ja3s", wr_str(out));
	return 0;
}
