// SPDX-License-Identifier: Apache-2.0
/* RDP's connection request ([MS-RDPBCGR] 2.2.1.1): who asks, and which security both agree on; then TLS. */
#include "../proto.h"

enum { CR = 0xe0, CC = 0xd0 };
enum { NEG_REQ = 1, NEG_RSP, NEG_FAILURE };

struct rdp {
	bool done;
};

/* TPKT (RFC 1006) around X.224 */
static ssize_t packet(struct wr_bytes b, uint8_t want)
{
	unsigned len;

	if (b.n < 6)
		return !b.n || b.p[0] == 3 ? 0 : -EBADMSG;
	len = wr_be16(b.p + 2);
	if (b.p[0] != 3 || b.p[1] || len < 11 || len > 512 || b.p[4] != len - 5 ||
		(b.p[5] & 0xf0) != want)
		return -EBADMSG;
	return b.n < len ? 0 : (ssize_t)len;
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static const char *security(uint32_t v)
{
	return v == 0	 ? "rdp"
	       : v == 1	 ? "tls"
	       : v == 2	 ? "credssp"
	       : v == 8	 ? "credssp_early"
	       : v == 16 ? "aad"
			 : "other";
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	static const char *const failures[] = {"", "ssl_required_by_server",
		"ssl_not_allowed_by_server", "ssl_cert_not_on_server", "inconsistent_flags",
		"hybrid_required_by_server", "ssl_with_user_auth_required_by_server"};
	struct rdp *st = wr_state(s);
	const uint8_t *neg, *end;
	struct wr_request *r;
	ssize_t n;

	if (st->done) {
		wr_session_skip(s, dir, UINT64_MAX, NULL);
		return 0;
	}
	n = packet(b, dir ? CC : CR);
	if (n <= 0)
		return n;
	end = b.p + n;
	neg = n >= 19 ? end - 8 : NULL;
	if (!dir) {
		static const char cookie[] = "Cookie: mstshash=";
		const uint8_t *at = memmem(b.p, (size_t)n, cookie, sizeof(cookie) - 1);

		r = wr_req_new(s, 0);
		if (!r)
			return n;
		r->request_bytes = (uint64_t)n;
		wr_req_op(r, WR_STR("connect"));
		if (at) {
			const uint8_t *u = at + sizeof(cookie) - 1,
				      *cr = memchr(u, '\r', (size_t)(end - u));

			if (cr) {
				wr_req_resource(
					r, (struct wr_str){(const char *)u, (size_t)(cr - u)});
				wr_req_detail(r, "user",
					(struct wr_str){(const char *)u, (size_t)(cr - u)});
			}
		}
		if (neg && neg[0] == NEG_REQ && neg[2] == 8)
			wr_req_detail_u64(r, "offered", le32(neg + 4));
		return n;
	}
	r = wr_req_oldest(s);
	if (!r)
		return n;
	wr_req_answer(s, r, (uint64_t)n);
	if (neg && neg[0] == NEG_FAILURE) {
		uint32_t v = le32(neg + 4);

		wr_req_status(r, wr_str(v && v < WR_N(failures) ? failures[v] : "failure"));
		r->error = true;
		wr_req_done(s, r);
		return n;
	}
	wr_req_status(r, wr_str(security(neg && neg[0] == NEG_RSP ? le32(neg + 4) : 0)));
	wr_req_done(s, r);
	if (neg && neg[0] == NEG_RSP && le32(neg + 4))
		wr_session_switch(s, NULL);
	else
		st->done = true;
	return n;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	ssize_t n = packet(b, dir ? CC : CR);

	(void)joined;
	if (n < 0)
		return WR_PROBE_NO;
	if (!n)
		return WR_PROBE_MORE;
	return (!dir && memmem(b.p, (size_t)n, "mstshash", 8)) ||
			       (n >= 19 && b.p[n - 8] == (dir ? NEG_RSP : NEG_REQ))
		       ? 85
		       : 46;
}

const struct wr_proto wr_proto_rdp = {
	.name = "rdp",
	.help = "a connection request and the security that was agreed on",
	.over = WR_TCP,
	.fixed_roles = true,
	.ports = {3389},
	.state = sizeof(struct rdp),
	.probe = probe,
	.feed = feed,
};
