// SPDX-License-Identifier: Apache-2.0
#include "raw.h"

#define MARKS 32 /* of a message; more: not named */
#define TOUCHED 16 /* requests of what feed() takes at once; more: without bytes */
#define NAME 40
#define BUDGET (64u << 20) /* bytes kept at once; more: counted only */

struct mark {
	uint64_t at;
	uint32_t n;
	char name[NAME];
};

struct message {
	uint64_t length;
	uint32_t n;
	uint8_t *p; /* the first @n of @length */
	struct mark mark[MARKS];
	unsigned n_marks;
	const char *rule; /* that it breaks; NULL: none */
	uint64_t wrong_at, wrong_n;
};

struct wr_raw_of {
	struct wr_raw *w;
	struct message m[2]; /* the request's, the answer's */
	uint64_t before; /* its bytes of this direction before feed() */
	const char *protocol; /* of its record */
};

struct pending {
	struct wr_request *r;
	struct mark m;
};

struct wr_raw {
	size_t keep, used;
	struct wr_bytes b; /* what feed() looks at; p NULL: it is not running */
	unsigned dir;
	struct wr_request *touched[TOUCHED];
	unsigned n_touched;
	struct pending mark[MARKS];
	unsigned n_marks;
	struct wr_request *done, **done_end;
	const char *rule;
	uint64_t wrong_at, wrong_n;
	struct message alone;
	struct wr_buf hex, fields;
};

struct wr_raw *wr_raw_new(size_t keep)
{
	struct wr_raw *w = wr_alloc(sizeof(*w));

	if (!w)
		return NULL;
	w->keep = keep;
	w->done_end = &w->done;
	w->hex = WR_BUF(2 * keep + 2);
	w->fields = WR_BUF(MARKS * (NAME + 64) * 2);
	return w;
}

void wr_raw_free(struct wr_raw *w)
{
	if (!w)
		return;
	free(w->alone.p);
	wr_buf_free(&w->hex);
	wr_buf_free(&w->fields);
	free(w);
}

static void append(struct wr_raw *w, struct message *m, const uint8_t *p, uint64_t n)
{
	size_t k = m->n < m->length ? 0 : (size_t)wr_min(n, (uint64_t)(w->keep - m->n));
	uint8_t *q;

	m->length += n;
	if (!p || !k || w->used + k > BUDGET)
		return;
	q = wr_realloc(m->p, m->n + k);
	if (!q)
		return;
	memcpy(q + m->n, p, k);
	m->p = q;
	m->n += (uint32_t)k;
	w->used += k;
}

static uint64_t counted(const struct wr_raw *w, const struct wr_request *r)
{
	return w->dir ^ r->reversed ? r->response_bytes : r->request_bytes;
}

void wr_raw_begin(struct wr_raw *w, struct wr_request *first, unsigned dir, struct wr_bytes b)
{
	w->b = b;
	w->dir = dir;
	w->n_touched = w->n_marks = 0;
	w->rule = NULL;
	for (struct wr_request *r = first; r; r = r->next) {
		if (r->raw)
			r->raw->before = counted(w, r);
	}
}

static void touch_counted(struct wr_raw *w, struct wr_request *first)
{
	for (struct wr_request *r = first; r; r = r->next) {
		if (r->raw && counted(w, r) != r->raw->before)
			wr_raw_touch(w, r);
	}
}

void wr_raw_touch(struct wr_raw *w, struct wr_request *r)
{
	if (!r->raw) {
		r->raw = wr_alloc(sizeof(*r->raw));
		if (!r->raw)
			return;
		r->raw->w = w;
	}
	if (!w->b.p)
		return;
	for (unsigned i = 0; i < w->n_touched; i++) {
		if (w->touched[i] == r)
			return;
	}
	if (w->n_touched < TOUCHED)
		w->touched[w->n_touched++] = r;
}

/* Where a view stands in what feed() looks at; false: elsewhere, as a copy does. */
static bool place(const struct wr_raw *w, struct wr_str v, uint64_t *ret_at)
{
	uintptr_t p = (uintptr_t)v.p, from = (uintptr_t)w->b.p;

	if (!from || !v.n || p < from || p - from > w->b.n || v.n > w->b.n - (p - from))
		return false;
	*ret_at = p - from;
	return true;
}

void wr_raw_mark(struct wr_request *r, const char *name, struct wr_str v)
{
	struct wr_raw *w = r->raw->w;
	struct pending *k;
	uint64_t at;

	if (w->n_marks == MARKS || !place(w, v, &at))
		return;
	wr_raw_touch(w, r);
	k = &w->mark[w->n_marks++];
	k->r = r;
	k->m.at = at;
	k->m.n = (uint32_t)v.n;
	wr_copy(k->m.name, sizeof(k->m.name), wr_str(name));
}

void wr_raw_wrong(struct wr_raw *w, const char *rule, struct wr_str at)
{
	if (w->rule)
		return;
	w->rule = rule;
	w->wrong_n = place(w, at, &w->wrong_at) ? at.n : 0;
}

void wr_raw_body(struct wr_request *r, unsigned dir, const uint8_t *p, uint64_t n)
{
	append(r->raw->w, &r->raw->m[dir ^ r->reversed], p, n);
}

bool wr_raw_hold(struct wr_request *r, const char *protocol)
{
	struct wr_raw *w = r->raw->w;

	if (!w->b.p)
		return false;
	r->raw->protocol = protocol;
	r->next = NULL;
	*w->done_end = r;
	w->done_end = &r->next;
	return true;
}

static void keep_message(struct wr_raw *w, struct wr_request *r, size_t n)
{
	struct message *m = &r->raw->m[w->dir ^ r->reversed];
	uint64_t before = m->length;

	append(w, m, w->b.p, n);
	for (unsigned i = 0; i < w->n_marks && m->n_marks < MARKS; i++) {
		if (w->mark[i].r != r || w->mark[i].m.at >= n)
			continue;
		m->mark[m->n_marks] = w->mark[i].m;
		m->mark[m->n_marks++].at += before;
	}
	if (w->rule && !m->rule) {
		m->rule = w->rule;
		m->wrong_at = before + w->wrong_at;
		m->wrong_n = w->wrong_n;
	}
}

void wr_raw_end(struct wr_raw *w, struct wr_request *first, ssize_t n)
{
	size_t taken = n < 0 ? 0 : wr_min((size_t)n, w->b.n);
	bool of_request = false;

	touch_counted(w, first);
	touch_counted(w, w->done);
	for (unsigned i = 0; taken && i < w->n_touched; i++) {
		keep_message(w, w->touched[i], taken);
		of_request = true;
	}
	if (w->rule && !of_request) {
		w->used -= w->alone.n;
		free(w->alone.p);
		w->alone = (struct message){
			.rule = w->rule, .wrong_at = w->wrong_at, .wrong_n = w->wrong_n};
		append(w, &w->alone, w->b.p, taken ? taken : w->b.n);
	}
	w->b = (struct wr_bytes){NULL, 0};
}

struct wr_request *wr_raw_done(struct wr_raw *w, const char **ret_protocol)
{
	struct wr_request *r = w->done;

	if (!r)
		return NULL;
	w->done = r->next;
	if (!w->done)
		w->done_end = &w->done;
	*ret_protocol = r->raw->protocol;
	return r;
}

void wr_raw_forget(struct wr_request *r)
{
	for (unsigned i = 0; i < 2; i++) {
		r->raw->w->used -= r->raw->m[i].n;
		free(r->raw->m[i].p);
	}
	free(r->raw);
	r->raw = NULL;
}

static bool is_shown(const struct message *m, uint64_t at)
{
	for (unsigned i = 0; i < m->n_marks; i++) {
		if (at >= m->mark[i].at && at - m->mark[i].at < m->mark[i].n)
			return true;
	}
	return false;
}

static bool fill(struct wr_raw *w, const struct message *m, bool unmasked, struct wr_ev_message *e)
{
	if (!m->length)
		return false;
	w->hex.n = w->fields.n = 0;
	w->hex.cut = w->fields.cut = false;
	for (uint32_t i = 0; i < m->n; i++) {
		char t[2] = {'.', '.'};

		if (unmasked || is_shown(m, i)) {
			t[0] = "0123456789abcdef"[m->p[i] >> 4];
			t[1] = "0123456789abcdef"[m->p[i] & 15];
		}
		wr_buf_put(&w->hex, t, 2);
	}
	wr_buf_c(&w->fields, '[');
	for (unsigned i = 0; i < m->n_marks; i++) {
		wr_buf_put(&w->fields, ",", i ? 1 : 0);
		wr_buf_lit(&w->fields, "{\"name\":");
		wr_buf_json(&w->fields, wr_str(m->mark[i].name));
		wr_buf_lit(&w->fields, ",\"at\":");
		wr_buf_u64(&w->fields, m->mark[i].at);
		wr_buf_lit(&w->fields, ",\"length\":");
		wr_buf_u64(&w->fields, m->mark[i].n);
		wr_buf_c(&w->fields, '}');
	}
	wr_buf_c(&w->fields, ']');
	WR_SET(e, message, length, m->length);
	WR_SET(e, message, data, wr_buf_view(&w->hex));
	if (m->n_marks && !w->fields.cut)
		WR_SET(e, message, fields, wr_buf_view(&w->fields));
	if (m->rule)
		WR_SET(e, message, rule, wr_str(m->rule));
	if (m->rule && m->wrong_n) {
		WR_SET(e, message, wrong_at, m->wrong_at);
		WR_SET(e, message, wrong_length, m->wrong_n);
	}
	return true;
}

bool wr_raw_event(const struct wr_request *r, bool answer, bool unmasked, struct wr_ev_message *e)
{
	WR_INIT(e, message);
	if (!fill(r->raw->w, &r->raw->m[answer], unmasked, e))
		return false;
	WR_SET(e, message, time, answer ? r->r_first : r->t_first);
	WR_SET(e, message, part, answer ? WR_STR("response") : WR_STR("request"));
	WR_SET(e, message, sender, answer ? WR_STR("server") : WR_STR("client"));
	return true;
}

bool wr_raw_alone(struct wr_raw *w, bool unmasked, struct wr_ev_message *e)
{
	WR_INIT(e, message);
	if (!fill(w, &w->alone, unmasked, e))
		return false;
	w->alone.length = 0;
	WR_SET(e, message, sender, w->dir ? WR_STR("server") : WR_STR("client"));
	return true;
}
