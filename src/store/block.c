// SPDX-License-Identifier: Apache-2.0
#include "block.h"

#include <zstd.h>

#define MAGIC 0x31425257u /* "WRB1" */
#define MAX_FIELDS 128
#define MAX_RAW (64u << 20)
#define LEVEL 3
#define OWN                                                                                        \
	512 /* a piece of so many bytes is compressed alone, by its own statistics; smaller ones together */

/* a dictionary of values: index 1.. in order of appearance */
struct dict {
	uint32_t *slot; /* 0 = free, else index */
	uint32_t *hash; /* of entry index - 1 */
	uint32_t *at; /* offset of entry index - 1 in the text */
	uint32_t mask, n, cap;
	/* the value that was asked for before: its index, its bytes in the text */
	uint32_t last, last_at, last_n;
	struct wr_buf text; /* LEB128 length and bytes, each */
};

struct column {
	struct wr_buf data, has; /* values of 8 bytes; a bit for each record */
	struct dict d;
	uint32_t present;
};

struct wr_block {
	enum wr_kind_id kind;
	unsigned n;
	size_t bytes;
	uint64_t from, to;
	struct column c[MAX_FIELDS];
};

static void put_u(struct wr_buf *b, uint64_t v)
{
	uint8_t t[10];
	unsigned n = 0;

	do {
		t[n] = (uint8_t)(v & 0x7f) | (v > 0x7f ? 0x80 : 0);
		v >>= 7;
	} while (t[n++] & 0x80);
	wr_buf_put(b, t, n);
}

static uint64_t zigzag(uint64_t d)
{
	return d << 1 ^ (0 - (d >> 63));
}

static uint64_t unzigzag(uint64_t z)
{
	return z >> 1 ^ (0 - (z & 1));
}

struct wr_block *wr_block_new(enum wr_kind_id kind)
{
	struct wr_block *b = wr_alloc(sizeof(*b));

	if (!b)
		return NULL;
	b->kind = kind;
	for (unsigned i = 0; i < MAX_FIELDS; i++) {
		b->c[i].data = WR_BUF(WR_MAX_STORE_RECORDS * 8);
		b->c[i].has = WR_BUF(WR_MAX_STORE_RECORDS / 8 + 8);
		b->c[i].d.text = WR_BUF(WR_MAX_STORE_BYTES * 2);
	}
	return b;
}

void wr_block_free(struct wr_block *b)
{
	if (!b)
		return;
	for (unsigned i = 0; i < MAX_FIELDS; i++) {
		wr_buf_free(&b->c[i].data);
		wr_buf_free(&b->c[i].has);
		wr_buf_free(&b->c[i].d.text);
		free(b->c[i].d.slot);
		free(b->c[i].d.hash);
		free(b->c[i].d.at);
	}
	free(b);
}

unsigned wr_block_n(const struct wr_block *b)
{
	return b->n;
}

void wr_block_span(const struct wr_block *b, uint64_t *ret_from, uint64_t *ret_to)
{
	*ret_from = b->from;
	*ret_to = b->to;
}

static int dict_grow(struct dict *d)
{
	uint32_t cap = d->cap ? d->cap * 2 : 16, mask = cap * 2 - 1;
	uint32_t *slot = wr_alloc(sizeof(*slot) * (mask + 1)),
		 *hash = wr_realloc(d->hash, sizeof(*hash) * cap), *at;

	if (hash)
		d->hash = hash;
	at = wr_realloc(d->at, sizeof(*at) * cap);
	if (at)
		d->at = at;
	if (!slot || !hash || !at) {
		free(slot);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < d->n; i++) {
		uint32_t s = hash[i] & mask;

		while (slot[s])
			s = (s + 1) & mask;
		slot[s] = i + 1;
	}
	free(d->slot);
	d->slot = slot;
	d->mask = mask;
	d->cap = cap;
	return 0;
}

static bool take_u(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
		uint8_t c = *(*p)++;

		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static int64_t found(struct dict *d, uint32_t i, size_t at, size_t n)
{
	d->last = i;
	d->last_at = (uint32_t)at;
	d->last_n = (uint32_t)n;
	return i;
}

/* Index of a value, from 0; -ENOMEM. */
static int64_t dict_of(struct dict *d, struct wr_str s)
{
	uint32_t h, at;

	/* most records say what the one before said */
	if (d->n && s.n == d->last_n && (!s.n || !memcmp(d->text.p + d->last_at, s.p, s.n)))
		return d->last;
	h = (uint32_t)wr_hash(s.p, s.n, 9);
	if (d->n == d->cap && dict_grow(d))
		return -ENOMEM;
	for (at = h & d->mask; d->slot[at]; at = (at + 1) & d->mask) {
		uint32_t i = d->slot[at] - 1;
		const uint8_t *p = (const uint8_t *)d->text.p + d->at[i];
		uint64_t n;

		if (d->hash[i] == h && take_u(&p, (const uint8_t *)d->text.p + d->text.n, &n) &&
			n == s.n && (!n || !memcmp(p, s.p, n)))
			return found(d, i, (size_t)((const char *)p - d->text.p), n);
	}
	d->at[d->n] = (uint32_t)d->text.n;
	d->hash[d->n] = h;
	put_u(&d->text, s.n);
	wr_buf_str(&d->text, s);
	if (d->text.cut)
		return -ENOMEM;
	d->slot[at] = ++d->n;
	return found(d, d->n - 1, d->text.n - s.n, s.n);
}

static void mark(struct wr_buf *has, unsigned i)
{
	while (has->n <= i / 8)
		wr_buf_c(has, 0);
	has->p[i / 8] |= (char)(1 << (i & 7));
}

static int add_field(struct column *c, const struct wr_field *f, const void *at)
{
	uint64_t v;
	int64_t i = 0;

	if (f->type == WR_STRING || f->type == WR_JSON) {
		i = dict_of(&c->d, *(const struct wr_str *)at);
		v = (uint64_t)i;
	} else if (f->type == WR_ADDR) {
		i = dict_of(&c->d, (struct wr_str){at, 16});
		v = (uint64_t)i;
	} else {
		memcpy(&v, at, 8);
	}
	if (i < 0)
		return (int)i;
	wr_buf_put(&c->data, &v, 8);
	return c->data.cut ? -ENOMEM : 0;
}

int wr_block_add(struct wr_block *b, const struct wr_event *e)
{
	const struct wr_kind *k = &wr_kinds[b->kind];
	const struct wr_ev_conn *common = (const void *)e; /* the common fields come first */
	size_t most = 0;

	wr_ev_each (e, k, i) {
		const struct wr_str *s = wr_ev_at(e, &k->fields[i]);
		bool text = k->fields[i].type == WR_STRING || k->fields[i].type == WR_JSON;

		most += 20 + (text ? s->n : 0); /* what it can take at the most */
	}
	if (b->n == WR_MAX_STORE_RECORDS || b->bytes + most > WR_MAX_STORE_BYTES)
		return -ENOSPC;
	wr_ev_each (e, k, i) {
		struct column *c = &b->c[i];
		size_t before = c->d.text.n;

		if (add_field(c, &k->fields[i], wr_ev_at(e, &k->fields[i])))
			return -ENOMEM;
		mark(&c->has, b->n);
		c->present++;
		b->bytes += 8 + c->d.text.n - before;
	}
	if (!b->n || common->time < b->from)
		b->from = common->time;
	if (!b->n || common->time > b->to)
		b->to = common->time;
	b->n++;
	return 0;
}

/* How a number is told: as it is, by the record before, or by another field of the same record. */
enum { AS_IS, BY_BEFORE, BY_FIELD };

static uint64_t value_of(const struct column *c, unsigned i)
{
	uint64_t v;

	memcpy(&v, c->data.p + (size_t)i * 8, 8);
	return v;
}

static uint64_t told(const struct column *c, const struct column *by, int how, unsigned i)
{
	uint64_t v = value_of(c, i);

	if (how == BY_BEFORE)
		return zigzag(v - (i ? value_of(c, i - 1) : 0));
	return how == BY_FIELD ? zigzag(v - value_of(by, i)) : v;
}

/* About how many bits it takes, by a part of the records. */
static uint64_t cost(const struct column *c, const struct column *by, int how)
{
	unsigned stride = c->present / 256 + 1;
	uint64_t bits = 0;

	for (unsigned i = 0; i < c->present; i += stride)
		bits += 64 - (unsigned)__builtin_clzll(told(c, by, how, i) | 1);
	return bits;
}

static bool same_records(const struct wr_block *b, const struct column *x, const struct column *y)
{
	return x->present == y->present &&
	       (x->present == b->n ||
		       (x->has.n == y->has.n && !memcmp(x->has.p, y->has.p, x->has.n)));
}

/* The cheapest way to tell a column; @ret_by: the earlier field, where it is by one. */
static int choose(const struct wr_block *b, unsigned col, unsigned *ret_by)
{
	const struct wr_kind *k = &wr_kinds[b->kind];
	const struct column *c = &b->c[col];
	uint64_t best = cost(c, c, AS_IS), n;
	int how = AS_IS;

	if (k->fields[col].type == WR_F64)
		return AS_IS;
	n = cost(c, c, BY_BEFORE);
	if (n < best) {
		best = n;
		how = BY_BEFORE;
	}
	if (c->d.n)
		return how;
	for (unsigned i = 0; i < col; i++) { /* durations resemble durations, bytes bytes */
		const struct column *by = &b->c[i];

		if (!by->present || k->fields[i].type != k->fields[col].type ||
			!k->fields[col].unit[0] ||
			strcmp(k->fields[i].unit, k->fields[col].unit) != 0 ||
			!same_records(b, c, by))
			continue;
		n = cost(c, by, BY_FIELD);
		if (n < best) {
			best = n;
			how = BY_FIELD;
			*ret_by = i;
		}
	}
	return how;
}

/* A length, the stored length (0 = as it is), the bytes. */
static void put_piece(struct wr_buf *raw, ZSTD_CCtx *z, const char *p, size_t n)
{
	size_t bound = ZSTD_compressBound(n), got = 0;
	struct wr_buf t = WR_BUF(MAX_RAW);

	if (n >= OWN && wr_buf_room(&t, bound)) {
		got = ZSTD_compressCCtx(z, t.p, bound, p, n, LEVEL);
		if (ZSTD_isError(got) || got >= n)
			got = 0;
	}
	put_u(raw, n);
	put_u(raw, got);
	wr_buf_put(raw, got ? t.p : p, got ? got : n);
	wr_buf_free(&t);
}

/* The values byte by byte: all first bytes, all second ones, ...: each has its own distribution. */
static void put_values(struct wr_buf *raw, ZSTD_CCtx *z, const struct wr_block *b, unsigned col)
{
	struct wr_buf plane = WR_BUF(WR_MAX_STORE_RECORDS);
	const struct column *c = &b->c[col], *by;
	unsigned other = 0, width = 0;
	int how = choose(b, col, &other);
	uint64_t all = 0;

	by = &b->c[other];
	for (unsigned i = 0; i < c->present; i++)
		all |= told(c, by, how, i);
	while (width < 8 && all >> (width * 8))
		width++;
	wr_buf_c(raw, (char)how);
	if (how == BY_FIELD)
		put_u(raw, strlen(wr_kinds[b->kind].fields[other].name));
	if (how == BY_FIELD)
		wr_buf_str(raw, wr_str(wr_kinds[b->kind].fields[other].name));
	wr_buf_c(raw, (char)width);
	for (unsigned w = 0; w < width; w++) {
		plane.n = 0;
		for (unsigned i = 0; i < c->present; i++)
			wr_buf_c(&plane, (char)(told(c, by, how, i) >> (w * 8)));
		put_piece(raw, z, plane.p, plane.n);
		raw->cut |= plane.cut;
	}
	wr_buf_free(&plane);
}

int wr_block_encode(const struct wr_block *b, struct wr_buf *ret)
{
	const struct wr_kind *k = &wr_kinds[b->kind];
	struct wr_buf raw = WR_BUF(MAX_RAW);
	ZSTD_CCtx *z = ZSTD_createCCtx();
	uint32_t head[2] = {MAGIC, 0};
	unsigned columns = 0;
	size_t n, bound;

	for (unsigned i = 0; i < k->n; i++)
		columns += b->c[i].present != 0;
	put_u(&raw, b->n);
	put_u(&raw, columns);
	for (unsigned i = 0; i < k->n; i++) {
		const struct column *c = &b->c[i];
		size_t name = strlen(k->fields[i].name);

		if (!c->present)
			continue;
		put_u(&raw, name);
		wr_buf_put(&raw, k->fields[i].name, name);
		wr_buf_c(&raw, (char)k->fields[i].type);
		put_u(&raw, c->present);
		if (c->present !=
			b->n) { /* bits up to the last record that has it; the rest is clear */
			wr_buf_put(&raw, c->has.p, c->has.n);
			for (size_t at = c->has.n; at < (b->n + 7) / 8; at++)
				wr_buf_c(&raw, 0);
		}
		put_u(&raw, c->d.n);
		put_piece(&raw, z, c->d.text.p, c->d.text.n);
		put_values(&raw, z, b, i);
	}
	head[1] = (uint32_t)raw.n;
	bound = ZSTD_compressBound(raw.n);
	if (raw.cut || !z || !wr_buf_room(ret, sizeof(head) + bound)) {
		wr_buf_free(&raw);
		ZSTD_freeCCtx(z);
		return -ENOMEM;
	}
	wr_buf_put(ret, head, sizeof(head));
	n = ZSTD_compressCCtx(z, ret->p + ret->n, bound, raw.p, raw.n, 1);
	wr_buf_free(&raw);
	ZSTD_freeCCtx(z);
	if (ZSTD_isError(n))
		return -ENOMEM;
	ret->n += n;
	return 0;
}

/* a column that is being read */
struct reader {
	const struct wr_field *f;
	unsigned field;
	const uint8_t *has, *plane[8]; /* has NULL: every record has it */
	size_t packed[8]; /* of each plane until drop_unwanted(): its stored bytes, 0 = as it is */
	unsigned present, at, width; /* values; those read; bytes of each */
	int how;
	const struct reader *by;
	bool wanted;
	const uint8_t **entry; /* of the dictionary: where it begins, with its length before it */
	uint32_t n_entries;
	uint64_t value; /* the one that was read last */
};

struct wr_block_reader {
	enum wr_kind_id kind;
	unsigned n, at, n_columns;
	uint8_t *raw;
	ZSTD_DCtx *z;
	void *own[MAX_FIELDS * 9]; /* pieces that were compressed alone */
	unsigned n_own;
	struct reader c[MAX_FIELDS];
};

static bool take(const uint8_t **p, const uint8_t *end, size_t n, const uint8_t **ret)
{
	if ((size_t)(end - *p) < n)
		return false;
	*ret = *p;
	*p += n;
	return true;
}

/* A piece at *@p: where it is, how long it becomes, its stored length (0 = as it is). */
static bool take_piece(const uint8_t **p, const uint8_t *end, const uint8_t **ret, uint64_t *ret_n,
	uint64_t *ret_packed)
{
	return take_u(p, end, ret_n) && *ret_n <= WR_MAX_STORE_BYTES * 2 &&
	       take_u(p, end, ret_packed) && take(p, end, *ret_packed ? *ret_packed : *ret_n, ret);
}

static int unpack(struct wr_block_reader *b, const uint8_t **p, size_t n, size_t packed)
{
	uint8_t *to;

	if (!packed)
		return 0;
	to = malloc(n + 1);
	if (!to)
		return -ENOMEM;
	b->own[b->n_own++] = to;
	if (ZSTD_decompressDCtx(b->z, to, n, *p, packed) != n)
		return -EBADMSG;
	*p = to;
	return 0;
}

/* Offsets of the values of a dictionary. */
static int open_dict(
	struct reader *r, uint8_t type, uint64_t entries, const uint8_t *text, const uint8_t *end)
{
	const uint8_t *value;
	uint64_t len;

	if (entries > r->present)
		return -EBADMSG;
	r->entry = wr_alloc((entries + 1) * sizeof(*r->entry));
	if (!r->entry)
		return -ENOMEM;
	for (uint64_t i = 0; i < entries; i++) {
		r->entry[i] = text;
		if (!take_u(&text, end, &len) || !take(&text, end, len, &value) ||
			(type == WR_ADDR && len != 16))
			return -EBADMSG;
	}
	r->n_entries = (uint32_t)entries;
	return 0;
}

/*
 * One column at *@p. Leaves @r->f NULL when the table has no such field. What nobody wants is still read where
 * another column is told by it.
 */
static int open_column(struct reader *r, struct wr_block_reader *b, const uint64_t need[2],
	const uint8_t **p, const uint8_t *end)
{
	const struct wr_kind *k = &wr_kinds[b->kind];
	const uint8_t *name, *type, *text, *how, *width, *by = NULL;
	uint64_t len, present, entries, text_n, text_packed, by_n = 0, n, packed;
	int f, rc;

	if (!take_u(p, end, &len) || !take(p, end, len, &name) || !take(p, end, 1, &type) ||
		!take_u(p, end, &present) || present > b->n)
		return -EBADMSG;
	r->present = (unsigned)present;
	if (present != b->n && !take(p, end, (b->n + 7) / 8, &r->has))
		return -EBADMSG;
	if (!take_u(p, end, &entries) || !take_piece(p, end, &text, &text_n, &text_packed) ||
		!take(p, end, 1, &how) || *how > BY_FIELD)
		return -EBADMSG;
	if (*how == BY_FIELD && (!take_u(p, end, &by_n) || !take(p, end, by_n, &by)))
		return -EBADMSG;
	if (!take(p, end, 1, &width) || *width > 8)
		return -EBADMSG;
	for (unsigned w = 0; w < *width; w++) {
		if (!take_piece(p, end, &r->plane[w], &n, &packed) || n != present)
			return -EBADMSG;
		r->packed[w] = packed;
	}
	r->how = *how;
	r->width = *width;
	f = wr_field_find(k, (struct wr_str){(const char *)name, len});
	if (f < 0 || k->fields[f].type != *type)
		return 0;
	r->field = (unsigned)f;
	r->wanted = !need || need[f >> 6] >> (f & 63) & 1;
	for (unsigned i = 0; by && i < b->n_columns; i++) {
		const char *other = k->fields[b->c[i].field].name;

		if (wr_str_eq(wr_str(other), (struct wr_str){(const char *)by, by_n}))
			r->by = &b->c[i];
	}
	if (by && (!r->by || r->by->present != r->present))
		return -EBADMSG; /* a field that this version does not know: the block of another one */
	r->f = &k->fields[f];
	if (!r->wanted || (*type != WR_STRING && *type != WR_JSON && *type != WR_ADDR))
		return 0;
	rc = unpack(b, &text, text_n, text_packed);
	return rc ? rc : open_dict(r, *type, entries, text, text + text_n);
}

static bool read_field(struct reader *r, struct wr_event *e)
{
	char *to = (char *)e + r->f->off;
	uint64_t v = 0, len = 0;
	const uint8_t *p;

	if (r->at == r->present) /* the bits say more than the count */
		return false;
	for (unsigned w = 0; w < r->width; w++)
		v |= (uint64_t)r->plane[w][r->at] << (w * 8);
	r->at++;
	if (r->how != AS_IS)
		v = unzigzag(v) + (r->how == BY_FIELD ? r->by->value : r->value);
	r->value = v;
	if (!r->wanted)
		return true;
	wr_ev_mark(e, r->field);
	if (!r->entry) {
		memcpy(to, &v, 8);
		return true;
	}
	if (v >= r->n_entries)
		return false;
	p = r->entry[v];
	take_u(&p, p + 10, &len); /* was checked when the column was opened */
	if (r->f->type == WR_ADDR)
		memcpy(to, p, 16);
	else
		*(struct wr_str *)(void *)to = (struct wr_str){(const char *)p, len};
	return true;
}

/* Columns that nobody wants and nobody is told by are not read at all; the others are unpacked. */
static int drop_unwanted(struct wr_block_reader *b)
{
	unsigned kept = 0;
	bool used[MAX_FIELDS] = {false};
	unsigned moved[MAX_FIELDS];

	for (unsigned i = b->n_columns; i-- > 0;) {
		used[i] |= b->c[i].wanted;
		if (used[i] && b->c[i].by)
			used[b->c[i].by - b->c] = true;
	}
	for (unsigned i = 0; i < b->n_columns; i++) {
		moved[i] = kept;
		if (!used[i]) {
			free(b->c[i].entry);
			continue;
		}
		b->c[kept] = b->c[i];
		if (b->c[kept].by)
			b->c[kept].by = &b->c[moved[b->c[kept].by - b->c]];
		kept++;
	}
	b->n_columns = kept;
	for (unsigned i = 0; i < kept; i++) {
		for (unsigned w = 0; w < b->c[i].width; w++) {
			int rc = unpack(b, &b->c[i].plane[w], b->c[i].present, b->c[i].packed[w]);

			if (rc)
				return rc;
		}
	}
	return 0;
}

static int open_columns(struct wr_block_reader *r, size_t n_raw, const uint64_t need[2])
{
	const uint8_t *p = r->raw, *end = r->raw + n_raw;
	uint64_t n, columns;

	if (!take_u(&p, end, &n) || !take_u(&p, end, &columns) || n > WR_MAX_STORE_RECORDS ||
		columns > MAX_FIELDS)
		return -EBADMSG;
	r->n = (unsigned)n;
	for (uint64_t i = 0; i < columns; i++) {
		struct reader *c = &r->c[r->n_columns];
		int rc;

		*c = (struct reader){.f = NULL};
		rc = open_column(c, r, need, &p, end);
		r->n_columns += c->f || c->entry;
		if (rc)
			return rc;
	}
	return drop_unwanted(r);
}

int wr_block_open(struct wr_bytes stored, enum wr_kind_id kind, const uint64_t need[2],
	struct wr_block_reader **ret)
{
	struct wr_block_reader *r;
	uint32_t head[2];
	int rc = -EBADMSG;

	if (stored.n < sizeof(head))
		return -EBADMSG;
	memcpy(head, stored.p, sizeof(head));
	if (head[0] != MAGIC || head[1] > MAX_RAW)
		return -EBADMSG;
	r = wr_alloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->kind = kind;
	r->raw = malloc(head[1] + 1u);
	r->z = ZSTD_createDCtx();
	if (!r->raw || !r->z)
		rc = -ENOMEM;
	else if (ZSTD_decompressDCtx(r->z, r->raw, head[1], stored.p + sizeof(head),
			 stored.n - sizeof(head)) == head[1])
		rc = open_columns(r, head[1], need);
	if (rc)
		wr_block_close(r);
	else
		*ret = r;
	return rc;
}

int wr_block_next(struct wr_block_reader *r, struct wr_event *e)
{
	if (r->at == r->n)
		return 0;
	memset(e, 0, wr_kinds[r->kind].size);
	e->kind = (uint16_t)r->kind;
	for (unsigned i = 0; i < r->n_columns; i++) {
		struct reader *c = &r->c[i];

		if (c->has && !(c->has[r->at / 8] >> (r->at & 7) & 1))
			continue;
		if (!read_field(c, e))
			return -EBADMSG;
	}
	r->at++;
	return 1;
}

void wr_block_close(struct wr_block_reader *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->n_columns; i++)
		free(r->c[i].entry);
	for (unsigned i = 0; i < r->n_own; i++)
		free(r->own[i]);
	ZSTD_freeDCtx(r->z);
	free(r->raw);
	free(r);
}
