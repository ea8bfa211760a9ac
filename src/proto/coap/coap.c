// SPDX-License-Identifier: Apache-2.0
/* CoAP (RFC 7252) over UDP: a request and its response, by their token. */
#include "../proto.h"

enum { CON, NON, ACK, RST };

static const char *const methods[] = {
	"", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"};

struct message {
	uint8_t type, code;
	uint16_t id;
	uint64_t token;
	uint8_t token_n;
	size_t options;
};

static bool head(struct wr_bytes b, struct message *m)
{
	if (b.n < 4 || b.p[0] >> 6 != 1 || (b.p[0] & 15) > 8 || b.n < 4u + (b.p[0] & 15))
		return false;
	*m = (struct message){.type = (b.p[0] >> 4) & 3,
		.code = b.p[1],
		.id = wr_be16(b.p + 2),
		.token_n = b.p[0] & 15};
	for (unsigned i = 0; i < m->token_n; i++)
		m->token = m->token << 8 | b.p[4 + i];
	m->options = 4u + m->token_n;
	/* an empty message has nothing else (4.1); classes 1, 6 and 7 are reserved (3) */
	if (!m->code)
		return b.n == 4;
	return m->code >> 5 == 0 ? m->code < WR_N(methods)
				 : m->code >> 5 == 2 || m->code >> 5 == 4 || m->code >> 5 == 5;
}

/* Delta or length of an option (3.1). */
static unsigned extended(struct wr_rd *r, unsigned v)
{
	return v == 13 ? 13u + wr_rd_u8(r) : v == 14 ? 269u + wr_rd_be16(r) : v;
}

/* The path and query of a request, "/a/b?c=d"; false: not an option list. */
static bool uri(struct wr_bytes b, size_t at, struct wr_buf *ret, struct wr_str *ret_host)
{
	struct wr_rd r = wr_rd(b.p + at, b.n - at);
	unsigned number = 0;
	bool query = false;

	while (wr_rd_left(&r) && *r.p != 0xff) {
		uint8_t first = wr_rd_u8(&r);
		unsigned delta = first >> 4, n = first & 15;
		const uint8_t *p;

		if (delta == 15 || n == 15)
			return false;
		number += extended(&r, delta);
		n = extended(&r, n);
		p = wr_rd_take(&r, n);
		if (!p)
			return false;
		if (number == 11) {
			wr_buf_c(ret, '/');
			wr_buf_put(ret, p, n);
		} else if (number == 15) {
			if (!query && !ret->n)
				wr_buf_c(ret, '/');
			wr_buf_c(ret, query ? '&' : '?');
			wr_buf_put(ret, p, n);
			query = true;
		} else if (number == 3) {
			*ret_host = (struct wr_str){(const char *)p, n};
		}
	}
	if (!ret->n)
		wr_buf_c(ret, '/');
	return !r.bad;
}

static ssize_t request(
	struct wr_session *s, unsigned dir, struct wr_bytes b, const struct message *m)
{
	struct wr_buf u = WR_BUF(2048);
	struct wr_request *r = wr_req_find(s, m->token);
	struct wr_str host = {0};

	if (r && r->n == m->id) { /* sent again */
		r->request_bytes += b.n;
		return (ssize_t)b.n;
	}
	if (!uri(b, m->options, &u, &host)) {
		wr_buf_free(&u);
		return -EBADMSG;
	}
	r = wr_req_new(s, m->token);
	if (r) {
		r->n = m->id;
		r->reversed = dir;
		r->request_bytes = b.n;
		wr_req_op(r, wr_str(methods[m->code]));
		wr_req_url(s, r, wr_buf_view(&u));
		if (host.n)
			wr_req_detail(r, "host", host);
		wr_req_detail(r, "confirmable", m->type == CON ? WR_STR("true") : WR_STR("false"));
	}
	wr_buf_free(&u);
	return (ssize_t)b.n;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct wr_request *r;
	struct message m;
	char code[8];

	if (!head(b, &m))
		return -EBADMSG;
	if (m.code && m.code >> 5 == 0)
		return request(s, dir, b, &m);
	if (!m.code) { /* "later", or "I do not know you" */
		for (r = wr_req_oldest(s); r && m.type == RST; r = r->next) {
			if (r->n != m.id)
				continue;
			wr_req_answer(s, r, b.n);
			wr_req_status(r, WR_STR("reset"));
			r->error = true;
			wr_req_done(s, r);
			break;
		}
		return (ssize_t)b.n;
	}
	r = wr_req_find(s, m.token);
	if (!r) /* a notification (RFC 7641), or its request was not seen */
		return (ssize_t)b.n;
	snprintf(code, sizeof(code), "%d.%02d", m.code >> 5, m.code & 31);
	wr_req_answer(s, r, b.n);
	wr_req_status(r, wr_str(code));
	r->error = m.code >> 5 >= 4;
	wr_req_done(s, r);
	return (ssize_t)b.n;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	struct wr_buf u = WR_BUF(2048);
	struct wr_str host = {0};
	struct message m;
	bool fits, named;

	(void)joined;
	if (!head(b, &m) || !m.code)
		return WR_PROBE_NO;
	fits = uri(b, m.options, &u, &host);
	named = !dir && u.n > 1 && u.p[1] != '?';
	for (size_t i = 0; i < u.n; i++)
		named &= u.p[i] > ' ' && u.p[i] < 127;
	wr_buf_free(&u);
	if (!fits || (m.code >> 5 == 0) != !dir)
		return WR_PROBE_NO;
	/* two bits of mark: the port must agree, or the path be one */
	return named ? 62 : m.token_n ? 50 : 45;
}

const struct wr_proto wr_proto_coap = {
	.name = "coap",
	.help = "a request and its response, by their token",
	.over = WR_UDP,
	.fixed_roles = true,
	.ports = {5683},
	.probe = probe,
	.feed = feed,
};
