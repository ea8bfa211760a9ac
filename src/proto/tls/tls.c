// SPDX-License-Identifier: Apache-2.0
/* TLS handshakes (RFC 5246, RFC 8446) over TCP. What is encrypted is not read. */
#include "hello.h"
#include "x509.h"

#define HANDSHAKE_MAX 32768

enum { R_CCS = 20, R_ALERT, R_HANDSHAKE, R_DATA };
enum { H_CLIENT_HELLO = 1, H_SERVER_HELLO, H_CERTIFICATE = 11, H_CERTIFICATE_REQUEST = 13 };
struct tls {
	struct wr_buf hs[2]; /* a handshake message that is not complete */
	struct wr_request *r;
	struct wr_hello_facts facts;
	bool server_hello, done, retry, secret[2]; /* secret: what follows is encrypted */
};

static const struct {
	uint8_t n;
	const char *name;
} alerts[] = {{10, "unexpected_message"}, {20, "bad_record_mac"}, {40, "handshake_failure"},
	{42, "bad_certificate"}, {43, "unsupported_certificate"}, {44, "certificate_revoked"},
	{45, "certificate_expired"}, {46, "certificate_unknown"}, {47, "illegal_parameter"},
	{48, "unknown_ca"}, {49, "access_denied"}, {50, "decode_error"}, {51, "decrypt_error"},
	{70, "protocol_version"}, {71, "insufficient_security"}, {80, "internal_error"},
	{86, "inappropriate_fallback"}, {90, "user_canceled"}, {109, "missing_extension"},
	{110, "unsupported_extension"}, {112, "unrecognized_name"}, {116, "certificate_required"},
	{120, "no_application_protocol"}};

static void finished(struct wr_session *s, struct tls *st, struct wr_str status, bool error)
{
	st->done = true;
	if (!st->r)
		return;
	wr_req_status(st->r, status);
	st->r->error = error;
	wr_req_done(s, st->r);
	st->r = NULL;
}

/* Up to TLS 1.2 certificates pass in the clear (RFC 5246 7.4.2): the first one is the end's own. */
static void certificate(struct tls *st, unsigned dir, struct wr_bytes b)
{
	struct wr_rd r = wr_rd(b.p, b.n);
	uint32_t n;
	const uint8_t *p;

	wr_rd_take(&r, 3);
	n = (uint32_t)wr_rd_u8(&r) << 16 | wr_rd_be16(&r);
	p = wr_rd_take(&r, n);
	if (p && n)
		wr_x509(st->r, dir ? "cert" : "client_cert", (struct wr_bytes){p, n});
}

/*
 * In TLS 1.3 the client's end of the handshake is encrypted, but not how long it is: [Certificate,
 * CertificateVerify,] Finished (RFC 8446 2), each with a type and a tag behind it (5.2). @n: bytes of its first
 * record.
 */
static void client_flight(struct wr_session *s, struct tls *st, uint32_t n)
{
	enum { TLS13 = 0x0304, AES_256_GCM_SHA384 = 0x1302, AES_128_CCM_8_SHA256 = 0x1305 };
	const uint32_t around = 1 + (st->facts.cipher == AES_128_CCM_8_SHA256 ? 8 : 16);
	const uint32_t finish = 4 + (st->facts.cipher == AES_256_GCM_SHA384 ? 48 : 32) + around;
	const uint32_t alert = 2 + around, none = 8 + around; /* none: an empty Certificate */

	if (st->r && st->facts.version == TLS13 && !st->facts.early) {
		if (n == alert) {
			wr_req_detail(st->r, "alert_by", WR_STR("client"));
			finished(s, st, WR_STR("alert"), true);
			return;
		}
		if (n == none || n == none - around + finish)
			wr_req_detail(st->r, "client_cert", WR_STR("requested"));
		else if (n > finish)
			wr_req_detail(st->r, "client_cert", WR_STR("shown"));
	}
	finished(s, st, WR_STR("ok"), false);
}

static void handshake(
	struct wr_session *s, struct tls *st, unsigned dir, uint8_t type, struct wr_bytes b)
{
	if (!dir && type == H_CLIENT_HELLO) {
		if (st->r) /* the second one, after a retry: the first is what identifies */
			return;
		st->r = wr_req_new(s, 0);
		if (st->r && wr_client_hello(st->r, b, 't', &st->facts))
			st->r->truncated = true;
	} else if (dir && type == H_SERVER_HELLO && st->r && !st->server_hello) {
		int rc = wr_server_hello(st->r, b, &st->facts);

		if (rc == 1)
			st->retry = true;
		st->server_hello = !rc;
		if (!rc && st->retry)
			wr_req_detail(st->r, "hello_retry", WR_STR("true"));
	} else if (type == H_CERTIFICATE && st->r && st->server_hello) {
		certificate(st, dir, b);
	} else if (dir && type == H_CERTIFICATE_REQUEST && st->r) {
		wr_req_detail(st->r, "client_cert", WR_STR("requested"));
	}
}

/* Collects handshake messages from records; false: too long. */
static bool collect(
	struct wr_session *s, struct tls *st, unsigned dir, const uint8_t *p, uint32_t n)
{
	struct wr_buf *b = &st->hs[dir];

	b->max = HANDSHAKE_MAX;
	wr_buf_put(b, p, n);
	if (b->cut)
		return false;
	while (b->n >= 4) {
		const uint8_t *h = (const uint8_t *)b->p;
		uint32_t len = wr_be32(h) & 0xffffff;

		if (len > HANDSHAKE_MAX - 4)
			return false;
		if (b->n < 4 + len)
			return true;
		handshake(s, st, dir, h[0], (struct wr_bytes){h + 4, len});
		b->n -= 4 + len;
		memmove(b->p, b->p + 4 + len, b->n);
	}
	wr_buf_free(b);
	return true;
}

static void fini(void *state)
{
	struct tls *st = state;

	wr_buf_free(&st->hs[0]);
	wr_buf_free(&st->hs[1]);
}

static ssize_t broken(struct wr_session *s, const char *rule, const uint8_t *p, size_t n)
{
	wr_session_blame(s, rule, (struct wr_str){(const char *)p, n});
	return -EBADMSG;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct tls *st = wr_state(s);
	uint32_t len;

	if (st->done) {
		wr_session_skip(s, dir, UINT64_MAX, NULL);
		return 0;
	}
	if (b.n < 5)
		return 0;
	len = wr_be16(b.p + 3);
	if (b.p[0] < R_CCS || b.p[0] > 24)
		return broken(s, "RFC 8446 5.1: a record of a type that there is not", b.p, 1);
	if (b.p[1] != 3)
		return broken(
			s, "RFC 8446 5.1: a record of a version that there is not", b.p + 1, 2);
	if (len > (1u << 14) + 2048)
		return broken(
			s, "RFC 5246 6.2.3: a record of more than 2^14 + 2048 bytes", b.p + 3, 2);
	if (b.p[0] == R_DATA || b.p[0] > R_DATA) {
		/* encrypted: the handshake of 1.3 goes on inside it, what follows cannot be told apart */
		if (st->r && dir)
			wr_req_answer(s, st->r, 5 + len);
		if (!dir && (st->server_hello || !st->r))
			client_flight(s, st, len);
		wr_session_skip(s, dir, len, NULL);
		return 5;
	}
	if (b.n < 5 + len)
		return 0;
	if (b.p[0] == R_HANDSHAKE) {
		if (!st->secret[dir] && !collect(s, st, dir, b.p + 5, len))
			return broken(s, "RFC 8446 4: a handshake message that cannot be read",
				b.p + 5, len);
	} else if (b.p[0] == R_CCS) {
		/* RFC 5246 7.1; of 1.3 it means nothing and may stand before a second hello (RFC 8446 D.4) */
		st->secret[dir] = st->server_hello;
	} else if (b.p[0] == R_ALERT && !st->secret[dir] && len == 2 && st->r &&
		   (b.p[5] == 2 || b.p[6] != 0)) {
		struct wr_str name = WR_STR("alert");

		for (unsigned i = 0; i < WR_N(alerts); i++) {
			if (alerts[i].n == b.p[6])
				name = wr_str(alerts[i].name);
		}
		if (dir)
			wr_req_answer(s, st->r, 5 + len);
		wr_req_detail(st->r, "alert_by", dir ? WR_STR("server") : WR_STR("client"));
		finished(s, st, name, true);
		return 5 + (ssize_t)len;
	}
	if (st->r) {
		if (dir)
			wr_req_answer(s, st->r, 5 + len);
		else
			st->r->request_bytes += 5 + len;
	}
	return 5 + (ssize_t)len;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	if (b.p[0] != R_HANDSHAKE)
		return joined && b.n >= 5 && b.p[0] == R_DATA && b.p[1] == 3 && b.p[2] <= 4 &&
				       wr_be16(b.p + 3) <= 16640
			       ? 55
			       : WR_PROBE_NO;
	if (b.n < 6)
		return b.n < 2 || b.p[1] == 3 ? WR_PROBE_MORE : WR_PROBE_NO;
	if (b.p[1] != 3 || b.p[2] > 4 || wr_be16(b.p + 3) > 16640)
		return WR_PROBE_NO;
	if (b.p[5] == (dir ? H_SERVER_HELLO : H_CLIENT_HELLO))
		return 95;
	return joined ? 50 : WR_PROBE_NO;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct tls *st = wr_state(s);

	(void)dir;
	if (st->r) {
		st->r->gap += lost;
		wr_req_done(s, st->r);
		st->r = NULL;
	}
	st->done = true;
	return true;
}

static void finish(struct wr_session *s)
{
	struct tls *st = wr_state(s);

	if (st->r && st->server_hello)
		finished(s, st, WR_STR("ok"), false);
}

const struct wr_proto wr_proto_tls = {
	.name = "tls",
	.help = "a handshake: version, server name, ALPN, cipher, JA3, JA4",
	.over = WR_TCP,
	.fixed_roles = true,
	.ports = {443, 8443, 993, 853},
	.state = sizeof(struct tls),
	.probe = probe,
	.feed = feed,
	.gap = gap,
	.finish = finish,
	.fini = fini,
};
