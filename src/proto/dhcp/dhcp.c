// SPDX-License-Identifier: Apache-2.0
/* DHCP (RFC 2131): each message; a question that is broadcast finds its answer in another flow, by `detail.xid`. */
#include "../proto.h"

#define HEAD 240 /* with the magic cookie */

static const char *const types[] = {"", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK",
	"RELEASE", "INFORM", "FORCERENEW", "LEASEQUERY", "LEASEUNASSIGNED", "LEASEUNKNOWN",
	"LEASEACTIVE"};

struct options {
	uint8_t type;
	const uint8_t *requested, *server, *lease;
	struct wr_str name;
};

static void read_options(struct wr_bytes b, struct options *o)
{
	struct wr_rd r = wr_rd(b.p + HEAD, b.n - HEAD);

	*o = (struct options){0};
	while (wr_rd_left(&r)) {
		uint8_t code = wr_rd_u8(&r), n;
		const uint8_t *p;

		if (!code)
			continue;
		if (code == 255)
			return;
		n = wr_rd_u8(&r);
		p = wr_rd_take(&r, n);
		if (!p)
			return;
		if (code == 53 && n == 1)
			o->type = p[0];
		else if (code == 50 && n == 4)
			o->requested = p;
		else if (code == 54 && n == 4)
			o->server = p;
		else if (code == 51 && n == 4)
			o->lease = p;
		else if (code == 12)
			o->name = (struct wr_str){(const char *)p, n};
	}
}

static void detail_ip(struct wr_request *r, const char *name, const uint8_t *p)
{
	char t[16];

	if (!p || !wr_be32(p))
		return;
	snprintf(t, sizeof(t), "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
	wr_req_detail(r, name, wr_str(t));
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct options o;
	struct wr_request *r = NULL;
	char t[24];
	const uint8_t *ip;
	bool answer;

	if (b.n < HEAD)
		return -EBADMSG;
	read_options(b, &o);
	answer = b.p[0] == 2;
	if (answer)
		r = wr_req_find(s, wr_be32(b.p + 4));
	if (!r) {
		r = wr_req_new(s, wr_be32(b.p + 4));
		if (!r)
			return (ssize_t)b.n;
		wr_req_op(r, wr_str(o.type < WR_N(types) && o.type ? types[o.type] : "BOOTP"));
		r->no_request = answer;
		r->reversed = answer ? !dir : dir;
		if (!answer)
			r->request_bytes = b.n;
	}
	ip = answer ? b.p + 16 : o.requested ? o.requested : b.p + 12;
	if (wr_be32(ip) && !r->resource_n) {
		snprintf(t, sizeof(t), "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
		wr_req_resource(r, wr_str(t));
	}
	if (!answer || r->no_request) {
		snprintf(t, sizeof(t), "%08x", wr_be32(b.p + 4));
		wr_req_detail(r, "xid", wr_str(t));
		wr_req_detail(r, "mac", wr_str(wr_mac_text(b.p + 28, t)));
		if (o.name.n)
			wr_req_detail(r, "host_name", o.name);
	}
	detail_ip(r, "server", o.server);
	if (!answer) {
		/* without an address of its own a client broadcasts; the answer does not come in this flow */
		if (!wr_be32(b.p + 12) || o.type == 7 || o.type == 4) {
			wr_req_status(r, WR_STR("no_response"));
			wr_req_done(s, r);
		}
		return (ssize_t)b.n;
	}
	if (o.lease)
		wr_req_detail_u64(r, "lease_s", wr_be32(o.lease));
	wr_req_answer(s, r, b.n);
	wr_req_status(r, o.type == 6 ? WR_STR("NAK") : o.type == 5 ? WR_STR("ACK") : WR_STR("ok"));
	r->error = o.type == 6;
	wr_req_done(s, r);
	return (ssize_t)b.n;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	(void)joined;
	(void)dir;
	if (b.n < HEAD || (b.p[0] != 1 && b.p[0] != 2) || b.p[2] > 16 ||
		wr_be32(b.p + 236) != 0x63825363)
		return WR_PROBE_NO;
	return 95;
}

const struct wr_proto wr_proto_dhcp = {
	.name = "dhcp",
	.help = "a message; an answer that comes in the same flow is joined to it",
	.over = WR_UDP,
	.ports = {67, 68},
	.probe = probe,
	.feed = feed,
};
