// SPDX-License-Identifier: Apache-2.0
#include "hpack.h"

#define ENTRY_OVERHEAD 32 /* RFC 7541 4.1 */

/* RFC 7541 appendix B is a canonical code: how many codes of each length, and the symbols in their order. */
static const uint8_t code_count[31] = {0, 0, 0, 0, 0, 10, 26, 32, 6, 0, 5, 3, 2, 6, 2, 3, 0, 0, 0,
	3, 8, 13, 26, 29, 12, 4, 15, 19, 29, 0, 4};
static const uint16_t code_symbol[257] = {48, 49, 50, 97, 99, 101, 105, 111, 115, 116, 32, 37, 45,
	46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103, 104, 108, 109, 110, 112,
	114, 117, 58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84,
	85, 86, 87, 89, 106, 107, 113, 118, 119, 120, 121, 122, 38, 42, 44, 59, 88, 90, 33, 34, 40,
	41, 63, 39, 43, 124, 35, 62, 0, 36, 64, 91, 93, 126, 94, 125, 60, 96, 123, 92, 195, 208,
	128, 130, 131, 162, 184, 194, 224, 226, 153, 161, 167, 172, 176, 177, 179, 209, 216, 217,
	227, 229, 230, 129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178,
	181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233, 1, 135, 137, 138, 139, 140, 141, 143,
	147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191,
	197, 231, 239, 9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237, 199, 207, 234, 235,
	192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255, 203, 204, 211,
	212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254, 2, 3, 4, 5,
	6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127,
	220, 249, 10, 13, 22, 256};

/* Appendix A */
#define F(n, v)                                                                                    \
	{                                                                                          \
		{n, sizeof(n) - 1}, {v, sizeof(v) - 1}, false, false                               \
	}
static const struct wr_hpack_field fixed[] = {
	F(":authority", ""),
	F(":method", "GET"),
	F(":method", "POST"),
	F(":path", "/"),
	F(":path", "/index.html"),
	F(":scheme", "http"),
	F(":scheme", "https"),
	F(":status", "200"),
	F(":status", "204"),
	F(":status", "206"),
	F(":status", "304"),
	F(":status", "400"),
	F(":status", "404"),
	F(":status", "500"),
	F("accept-charset", ""),
	F("accept-encoding", "gzip, deflate"),
	F("accept-language", ""),
	F("accept-ranges", ""),
	F("accept", ""),
	F("access-control-allow-origin", ""),
	F("age", ""),
	F("allow", ""),
	F("authorization", ""),
	F("cache-control", ""),
	F("content-disposition", ""),
	F("content-encoding", ""),
	F("content-language", ""),
	F("content-length", ""),
	F("content-location", ""),
	F("content-range", ""),
	F("content-type", ""),
	F("cookie", ""),
	F("date", ""),
	F("etag", ""),
	F("expect", ""),
	F("expires", ""),
	F("from", ""),
	F("host", ""),
	F("if-match", ""),
	F("if-modified-since", ""),
	F("if-none-match", ""),
	F("if-range", ""),
	F("if-unmodified-since", ""),
	F("last-modified", ""),
	F("link", ""),
	F("location", ""),
	F("max-forwards", ""),
	F("proxy-authenticate", ""),
	F("proxy-authorization", ""),
	F("range", ""),
	F("referer", ""),
	F("refresh", ""),
	F("retry-after", ""),
	F("server", ""),
	F("set-cookie", ""),
	F("strict-transport-security", ""),
	F("transfer-encoding", ""),
	F("user-agent", ""),
	F("vary", ""),
	F("via", ""),
	F("www-authenticate", ""),
};

struct entry {
	uint32_t name_n, value_n;
	bool name_known, value_known;
	char text[];
};

static void evict(struct wr_hpack *h, uint32_t room)
{
	while (h->n && h->size + room > h->max) {
		struct entry *e = h->e[(h->first + h->n - 1) % WR_HPACK_ENTRIES];

		h->size -= e->name_n + e->value_n + ENTRY_OVERHEAD;
		free(e);
		h->n--;
	}
}

void wr_hpack_init(struct wr_hpack *h, bool joined)
{
	*h = (struct wr_hpack){.max = 4096, .joined = joined};
}

void wr_hpack_free(struct wr_hpack *h)
{
	h->max = 0;
	evict(h, 1);
}

void wr_hpack_lost(struct wr_hpack *h)
{
	uint32_t max = h->max;

	wr_hpack_free(h);
	h->max = max;
	h->joined = true;
}

static bool insert(struct wr_hpack *h, const struct wr_hpack_field *f)
{
	size_t text = f->name.n + f->value.n;
	struct entry *e;

	if (text + ENTRY_OVERHEAD > h->max) { /* larger than the table: it empties it (4.4) */
		evict(h, h->max + 1);
		return true;
	}
	e = wr_alloc(sizeof(*e) + text);
	if (!e)
		return false;
	e->name_n = (uint32_t)f->name.n;
	e->value_n = (uint32_t)f->value.n;
	e->name_known = !f->name_unknown;
	e->value_known = !f->value_unknown;
	if (f->name.n)
		memcpy(e->text, f->name.p, f->name.n);
	if (f->value.n)
		memcpy(e->text + f->name.n, f->value.p, f->value.n);
	/* only now: the name may be that of an entry which goes (4.4) */
	evict(h, (uint32_t)text + ENTRY_OVERHEAD);
	if (h->n == WR_HPACK_ENTRIES) {
		free(e);
		return false;
	}
	h->first = (h->first + WR_HPACK_ENTRIES - 1) % WR_HPACK_ENTRIES;
	h->e[h->first] = e;
	h->n++;
	h->size += (uint32_t)text + ENTRY_OVERHEAD;
	return true;
}

static bool look(const struct wr_hpack *h, uint64_t i, struct wr_hpack_field *ret)
{
	const struct entry *e;

	if (!i)
		return false;
	if (i <= WR_N(fixed)) {
		*ret = fixed[i - 1];
		return true;
	}
	i -= WR_N(fixed) + 1;
	if (i >= h->n) {
		/* inserted before we came: it is there, and nobody can say what it is */
		*ret = (struct wr_hpack_field){.name_unknown = true, .value_unknown = true};
		return h->joined && i < WR_HPACK_ENTRIES;
	}
	e = h->e[(h->first + i) % WR_HPACK_ENTRIES];
	*ret = (struct wr_hpack_field){{e->text, e->name_n}, {e->text + e->name_n, e->value_n},
		!e->name_known, !e->value_known};
	return true;
}

/* 5.1; at most 28 bits, more is an attack. */
static uint64_t integer(struct wr_rd *r, uint8_t first, unsigned bits)
{
	uint64_t v = first & ((1u << bits) - 1);

	if (v < (1u << bits) - 1)
		return v;
	for (unsigned shift = 0; shift < 28; shift += 7) {
		uint8_t c = wr_rd_u8(r);

		v += (uint64_t)(c & 127) << shift;
		if (!(c & 128))
			return v;
	}
	r->bad = true;
	return 0;
}

/* Bit by bit through a canonical code; false = not a code, or padding that is none (5.2). */
static bool huffman(const uint8_t *p, size_t n, struct wr_buf *out)
{
	uint32_t code = 0, first = 0, index = 0;
	unsigned len = 0;

	for (size_t i = 0; i < n; i++) {
		for (int bit = 7; bit >= 0; bit--) {
			code = code << 1 | (p[i] >> bit & 1);
			first <<= 1;
			len++;
			if (len > 30)
				return false;
			if (code - first < code_count[len]) {
				uint16_t s = code_symbol[index + code - first];

				if (s == 256)
					return false;
				wr_buf_c(out, (char)s);
				code = first = index = len = 0;
				continue;
			}
			first += code_count[len];
			index += code_count[len];
		}
	}
	return len < 8 && code == (1u << len) - 1;
}

static bool string(struct wr_hpack *h, struct wr_rd *r, struct wr_buf *b, struct wr_str *ret)
{
	uint8_t c = wr_rd_u8(r);
	size_t n = (size_t)integer(r, c, 7), at = b->n;
	const uint8_t *p = wr_rd_take(r, n);

	(void)h;
	if (!p)
		return false;
	if (!(c & 128)) {
		*ret = (struct wr_str){(const char *)p, n};
		return true;
	}
	/* room for the worst case at once, so that the buffer does not move under earlier views */
	if (!huffman(p, n, b) || b->cut)
		return false;
	*ret = (struct wr_str){b->p + at, b->n - at};
	return true;
}

int wr_hpack_decode(struct wr_hpack *h, struct wr_bytes block,
	void (*field)(void *ctx, const struct wr_hpack_field *f), void *ctx)
{
	struct wr_rd r = wr_rd(block.p, block.n);
	struct wr_buf b = WR_BUF(WR_HPACK_BLOCK * 2);
	int rc = 0;

	/* the shortest code has 5 bits */
	if (!wr_buf_room(&b, block.n * 8 / 5 + 16))
		return -ENOMEM;
	while (wr_rd_left(&r) && !rc) {
		uint8_t c = wr_rd_u8(&r);
		struct wr_hpack_field f = {.name_unknown = false};
		uint64_t i;

		b.n = 0;
		if (c & 128) { /* indexed (6.1) */
			if (!look(h, integer(&r, c, 7), &f))
				rc = -EBADMSG;
			else
				field(ctx, &f);
			continue;
		}
		if ((c & 0xe0) == 0x20) { /* table size (6.3) */
			i = integer(&r, c, 5);
			if (i > WR_HPACK_TABLE)
				rc = -EBADMSG;
			h->max = (uint32_t)i;
			evict(h, 0);
			continue;
		}
		i = integer(&r, c, c & 64 ? 6 : 4);
		if (i ? !look(h, i, &f) : !string(h, &r, &b, &f.name)) {
			rc = -EBADMSG;
			break;
		}
		f.value_unknown = false;
		if (!string(h, &r, &b, &f.value) || r.bad) {
			rc = -EBADMSG;
			break;
		}
		field(ctx, &f);
		if ((c & 64) && !insert(h, &f))
			rc = -ENOMEM;
	}
	wr_buf_free(&b);
	return r.bad ? -EBADMSG : rc;
}
