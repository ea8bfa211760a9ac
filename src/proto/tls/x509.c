// SPDX-License-Identifier: Apache-2.0
#include "x509.h"

#define MAX_NAMES 32

enum {
	T_INTEGER = 2,
	T_BITS = 3,
	T_OCTETS = 4,
	T_OID = 6,
	T_UTC = 0x17,
	T_TIME = 0x18,
	T_SEQUENCE = 0x30,
	T_SET = 0x31,
	T_VERSION = 0xa0,
	T_EXTENSIONS = 0xa3,
	T_DNS = 0x82,
	T_IP = 0x87
};

/* The next element (X.690 8.1): its tag and contents; 0 and r->bad when it is not whole. */
static uint8_t next(struct wr_rd *r, struct wr_rd *ret)
{
	uint8_t tag = wr_rd_u8(r), n = wr_rd_u8(r);
	uint32_t len = n;
	const uint8_t *p;

	if (n & 0x80) {
		n &= 0x7f;
		if (!n || n > 3)
			r->bad = true;
		for (len = 0; n && !r->bad; n--)
			len = len << 8 | wr_rd_u8(r);
	}
	p = r->bad ? NULL : wr_rd_take(r, len);
	*ret = wr_rd(p ? p : (const uint8_t *)"", p ? len : 0);
	return p ? tag : 0;
}

static bool is_oid(const struct wr_rd *r, const char *der, size_t n)
{
	return wr_rd_left(r) == n && !memcmp(r->p, der, n);
}
#define OID(r, der) is_oid((r), (der), sizeof(der) - 1)

/* Of a distinguished name the common name, else the organization. */
static struct wr_str name(struct wr_rd r)
{
	struct wr_str cn = {0}, o = {0};
	struct wr_rd set, pair, oid, v;

	while (wr_rd_left(&r) && next(&r, &set) == T_SET) {
		if (next(&set, &pair) != T_SEQUENCE || next(&pair, &oid) != T_OID ||
			!next(&pair, &v))
			continue;
		if (OID(&oid, "\x55\4\3"))
			cn = (struct wr_str){(const char *)v.p, wr_rd_left(&v)};
		else if (OID(&oid, "\x55\4\x0a"))
			o = (struct wr_str){(const char *)v.p, wr_rd_left(&v)};
	}
	return cn.n ? cn : o;
}

/* YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ to RFC 3339; years of two digits are 1950 to 2049 (RFC 5280 4.1.2.5.1) */
static void time_(struct wr_request *r, const char *label, uint8_t tag, const struct wr_rd *v)
{
	const char *p = (const char *)v->p;
	size_t n = wr_rd_left(v), y = tag == T_UTC ? 2 : 4;
	char t[24];

	if (n < y + 10 || (tag != T_UTC && tag != T_TIME))
		return;
	for (size_t i = 0; i < y + 10; i++) {
		if (p[i] < '0' || p[i] > '9')
			return;
	}
	snprintf(t, sizeof(t), "%s%.*s-%.2s-%.2sT%.2s:%.2s:%.2sZ",
		y == 4	     ? ""
		: p[0] < '5' ? "20"
			     : "19",
		(int)y, p, p + y, p + y + 2, p + y + 4, p + y + 6, p + y + 8);
	wr_req_detail(r, label, wr_str(t));
}

static void key(struct wr_request *r, const char *label, struct wr_rd spki)
{
	struct wr_rd alg, oid, curve, bits, seq, n;
	const char *kind = "other";
	char t[32];
	size_t len;

	if (next(&spki, &alg) != T_SEQUENCE || next(&alg, &oid) != T_OID)
		return;
	if (OID(&oid, "\x2a\x86\x48\x86\xf7\x0d\1\1\1")) {
		if (next(&spki, &bits) != T_BITS)
			return;
		wr_rd_u8(&bits); /* unused bits */
		if (next(&bits, &seq) != T_SEQUENCE || next(&seq, &n) != T_INTEGER)
			return;
		while (wr_rd_left(&n) && !*n.p)
			wr_rd_u8(&n);
		len = wr_rd_left(&n) * 8;
		for (uint8_t top = wr_rd_left(&n) ? *n.p : 0x80; len && !(top & 0x80);
			top = (uint8_t)(top << 1))
			len--;
		snprintf(t, sizeof(t), "RSA %zu", len);
		wr_req_detail(r, label, wr_str(t));
		return;
	}
	if (OID(&oid, "\x2a\x86\x48\xce\x3d\2\1")) {
		if (next(&alg, &curve) != T_OID)
			return;
		kind = OID(&curve, "\x2a\x86\x48\xce\x3d\3\1\7") ? "EC P-256"
		       : OID(&curve, "\x2b\x81\4\0\x22")	 ? "EC P-384"
		       : OID(&curve, "\x2b\x81\4\0\x23")	 ? "EC P-521"
								 : "EC";
	} else if (OID(&oid, "\x2b\x65\x70")) {
		kind = "Ed25519";
	}
	wr_req_detail(r, label, wr_str(kind));
}

/* The names that it is for, with commas (RFC 5280 4.2.1.6). */
static void names(struct wr_request *r, const char *label, struct wr_rd ext)
{
	struct wr_buf b = WR_BUF(1024);
	struct wr_rd one, oid, v, list, entry;
	unsigned n = 0;

	while (wr_rd_left(&ext) && next(&ext, &one) == T_SEQUENCE) {
		if (next(&one, &oid) != T_OID || !OID(&oid, "\x55\x1d\x11"))
			continue;
		while (wr_rd_left(&one) && next(&one, &v) != T_OCTETS)
			;
		if (next(&v, &list) != T_SEQUENCE)
			continue;
		while (wr_rd_left(&list) && n < MAX_NAMES) {
			uint8_t tag = next(&list, &entry);
			size_t len = wr_rd_left(&entry);

			if (tag != T_DNS && !(tag == T_IP && len == 4))
				continue;
			if (n++)
				wr_buf_c(&b, ',');
			if (tag == T_DNS)
				wr_buf_text(&b, (struct wr_str){(const char *)entry.p, len}, 253);
			else
				wr_buf_printf(&b, "%u.%u.%u.%u", entry.p[0], entry.p[1], entry.p[2],
					entry.p[3]);
		}
	}
	if (b.n)
		wr_req_detail(r, label, wr_buf_view(&b));
	wr_buf_free(&b);
}

int wr_x509(struct wr_request *r, const char *who, struct wr_bytes der)
{
	struct wr_rd all = wr_rd(der.p, der.n), cert, tbs, v, issuer, subject, validity, from, to,
		     spki;
	char label[40];
	uint8_t tag;

#define LABEL(what) (snprintf(label, sizeof(label), "%s_" what, who), label)
	if (next(&all, &cert) != T_SEQUENCE || next(&cert, &tbs) != T_SEQUENCE)
		return -EBADMSG;
	tag = next(&tbs, &v);
	if (tag == T_VERSION)
		tag = next(&tbs, &v);
	if (tag != T_INTEGER || next(&tbs, &v) != T_SEQUENCE || next(&tbs, &issuer) != T_SEQUENCE ||
		next(&tbs, &validity) != T_SEQUENCE || next(&tbs, &subject) != T_SEQUENCE ||
		next(&tbs, &spki) != T_SEQUENCE)
		return -EBADMSG;
	wr_req_detail(r, LABEL("subject"), name(subject));
	wr_req_detail(r, LABEL("issuer"), name(issuer));
	tag = next(&validity, &from);
	time_(r, LABEL("not_before"), tag, &from);
	tag = next(&validity, &to);
	time_(r, LABEL("not_after"), tag, &to);
	key(r, LABEL("key"), spki);
	/* issuer and subject the same: signed by itself, or by a root */
	if (wr_rd_left(&issuer) == wr_rd_left(&subject) &&
		!memcmp(issuer.p, subject.p, wr_rd_left(&subject)))
		wr_req_detail(r, LABEL("self_issued"), WR_STR("true"));
	while (wr_rd_left(&tbs)) {
		tag = next(&tbs, &v);
		if (!tag)
			return -EBADMSG;
		if (tag == T_EXTENSIONS && next(&v, &from) == T_SEQUENCE)
			names(r, LABEL("names"), from);
	}
#undef LABEL
	return 0;
}
