// SPDX-License-Identifier: Apache-2.0
/* LDAP (RFC 4511): an operation and its result, by message id; passwords are not read. */
#include "../proto.h"

#define MAX_HEAD 8192 /* bytes of a message that are looked at; the rest is skipped */

enum {
	BIND = 0x60,
	BIND_R = 0x61,
	UNBIND = 0x42,
	SEARCH = 0x63,
	ENTRY = 0x64,
	SEARCH_DONE = 0x65,
	REFERENCE = 0x73,
	MODIFY = 0x66,
	ADD = 0x68,
	DELETE = 0x4a,
	MODIFY_DN = 0x6c,
	COMPARE = 0x6e,
	ABANDON = 0x50,
	EXTENDED = 0x77,
	EXTENDED_R = 0x78,
	INTERMEDIATE = 0x79
};

static const struct {
	uint8_t tag, answer;
	const char *name;
} ops[] = {{BIND, BIND_R, "bind"}, {UNBIND, 0, "unbind"}, {SEARCH, SEARCH_DONE, "search"},
	{MODIFY, 0x67, "modify"}, {ADD, 0x69, "add"}, {DELETE, 0x6b, "delete"},
	{MODIFY_DN, 0x6d, "modify_dn"}, {COMPARE, 0x6f, "compare"}, {ABANDON, 0, "abandon"},
	{EXTENDED, EXTENDED_R, "extended"}};
/* RFC 4511 4.1.9 */
static const struct {
	uint8_t code;
	const char *name;
} results[] = {{0, "success"}, {1, "operationsError"}, {2, "protocolError"},
	{3, "timeLimitExceeded"}, {4, "sizeLimitExceeded"}, {5, "compareFalse"}, {6, "compareTrue"},
	{7, "authMethodNotSupported"}, {8, "strongerAuthRequired"}, {10, "referral"},
	{11, "adminLimitExceeded"}, {12, "unavailableCriticalExtension"},
	{13, "confidentialityRequired"}, {14, "saslBindInProgress"}, {16, "noSuchAttribute"},
	{17, "undefinedAttributeType"}, {18, "inappropriateMatching"}, {19, "constraintViolation"},
	{20, "attributeOrValueExists"}, {21, "invalidAttributeSyntax"}, {32, "noSuchObject"},
	{33, "aliasProblem"}, {34, "invalidDNSyntax"}, {36, "aliasDereferencingProblem"},
	{48, "inappropriateAuthentication"}, {49, "invalidCredentials"},
	{50, "insufficientAccessRights"}, {51, "busy"}, {52, "unavailable"},
	{53, "unwillingToPerform"}, {54, "loopDetect"}, {64, "namingViolation"},
	{65, "objectClassViolation"}, {66, "notAllowedOnNonLeaf"}, {67, "notAllowedOnRDN"},
	{68, "entryAlreadyExists"}, {69, "objectClassModsProhibited"}, {71, "affectsMultipleDSAs"},
	{80, "other"}};

struct ldap {
	bool lost[2];
};

/* BER length (X.690 8.1.3), definite; sets bad beyond four bytes. */
static uint32_t length(struct wr_rd *r)
{
	uint8_t n = wr_rd_u8(r);
	uint32_t v = 0;

	if (!(n & 0x80))
		return n;
	n &= 0x7f;
	if (!n || n > 4) {
		r->bad = true;
		return 0;
	}
	while (n--)
		v = v << 8 | wr_rd_u8(r);
	return v;
}

/* The next element's contents; its tag. Contents that are not all here are cut. */
static uint8_t element(struct wr_rd *r, struct wr_bytes *ret)
{
	uint8_t tag = wr_rd_u8(r);
	uint32_t n = length(r);

	n = (uint32_t)wr_min((size_t)n, wr_rd_left(r));
	*ret = (struct wr_bytes){r->p, n};
	if (!r->bad)
		wr_rd_take(r, n);
	return r->bad ? 0 : tag;
}

static uint64_t integer(struct wr_bytes b)
{
	uint64_t v = 0;

	for (size_t i = 0; i < b.n && i < 8; i++)
		v = v << 8 | b.p[i];
	return v;
}

static struct wr_str str(struct wr_bytes b)
{
	return (struct wr_str){(const char *)b.p, b.n};
}

/* A filter as text (RFC 4515), without the values: those name people. */
static void filter(struct wr_buf *t, struct wr_rd *r, unsigned depth)
{
	static const char *const ops_[] = {"&", "|", "!", "=", "=", ">=", "<=", "=*", "~=", ":="};
	struct wr_bytes b, name;
	uint8_t tag = element(r, &b);
	struct wr_rd in = wr_rd(b.p, b.n);
	unsigned k = tag & 0x1f;

	if (!tag || k >= WR_N(ops_) || depth > 8)
		return;
	wr_buf_c(t, '(');
	if (k <= 2) {
		wr_buf_str(t, wr_str(ops_[k]));
		while (wr_rd_left(&in) && !in.bad && !t->cut)
			filter(t, &in, depth + 1);
	} else {
		if (k == 7)
			name = b;
		else
			element(&in, &name);
		wr_buf_text(t, str(name), 64);
		wr_buf_str(t, wr_str(ops_[k]));
		if (k != 7)
			wr_buf_c(t, '?');
	}
	wr_buf_c(t, ')');
}

static void search(struct wr_request *q, struct wr_rd *r)
{
	static const char *const scopes[] = {"base", "one", "sub", "children"};
	struct wr_buf t = WR_BUF(1024);
	struct wr_bytes base, v;
	uint64_t scope;

	element(r, &base);
	wr_req_resource(q, str(base));
	element(r, &v);
	scope = integer(v);
	if (scope < WR_N(scopes))
		wr_req_detail(q, "scope", wr_str(scopes[scope]));
	for (unsigned i = 0; i < 4; i++)
		element(r, &v); /* dereferencing, limits, types only */
	filter(&t, r, 0);
	if (t.n)
		wr_req_detail(q, "filter", wr_buf_view(&t));
	wr_buf_free(&t);
}

static void bind_(struct wr_request *q, struct wr_rd *r)
{
	struct wr_bytes v, name, mech;
	uint8_t tag;

	element(r, &v);
	element(r, &name);
	wr_req_resource(q, str(name));
	if (name.n)
		wr_req_detail(q, "user", str(name));
	tag = element(r, &v);
	if (tag == 0xa3) {
		struct wr_rd in = wr_rd(v.p, v.n);

		element(&in, &mech);
		wr_req_detail(q, "mechanism", str(mech));
	} else {
		wr_req_detail(
			q, "mechanism", name.n || v.n ? WR_STR("simple") : WR_STR("anonymous"));
	}
}

static void request(
	struct wr_session *s, uint64_t id, uint8_t tag, struct wr_bytes body, uint64_t n)
{
	struct wr_rd r = wr_rd(body.p, body.n);
	struct wr_request *q = wr_req_new(s, id);
	struct wr_bytes v;

	if (!q)
		return;
	q->request_bytes = n;
	for (unsigned i = 0; i < WR_N(ops); i++) {
		if (ops[i].tag == tag) {
			wr_req_op(q, wr_str(ops[i].name));
			q->n = ops[i].answer;
		}
	}
	switch (tag) {
	case BIND:
		bind_(q, &r);
		break;
	case SEARCH:
		search(q, &r);
		break;
	case DELETE:
		wr_req_resource(q, str(body));
		break;
	case EXTENDED: /* [0] OID */
		element(&r, &v);
		wr_req_resource(q, str(v));
		/* StartTLS (RFC 4511 4.14.1) */
		q->flags = wr_str_eq(str(v), WR_STR("1.3.6.1.4.1.1466.20037"));
		break;
	case MODIFY:
	case ADD:
	case MODIFY_DN:
	case COMPARE:
		element(&r, &v);
		wr_req_resource(q, str(v));
		break;
	}
	if (!q->n) {
		wr_req_status(q, WR_STR("no_response"));
		wr_req_done(s, q);
	}
}

static void answer(struct wr_session *s, uint64_t id, uint8_t tag, struct wr_bytes body, uint64_t n)
{
	struct wr_request *q = wr_req_find(s, id);
	struct wr_rd r = wr_rd(body.p, body.n);
	struct wr_bytes v;
	uint64_t code;
	char t[24];

	if (!q)
		return;
	wr_req_answer(s, q, n);
	if (tag == ENTRY || tag == REFERENCE || tag == INTERMEDIATE) {
		q->key = id;
		q->flags += tag == ENTRY ? 2 : 0; /* entries, above the bit of StartTLS */
		return;
	}
	if (tag != q->n)
		return;
	element(&r, &v);
	code = integer(v);
	snprintf(t, sizeof(t), "%llu", (unsigned long long)code);
	for (unsigned i = 0; i < WR_N(results); i++) {
		if (results[i].code == code)
			wr_copy(t, sizeof(t), wr_str(results[i].name));
	}
	wr_req_status(q, wr_str(t));
	q->error = code && code != 5 && code != 6 && code != 10 && code != 14;
	if (q->n == SEARCH_DONE)
		wr_req_detail_u64(q, "entries", q->flags >> 1);
	if (q->n == EXTENDED_R && q->flags & 1 && !code) {
		wr_req_done(s, q);
		wr_session_switch(s, NULL);
		return;
	}
	wr_req_done(s, q);
}

static bool fits(uint8_t tag, unsigned dir)
{
	for (unsigned i = 0; i < WR_N(ops); i++) {
		if (dir ? ops[i].answer && ops[i].answer == tag : ops[i].tag == tag)
			return true;
	}
	return dir && (tag == ENTRY || tag == REFERENCE || tag == INTERMEDIATE);
}

struct head {
	uint64_t id;
	uint8_t tag;
	size_t at; /* of the operation's contents */
	uint64_t all, op_end; /* of the message; of the operation */
};

/* 0 more is needed, 1 a head, -EBADMSG */
static int head(struct wr_bytes b, unsigned dir, struct head *h)
{
	struct wr_rd r = wr_rd(b.p, b.n);
	uint8_t tag = wr_rd_u8(&r), n;
	uint32_t len, op;

	if (b.n && tag != 0x30)
		return -EBADMSG;
	if (b.n > 1 && b.p[1] == 0x80) /* indefinite: not allowed (RFC 4511 5.1) */
		return -EBADMSG;
	len = length(&r);
	if (r.bad)
		return b.n < 6 ? 0 : -EBADMSG;
	h->all = (uint64_t)(r.p - b.p) + len;
	if (len < 5)
		return -EBADMSG;
	tag = wr_rd_u8(&r);
	n = wr_rd_u8(&r);
	if (r.bad)
		return 0;
	if (tag != 2 || !n || n > 4)
		return -EBADMSG;
	h->id = 0;
	while (n--)
		h->id = h->id << 8 | wr_rd_u8(&r);
	h->tag = wr_rd_u8(&r);
	if (r.bad)
		return 0;
	if (!fits(h->tag, dir) || (dir && !h->id))
		return -EBADMSG;
	op = length(&r);
	if (r.bad)
		return wr_rd_left(&r) < 5 && b.n < 20 ? 0 : -EBADMSG;
	h->at = (size_t)(r.p - b.p);
	h->op_end = h->at + op;
	return h->op_end > h->all ? -EBADMSG : 1;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct ldap *st = wr_state(s);
	struct wr_request *q;
	struct head h;
	int rc = b.n ? head(b, dir, &h) : 0;
	size_t have;

	if (rc <= 0)
		return rc < 0 && st->lost[dir] ? 1 : rc;
	if (st->lost[dir] && dir && !wr_req_find(s, h.id))
		return 1;
	/* of an entry only that it is there; of others what names them */
	have = h.tag == ENTRY || h.tag == REFERENCE ? h.at
						    : (size_t)wr_min(h.op_end, (uint64_t)MAX_HEAD);
	if (b.n < have)
		return 0;
	st->lost[dir] = false;
	if (dir) {
		bool switches;

		q = wr_req_find(s, h.id);
		switches = q && q->n == EXTENDED_R && q->flags & 1;
		answer(s, h.id, h.tag, (struct wr_bytes){b.p + h.at, have - h.at}, have);
		q = wr_req_find(s, h.id);
		if (switches && !q)
			return (ssize_t)wr_min((uint64_t)b.n, h.all);
	} else {
		request(s, h.id, h.tag, (struct wr_bytes){b.p + h.at, have - h.at}, have);
		q = wr_req_find(s, h.id);
	}
	if (h.all > have)
		wr_session_skip(s, dir, h.all - have, q);
	return (ssize_t)have;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	struct head h;
	int rc = head(b, dir, &h);

	(void)joined;
	if (rc < 0)
		return WR_PROBE_NO;
	if (!rc)
		return WR_PROBE_MORE;
	return h.tag == BIND || h.tag == SEARCH ? 75 : 50;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct ldap *st = wr_state(s);

	wr_req_give_up(s, lost);
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_ldap = {
	.name = "ldap",
	.help = "an operation and its result",
	.over = WR_TCP,
	.fixed_roles = true,
	.whole = true,
	.ports = {389, 3268},
	.state = sizeof(struct ldap),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
