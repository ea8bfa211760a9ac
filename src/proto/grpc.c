// SPDX-License-Identifier: Apache-2.0
#include "grpc.h"

#define HEAD 5 /* compressed or not, length */
#define FIELDS 32 /* of one message that are told */
#define DEPTH 4
#define TOLD 1024 /* bytes of JSON */

struct side {
	uint8_t head[HEAD], head_n;
	bool lost, compressed, whole; /* of the first message: whole is kept */
	uint16_t kept;
	uint32_t left; /* of the message that passes */
	uint64_t messages;
	uint8_t keep[WR_GRPC_KEPT];
};

struct wr_grpc {
	struct side side[2];
};

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct field {
	uint32_t number, type;
	uint64_t v; /* a number, or how many bytes at p */
	const uint8_t *p;
};

static bool varint(struct wr_rd *r, uint64_t *ret)
{
	*ret = 0;
	for (unsigned i = 0; i < 10; i++) {
		uint8_t c = wr_rd_u8(r);

		*ret |= (uint64_t)(c & 127) << (7 * i);
		if (!(c & 128))
			return !r->bad;
	}
	return false;
}

static uint64_t little(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (p && n--)
		v = v << 8 | p[n];
	return v;
}

/* False: the message ends here, or it is none (@r is bad, or not at its end). */
static bool next(struct wr_rd *r, struct field *f)
{
	uint64_t key;

	if (!wr_rd_left(r) || !varint(r, &key) || !(key >> 3) || key >> 32)
		return false;
	*f = (struct field){.number = (uint32_t)(key >> 3), .type = key & 7};
	switch (f->type) {
	case VARINT:
		return varint(r, &f->v);
	case FIXED64:
	case FIXED32:
		f->v = f->type == FIXED64 ? 8 : 4;
		f->v = little(wr_rd_take(r, (size_t)f->v), (unsigned)f->v);
		return !r->bad;
	case BYTES:
		if (!varint(r, &f->v) || f->v > wr_rd_left(r)) {
			r->bad = true;
			return false;
		}
		f->p = wr_rd_take(r, (size_t)f->v);
		return true;
	}
	r->bad = true; /* groups are of the past */
	return false;
}

/* Could a person have written it? What is not of ASCII counts: most of it is UTF-8. */
static bool is_text(const uint8_t *p, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		if (p[i] < 0x20 && p[i] != '\t' && p[i] != '\n' && p[i] != '\r')
			return false;
		if (p[i] == 0x7f)
			return false;
	}
	return n;
}

static bool fields(struct wr_buf *b, struct wr_bytes m, bool whole, bool values, unsigned depth);

/* Bytes are a text where they can be one, else a message where they are one. */
static void value(struct wr_buf *b, const struct field *f, bool values, unsigned depth)
{
	static const char *const kinds[] = {
		[VARINT] = "varint", [FIXED64] = "fixed64", [FIXED32] = "fixed32"};
	size_t was = b->n;

	if (f->type != BYTES) {
		if (values)
			wr_buf_printf(b, "%" PRIu64, f->v);
		else
			wr_buf_printf(b, "\"%s\"", kinds[f->type]);
	} else if (is_text(f->p, f->v)) {
		if (values)
			wr_buf_json(b, (struct wr_str){(const char *)f->p, (size_t)f->v});
		else
			wr_buf_printf(b, "\"text(%" PRIu64 ")\"", f->v);
	} else if (!f->v || depth + 1 == DEPTH ||
		   !fields(b, (struct wr_bytes){f->p, (size_t)f->v}, true, values, depth + 1)) {
		b->n = was;
		wr_buf_printf(b, "\"bytes(%" PRIu64 ")\"", f->v);
	}
}

/* A number that comes more than once is a list. */
static bool fields(struct wr_buf *b, struct wr_bytes m, bool whole, bool values, unsigned depth)
{
	struct wr_rd r = wr_rd(m.p, m.n);
	struct field f[FIELDS];
	unsigned n = 0;

	while (n < FIELDS && next(&r, &f[n]))
		n++;
	if (!n || (whole && n < FIELDS && (r.bad || wr_rd_left(&r))))
		return false;
	wr_buf_c(b, '{');
	for (unsigned i = 0; i < n; i++) {
		bool list = false, told = false;

		for (unsigned k = 0; k < n; k++) {
			told |= k < i && f[k].number == f[i].number;
			list |= k > i && f[k].number == f[i].number;
		}
		if (told)
			continue;
		wr_buf_printf(b, "%s\"%u\":%s", i ? "," : "", f[i].number, list ? "[" : "");
		for (unsigned k = i; k < n; k++) {
			if (f[k].number != f[i].number)
				continue;
			if (k > i)
				wr_buf_c(b, ',');
			value(b, &f[k], values, depth);
		}
		if (list)
			wr_buf_c(b, ']');
	}
	wr_buf_c(b, '}');
	return true;
}

bool wr_grpc_fields(struct wr_buf *b, struct wr_bytes message, bool whole, bool values)
{
	return fields(b, message, whole, values, 0) && !b->cut;
}

void wr_grpc_begin(struct wr_request *r)
{
	if (!r->grpc)
		r->grpc = wr_alloc(sizeof(*r->grpc));
}

static void keep(struct side *s, const uint8_t *p, size_t n)
{
	n = wr_min(n, sizeof(s->keep) - s->kept);
	memcpy(s->keep + s->kept, p, n);
	s->kept = (uint16_t)(s->kept + n);
}

void wr_grpc_data(struct wr_request *r, unsigned dir, const uint8_t *p, uint64_t n)
{
	struct side *s = &r->grpc->side[dir];

	while (n && !s->lost) {
		uint64_t k = wr_min(n, (uint64_t)s->left);

		if (s->left) {
			if (s->messages == 1 && !s->compressed) {
				if (p)
					keep(s, p, (size_t)k);
				s->whole &= p != NULL;
			}
			s->left -= (uint32_t)k;
		} else {
			k = wr_min(n, (uint64_t)(HEAD - s->head_n));
			if (!p) { /* where the next one begins is not known any more */
				s->lost = true;
				return;
			}
			memcpy(s->head + s->head_n, p, (size_t)k);
			s->head_n = (uint8_t)(s->head_n + k);
			if (s->head_n == HEAD) {
				s->head_n = 0;
				s->left = wr_be32(s->head + 1);
				if (!s->messages++) {
					s->compressed = s->head[0] & 1;
					s->whole = s->left <= sizeof(s->keep);
				}
			}
		}
		n -= k;
		if (p)
			p += k;
	}
}

void wr_grpc_detail(struct wr_request *r, bool unmasked)
{
	static const char *const messages[] = {"request_messages", "response_messages"};
	static const char *const names[] = {"request_fields", "response_fields"};

	for (unsigned dir = 0; dir < 2; dir++) {
		const struct side *s = &r->grpc->side[dir];
		struct wr_buf b = WR_BUF(TOLD);

		if (!s->lost)
			wr_req_detail_u64(r, messages[dir], s->messages);
		if (s->kept && wr_grpc_fields(&b, (struct wr_bytes){s->keep, s->kept},
				       s->whole && !s->left, unmasked))
			wr_req_detail_json(r, names[dir], wr_buf_view(&b));
		wr_buf_free(&b);
	}
}

void wr_grpc_free(struct wr_request *r)
{
	free(r->grpc);
	r->grpc = NULL;
}
