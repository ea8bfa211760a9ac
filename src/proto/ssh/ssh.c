// SPDX-License-Identifier: Apache-2.0
/* SSH (RFC 4253 4.2): the software of both ends; the rest is encrypted. */
#include "../proto.h"

struct ssh {
	struct wr_request *r;
	bool seen[2];
};

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct ssh *st = wr_state(s);
	const uint8_t *lf;
	struct wr_str v;
	size_t n;

	if (st->seen[dir]) {
		wr_session_skip(s, dir, UINT64_MAX, NULL);
		return 0;
	}
	lf = b.n ? memchr(b.p, '\n', wr_min(b.n, (size_t)256)) : NULL;
	if (!lf)
		return b.n >= 256 ? -EBADMSG : 0;
	n = (size_t)(lf - b.p) + 1;
	if (memcmp(b.p, "SSH-", wr_min(n, (size_t)4)))
		return dir ? (ssize_t)n : -EBADMSG; /* a server may send other lines first */
	v = (struct wr_str){(const char *)b.p, n - 1};
	if (v.n && v.p[v.n - 1] == '\r')
		v.n--;
	if (!st->r) {
		st->r = wr_req_new(s, 0);
		if (st->r)
			wr_req_op(st->r, WR_STR("handshake"));
	}
	st->seen[dir] = true;
	if (!st->r)
		return (ssize_t)n;
	wr_req_detail(st->r, dir ? "server_software" : "client_software", v);
	if (dir)
		wr_req_answer(s, st->r, n);
	else
		st->r->request_bytes = n;
	if (st->seen[0] && st->seen[1]) {
		wr_req_status(st->r, WR_STR("ok"));
		wr_req_done(s, st->r);
		st->r = NULL;
	}
	return (ssize_t)n;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	(void)dir;
	(void)joined;
	if (memcmp(b.p, "SSH-", wr_min(b.n, (size_t)4)))
		return WR_PROBE_NO;
	return b.n < 4 ? WR_PROBE_MORE : 95;
}

const struct wr_proto wr_proto_ssh = {
	.name = "ssh",
	.help = "the exchange of versions",
	.over = WR_TCP,
	.ports = {22},
	.state = sizeof(struct ssh),
	.probe = probe,
	.feed = feed,
};
