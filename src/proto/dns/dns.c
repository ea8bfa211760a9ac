// SPDX-License-Identifier: Apache-2.0
/* DNS (RFC 1035), multicast DNS (RFC 6762), LLMNR (RFC 4795), over UDP and TCP (RFC 7766). */
#include "../../base/ip.h"
#include "../proto.h"

#define NAME_MAX_TEXT 1024 /* 255 bytes, each as \\DDD at most */

static const struct {
	uint16_t n;
	const char *name;
} types[] = {{1, "A"}, {2, "NS"}, {5, "CNAME"}, {6, "SOA"}, {10, "NULL"}, {11, "WKS"}, {12, "PTR"},
	{13, "HINFO"}, {14, "MINFO"}, {15, "MX"}, {16, "TXT"}, {17, "RP"}, {18, "AFSDB"},
	{24, "SIG"}, {25, "KEY"}, {28, "AAAA"}, {29, "LOC"}, {32, "NB"}, {33, "SRV"}, {35, "NAPTR"},
	{36, "KX"}, {37, "CERT"}, {39, "DNAME"}, {41, "OPT"}, {42, "APL"}, {43, "DS"},
	{44, "SSHFP"}, {45, "IPSECKEY"}, {46, "RRSIG"}, {47, "NSEC"}, {48, "DNSKEY"}, {49, "DHCID"},
	{50, "NSEC3"}, {51, "NSEC3PARAM"}, {52, "TLSA"}, {53, "SMIMEA"}, {55, "HIP"}, {59, "CDS"},
	{60, "CDNSKEY"}, {61, "OPENPGPKEY"}, {62, "CSYNC"}, {63, "ZONEMD"}, {64, "SVCB"},
	{65, "HTTPS"}, {99, "SPF"}, {249, "TKEY"}, {250, "TSIG"}, {251, "IXFR"}, {252, "AXFR"},
	{255, "ANY"}, {256, "URI"}, {257, "CAA"}};
static const char *const rcodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
	"REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI"};

struct msg {
	uint16_t id, flags, qd, an, ns, ar, type;
	char name[NAME_MAX_TEXT];
	size_t name_n;
};

/* What is wrong with a message, and where. */
struct fault {
	const char *rule;
	struct wr_str at;
};

static bool wrong(struct fault *f, const char *rule, const uint8_t *p, size_t n)
{
	*f = (struct fault){rule, {(const char *)p, n}};
	return false;
}

static const char *type_name(uint16_t t, char buf[16])
{
	for (unsigned i = 0; i < WR_N(types); i++) {
		if (types[i].n == t)
			return types[i].name;
	}
	snprintf(buf, 16, "TYPE%u", t); /* RFC 3597 5 */
	return buf;
}

/* A name, compression followed (RFC 1035 4.1.4): pointers only backwards, so it ends. */
static bool name(
	struct wr_rd *r, struct wr_bytes m, char *out, size_t *ret_n, struct fault *ret_fault)
{
	struct wr_rd at = *r;
	size_t n = 0, limit = (size_t)(r->p - m.p), total = 0;
	bool jumped = false;

	for (;;) {
		const uint8_t *label = at.p, *p;
		uint8_t len = wr_rd_u8(&at);

		if (at.bad)
			return wrong(ret_fault, "RFC 1035 3.1: a name without an end", r->p,
				(size_t)(at.end - r->p));
		if ((len & 0xc0) == 0xc0) {
			size_t to = (size_t)(len & 0x3f) << 8 | wr_rd_u8(&at);

			if (at.bad || to >= limit)
				return wrong(ret_fault,
					"RFC 1035 4.1.4: a pointer that does not point back", label,
					(size_t)(at.p - label));
			if (!jumped)
				r->p = at.p;
			jumped = true;
			limit = to;
			at = wr_rd(m.p + to, m.n - to);
			continue;
		}
		if (len & 0xc0)
			return wrong(
				ret_fault, "RFC 1035 4.1.4: a label of a reserved type", label, 1);
		if (!len)
			break;
		total += len + 1u;
		p = wr_rd_take(&at, len);
		if (!p)
			return wrong(ret_fault,
				"RFC 1035 3.1: a label that is longer than its message", label,
				(size_t)(at.end - label));
		if (total > 255)
			return wrong(ret_fault, "RFC 1035 2.3.4: a name of more than 255 octets",
				label, len + 1u);
		if (n)
			out[n++] = '.';
		for (unsigned i = 0; i < len; i++) {
			if (p[i] > 32 && p[i] < 127 && p[i] != '.' && p[i] != '\\')
				out[n++] = (char)p[i];
			else
				n += (size_t)snprintf(
					out + n, 5, "\\%03u", p[i]); /* RFC 4343 2.1 */
		}
	}
	if (!jumped)
		r->p = at.p;
	*ret_n = n;
	return true;
}

/* Header and first question. False = not DNS. */
static bool parse(struct wr_bytes b, struct msg *m, struct wr_rd *ret_rest, struct fault *ret_fault)
{
	struct wr_rd r = wr_rd(b.p, b.n);

	m->id = wr_rd_be16(&r);
	m->flags = wr_rd_be16(&r);
	m->qd = wr_rd_be16(&r);
	m->an = wr_rd_be16(&r);
	m->ns = wr_rd_be16(&r);
	m->ar = wr_rd_be16(&r);
	m->name_n = 0;
	m->type = 0;
	if (r.bad)
		return wrong(ret_fault, "RFC 1035 4.1.1: less than a header", b.p, b.n);
	for (unsigned i = 0; i < m->qd; i++) {
		char other[NAME_MAX_TEXT] = ""; /* only the first question counts */
		size_t n = 0;
		uint16_t t;

		if (!name(&r, b, i ? other : m->name, i ? &n : &m->name_n, ret_fault))
			return false;
		t = wr_rd_be16(&r);
		wr_rd_be16(&r);
		if (r.bad)
			return wrong(ret_fault, "RFC 1035 4.1.2: fewer questions than counted", r.p,
				wr_rd_left(&r));
		if (!i)
			m->type = t;
		if (i > 16)
			return wrong(ret_fault, "RFC 1035 4.1.2: more questions than anybody asks",
				b.p + 4, 2);
	}
	*ret_rest = r;
	return true;
}

static int plain(struct wr_bytes u, unsigned dir)
{
	struct fault fault;
	struct msg m;
	struct wr_rd rest;
	unsigned op;

	if (u.n < 12)
		return WR_PROBE_NO;
	op = wr_be16(u.p + 2) >> 11 & 15;
	if ((op > 2 && op != 4 && op != 5) || (wr_be16(u.p + 2) >> 15) != dir ||
		!parse(u, &m, &rest, &fault))
		return WR_PROBE_NO;
	if (wr_be16(u.p + 2) & 0x40) /* Z must be zero */
		return WR_PROBE_NO;
	if ((!m.qd && !(dir && m.an)) || m.qd > 16 || m.an + m.ns + m.ar > 2000)
		return WR_PROBE_NO;
	/* a query has no answers; there may be no bytes behind its end */
	if (!dir && (m.an || (!m.ns && !m.ar && wr_rd_left(&rest))))
		return m.an && !m.ns && m.qd ? 30 : WR_PROBE_NO;
	return m.qd == 1 ? 70 : 50;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	int v = plain(b, dir);
	uint16_t len;

	(void)joined;
	if (v)
		return v;
	/* the length in front of it over TCP */
	len = b.n < 2 ? 12 : wr_be16(b.p);
	if (len < 12 || len > 4096 || b.n >= len + 2u)
		return b.n >= len + 2u && len >= 12 ? plain((struct wr_bytes){b.p + 2, len}, dir)
						    : WR_PROBE_NO;
	return WR_PROBE_MORE;
}

static uint64_t key_of(const struct msg *m)
{
	return (uint64_t)m->id << 48 | (wr_hash(m->name, m->name_n, m->type) & 0xffffffffffffull);
}

static void answers(struct wr_session *s, unsigned dir, struct wr_request *q, const struct msg *m,
	struct wr_rd *r, struct wr_bytes b)
{
	struct fault fault = {NULL, {NULL, 0}}, ignored;
	struct wr_buf addrs = WR_BUF(1024);
	uint32_t ttl_min = UINT32_MAX;
	char n[NAME_MAX_TEXT];

	wr_req_detail_u64(q, "answers", m->an);
	for (unsigned i = 0; i < m->an && i < 64; i++) {
		const uint8_t *data, *record;
		uint16_t type, len;
		uint32_t ttl;
		size_t k;

		record = r->p;
		if (!name(r, b, n, &k, &fault))
			break;
		type = wr_rd_be16(r);
		wr_rd_be16(r);
		ttl = wr_rd_be32(r);
		len = wr_rd_be16(r);
		data = wr_rd_take(r, len);
		if (!data) {
			wrong(&fault, "RFC 1035 4.1.3: a record that is longer than its message",
				record, (size_t)(r->end - record));
			q->truncated = true;
			break;
		}
		ttl_min = wr_min(ttl_min, ttl);
		if ((type == 1 && len == 4) || (type == 28 && len == 16)) {
			char t[WR_IP_TEXT];
			struct wr_ip ip = type == 1 ? wr_ip4(data) : wr_ip6(data);

			if (addrs.n)
				wr_buf_c(&addrs, ' ');
			wr_buf_put(&addrs, t, wr_ip_text(&ip, t));
		} else if (type == 5) {
			struct wr_rd c = wr_rd(data, (size_t)(b.p + b.n - data));

			if (name(&c, b, n, &k, &ignored))
				wr_req_detail(q, "cname", (struct wr_str){n, k});
		}
	}
	if (fault.rule && !(m->flags & 0x200)) /* TC: it ends where there was no room */
		wr_session_violation(s, dir, fault.rule, fault.at);
	if (addrs.n)
		wr_req_detail(q, "addresses", wr_buf_view(&addrs));
	if (ttl_min != UINT32_MAX)
		wr_req_detail_u64(q, "ttl", ttl_min);
	wr_buf_free(&addrs);
}

static void query(struct wr_session *s, const struct msg *m, size_t n, bool reversed)
{
	bool multicast = wr_port(s) == 5353; /* answers go to the group, from whoever knows */
	struct wr_request *q = multicast ? NULL : wr_req_find(s, key_of(m));
	char t[16];

	if (q) { /* asked again: one transaction */
		q->n++;
		q->request_bytes += n;
		return;
	}
	q = wr_req_new(s, key_of(m));
	if (!q)
		return;
	q->reversed = reversed;
	q->request_bytes = n;
	wr_req_op(q, wr_str(type_name(m->type, t)));
	wr_req_resource(q, m->name_n ? (struct wr_str){m->name, m->name_n} : WR_STR("<Root>"));
	if (m->flags >> 11 & 15)
		wr_req_detail_u64(q, "opcode", m->flags >> 11 & 15);
	if (multicast) {
		wr_req_status(q, WR_STR("no_response"));
		wr_req_done(s, q);
	}
}

static void response(struct wr_session *s, const struct msg *m, struct wr_rd *rest,
	struct wr_bytes b, bool reversed)
{
	struct wr_request *q = m->qd ? wr_req_find(s, key_of(m)) : NULL;
	unsigned rcode = m->flags & 15;
	char t[16];

	if (!q) { /* unasked (multicast DNS announces), or the query was not seen */
		q = wr_req_new(s, key_of(m));
		if (!q)
			return;
		q->no_request = true;
		q->reversed = reversed;
		if (m->qd) {
			wr_req_op(q, wr_str(type_name(m->type, t)));
			wr_req_resource(q, (struct wr_str){m->name, m->name_n});
		}
	}
	wr_req_answer(s, q, b.n);
	if (q->n)
		wr_req_detail_u64(q, "retransmissions", q->n);
	if (m->flags & 0x200)
		wr_req_detail(q, "truncated", WR_STR("tc"));
	answers(s, !reversed, q, m, rest, b);
	/* the upper bits of an extended code are in OPT (RFC 6891 6.1.3): not looked at */
	if (rcode < WR_N(rcodes))
		wr_req_status(q, wr_str(rcodes[rcode]));
	else {
		snprintf(t, sizeof(t), "RCODE%u", rcode);
		wr_req_status(q, wr_str(t));
	}
	q->error = rcode != 0;
	wr_req_done(s, q);
}

static int message(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct fault fault;
	struct wr_rd rest;
	struct msg m;
	bool qr;

	if (!parse(b, &m, &rest, &fault)) {
		wr_session_blame(s, fault.rule, fault.at);
		return -EBADMSG;
	}
	qr = m.flags >> 15;
	/* a multicast socket asks and answers from the same address: the bit decides, not the direction */
	if (!qr)
		query(s, &m, b.n, dir == 1);
	else
		response(s, &m, &rest, b, dir == 0);
	return 0;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	uint16_t len;

	if (wr_over(s) == WR_UDP)
		return message(s, dir, b);
	if (b.n < 2)
		return 0;
	len = wr_be16(b.p);
	if (len < 12)
		return -EBADMSG;
	if (b.n < len + 2u)
		return 0;
	if (message(s, dir, (struct wr_bytes){b.p + 2, len}))
		return -EBADMSG;
	return len + 2;
}

const struct wr_proto wr_proto_dns = {
	.name = "dns",
	.help = "a query and its response; unanswered queries and unasked responses too",
	.over = WR_TCP | WR_UDP,
	.fixed_roles = true,
	.ports = {53, 5353, 5355},
	.probe = probe,
	.feed = feed,
};
