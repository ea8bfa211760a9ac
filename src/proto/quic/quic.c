// SPDX-License-Identifier: Apache-2.0
/*
 * QUIC handshakes (RFC 9000, RFC 9001, RFC 9369): the hello messages in the Initial packets, whose keys follow
 * from the connection id. Everything behind them is encrypted with keys that only the two ends have.
 */
#include "../tls/hello.h"

#include <nettle/aes.h>
#include <nettle/gcm.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>

#define V1 0x00000001u
#define V2 0x6b3343cfu
#define DRAFT29 0xff00001du
#define MAX_CRYPTO                                                                                 \
	16384 /* bytes of a direction's handshake that are put together; more: given up */
#define MAX_ID 20

enum { F_PADDING, F_PING, F_ACK, F_ACK_ECN, F_CRYPTO = 6, F_CLOSE = 0x1c };

struct keys {
	uint8_t key[16], iv[12], hp[16];
};

/* A direction's CRYPTO stream: pieces come in any order. */
struct crypto {
	uint8_t *p; /* MAX_CRYPTO bytes, then a bit for each that is there */
	uint32_t known; /* bytes from the front without a hole */
	bool done;
};

struct quic {
	struct keys keys[2];
	struct crypto d[2];
	struct wr_request *r;
	uint32_t version;
	bool have_keys, done;
};

static void expand(const uint8_t *secret, const char *label, uint8_t *out, unsigned n)
{
	struct hmac_sha256_ctx c;
	uint8_t info[64];
	unsigned len = (unsigned)strlen(label), at = 0;

	/* HkdfLabel of RFC 8446 7.1: length, "tls13 " label, no context */
	info[at++] = 0;
	info[at++] = (uint8_t)n;
	info[at++] = (uint8_t)(6 + len);
	memcpy(info + at, "tls13 ", 6);
	at += 6;
	memcpy(info + at, label, len);
	at += len;
	info[at++] = 0;
	hmac_sha256_set_key(&c, 32, secret);
	hkdf_expand(&c, (nettle_hash_update_func *)hmac_sha256_update,
		(nettle_hash_digest_func *)hmac_sha256_digest, SHA256_DIGEST_SIZE, at, info, n,
		out);
}

/* RFC 9001 5.2, RFC 9369 3.3: from the connection id that the client chose. */
static void make_keys(struct quic *q, const uint8_t *id, unsigned n)
{
	static const uint8_t salt1[20] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d,
		0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
	static const uint8_t salt2[20] = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81,
		0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9};
	static const uint8_t salt29[20] = {0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e,
		0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99};
	const uint8_t *salt = q->version == V2 ? salt2 : q->version == V1 ? salt1 : salt29;
	bool v2 = q->version == V2;
	uint8_t initial[32], secret[32];
	struct hmac_sha256_ctx c;

	hmac_sha256_set_key(&c, 20, salt);
	hkdf_extract(&c, (nettle_hash_update_func *)hmac_sha256_update,
		(nettle_hash_digest_func *)hmac_sha256_digest, SHA256_DIGEST_SIZE, n, id, initial);
	for (unsigned d = 0; d < 2; d++) {
		expand(initial, d ? "server in" : "client in", secret, 32);
		expand(secret, v2 ? "quicv2 key" : "quic key", q->keys[d].key, 16);
		expand(secret, v2 ? "quicv2 iv" : "quic iv", q->keys[d].iv, 12);
		expand(secret, v2 ? "quicv2 hp" : "quic hp", q->keys[d].hp, 16);
	}
	q->have_keys = true;
}

static uint64_t varint(struct wr_rd *r)
{
	const uint8_t *p = wr_rd_take(r, 1), *more;
	uint64_t v;
	unsigned n;

	if (!p)
		return 0;
	n = 1u << (p[0] >> 6);
	v = p[0] & 0x3f;
	more = wr_rd_take(r, n - 1);
	for (unsigned i = 0; more && i < n - 1; i++)
		v = v << 8 | more[i];
	return v;
}

/* One long header: where its packet number and its payload are. */
struct header {
	uint32_t version;
	const uint8_t *dcid;
	uint8_t dcid_n;
	bool initial;
	size_t pn; /* offset of the packet number */
	size_t end; /* of the packet within the datagram */
};

static bool known_version(uint32_t v)
{
	return v == V1 || v == V2 || v == DRAFT29;
}

/* 0; -EAGAIN: not a packet that is read (short header, another type); its end is known or the datagram is over. */
static int read_header(struct wr_bytes b, struct header *h)
{
	struct wr_rd r = wr_rd(b.p, b.n);
	uint8_t first = wr_rd_u8(&r), n, type;
	uint64_t len;

	*h = (struct header){.end = b.n};
	if (!(first & 0x80))
		return -EAGAIN;
	h->version = wr_rd_be32(&r);
	h->dcid_n = wr_rd_u8(&r);
	h->dcid = wr_rd_take(&r, h->dcid_n);
	n = wr_rd_u8(&r);
	wr_rd_take(&r, n);
	if (r.bad || !known_version(h->version) || h->dcid_n > MAX_ID || n > MAX_ID)
		return -EAGAIN;
	type = (first >> 4) & 3;
	h->initial = type == (h->version == V2 ? 1 : 0);
	if (type == (h->version == V2 ? 0 : 3)) /* Retry: no length */
		return -EAGAIN;
	if (h->initial)
		wr_rd_take(&r, varint(&r));
	len = varint(&r);
	if (r.bad || len > wr_rd_left(&r))
		return -EAGAIN;
	h->pn = (size_t)(r.p - b.p);
	h->end = h->pn + (size_t)len;
	return h->initial ? 0 : -EAGAIN;
}

/* The frames of an Initial packet, in @out (as long as the packet); their length or -EBADMSG: other keys. */
static ssize_t open_packet(
	const struct keys *k, struct wr_bytes b, const struct header *h, uint8_t *out)
{
	struct aes128_ctx hp;
	struct gcm_aes128_ctx gcm;
	uint8_t mask[16], head[128], nonce[12], tag[16];
	unsigned pn_n;
	size_t n;

	if (h->end < h->pn + 4 + 16 || h->pn + 4 > sizeof(head))
		return -EBADMSG;
	aes128_set_encrypt_key(&hp, k->hp);
	aes128_encrypt(&hp, 16, mask, b.p + h->pn + 4);
	memcpy(head, b.p, h->pn + 4);
	head[0] ^= mask[0] & 0x0f;
	pn_n = (head[0] & 3) + 1u;
	for (unsigned i = 0; i < pn_n; i++)
		head[h->pn + i] ^= mask[1 + i];
	n = h->end - h->pn - pn_n;
	if (n < 16)
		return -EBADMSG;
	n -= 16;
	memcpy(nonce, k->iv, 12);
	for (unsigned i = 0; i < pn_n; i++)
		nonce[12 - pn_n + i] ^= head[h->pn + i];
	gcm_aes128_set_key(&gcm, k->key);
	gcm_aes128_set_iv(&gcm, 12, nonce);
	gcm_aes128_update(&gcm, h->pn + pn_n, head);
	gcm_aes128_decrypt(&gcm, n, out, b.p + h->pn + pn_n);
	gcm_aes128_digest(&gcm, 16, tag);
	return memeql_sec(tag, b.p + h->end - 16, 16) ? (ssize_t)n : -EBADMSG;
}

static void take(struct crypto *c, uint64_t off, const uint8_t *p, size_t n)
{
	uint8_t *bits;

	if (c->done || off > MAX_CRYPTO || n > MAX_CRYPTO - off)
		return;
	if (!c->p)
		c->p = wr_alloc(MAX_CRYPTO + MAX_CRYPTO / 8);
	if (!c->p)
		return;
	bits = c->p + MAX_CRYPTO;
	memcpy(c->p + off, p, n);
	for (size_t i = off; i < off + n; i++)
		bits[i / 8] |= (uint8_t)(1u << i % 8);
	while (c->known < MAX_CRYPTO && bits[c->known / 8] >> c->known % 8 & 1)
		c->known++;
}

static void forget(struct crypto *c)
{
	free(c->p);
	c->p = NULL;
	c->known = 0;
	c->done = true;
}

static void finished(struct wr_session *s, struct quic *q, struct wr_str status, bool error)
{
	q->done = true;
	forget(&q->d[0]);
	forget(&q->d[1]);
	if (!q->r)
		return;
	wr_req_status(q->r, status);
	q->r->error = error;
	wr_req_done(s, q->r);
	q->r = NULL;
}

/* A hello that is complete by now. */
static void hello(struct wr_session *s, struct quic *q, unsigned dir)
{
	struct crypto *c = &q->d[dir];
	struct wr_bytes b;
	uint32_t len;
	int rc;

	if (c->done || c->known < 4)
		return;
	len = wr_be32(c->p) & 0xffffff;
	if (c->known < 4 + len || c->p[0] != (dir ? 2 : 1) || !q->r)
		return;
	b = (struct wr_bytes){c->p + 4, len};
	if (!dir) {
		if (wr_client_hello(q->r, b, 'q', NULL))
			q->r->truncated = true;
		wr_req_detail(q->r, "quic_version",
			q->version == V2   ? WR_STR("2")
			: q->version == V1 ? WR_STR("1")
					   : WR_STR("draft-29"));
		forget(c);
		return;
	}
	rc = wr_server_hello(q->r, b, NULL);
	if (rc == 1) { /* a retry: the real one follows in the same stream */
		uint32_t rest = c->known - 4 - len;

		memmove(c->p, c->p + 4 + len, rest);
		memset(c->p + MAX_CRYPTO, 0, MAX_CRYPTO / 8);
		c->known = 0;
		return;
	}
	finished(s, q, WR_STR("ok"), false);
}

static void frames(struct wr_session *s, struct quic *q, unsigned dir, struct wr_bytes b)
{
	struct wr_rd r = wr_rd(b.p, b.n);

	while (wr_rd_left(&r) && !r.bad && !q->done) {
		uint64_t type = varint(&r), n, off;
		const uint8_t *p;
		char text[40];

		switch (type) {
		case F_PADDING:
		case F_PING:
			break;
		case F_ACK:
		case F_ACK_ECN:
			varint(&r);
			varint(&r);
			n = varint(&r);
			varint(&r);
			while (n-- && !r.bad) {
				varint(&r);
				varint(&r);
			}
			for (unsigned i = 0; i < 3 && type == F_ACK_ECN; i++)
				varint(&r);
			break;
		case F_CRYPTO:
			off = varint(&r);
			n = varint(&r);
			p = wr_rd_take(&r, n);
			if (!p)
				return;
			take(&q->d[dir], off, p, n);
			hello(s, q, dir);
			break;
		case F_CLOSE:
			n = varint(&r);
			/* 0x100 and more: a TLS alert (RFC 9001 4.8) */
			if (n >= 0x100 && n < 0x200)
				snprintf(text, sizeof(text), "alert_%u", (unsigned)(n & 0xff));
			else
				snprintf(text, sizeof(text), "error_%llu", (unsigned long long)n);
			if (q->r && dir)
				wr_req_answer(s, q->r, 0);
			finished(s, q, wr_str(text), true);
			return;
		default:
			return; /* not allowed here */
		}
	}
}

static void initial(struct wr_session *s, struct quic *q, unsigned dir, struct wr_bytes b,
	const struct header *h)
{
	wr_free_ uint8_t *out = wr_alloc(h->end);
	ssize_t n;

	if (!out)
		return;
	if (!dir && !q->have_keys) {
		q->version = h->version;
		make_keys(q, h->dcid, h->dcid_n);
	}
	n = q->have_keys ? open_packet(&q->keys[dir], b, h, out) : -EBADMSG;
	if (n < 0 && !dir) { /* behind a Retry or another version the keys are new */
		struct quic was = *q;

		q->version = h->version;
		make_keys(q, h->dcid, h->dcid_n);
		n = open_packet(&q->keys[0], b, h, out);
		if (n < 0)
			*q = was;
	}
	if (n < 0)
		return;
	if (!dir && !q->r) {
		q->r = wr_req_new(s, 0);
		if (q->r)
			wr_req_op(q->r, WR_STR("handshake"));
	}
	if (dir && q->r)
		wr_req_answer(s, q->r, 0);
	frames(s, q, dir, (struct wr_bytes){out, (size_t)n});
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct quic *q = wr_state(s);
	size_t all = b.n;
	struct header h;

	if (q->done)
		return (ssize_t)all;
	if (q->r) {
		if (dir)
			q->r->response_bytes += all;
		else
			q->r->request_bytes += all;
	}
	/* packets of one datagram, one behind the other (RFC 9000 12.2) */
	while (b.n && !q->done) {
		bool first = !q->r;

		if (!read_header(b, &h))
			initial(s, q, dir, b, &h);
		if (first && q->r)
			q->r->request_bytes += all;
		b.p += h.end;
		b.n -= h.end;
	}
	return (ssize_t)all;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	struct header h;
	int rc = read_header(b, &h);

	(void)joined;
	if (!h.version || !known_version(h.version) || !(b.p[0] & 0x40))
		return WR_PROBE_NO;
	if (dir)
		return 60;
	/* a client pads it to 1,200 bytes and chooses at least 8 bytes of id (RFC 9000 14.1, 7.2) */
	return !rc && b.n >= 1200 && h.dcid_n >= 8 ? 95 : 30;
}

static void fini(void *state)
{
	struct quic *q = state;

	free(q->d[0].p);
	free(q->d[1].p);
}

const struct wr_proto wr_proto_quic = {
	.name = "quic",
	.help = "a handshake: version, server name, ALPN, cipher, JA3, JA4",
	.over = WR_UDP,
	.fixed_roles = true,
	.opening = true,
	.ports = {443, 8443, 4433},
	.state = sizeof(struct quic),
	.probe = probe,
	.feed = feed,
	.fini = fini,
};
