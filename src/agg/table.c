// SPDX-License-Identifier: Apache-2.0
#include "table.h"
#include "../base/htab.h"
#include "hist.h"

#include <math.h>

#define MAX_KEYS 8
#define MAX_SHOW 16
#define HLL_BITS 12 /* 4,096 registers: standard error 1.04 / 64 = 1.6 % (Flajolet 2007) */
#define SEP 0x1f

enum what { COUNT, RATE, SUM, MIN, MAX, AVG, QUANTILE, DISTINCT, LAST };

struct show {
	enum what what;
	int field; /* -1: the record itself */
	double q;
	char name[80];
};

struct hll {
	uint8_t r[1u << HLL_BITS];
};

/* Of a row and a column: what was added so far. */
struct cell {
	double sum, min, max;
	uint64_t n;
	union {
		struct wr_hist *hist;
		struct hll *hll;
		char *last;
	};
};

struct row {
	struct wr_hnode node;
	uint64_t window;
	char *key; /* values joined by SEP */
	size_t key_n;
	struct cell c[];
};

struct wr_table {
	const struct wr_kind *k;
	unsigned n_keys, n_show;
	int key[MAX_KEYS];
	char key_name[MAX_KEYS][64];
	struct show show[MAX_SHOW];
	const char *names[1 + MAX_KEYS + MAX_SHOW];
	unsigned n_names;
	uint64_t every, overflow;
	struct wr_htab rows;
	struct wr_buf text;
};

static int find(const struct wr_kind *k, struct wr_str name, int *ret, struct wr_err *e)
{
	const char *near;
	char t[96];
	int f = wr_field_find(k, name);

	if (f < 0 && k->end_b[0]) {
		snprintf(t, sizeof(t), "%s.%.*s", k->end_b, (int)name.n, name.p);
		f = wr_field_find(k, wr_str(t));
	}
	if (f < 0) {
		near = wr_field_near(k, name);
		return wr_fail(e, -EINVAL, "a %s record has no field '%.*s'%s%s%s", k->name,
			(int)name.n, name.p, near ? "; did you mean '" : "", near ? near : "",
			near ? "'?" : "");
	}
	*ret = f;
	return 0;
}

static bool is_number(const struct wr_field *f)
{
	return f->type == WR_U64 || f->type == WR_F64 || f->type == WR_BOOL;
}

static int parse_show(struct wr_table *t, struct wr_str w, struct wr_err *e)
{
	static const struct {
		const char *name;
		enum what what;
	} verbs[] = {{"sum", SUM}, {"rate", RATE}, {"min", MIN}, {"max", MAX}, {"avg", AVG},
		{"distinct", DISTINCT}, {"last", LAST}};
	const char *open = memchr(w.p, '(', w.n);
	struct wr_str verb = {w.p, open ? (size_t)(open - w.p) : w.n}, field = {NULL, 0};
	struct show *s = &t->show[t->n_show];
	uint64_t digits;
	int rc;

	if (t->n_show == MAX_SHOW || w.n >= sizeof(s->name))
		return wr_fail(e, -EINVAL, "at most %u columns", MAX_SHOW);
	*s = (struct show){.field = -1};
	wr_copy(s->name, sizeof(s->name), w);
	t->n_show++;
	if (wr_str_eq(w, WR_STR("count"))) {
		s->what = COUNT;
		return 0;
	}
	if (wr_str_eq(w, WR_STR("rate"))) {
		s->what = RATE;
		return 0;
	}
	if (!open || w.p[w.n - 1] != ')')
		return wr_fail(e, -EINVAL,
			"'%.*s' is no column: count, rate, sum(F), rate(F), min(F), max(F), avg(F), "
			"p50(F), p99(F), distinct(F), last(F)",
			(int)w.n, w.p);
	field = (struct wr_str){open + 1, w.n - verb.n - 2};
	rc = find(t->k, field, &s->field, e);
	if (rc)
		return rc;
	if (verb.n > 1 && verb.p[0] == 'p' &&
		!wr_parse_u64((struct wr_str){verb.p + 1, verb.n - 1}, &digits)) {
		s->what = QUANTILE;
		s->q = (double)digits / pow(10, (double)(verb.n - 1));
	} else {
		unsigned i = 0;

		while (i < WR_N(verbs) && !wr_str_eq(verb, wr_str(verbs[i].name)))
			i++;
		if (i == WR_N(verbs))
			return wr_fail(e, -EINVAL,
				"'%.*s' is no function: sum, rate, min, max, avg, p50, p99, distinct, last",
				(int)verb.n, verb.p);
		s->what = verbs[i].what;
	}
	if (s->what != DISTINCT && s->what != LAST && !is_number(&t->k->fields[s->field]) &&
		!(s->what == QUANTILE && !strcmp(t->k->fields[s->field].name, "histogram")))
		return wr_fail(e, -EINVAL, "%.*s: '%s' is no number", (int)w.n, w.p,
			t->k->fields[s->field].name);
	return 0;
}

/* Words at commas that are not inside of parentheses; none of the functions has a comma inside. */
int wr_table_new(const struct wr_kind *k, struct wr_str by, struct wr_str show, uint64_t every,
	struct wr_table **ret, struct wr_err *e)
{
	struct wr_table *t = wr_alloc(sizeof(*t));
	struct wr_str w;
	int rc = 0;

	if (!t)
		return wr_fail(e, -ENOMEM, "no memory");
	t->k = k;
	t->every = every;
	t->text = WR_BUF(16384);
	while (!rc && wr_next_word(&by, &w)) {
		if (t->n_keys == MAX_KEYS || w.n >= sizeof(t->key_name[0])) {
			rc = wr_fail(e, -EINVAL, "at most %u keys", MAX_KEYS);
			break;
		}
		wr_copy(t->key_name[t->n_keys], sizeof(t->key_name[0]), w);
		rc = find(k, w, &t->key[t->n_keys], e);
		t->n_keys++;
	}
	while (!rc && wr_next_word(&show, &w))
		rc = parse_show(t, w, e);
	if (!rc && !t->n_show)
		rc = parse_show(t, WR_STR("count"), e);
	if (rc) {
		wr_table_free(t);
		return rc;
	}
	if (every)
		t->names[t->n_names++] = "time";
	for (unsigned i = 0; i < t->n_keys; i++)
		t->names[t->n_names++] = t->key_name[i];
	for (unsigned i = 0; i < t->n_show; i++)
		t->names[t->n_names++] = t->show[i].name;
	*ret = t;
	return 0;
}

static void row_free(const struct wr_table *t, struct row *r)
{
	for (unsigned i = 0; i < t->n_show; i++)
		free(r->c[i].hist); /* or hll, or last */
	free(r->key);
	free(r);
}

void wr_table_free(struct wr_table *t)
{
	if (!t)
		return;
	wr_htab_each (&t->rows, i, n)
		row_free(t, wr_container(n, struct row, node));
	wr_htab_free(&t->rows);
	wr_buf_free(&t->text);
	free(t);
}

void wr_table_need(const struct wr_table *t, uint64_t need[2])
{
	for (unsigned i = 0; i < t->n_keys; i++)
		need[t->key[i] >> 6] |= 1ull << (t->key[i] & 63);
	for (unsigned i = 0; i < t->n_show; i++) {
		static const char *const with[] = {
			"sum_us", "max_us"}; /* what a histogram is whole with */
		int f = t->show[i].field;

		if (f < 0)
			continue;
		need[f >> 6] |= 1ull << (f & 63);
		for (unsigned j = 0; j < WR_N(with) && t->k->fields[f].type == WR_JSON; j++) {
			int g = wr_field_find(t->k, wr_str(with[j]));

			if (g >= 0)
				need[g >> 6] |= 1ull << (g & 63);
		}
	}
}

static struct row *row_of(struct wr_table *t, uint64_t window, struct wr_str key)
{
	uint64_t h = wr_hash(key.p, key.n, window);
	struct row *r;

	for (struct wr_hnode *n = wr_htab_first(&t->rows, h); n; n = wr_htab_next(n->next, h)) {
		r = wr_container(n, struct row, node);
		if (r->window == window && wr_str_eq((struct wr_str){r->key, r->key_n}, key))
			return r;
	}
	if (t->rows.n >= WR_MAX_FLOWS_KEYS && !wr_str_eq(key, WR_STR("(other)"))) {
		t->overflow++;
		return row_of(t, window, WR_STR("(other)"));
	}
	r = wr_alloc(sizeof(*r) + t->n_show * sizeof(r->c[0]));
	if (!r)
		return NULL;
	r->key = wr_alloc(key.n + 1);
	if (!r->key || wr_htab_add(&t->rows, &r->node, h)) {
		row_free(t, r);
		return NULL;
	}
	if (key.n)
		memcpy(r->key, key.p, key.n);
	r->key_n = key.n;
	r->window = window;
	return r;
}

static double value(const struct wr_event *e, const struct wr_field *f)
{
	const void *at = wr_ev_at(e, f);

	return f->type == WR_F64 ? *(const double *)at : (double)*(const uint64_t *)at;
}

static void distinct_add(struct cell *c, struct wr_str s)
{
	uint64_t h = wr_hash64(wr_hash(s.p, s.n, 11));
	unsigned i = (unsigned)(h & ((1u << HLL_BITS) - 1)), rank;

	if (!c->hll)
		c->hll = wr_alloc(sizeof(*c->hll));
	if (!c->hll)
		return;
	h >>= HLL_BITS;
	rank = h ? (unsigned)__builtin_ctzll(h) + 1 : 64 - HLL_BITS + 1;
	c->hll->r[i] = (uint8_t)wr_max((unsigned)c->hll->r[i], rank);
}

static double distinct_count(const struct hll *h)
{
	double m = 1u << HLL_BITS, sum = 0, raw;
	unsigned zero = 0;

	if (!h)
		return 0;
	for (unsigned i = 0; i < 1u << HLL_BITS; i++) {
		sum += ldexp(1, -h->r[i]);
		zero += !h->r[i];
	}
	raw = 0.7213 / (1 + 1.079 / m) * m * m / sum;
	return raw <= 2.5 * m && zero ? m * log(m / zero) : raw; /* few values: linear counting */
}

static void histogram_add(const struct wr_table *t, struct cell *c, const struct wr_event *e,
	const struct wr_field *f)
{
	int sum = wr_field_find(t->k, WR_STR("sum_us")),
	    max = wr_field_find(t->k, WR_STR("max_us"));

	wr_hist_add_json(c->hist, *(const struct wr_str *)wr_ev_at(e, f),
		sum >= 0 ? (uint64_t)value(e, &t->k->fields[sum]) : 0,
		max >= 0 ? (uint64_t)value(e, &t->k->fields[max]) : 0);
}

static void cell_add(
	struct wr_table *t, const struct show *s, struct cell *c, const struct wr_event *e)
{
	const struct wr_field *f = s->field >= 0 ? &t->k->fields[s->field] : NULL;
	double v;

	if (f && !wr_ev_has(e, (unsigned)s->field))
		return;
	c->n++;
	switch (s->what) {
	case DISTINCT:
	case LAST:
		t->text.n = 0;
		wr_plain(&t->text, e, (unsigned)s->field);
		if (s->what == DISTINCT) {
			distinct_add(c, wr_buf_view(&t->text));
			break;
		}
		free(c->last);
		c->last = t->text.n ? strndup(t->text.p, t->text.n) : NULL;
		break;
	case QUANTILE:
		if (!c->hist)
			c->hist = wr_alloc(sizeof(*c->hist));
		if (!c->hist)
			break;
		if (f->type == WR_JSON)
			histogram_add(t, c, e, f);
		else
			wr_hist_add(c->hist, (uint64_t)value(e, f));
		break;
	default:
		if (!f)
			break;
		v = value(e, f);
		c->min = c->n == 1 ? v : wr_min(c->min, v);
		c->max = c->n == 1 ? v : wr_max(c->max, v);
		c->sum += v;
	}
}

void wr_table_add(struct wr_table *t, const struct wr_event *e)
{
	const struct wr_ev_conn *common = (const void *)e; /* the common fields come first */
	struct row *r;

	t->text.n = 0;
	for (unsigned i = 0; i < t->n_keys; i++) {
		if (i)
			wr_buf_c(&t->text, SEP);
		if (wr_ev_has(e, (unsigned)t->key[i]))
			wr_plain(&t->text, e, (unsigned)t->key[i]);
	}
	r = row_of(t, t->every ? common->time / t->every : 0, wr_buf_view(&t->text));
	for (unsigned i = 0; r && i < t->n_show; i++)
		cell_add(t, &t->show[i], &r->c[i], e);
}

/* What a cell comes to; false: it says nothing. */
static bool result(const struct show *s, const struct cell *c, double seconds, double *ret)
{
	switch (s->what) {
	case COUNT:
		*ret = (double)c->n;
		return true;
	case RATE:
		*ret = (s->field < 0 ? (double)c->n : c->sum) / seconds;
		return true;
	case SUM:
		*ret = c->sum;
		return true;
	case DISTINCT:
		*ret = distinct_count(c->hll);
		return true;
	case MIN:
		*ret = c->min;
		break;
	case MAX:
		*ret = c->max;
		break;
	case AVG:
		*ret = c->n ? c->sum / (double)c->n : 0;
		break;
	case QUANTILE:
		*ret = c->hist ? (double)wr_hist_quantile(c->hist, s->q) : 0;
		return c->hist && c->hist->n;
	case LAST:
		*ret = c->last ? strtod(c->last, NULL) : 0;
		break;
	}
	return c->n != 0;
}

struct sorted {
	struct row *r;
	double first;
};

static int by_value(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;

	if (x->r->window != y->r->window)
		return x->r->window < y->r->window ? -1 : 1;
	if (x->first < y->first || x->first > y->first)
		return x->first < y->first ? 1 : -1;
	return strcmp(x->r->key, y->r->key);
}

static void number_text(double v, char *t, size_t n)
{
	if (fabs(v) < 1e15 && fabs(v - nearbyint(v)) < 1e-9)
		snprintf(t, n, "%.0f", v);
	else
		snprintf(t, n, "%.6g", v);
}

static bool put(const struct wr_table *t, const struct row *r, double seconds,
	bool (*row)(void *ctx, unsigned n, const struct wr_str *v, const bool *number), void *ctx)
{
	struct wr_str v[1 + MAX_KEYS + MAX_SHOW];
	bool number[1 + MAX_KEYS + MAX_SHOW] = {false};
	char when[32], text[MAX_SHOW][32];
	const char *p = r->key, *end = r->key + r->key_n;
	unsigned n = 0;
	double d;

	if (t->every)
		v[n++] = wr_str(wr_rfc3339(r->window * t->every, when));
	for (unsigned i = 0; i < t->n_keys; i++) {
		const char *sep = p ? memchr(p, SEP, (size_t)(end - p)) : NULL;

		v[n] = (struct wr_str){p, p ? (size_t)((sep ? sep : end) - p) : 0};
		if (!v[n].n)
			v[n].p = NULL;
		number[n] =
			is_number(&t->k->fields[t->key[i]]) && !wr_str_eq(v[n], WR_STR("(other)"));
		n++;
		p = sep ? sep + 1 : NULL;
	}
	for (unsigned i = 0; i < t->n_show; i++, n++) {
		const struct show *s = &t->show[i];
		const struct wr_field *f = s->field >= 0 ? &t->k->fields[s->field] : NULL;

		v[n] = (struct wr_str){NULL, 0};
		if (s->what == LAST) {
			if (r->c[i].last)
				v[n] = wr_str(r->c[i].last);
			number[n] = is_number(f) && f->type != WR_BOOL;
		} else if (result(s, &r->c[i], seconds, &d)) {
			number_text(d, text[i], sizeof(text[i]));
			v[n] = wr_str(text[i]);
			number[n] = true;
		}
	}
	return row(ctx, n, v, number);
}

unsigned wr_table_columns(const struct wr_table *t, const char *const **ret)
{
	*ret = t->names;
	return t->n_names;
}

void wr_table_rows(struct wr_table *t, unsigned top, uint64_t from, uint64_t to,
	bool (*row)(void *ctx, unsigned n, const struct wr_str *v, const bool *number), void *ctx)
{
	struct sorted *s = wr_alloc((t->rows.n + 1) * sizeof(*s));
	double seconds = to > from ? (double)(to - from) / 1e9 : 1;
	unsigned n = 0, of_window = 0;

	if (!s)
		return;
	if (t->every)
		seconds = (double)t->every / 1e9;
	wr_htab_each (&t->rows, i, node) {
		s[n].r = wr_container(node, struct row, node);
		s[n].first = 0;
		if (t->n_keys || !t->every)
			result(&t->show[0], &s[n].r->c[0], seconds, &s[n].first);
		n++;
	}
	qsort(s, n, sizeof(*s), by_value);
	for (unsigned i = 0; i < n; i++) {
		double sec = seconds;
		uint64_t begin = s[i].r->window * t->every, end = begin + t->every;

		of_window = i && s[i].r->window == s[i - 1].r->window ? of_window + 1 : 0;
		if (top && of_window >= top)
			continue;
		if (t->every && (begin < from || end > to)) /* a window that is not seen whole */
			sec = (double)(wr_min(end, to) - wr_max(begin, from)) / 1e9;
		if (!put(t, s[i].r, sec > 0 ? sec : 1, row, ctx))
			break;
	}
	free(s);
}

uint64_t wr_table_overflow(const struct wr_table *t)
{
	return t->overflow;
}
