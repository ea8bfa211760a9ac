// SPDX-License-Identifier: Apache-2.0
/* A protocol as a description: how messages are framed, which fields they have, what pairs a response. */
#include "own.h"

#include <ctype.h>
#include <yaml.h>

#define MAX_FIELDS 24
#define MAX_NAMES 128
#define MAX_LIST 32

struct text {
	char p[64];
	uint8_t n;
};

struct list {
	struct text v[MAX_LIST];
	unsigned n;
};

struct name { /* what a number or a text is called */
	struct text value, shown;
};

enum kind { NUMBER, TEXT, WORD, REST };

struct field {
	char name[32];
	enum kind kind;
	uint32_t at, size; /* TEXT with size 0: to the end of the message */
	uint32_t word; /* WORD, REST: the first is 0 */
	bool little, mask, hex;
	struct name *names;
	unsigned n_names;
};

struct side { /* of requests or of responses */
	struct list begins, one_way, is, is_not;
	int operation, resource, status, pair, error; /* fields; -1 = none */
};

enum framing { BY_LENGTH, BY_DELIMITER, FIXED };

struct desc {
	const char *path;
	struct wr_err *e;
	struct own_head head;
	enum framing framing;
	uint32_t at, size, adds, fixed;
	bool little;
	struct text delimiter, magic;
	struct field field[MAX_FIELDS];
	unsigned n_fields;
	struct side side[2];
	char shown[MAX_FIELDS][256]; /* numbers and hex as text, of the last message */
};

/* reading the file ------------------------------------------------------------------------------ */

static int at(struct desc *d, const yaml_node_t *n, const char *fmt, ...) WR_PRINTF(3, 4);
static int at(struct desc *d, const yaml_node_t *n, const char *fmt, ...)
{
	char t[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t, sizeof(t), fmt, ap);
	va_end(ap);
	return wr_fail(d->e, -EINVAL, "%s:%zu: %s", d->path, n->start_mark.line + 1, t);
}

static struct wr_str scalar(const yaml_node_t *n)
{
	return n->type == YAML_SCALAR_NODE
		       ? (struct wr_str){(const char *)n->data.scalar.value, n->data.scalar.length}
		       : (struct wr_str){0};
}

static bool is(const yaml_node_t *n, const char *t)
{
	return wr_str_eq(scalar(n), wr_str(t));
}

static int number(struct desc *d, const yaml_node_t *n, uint64_t max, uint32_t *ret)
{
	uint64_t v;

	if (wr_parse_u64(scalar(n), &v) || v > max)
		return at(d, n, "expected a number of at most %llu", (unsigned long long)max);
	*ret = (uint32_t)v;
	return 0;
}

static int text(struct desc *d, const yaml_node_t *n, struct text *ret)
{
	struct wr_str v = scalar(n);

	if (n->type != YAML_SCALAR_NODE || !v.n || v.n > sizeof(ret->p))
		return at(d, n, "expected a text of 1 to %zu bytes", sizeof(ret->p));
	memcpy(ret->p, v.p, v.n);
	ret->n = (uint8_t)v.n;
	return 0;
}

/* Every member of a mapping, by its name. */
typedef int (*member_fn)(
	struct desc *d, yaml_document_t *doc, const yaml_node_t *key, yaml_node_t *v, void *ctx);
static int each(struct desc *d, yaml_document_t *doc, yaml_node_t *map, member_fn fn, void *ctx)
{
	int rc = 0;

	if (map->type != YAML_MAPPING_NODE)
		return at(d, map, "expected 'name: value' lines");
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start;
		!rc && p < map->data.mapping.pairs.top; p++)
		rc = fn(d, doc, yaml_document_get_node(doc, p->key),
			yaml_document_get_node(doc, p->value), ctx);
	return rc;
}

static int list(struct desc *d, yaml_document_t *doc, yaml_node_t *n, struct list *l)
{
	int rc = 0;

	if (n->type == YAML_SCALAR_NODE) {
		l->n = 1;
		return text(d, n, &l->v[0]);
	}
	if (n->type != YAML_SEQUENCE_NODE)
		return at(d, n, "expected a list: [a, b]");
	for (yaml_node_item_t *i = n->data.sequence.items.start;
		!rc && i < n->data.sequence.items.top; i++) {
		if (l->n == MAX_LIST)
			return at(d, n, "more than %d values", MAX_LIST);
		rc = text(d, yaml_document_get_node(doc, *i), &l->v[l->n++]);
	}
	return rc;
}

static int order(struct desc *d, const yaml_node_t *v, bool *little)
{
	*little = is(v, "little");
	return *little || is(v, "big") ? 0 : at(d, v, "'order' is big or little");
}

static int frame_length(
	struct desc *d, yaml_document_t *doc, const yaml_node_t *key, yaml_node_t *v, void *ctx)
{
	(void)doc;
	(void)ctx;
	if (is(key, "at"))
		return number(d, v, 4096, &d->at);
	if (is(key, "size"))
		return number(d, v, 4, &d->size);
	if (is(key, "adds"))
		return number(d, v, 65536, &d->adds);
	if (is(key, "order"))
		return order(d, v, &d->little);
	return at(d, key, "'length' has at, size, adds and order");
}

static int frame_(
	struct desc *d, yaml_document_t *doc, const yaml_node_t *key, yaml_node_t *v, void *ctx)
{
	(void)ctx;
	if (is(key, "length")) {
		d->framing = BY_LENGTH;
		return each(d, doc, v, frame_length, NULL);
	}
	if (is(key, "delimiter")) {
		d->framing = BY_DELIMITER;
		return text(d, v, &d->delimiter);
	}
	if (is(key, "fixed")) {
		d->framing = FIXED;
		return number(d, v, 65536, &d->fixed);
	}
	return at(d, key, "'frame' is length, delimiter or fixed");
}

static int name_(
	struct desc *d, yaml_document_t *doc, const yaml_node_t *key, yaml_node_t *v, void *ctx)
{
	struct field *f = ctx;
	int rc;

	(void)doc;
	if (f->n_names == MAX_NAMES)
		return at(d, key, "more than %d names", MAX_NAMES);
	rc = text(d, key, &f->names[f->n_names].value);
	if (!rc)
		rc = text(d, v, &f->names[f->n_names].shown);
	f->n_names++;
	return rc;
}

static int field_member(
	struct desc *d, yaml_document_t *doc, const yaml_node_t *key, yaml_node_t *v, void *ctx)
{
	struct field *f = ctx;

	if (is(key, "name")) {
		wr_copy(f->name, sizeof(f->name), scalar(v));
		return 0;
	}
	if (is(key, "at"))
		return number(d, v, 65535, &f->at);
	if (is(key, "size")) {
		f->kind = NUMBER;
		return number(d, v, 8, &f->size);
	}
	if (is(key, "text") || is(key, "hex")) {
		f->kind = TEXT;
		f->hex = is(key, "hex");
		if (is(v, "rest"))
			return 0;
		return number(d, v, 4096, &f->size);
	}
	if (is(key, "word") || is(key, "rest")) {
		f->kind = is(key, "word") ? WORD : REST;
		return number(d, v, 64, &f->word);
	}
	if (is(key, "order"))
		return order(d, v, &f->little);
	if (is(key, "mask")) {
		f->mask = is(v, "true") || is(v, "yes");
		return 0;
	}
	if (is(key, "names")) {
		f->names = wr_alloc(MAX_NAMES * sizeof(*f->names));
		if (!f->names)
			return wr_fail(d->e, -ENOMEM, "no memory");
		return each(d, doc, v, name_, f);
	}
	return at(
		d, key, "a field has name, at, size, text, hex, word, rest, order, names and mask");
}

static int field_find(struct desc *d, const yaml_node_t *n, int *ret)
{
	for (unsigned i = 0; i < d->n_fields; i++) {
		if (is(n, d->field[i].name)) {
			*ret = (int)i;
			return 0;
		}
	}
	return at(d, n, "there is no field '%.*s' (fields come before request and response)",
		(int)scalar(n).n, scalar(n).p ? scalar(n).p : "");
}

static int error_(
	struct desc *d, yaml_document_t *doc, const yaml_node_t *key, yaml_node_t *v, void *ctx)
{
	struct side *s = ctx;

	if (is(key, "field"))
		return field_find(d, v, &s->error);
	if (is(key, "is"))
		return list(d, doc, v, &s->is);
	if (is(key, "not"))
		return list(d, doc, v, &s->is_not);
	return at(d, key, "'error' has field, and is or not");
}

static int side_(
	struct desc *d, yaml_document_t *doc, const yaml_node_t *key, yaml_node_t *v, void *ctx)
{
	struct side *s = ctx;

	if (is(key, "operation"))
		return field_find(d, v, &s->operation);
	if (is(key, "resource"))
		return field_find(d, v, &s->resource);
	if (is(key, "status"))
		return field_find(d, v, &s->status);
	if (is(key, "pair"))
		return field_find(d, v, &s->pair);
	if (is(key, "begins"))
		return list(d, doc, v, &s->begins);
	if (is(key, "one_way"))
		return list(d, doc, v, &s->one_way);
	if (is(key, "error"))
		return each(d, doc, v, error_, s);
	return at(d, key,
		"a request or response has operation, resource, status, pair, begins, one_way and error");
}

static int fields(struct desc *d, yaml_document_t *doc, yaml_node_t *v)
{
	int rc = 0;

	if (v->type != YAML_SEQUENCE_NODE)
		return at(d, v, "'fields' is a list: - {name: x, at: 0, size: 1}");
	for (yaml_node_item_t *i = v->data.sequence.items.start;
		!rc && i < v->data.sequence.items.top; i++) {
		yaml_node_t *n = yaml_document_get_node(doc, *i);

		if (d->n_fields == MAX_FIELDS)
			return at(d, n, "more than %d fields", MAX_FIELDS);
		rc = each(d, doc, n, field_member, &d->field[d->n_fields]);
		if (!rc && !d->field[d->n_fields].name[0])
			rc = at(d, n, "a field without a name");
		d->n_fields++;
	}
	return rc;
}

static int top(
	struct desc *d, yaml_document_t *doc, const yaml_node_t *key, yaml_node_t *v, void *ctx)
{
	struct list l = {.n = 0};
	int rc;

	(void)ctx;
	if (is(key, "protocol") || is(key, "help")) {
		wr_copy(is(key, "help") ? d->head.help : d->head.name,
			is(key, "help") ? sizeof(d->head.help) : sizeof(d->head.name), scalar(v));
		return 0;
	}
	if (is(key, "over")) {
		d->head.over = is(v, "udp") ? WR_UDP : WR_TCP;
		return is(v, "udp") || is(v, "tcp") ? 0 : at(d, v, "'over' is tcp or udp");
	}
	if (is(key, "ports")) {
		rc = list(d, doc, v, &l);
		for (unsigned i = 0; !rc && i < l.n; i++) {
			uint64_t port;

			if (i == WR_N(d->head.ports) ||
				wr_parse_u64((struct wr_str){l.v[i].p, l.v[i].n}, &port) || !port ||
				port > 65535)
				return at(d, v, "'ports' is a list of at most %zu ports",
					WR_N(d->head.ports));
			d->head.ports[i] = (uint16_t)port;
		}
		return rc;
	}
	if (is(key, "magic"))
		return text(d, v, &d->magic);
	if (is(key, "frame"))
		return each(d, doc, v, frame_, NULL);
	if (is(key, "fields"))
		return fields(d, doc, v);
	if (is(key, "request"))
		return each(d, doc, v, side_, &d->side[0]);
	if (is(key, "response"))
		return each(d, doc, v, side_, &d->side[1]);
	return at(d, key,
		"'%.*s' is not known; a description has protocol, help, over, ports, magic, frame, fields, "
		"request and response",
		(int)scalar(key).n, scalar(key).p ? scalar(key).p : "");
}

static int check(struct desc *d, const yaml_node_t *root)
{
	if (d->head.over == WR_TCP && d->framing == BY_LENGTH && !d->size)
		return at(d, root,
			"over tcp a 'frame' is needed: length {at, size}, delimiter or fixed");
	if (d->framing == FIXED && !d->fixed)
		return at(d, root, "'fixed' needs a size");
	if (d->side[0].operation < 0)
		return at(d, root, "'request' needs an 'operation'");
	if (!d->magic.n && !d->side[0].begins.n && !d->head.ports[0])
		return at(d, root,
			"nothing tells it from others: give magic, ports, or what a request begins with");
	return 0;
}

/* reading traffic ------------------------------------------------------------------------------- */

static uint64_t integer(const uint8_t *p, unsigned n, bool little)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | p[little ? n - 1 - i : i];
	return v;
}

static ssize_t frame(void *ctx, struct wr_bytes b, unsigned dir)
{
	const struct desc *d = ctx;
	const uint8_t *end;
	uint64_t n;

	(void)dir;
	if (d->magic.n && memcmp(b.p, d->magic.p, wr_min(b.n, (size_t)d->magic.n)))
		return -EBADMSG;
	switch (d->framing) {
	case BY_LENGTH:
		if (b.n < d->at + d->size)
			return 0;
		n = integer(b.p + d->at, d->size, d->little) + d->adds;
		return n < d->at + d->size || n > UINT32_MAX ? -EBADMSG : (ssize_t)n;
	case BY_DELIMITER:
		end = memmem(b.p, b.n, d->delimiter.p, d->delimiter.n);
		return end ? end - b.p + d->delimiter.n : b.n > 65536 ? -EBADMSG : 0;
	case FIXED:
		return (ssize_t)d->fixed;
	}
	return -EBADMSG;
}

static bool in(const struct list *l, struct wr_str v)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (wr_str_eq(v, (struct wr_str){l->v[i].p, l->v[i].n}))
			return true;
	}
	return false;
}

static int probe(void *ctx, struct wr_bytes b, unsigned dir)
{
	const struct desc *d = ctx;
	const struct list *l = &d->side[dir].begins;
	bool more = false;

	if (d->magic.n) {
		if (memcmp(b.p, d->magic.p, wr_min(b.n, (size_t)d->magic.n)))
			return WR_PROBE_NO;
		if (b.n < d->magic.n)
			return WR_PROBE_MORE;
	}
	for (unsigned i = 0; i < l->n; i++) {
		size_t n = wr_min(b.n, (size_t)l->v[i].n);

		if (memcmp(b.p, l->v[i].p, n))
			continue;
		if (n == l->v[i].n)
			return 75;
		more = true;
	}
	if (l->n)
		return more ? WR_PROBE_MORE : WR_PROBE_NO;
	if (d->magic.n)
		return d->magic.n >= 2 ? 75 : 50;
	return d->head.over == WR_TCP && frame(ctx, b, dir) < 0 ? WR_PROBE_NO
								: 46; /* with the port */
}

/* The words of a line, separated by blanks. */
static struct wr_str words(struct wr_bytes b, uint32_t from, bool rest)
{
	const char *p = (const char *)b.p, *end = p + b.n, *w;

	while (end > p && (end[-1] == '\n' || end[-1] == '\r'))
		end--;
	for (;; from--) {
		while (p < end && *p == ' ')
			p++;
		if (!from && rest)
			return (struct wr_str){p, (size_t)(end - p)};
		w = p;
		while (p < end && *p != ' ')
			p++;
		if (!from)
			return (struct wr_str){w, (size_t)(p - w)};
	}
}

static struct wr_str value(struct desc *d, unsigned i, struct wr_bytes b)
{
	const struct field *f = &d->field[i];
	char *t = d->shown[i];
	struct wr_str v = {0};
	size_t n;

	switch (f->kind) {
	case NUMBER:
		if (b.n < f->at + f->size)
			return v;
		snprintf(t, sizeof(d->shown[i]), "%llu",
			(unsigned long long)integer(b.p + f->at, f->size, f->little));
		v = wr_str(t);
		break;
	case TEXT:
		if (b.n <= f->at)
			return v;
		n = f->size ? wr_min((size_t)f->size, b.n - f->at) : b.n - f->at;
		if (f->hex) {
			n = wr_min(n, sizeof(d->shown[i]) / 2 - 1);
			wr_hex(t, b.p + f->at, n);
			v = (struct wr_str){t, 2 * n};
			break;
		}
		v = (struct wr_str){(const char *)b.p + f->at, n};
		while (v.n && (!v.p[v.n - 1] || v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\n' ||
				      v.p[v.n - 1] == '\r'))
			v.n--; /* padding */
		break;
	case WORD:
	case REST:
		v = words(b, f->word, f->kind == REST);
		break;
	}
	if (f->mask && v.n)
		return WR_STR("***");
	for (unsigned k = 0; k < f->n_names; k++) {
		const struct name *m = &f->names[k];

		if (wr_str_eq(v, (struct wr_str){m->value.p, m->value.n}))
			return (struct wr_str){m->shown.p, m->shown.n};
	}
	return v;
}

static int message(void *ctx, struct wr_bytes b, unsigned dir, struct own_message *m)
{
	struct desc *d = ctx;
	const struct side *s = &d->side[dir];
	struct wr_str v[MAX_FIELDS] = {{0}};

	if (d->framing == BY_DELIMITER && b.n >= d->delimiter.n &&
		!memcmp(b.p + b.n - d->delimiter.n, d->delimiter.p, d->delimiter.n))
		b.n -= d->delimiter.n;
	for (unsigned i = 0; i < d->n_fields; i++)
		v[i] = value(d, i, b);
#define GET(x) (s->x >= 0 ? v[s->x] : (struct wr_str){0})
	m->operation = GET(operation);
	m->resource = GET(resource);
	m->status = GET(status);
	m->pair = GET(pair);
	m->one_way =
		in(&s->one_way, m->operation) || (s->one_way.n == 1 && s->one_way.v[0].n == 3 &&
							 !memcmp(s->one_way.v[0].p, "all", 3));
	if (s->error >= 0)
		m->error = s->is.n ? in(&s->is, v[s->error]) : !in(&s->is_not, v[s->error]);
#undef GET
	for (unsigned i = 0; i < d->n_fields && m->n_detail < OWN_TEXTS; i++) {
		int k = (int)i;

		if (!v[i].n || k == s->operation || k == s->resource || k == s->status ||
			k == s->pair)
			continue;
		m->detail[m->n_detail].name = wr_str(d->field[i].name);
		m->detail[m->n_detail++].value = v[i];
	}
	return 0;
}

static void desc_free(void *ctx)
{
	struct desc *d = ctx;

	for (unsigned i = 0; i < MAX_FIELDS; i++)
		free(d->field[i].names);
	free(d);
}

static const struct own_lang lang = {probe, frame, message, desc_free};

int own_describe(const char *path, struct wr_err *e)
{
	struct desc *d = wr_alloc(sizeof(*d));
	FILE *f = d ? fopen(path, "re") : NULL;
	yaml_document_t doc;
	yaml_parser_t y;
	yaml_node_t *root;
	int rc = 0;

	if (!f) {
		free(d);
		return wr_fail(
			e, d ? -errno : -ENOMEM, "%s: %s", path, d ? strerror(errno) : "no memory");
	}
	d->path = path;
	d->e = e;
	d->head.over = WR_TCP;
	for (unsigned i = 0; i < 2; i++)
		d->side[i] = (struct side){
			.operation = -1, .resource = -1, .status = -1, .pair = -1, .error = -1};
	yaml_parser_initialize(&y);
	yaml_parser_set_input_file(&y, f);
	if (!yaml_parser_load(&y, &doc)) {
		rc = wr_fail(e, -EINVAL, "%s:%zu: %s", path, y.problem_mark.line + 1,
			y.problem ? y.problem : "not YAML");
	} else {
		root = yaml_document_get_root_node(&doc);
		rc = root ? each(d, &doc, root, top, NULL)
			  : wr_fail(e, -EINVAL, "%s: it is empty", path);
		if (!rc)
			rc = check(d, root);
		yaml_document_delete(&doc);
	}
	yaml_parser_delete(&y);
	fclose(f);
	if (rc) {
		desc_free(d);
		return rc;
	}
	return own_add(&d->head, &lang, d, path, e);
}
