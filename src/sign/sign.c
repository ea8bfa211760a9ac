// SPDX-License-Identifier: Apache-2.0
#include "sign_priv.h"

#define WINDOW 8192 /* bytes of a direction that are kept */
#define PIECE 4096 /* bytes that are looked at at once */
#define KEEP 512 /* bytes of the message before that are kept: a text may lie over its end */
#define MAX_CANDIDATES 128 /* rules of a message whose literal was found; more: evaluated at once */
#define MAX_ALWAYS 64 /* rules without a literal; more: they are refused */
#define MAX_VIEWS 8 /* requests in one message (pipelining) */
#define MAX_BUFFERED (64u << 20) /* of all connections; more: not looked at, counted */
#define STEPS 8192 /* of one evaluation, each 64 bytes are one; more: given up, counted */
#define N_COUNTS 8192 /* thresholds that are under way; more: one of four older ones goes */
#define SECOND 1000000000ull

struct candidates {
	uint32_t *v; /* number of the rule, with FIRED */
	uint32_t n, cap;
};
#define FIRED (1u << 31)

/* What one side sends: from `message` on it is what it says until the other one answers. */
struct way {
	uint8_t *buf;
	uint32_t n, cap, scanned;
	uint32_t message; /* where it begins; NONE: it slid out, or is not known */
	bool through; /* the other side spoke: the next byte begins a message */
	bool blind; /* what is spoken was not known when it was looked at */
	uint64_t base, length; /* of buf[0] in the stream; of the message so far */
	struct candidates c;
};
#define NONE UINT32_MAX

struct wr_sign_state {
	struct way d[2];
	uint32_t generation;
	uint8_t last; /* who spoke; 2: nobody */
	uint8_t n_bits;
	uint16_t bits[MAX_BITS];
};

struct count {
	uint64_t key, since;
	uint32_t n;
};

struct wr_sign {
	struct wr_matcher *matcher;
	struct rules rules;
	struct wr_literals *literals;
	uint32_t *first; /* of a literal: the first of its rules; others by next_same */
	uint32_t always[MAX_ALWAYS], n_always;
	uint32_t longest; /* literal */
	uint32_t generation;
	bool has_decoded; /* a rule looks for its literal where it is decoded */
	struct candidates datagram;
	struct views views[MAX_VIEWS];
	unsigned n_views;
	bool views_known;
	struct count *counts;
	uint64_t buffered;
	struct wr_sign_stats stats;
};

void *arena_get(struct arena *a, size_t n)
{
	enum { CHUNK = 65536 };
	struct chunk *c = a->chunks;
	char *p;

	n = (n + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
	if (!c || c->n + n > CHUNK) {
		c = wr_alloc(sizeof(*c) + wr_max(n, (size_t)CHUNK));
		if (!c)
			return NULL;
		c->next = a->chunks;
		a->chunks = c;
	}
	p = (char *)c->p + c->n;
	c->n += n;
	return p;
}

void arena_free(struct arena *a)
{
	while (a->chunks) {
		struct chunk *c = a->chunks;

		a->chunks = c->next;
		free(c);
	}
}

struct wr_sign *wr_sign_new(void)
{
	return wr_alloc(sizeof(struct wr_sign));
}

static void unload(struct wr_sign *s)
{
	wr_literals_free(s->literals);
	rules_free(&s->rules, s->matcher);
	wr_matcher_close(s->matcher);
	free(s->first);
	free(s->datagram.v);
	free(s->counts);
}

void wr_sign_free(struct wr_sign *s)
{
	if (!s)
		return;
	unload(s);
	free(s);
}

bool wr_sign_has_rules(const struct wr_sign *s)
{
	return s && s->rules.n;
}

void wr_sign_stats(const struct wr_sign *s, struct wr_sign_stats *ret)
{
	*ret = s->stats;
	ret->rules = s->rules.n;
	ret->refused = s->rules.refused;
}

/* loading ------------------------------------------------------------------------------------------ */

/*
 * What of a content is searched for; n 0: nothing. Those that are seen decoded are compared without case, and
 * Vectorscan takes one that begins with NUL for an empty one: its tail will do.
 */
static struct wr_literal literal_of(const struct item *it)
{
	uint32_t zeros = 0;

	if (it->kind != CONTENT || it->negated)
		return (struct wr_literal){.n = 0};
	while (zeros < it->n && !it->pattern[zeros])
		zeros++;
	return (struct wr_literal){it->pattern + zeros, it->n - zeros,
		it->nocase || it->buffer == B_host || it->buffer == B_sni || it->buffer == B_query};
}

/* Literals, each once. */
struct indexing {
	struct wr_literal *v;
	uint32_t *uses; /* how many contents are this one */
	uint32_t *table, mask, n; /* of numbers of literals + 1, by hash */
};

static bool index_room(struct indexing *x, uint32_t most)
{
	x->mask = 1;
	while (x->mask < 2 * most)
		x->mask = x->mask * 2 + 1;
	x->v = wr_alloc((most + 1ul) * sizeof(*x->v));
	x->uses = wr_alloc((most + 1ul) * sizeof(*x->uses));
	x->table = wr_alloc((x->mask + 1ul) * sizeof(*x->table));
	return x->v && x->uses && x->table;
}

static void index_free(struct indexing *x)
{
	free(x->v);
	free(x->uses);
	free(x->table);
}

static uint32_t literal_number(struct indexing *x, const struct wr_literal *l)
{
	uint32_t at = (uint32_t)wr_hash(l->p, l->n, l->nocase) & x->mask;

	for (; x->table[at]; at = (at + 1) & x->mask) {
		const struct wr_literal *o = &x->v[x->table[at] - 1];

		if (o->n == l->n && o->nocase == l->nocase && !memcmp(o->p, l->p, l->n))
			return x->table[at] - 1;
	}
	x->v[x->n] = *l;
	x->table[at] = ++x->n;
	return x->n - 1;
}

/*
 * The content by which a rule is found: the one that its author names, else the longest. One that many rules share
 * ("User-Agent: Mozilla") is likely to be everywhere: each doubling counts as four bytes less.
 */
static const struct item *best_of(struct indexing *all, const struct wr_sign_rule *r)
{
	const struct item *best = NULL;
	int most = INT32_MIN;

	for (unsigned i = 0; i < r->n_items; i++) {
		const struct item *it = &r->items[i];
		struct wr_literal l = literal_of(it);
		uint32_t uses;
		int score;

		if (!l.n)
			continue;
		uses = all->uses[literal_number(all, &l)];
		score = it->fast ? INT32_MAX : (int)l.n - 4 * (31 - __builtin_clz(uses));
		if (score > most) {
			most = score;
			best = it;
		}
	}
	return best;
}

/* The literals of all rules, each once, and which rules want it. */
static int make_index(struct wr_sign *s, struct wr_err *e)
{
	struct indexing all = {.n = 0}, x = {.n = 0};
	uint32_t contents = 0;
	int rc = 0;

	for (uint32_t i = 0; i < s->rules.n; i++)
		contents += s->rules.v[i]->n_items;
	s->first = wr_alloc((s->rules.n + 1ul) * sizeof(*s->first));
	if (!index_room(&all, contents) || !index_room(&x, s->rules.n) || !s->first) {
		rc = wr_fail(e, -ENOMEM, "no memory");
		goto out;
	}
	for (uint32_t i = 0; i < s->rules.n; i++) {
		for (unsigned k = 0; k < s->rules.v[i]->n_items; k++) {
			struct wr_literal l = literal_of(&s->rules.v[i]->items[k]);

			if (l.n)
				all.uses[literal_number(&all, &l)]++;
		}
	}
	for (uint32_t i = 0; i < s->rules.n; i++) {
		struct wr_sign_rule *r = s->rules.v[i];
		const struct item *it = best_of(&all, r);
		struct wr_literal l;
		uint32_t k;

		if (!it) {
			if (s->n_always == MAX_ALWAYS) {
				rc = wr_fail(e, -E2BIG,
					"detect.signatures: more than %d rules without a content that must be there (sid %" PRIu32
					")",
					MAX_ALWAYS, r->sid);
				goto out;
			}
			s->always[s->n_always++] = i;
			continue;
		}
		l = literal_of(it);
		k = literal_number(&x, &l);
		r->next_same = s->first[k];
		s->first[k] = i + 1;
		s->longest = wr_max(s->longest, (uint32_t)l.n);
		s->has_decoded |= it->buffer == B_uri || it->buffer == B_query;
	}
	if (x.n)
		rc = wr_literals_new(s->matcher, x.v, x.n, &s->literals, e);
out:
	index_free(&all);
	index_free(&x);
	return rc;
}

int wr_sign_load(struct wr_sign *s, const char *files,
	void (*refused)(void *ctx, const struct wr_sign_refusal *r), void *ctx, struct wr_err *e)
{
	struct wr_str list = wr_str(files), w;
	int rc = 0;

	while (!rc && wr_next_word(&list, &w)) {
		char path[4096];

		if (!s->matcher)
			rc = wr_matcher_open(&s->matcher, e);
		if (!rc && !wr_copy(path, sizeof(path), w))
			rc = wr_fail(e, -E2BIG, "detect.signatures: a path that is too long");
		if (!rc)
			rc = rules_read(&s->rules, s->matcher, path, refused, ctx, e);
	}
	if (rc || !s->rules.n)
		return rc;
	rc = make_index(s, e);
	s->counts = wr_alloc(N_COUNTS * sizeof(*s->counts));
	s->datagram.v = wr_alloc(MAX_CANDIDATES * sizeof(*s->datagram.v));
	s->datagram.cap = MAX_CANDIDATES;
	if (!rc && (!s->counts || !s->datagram.v))
		rc = wr_fail(e, -ENOMEM, "no memory");
	return rc;
}

void wr_sign_take(struct wr_sign *s, struct wr_sign *fresh)
{
	fresh->generation = s->generation + 1;
	fresh->buffered = s->buffered;
	fresh->stats = s->stats;
	unload(s);
	*s = *fresh;
	free(fresh);
}

/* looking ------------------------------------------------------------------------------------------ */

struct pass {
	struct wr_sign *s;
	struct wr_sign_state *st;
	const struct wr_sign_at *at;
	struct way *w, datagram;
	unsigned dir;
	uint32_t from; /* of what is searched, in the window */
	bool decoded; /* ... it is not: a decoded part */
	bool bits_changed;
};

static bool bit_is_set(const struct wr_sign_state *st, uint16_t id)
{
	for (unsigned i = 0; i < st->n_bits; i++) {
		if (st->bits[i] == id)
			return true;
	}
	return false;
}

static bool bits_allow(const struct pass *p, const struct wr_sign_rule *r)
{
	for (unsigned i = 0; i < r->n_bits; i++) {
		const struct bit *b = &r->bits[i];

		if ((b->op == BIT_IS || b->op == BIT_IS_NOT) &&
			bit_is_set(p->st, b->id) != (b->op == BIT_IS))
			return false;
	}
	return true;
}

static void bits_change(struct pass *p, const struct wr_sign_rule *r)
{
	struct wr_sign_state *st = p->st;

	for (unsigned i = 0; i < r->n_bits; i++) {
		const struct bit *b = &r->bits[i];
		bool was = bit_is_set(st, b->id);
		bool want = b->op == BIT_SET || (b->op == BIT_TOGGLE && !was);
		unsigned k = 0;

		if (b->op > BIT_TOGGLE || was == want)
			continue;
		p->bits_changed = true;
		if (want) {
			if (st->n_bits == MAX_BITS)
				memmove(st->bits, st->bits + 1, --st->n_bits * sizeof(st->bits[0]));
			st->bits[st->n_bits++] = b->id;
			continue;
		}
		while (st->bits[k] != b->id)
			k++;
		st->bits[k] = st->bits[--st->n_bits];
	}
}

/* What can be cut out of the message as it is now; once a pass. */
static void make_views(struct pass *p)
{
	struct wr_sign *s = p->s;
	struct wr_bytes m;

	if (s->views_known)
		return;
	s->views_known = true;
	s->n_views = 0;
	if (p->w->message == NONE)
		return;
	m = (struct wr_bytes){p->w->buf + p->w->message, p->w->n - p->w->message};
	while (m.n && s->n_views < MAX_VIEWS) {
		views_of(&s->views[s->n_views], m, p->dir, p->at->udp, p->at->protocol);
		m = s->views[s->n_views++].rest;
	}
}

static bool look(struct pass *p, struct look *l)
{
	bool yes;

	l->steps = STEPS;
	yes = rule_matches(l);
	p->s->stats.given_up += !l->steps;
	return yes;
}

/* Does the rule match what is there of the message? @ret: where, in the window. */
static bool evaluate(struct pass *p, const struct wr_sign_rule *r, bool whole, uint32_t *ret)
{
	struct way *w = p->w;
	struct look l = {.rule = r, .matcher = p->s->matcher, .whole = whole, .length = w->length};

	p->s->stats.evaluated++;
	if (w->message != NONE) {
		*ret = w->message;
		l.raw = (struct wr_bytes){w->buf + w->message, w->n - w->message};
		if (!r->views) {
			if (look(p, &l)) {
				*ret += l.at;
				return true;
			}
		} else {
			make_views(p);
			for (unsigned i = 0; i < p->s->n_views; i++) {
				l.views = &p->s->views[i];
				if (look(p, &l))
					return true;
			}
		}
	}
	if (!r->floats || !w->message)
		return false;
	l.raw = (struct wr_bytes){w->buf, w->n};
	if (!look(p, &l))
		return false;
	*ret = l.at;
	return true;
}

static bool try_rule(struct pass *p, uint32_t number, bool whole)
{
	const struct wr_sign_rule *r = p->s->rules.v[number];
	struct wr_sign_hit h = {.rule = r, .dir = p->dir};
	uint32_t at = 0;

	if (r->protocol && (!p->at->protocol || strcmp(r->protocol, p->at->protocol) != 0))
		return false;
	if (!bits_allow(p, r) || !evaluate(p, r, whole, &at))
		return false;
	bits_change(p, r);
	if (!r->noalert) {
		p->s->stats.matches++;
		h.offset = p->w->base + at;
		p->at->hit(p->at->ctx, &h);
	}
	return true;
}

static void candidate(struct pass *p, uint32_t number)
{
	const struct wr_sign_rule *r = p->s->rules.v[number];
	struct candidates *c = &p->w->c;

	if (!(r->dirs >> p->dir & 1) || !(r->over >> p->at->udp & 1))
		return;
	if (r->protocol && p->at->protocol && strcmp(r->protocol, p->at->protocol) != 0)
		return;
	for (uint32_t i = 0; i < c->n; i++) {
		if ((c->v[i] & ~FIRED) == number)
			return;
	}
	if (c->n == c->cap && c->cap < MAX_CANDIDATES) {
		uint32_t cap = c->cap ? c->cap * 4 : 8;
		void *v = wr_realloc(c->v, cap * sizeof(*c->v));

		if (v) {
			c->v = v;
			c->cap = cap;
		}
	}
	if (c->n < c->cap)
		c->v[c->n++] = number;
	else
		try_rule(p, number, p->at->udp);
}

static void found(void *ctx, uint32_t literal, size_t end)
{
	struct pass *p = ctx;

	/* seen before: only the tail was read again */
	if (!p->decoded && p->from + end <= p->w->scanned)
		return;
	for (uint32_t k = p->s->first[literal]; k; k = p->s->rules.v[k - 1]->next_same)
		candidate(p, k - 1);
}

/* The candidates that have not fired. @whole: the message is through; @again: and nothing came since. */
static void try_all(struct pass *p, bool whole, bool again)
{
	struct candidates *c = &p->w->c;

	again &= !p->w->blind;
	p->w->blind = !p->at->protocol;

	for (unsigned turn = 0; turn < 3; turn++) {
		p->bits_changed = false;
		for (uint32_t i = 0; i < c->n; i++) {
			if (c->v[i] & FIRED || (again && !p->s->rules.v[c->v[i]]->late))
				continue;
			if (try_rule(p, c->v[i], whole))
				c->v[i] |= FIRED;
		}
		if (!p->bits_changed)
			break;
		again = false;
	}
}

/* New bytes are in the window. */
static void search(struct pass *p, bool whole)
{
	struct wr_sign *s = p->s;
	struct way *w = p->w;

	s->views_known = false;
	if (s->literals) {
		p->from = w->scanned >= s->longest ? w->scanned - s->longest + 1 : 0;
		wr_literals_find(
			s->literals, (struct wr_bytes){w->buf + p->from, w->n - p->from}, found, p);
		w->scanned = w->n;
	}
	if (s->has_decoded) {
		make_views(p);
		p->decoded = true;
		for (unsigned i = 0; i < s->n_views; i++) {
			const struct views *v = &s->views[i];

			if (v->decoded && v->v[B_uri].p)
				wr_literals_find(s->literals, v->v[B_uri], found, p);
			if (v->decoded && v->v[B_query].p)
				wr_literals_find(s->literals, v->v[B_query], found, p);
		}
		p->decoded = false;
	}
	if (w->c.n)
		try_all(p, whole, false);
}

/* Rules without a literal are of every message. */
static void always(struct pass *p)
{
	for (uint32_t i = 0; i < p->s->n_always; i++)
		candidate(p, p->s->always[i]);
}

static void begin(struct pass *p)
{
	struct way *w = p->w;

	w->through = false;
	w->c.n = 0;
	w->length = 0;
	w->message = w->n;
	always(p);
}

/* What was said is said: what waited for that is evaluated. */
static void finish(struct pass *p)
{
	if (p->w->through)
		return;
	p->w->through = true;
	p->s->views_known = false;
	if (p->w->c.n)
		try_all(p, true, true);
}

/* The front of the window goes; @n bytes stay. */
static void slide(struct pass *p, uint32_t n)
{
	struct way *w = p->w;
	uint32_t gone = w->n > n ? w->n - n : 0;

	if (!gone)
		return;
	memmove(w->buf, w->buf + gone, w->n - gone);
	w->n -= gone;
	w->base += gone;
	w->scanned = w->scanned > gone ? w->scanned - gone : 0;
	if (w->message != NONE)
		w->message = w->message >= gone ? w->message - gone : NONE;
}

static bool room(struct pass *p, uint32_t n)
{
	struct way *w = p->w;
	uint32_t cap = w->cap ? w->cap : 512;
	void *v;

	if (w->n + n > WINDOW) {
		/* a message that is longer than the window is judged by its head */
		if (w->message != NONE && w->n - w->message > PIECE) {
			p->s->views_known = false;
			for (uint32_t i = 0; i < w->c.n; i++) {
				const struct wr_sign_rule *r = p->s->rules.v[w->c.v[i] & ~FIRED];

				if (!(w->c.v[i] & FIRED) && r->late && r->dsize[1] == UINT32_MAX &&
					try_rule(p, w->c.v[i], true))
					w->c.v[i] |= FIRED;
			}
		}
		slide(p, WINDOW - PIECE);
	}
	if (w->n + n <= w->cap)
		return true;
	while (cap < w->n + n)
		cap *= 2;
	if (p->s->buffered + cap - w->cap > MAX_BUFFERED)
		return false;
	v = wr_realloc(w->buf, cap);
	if (!v)
		return false;
	p->s->buffered += cap - w->cap;
	w->buf = v;
	w->cap = cap;
	return true;
}

static void datagram(struct pass *p, struct wr_bytes b)
{
	p->w = &p->datagram;
	*p->w = (struct way){.buf = (uint8_t *)(uintptr_t)b.p, /* only read */
		.n = (uint32_t)b.n,
		.length = b.n,
		.c = p->s->datagram};
	always(p);
	search(p, true);
}

/* The state of a connection under these rules; what was kept under others goes. */
static struct wr_sign_state *state_of(struct wr_sign *s, struct wr_sign_state **st)
{
	if (*st && (*st)->generation != s->generation)
		wr_sign_forget(s, st);
	if (!*st) {
		*st = wr_alloc(sizeof(**st));
		if (!*st)
			return NULL;
		(*st)->generation = s->generation;
		(*st)->last = 2;
		(*st)->d[0].through = (*st)->d[1].through = true;
	}
	return *st;
}

void wr_sign_data(struct wr_sign *s, struct wr_sign_state **st, const struct wr_sign_at *at,
	struct wr_bytes b)
{
	struct pass p = {.s = s, .at = at, .dir = at->dir};

	if (!wr_sign_has_rules(s) || !b.n)
		return;
	p.st = state_of(s, st);
	if (!p.st) {
		s->stats.unseen += b.n;
		return;
	}
	s->stats.bytes += b.n;
	if (at->udp) {
		datagram(&p, b);
		return;
	}
	if (p.st->last == !p.dir) {
		struct pass other = {
			.s = s, .st = p.st, .at = at, .dir = !p.dir, .w = &p.st->d[!p.dir]};

		finish(&other);
	}
	p.st->last = (uint8_t)p.dir;
	p.w = &p.st->d[p.dir];
	if (p.w->through) {
		slide(&p, KEEP);
		begin(&p);
	}
	while (b.n) {
		uint32_t n = (uint32_t)wr_min(b.n, (size_t)PIECE);

		if (!room(&p, n)) {
			s->stats.bytes -= b.n;
			s->stats.unseen += b.n;
			wr_sign_gap(s, st, at, b.n);
			return;
		}
		memcpy(p.w->buf + p.w->n, b.p, n);
		p.w->n += n;
		p.w->length += n;
		search(&p, false);
		b.p += n;
		b.n -= n;
	}
}

void wr_sign_gap(
	struct wr_sign *s, struct wr_sign_state **st, const struct wr_sign_at *at, uint64_t n)
{
	struct way *w;

	if (!wr_sign_has_rules(s) || at->udp || !state_of(s, st))
		return;
	w = &(*st)->d[at->dir];
	w->base += w->n + n;
	w->n = w->scanned = 0;
	w->c.n = 0;
	w->message = NONE;
	/* what follows goes on with a message whose begin is not there */
	w->through = false;
}

void wr_sign_end(struct wr_sign *s, struct wr_sign_state **st, const struct wr_sign_at *at)
{
	struct pass p = {.s = s, .at = at};

	if (!*st || !wr_sign_has_rules(s) || (*st)->generation != s->generation)
		return;
	p.st = *st;
	for (p.dir = 0; p.dir < 2; p.dir++) {
		p.w = &p.st->d[p.dir];
		finish(&p);
	}
}

void wr_sign_forget(struct wr_sign *s, struct wr_sign_state **st)
{
	if (!*st)
		return;
	for (unsigned i = 0; i < 2; i++) {
		s->buffered -= (*st)->d[i].cap;
		free((*st)->d[i].buf);
		free((*st)->d[i].c.v);
	}
	free(*st);
	*st = NULL;
}

/* telling ------------------------------------------------------------------------------------------ */

void wr_sign_fill(const struct wr_sign_hit *h, struct wr_ev_match *r)
{
	const struct wr_sign_rule *rule = h->rule;

	WR_SET(r, match, sender, h->dir ? WR_STR("server") : WR_STR("client"));
	WR_SET(r, match, sid, rule->sid);
	WR_SET(r, match, rev, rule->rev);
	if (rule->message)
		WR_SET(r, match, message, wr_str(rule->message));
	if (rule->class)
		WR_SET(r, match, class, wr_str(rule->class));
	WR_SET(r, match, priority, rule->priority);
	if (rule->technique)
		WR_SET(r, match, technique, wr_str(rule->technique));
	if (rule->reference)
		WR_SET(r, match, reference, wr_str(rule->reference));
	WR_SET(r, match, offset, h->offset);
}

struct one_end {
	const struct wr_ip *ip;
	uint16_t port;
};

static bool header_has(
	const struct wr_sign_rule *r, const struct one_end *from, const struct one_end *to)
{
	return ranges_have_port(&r->dport, to->port) && ranges_have_port(&r->sport, from->port) &&
	       ranges_have_ip(&r->src, from->ip) && ranges_have_ip(&r->dst, to->ip);
}

/* The count of this rule and address, in its window of time. */
static struct count *count_of(struct wr_sign *s, const struct wr_sign_rule *rule,
	const struct wr_ip *src, const struct wr_ip *dst, uint64_t now)
{
	uint64_t key = wr_hash64(rule->sid + ((uint64_t)rule->index << 32));
	struct count *c = NULL, *set, *oldest;

	if (rule->track == BY_SRC || rule->track == BY_BOTH)
		key = wr_hash(src, 16, key);
	if (rule->track == BY_DST || rule->track == BY_BOTH)
		key = wr_hash(dst, 16, key);
	key = key ? key : 1;
	oldest = set = &s->counts[key % (N_COUNTS / 4) * 4];
	for (unsigned i = 0; i < 4 && !c; i++) {
		if (set[i].key == key)
			c = &set[i];
		else if (set[i].since < oldest->since)
			oldest = &set[i];
	}
	if (!c) {
		c = oldest;
		*c = (struct count){.key = key, .since = now};
	}
	if (now - c->since >= rule->seconds * SECOND) {
		c->since = now;
		c->n = 0;
	}
	return c;
}

bool wr_sign_fires(struct wr_sign *s, const struct wr_sign_rule *rule, const struct wr_ev_match *r)
{
	struct one_end client = {&r->client_ip, (uint16_t)r->client_port};
	struct one_end server = {&r->server_ip, (uint16_t)r->server_port};
	bool up = wr_str_eq(r->sender, WR_STR("client"));
	const struct one_end *from = up ? &client : &server, *to = up ? &server : &client;
	struct count *c;

	if (!header_has(rule, from, to) && !(rule->both_ways && header_has(rule, to, from)))
		return false;
	if (!rule->threshold)
		return true;
	c = count_of(s, rule, from->ip, to->ip, r->time);
	c->n++;
	switch (rule->threshold) {
	case TH_LIMIT:
		return c->n <= rule->count;
	case TH_THRESHOLD:
		return c->n % rule->count == 0;
	case TH_BOTH:
		return c->n == rule->count;
	default:
		return c->n > rule->count;
	}
}
