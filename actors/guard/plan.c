// SPDX-License-Identifier: Apache-2.0
/*
 * An expression becomes terms: for each dimension a set of values, or any. "or" of one dimension is a larger
 * set, not a second term, so `src in (...)` of a thousand networks is one. Then each dimension's values are cut
 * where the answer of a term changes, and each piece gets its row.
 */
#include "plan.h"

#include "../../src/flow/packet.h"

#include <stdlib.h>

#define MAX_TERMS 4096 /* of one expression while it is multiplied out */
#define HASH 16384

const char wr_guard_fields[] =
	"src.ip, dst.ip, src.port, dst.port, transport, ip.proto, ip.version, ip.ttl, ip.dscp, ip.mf, "
	"ip.fragment_offset, tcp.flags, icmp.type, icmp.code, vlan.id, length, payload[OFFSET:LENGTH]";

struct span {
	wr_u128 lo, hi;
};

struct vals {
	struct span *s; /* in rising order, not touching */
	unsigned n;
	bool absent; /* a packet without the value matches */
};

struct term {
	const struct vals *v[WR_G_DIMS]; /* NULL: any */
};

struct terms {
	struct term *t;
	unsigned n, room;
};

/* Everything that a plan allocates goes at once, at its end. */
struct chunk {
	struct chunk *next;
	max_align_t data[];
};

struct plan {
	struct chunk *chunks;
	const struct wr_filter *f;
	const char *text;
	struct wr_err *e;
	int rc; /* the first failure */
	struct wr_g_test test[WR_G_TESTS];
	unsigned tests;
};

static void *get(struct plan *p, size_t n)
{
	struct chunk *c = p->rc ? NULL : wr_alloc(sizeof(*c) + n);

	if (!c) {
		p->rc = p->rc ? p->rc : wr_fail(p->e, -ENOMEM, "no memory");
		return NULL;
	}
	c->next = p->chunks;
	p->chunks = c;
	return c->data;
}

static void fail(struct plan *p, int rc, const char *field, const char *why)
{
	const char *at = strstr(p->text, field);

	if (p->rc)
		return;
	p->rc = wr_fail(p->e, rc, "%s%s%s", why, rc == -EINVAL ? "; a rule may test " : "",
		rc == -EINVAL ? wr_guard_fields : "");
	p->e->at = at ? (size_t)(at - p->text) : 0;
}

static wr_u128 top(unsigned d)
{
	return d < WR_G_SMALL	 ? 255
	       : d == WR_G_VLAN	 ? 4095
	       : d < WR_G_SRC	 ? 65535
	       : d >= WR_G_BYTES ? 1
				 : ~(wr_u128)0;
}

static struct vals *new_vals(struct plan *p, unsigned n)
{
	struct vals *v = get(p, sizeof(*v));

	if (v)
		v->s = get(p, (n ? n : 1) * sizeof(*v->s));
	return v && v->s ? v : NULL;
}

static void add_span(struct vals *v, wr_u128 lo, wr_u128 hi)
{
	if (v->n && v->s[v->n - 1].hi + 1 >= lo && v->s[v->n - 1].hi != ~(wr_u128)0) {
		if (hi > v->s[v->n - 1].hi)
			v->s[v->n - 1].hi = hi;
	} else if (!v->n || v->s[v->n - 1].hi != ~(wr_u128)0) {
		v->s[v->n++] = (struct span){lo, hi};
	}
}

static const struct vals *either(struct plan *p, const struct vals *a, const struct vals *b)
{
	struct vals *r = new_vals(p, a->n + b->n);
	unsigned i = 0, j = 0;

	if (!r)
		return NULL;
	while (i < a->n || j < b->n) {
		const struct span *s = j == b->n || (i < a->n && a->s[i].lo <= b->s[j].lo)
					       ? &a->s[i++]
					       : &b->s[j++];

		add_span(r, s->lo, s->hi);
	}
	r->absent = a->absent || b->absent;
	return r;
}

static const struct vals *both(struct plan *p, const struct vals *a, const struct vals *b)
{
	struct vals *r;
	unsigned i = 0, j = 0;

	if (!a || !b)
		return a ? a : b;
	r = new_vals(p, a->n + b->n);
	if (!r)
		return NULL;
	while (i < a->n && j < b->n) {
		wr_u128 lo = wr_max(a->s[i].lo, b->s[j].lo), hi = wr_min(a->s[i].hi, b->s[j].hi);

		if (lo <= hi)
			add_span(r, lo, hi);
		if (a->s[i].hi < b->s[j].hi)
			i++;
		else
			j++;
	}
	r->absent = a->absent && b->absent;
	return r;
}

static const struct vals *others(struct plan *p, const struct vals *a, unsigned d)
{
	struct vals *r = new_vals(p, a->n + 1);
	wr_u128 at = 0;

	if (!r)
		return NULL;
	for (unsigned i = 0; i < a->n; i++) {
		if (a->s[i].lo > at)
			add_span(r, at, a->s[i].lo - 1);
		at = a->s[i].hi + 1;
		if (a->s[i].hi == top(d)) {
			r->absent = !a->absent;
			return r;
		}
	}
	add_span(r, at, top(d));
	r->absent = !a->absent;
	return r;
}

/* The dimension of a field, and a record that has nothing but this field with a value. */
static int dimension(unsigned field, unsigned v, struct wr_ev_packet *r, char text[12])
{
	static const char letters[] = "FSRPAUEC";

	WR_INIT(r, packet);
	switch (field) {
	case WR_I_packet_src_ip:
		return WR_G_SRC;
	case WR_I_packet_dst_ip:
		return WR_G_DST;
	case WR_I_packet_src_port:
		WR_SET(r, packet, src_port, v);
		return WR_G_SPORT;
	case WR_I_packet_dst_port:
		WR_SET(r, packet, dst_port, v);
		return WR_G_DPORT;
	case WR_I_packet_length:
		WR_SET(r, packet, length, v);
		return WR_G_LENGTH;
	case WR_I_packet_vlan:
		WR_SET(r, packet, vlan, v);
		return WR_G_VLAN;
	case WR_I_packet_transport:
		WR_SET(r, packet, transport, wr_str(wr_proto_name((uint8_t)v)));
		return WR_G_PROTO;
	case WR_I_packet_ip_proto:
		WR_SET(r, packet, ip_proto, v);
		return WR_G_PROTO;
	case WR_I_packet_ip_version:
		WR_SET(r, packet, ip_version, v);
		return WR_G_VERSION;
	case WR_I_packet_ttl:
		WR_SET(r, packet, ttl, v);
		return WR_G_TTL;
	case WR_I_packet_dscp:
		WR_SET(r, packet, dscp, v);
		return WR_G_DSCP;
	case WR_I_packet_icmp_type:
		WR_SET(r, packet, icmp_type, v);
		return WR_G_ITYPE;
	case WR_I_packet_icmp_code:
		WR_SET(r, packet, icmp_code, v);
		return WR_G_ICODE;
	case WR_I_packet_mf:
		WR_SET(r, packet, mf, v & 1);
		return WR_G_FRAG;
	case WR_I_packet_frag_off: /* the tables know only whether it is the first */
		WR_SET(r, packet, frag_off, v & 2 ? 8 : 0);
		return WR_G_FRAG;
	case WR_I_packet_flags: {
		char *t = text;

		for (unsigned i = 0; i < 8; i++) {
			if (v >> i & 1)
				*t++ = letters[i];
		}
		*t = 0;
		WR_SET(r, packet, flags, wr_str(text));
		return WR_G_FLAGS;
	}
	}
	return -ENOENT;
}

static const struct vals *of_address(struct plan *p, const struct wr_node *n, unsigned d)
{
	wr_u128 ip = wr_ip_number(&n->ip), mask = wr_ip_number(&n->mask);
	struct vals *v = new_vals(p, 1), *r;

	if (!v)
		return NULL;
	if (n->present) {
		add_span(v, 0, top(d));
		return v;
	}
	if (~mask & (~mask + 1)) {
		fail(p, -EINVAL, p->text, "the mask of an address has holes");
		return NULL;
	}
	add_span(v, ip & mask, ip | ~mask);
	v->absent = true; /* so that its opposite is not */
	r = n->differs ? (struct vals *)(uintptr_t)others(p, v, d) : v;
	if (r)
		r->absent = false;
	return r;
}

/* A test of bytes is a dimension of its own: 1, they are these; 0, they are others; absent, there are none. */
static const struct vals *of_bytes(struct plan *p, const struct wr_node *n, unsigned *ret_dim)
{
	struct wr_g_test t = {.value = n->lo, .mask = n->hi, .off = n->off, .len = n->len};
	struct vals *v = new_vals(p, 1);
	unsigned i = 0;

	if (!n->len)
		fail(p, -EINVAL, "payload", "the guard cannot test all of the payload");
	else if (t.off > WR_G_FAR)
		fail(p, -EINVAL, "payload",
			"the guard looks at the first 2,008 bytes of the payload");
	while (i < p->tests && memcmp(&p->test[i], &t, sizeof(t)) != 0)
		i++;
	if (i == WR_G_TESTS)
		fail(p, -E2BIG, "payload",
			"the rules together test more than 16 different bytes of the payload");
	if (!v || p->rc)
		return NULL;
	p->test[i] = t;
	p->tests = wr_max(p->tests, i + 1);
	*ret_dim = WR_G_BYTES + i;
	add_span(v, !n->differs, !n->differs);
	return v;
}

static const struct vals *of_test(
	struct plan *p, unsigned node, const struct wr_node *n, unsigned *ret_dim)
{
	struct wr_ev_packet r;
	char text[12];
	int d = dimension(n->field, 0, &r, text);
	struct vals *v;
	unsigned from = 0;
	bool was = false;

	if (n->field == WR_I_packet_payload_data)
		return of_bytes(p, n, ret_dim);
	if (d < 0) {
		const char *name = wr_kinds[WR_KIND_packet].fields[n->field].name;
		char why[128];

		snprintf(why, sizeof(why), "the guard cannot test '%s'", name);
		fail(p, -EINVAL, name, why);
		return NULL;
	}
	*ret_dim = (unsigned)d;
	if (d >= WR_G_SRC)
		return of_address(p, n, (unsigned)d);
	if (d >= WR_G_VLAN) {
		v = new_vals(p, 1);
		if (v && n->lo <= n->hi && n->lo <= top((unsigned)d))
			add_span(v, n->lo, wr_min((wr_u128)n->hi, top((unsigned)d)));
		if (v && n->differs) {
			v->absent = true;
			v = (struct vals *)(uintptr_t)others(p, v, (unsigned)d);
		}
		return v;
	}
	if (n->field == WR_I_packet_frag_off) {
		struct wr_ev_packet far;

		WR_INIT(&far, packet);
		WR_SET(&far, packet, frag_off, 65528);
		dimension(n->field, 2, &r, text);
		if (wr_filter_test(p->f, node, &far.ev) != wr_filter_test(p->f, node, &r.ev)) {
			fail(p, -EINVAL, "ip.fragment_offset",
				"the guard only knows whether the offset of a fragment is 0");
			return NULL;
		}
	}
	v = new_vals(p, 129);
	for (unsigned x = 0; v && x <= top((unsigned)d); x++) {
		bool is;

		dimension(n->field, x, &r, text);
		is = wr_filter_test(p->f, node, &r.ev);
		if (is && !was)
			from = x;
		else if (!is && was)
			add_span(v, from, x - 1);
		was = is;
	}
	if (v && was)
		add_span(v, from, top((unsigned)d));
	return v;
}

static bool same(const struct vals *a, const struct vals *b)
{
	if (a == b)
		return true;
	return a && b && a->n == b->n && a->absent == b->absent &&
	       !memcmp(a->s, b->s, a->n * sizeof(*a->s));
}

/* Adds a term; one that differs from it in one dimension only takes it in. */
static void add_term(struct plan *p, struct terms *to, const struct term *t)
{
	for (unsigned i = 0; i < to->n; i++) {
		unsigned differ = 0, at = 0;

		for (unsigned d = 0; d < WR_G_DIMS && differ < 2; d++) {
			if (!same(to->t[i].v[d], t->v[d])) {
				differ++;
				at = d;
			}
		}
		if (!differ)
			return;
		if (differ == 1) {
			if (to->t[i].v[at] && t->v[at])
				to->t[i].v[at] = either(p, to->t[i].v[at], t->v[at]);
			else
				to->t[i].v[at] = NULL;
			return;
		}
	}
	if (to->n == to->room) {
		struct term *more;

		if (to->n >= MAX_TERMS) {
			fail(p, -E2BIG, "",
				"the expression has too many alternatives when it is multiplied out");
			return;
		}
		more = get(p, (to->room ? to->room * 2 : 8) * sizeof(*more));
		if (!more)
			return;
		if (to->n)
			memcpy(more, to->t, to->n * sizeof(*more));
		to->t = more;
		to->room = to->room ? to->room * 2 : 8;
	}
	to->t[to->n++] = *t;
}

static struct terms expression(struct plan *p, unsigned node, bool not )
{
	struct terms r = {NULL, 0, 0}, a, b;
	struct term t = {{NULL}};
	struct wr_node n;
	unsigned d;

	wr_filter_node(p->f, node, &n);
	if (p->rc)
		return r;
	switch (n.type) {
	case WR_NODE_ALL:
		if (!not )
			add_term(p, &r, &t);
		return r;
	case WR_NODE_NOT:
		return expression(p, n.a, !not );
	case WR_NODE_TEST: {
		const struct vals *v = of_test(p, node, &n, &d);

		if (v && not )
			v = others(p, v, d);
		if (!v || (!v->n && !v->absent))
			return r; /* nothing can match */
		t.v[d] = v;
		add_term(p, &r, &t);
		return r;
	}
	case WR_NODE_AND:
	case WR_NODE_OR:
		break;
	}
	a = expression(p, n.a, not );
	b = expression(p, n.b, not );
	if ((n.type == WR_NODE_OR) != not ) {
		for (unsigned i = 0; i < b.n && !p->rc; i++)
			add_term(p, &a, &b.t[i]);
		return a;
	}
	for (unsigned i = 0; i < a.n; i++) {
		for (unsigned j = 0; j < b.n && !p->rc; j++) {
			bool empty = false;

			for (d = 0; d < WR_G_DIMS; d++) {
				t.v[d] = both(p, a.t[i].v[d], b.t[j].v[d]);
				empty |= t.v[d] && !t.v[d]->n && !t.v[d]->absent;
			}
			if (!empty && !p->rc)
				add_term(p, &r, &t);
		}
	}
	return r;
}

/* The row of this set of terms: one that is there, or a new one. */
static int row_of(struct plan *p, struct wr_g_set *s, unsigned *rows, int16_t *hash,
	const uint64_t w[WR_G_WORDS])
{
	uint64_t h = 0;

	for (unsigned i = 0; i < WR_G_WORDS; i++)
		h = (h ^ w[i]) * 0x9e3779b97f4a7c15ull + (h >> 29);
	for (unsigned i = (unsigned)(h >> 40) % HASH;; i = (i + 1) % HASH) {
		struct wr_g_row *r;

		if (hash[i] >= 0) {
			if (!memcmp(s->row[hash[i]].w, w, sizeof(s->row[0].w)))
				return hash[i];
			continue;
		}
		if (*rows == WR_G_ROWS) {
			fail(p, -E2BIG, "", "the rules together test too many different values");
			return 0;
		}
		hash[i] = (int16_t)*rows;
		r = &s->row[(*rows)++];
		for (unsigned k = 0; k < WR_G_WORDS; k++) {
			r->w[k] = w[k];
			r->words |= w[k] ? 1ull << k : 0;
		}
		return hash[i];
	}
}

static bool contains(const struct vals *v, wr_u128 x)
{
	unsigned lo = 0, hi = v->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (v->s[mid].hi < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < v->n && v->s[lo].lo <= x;
}

static int by_value(const void *a, const void *b)
{
	wr_u128 x = *(const wr_u128 *)a, y = *(const wr_u128 *)b;

	return x < y ? -1 : x > y;
}

/* Puts row @row at [@from, @to] of a dimension that is not an address. */
static void fill(struct wr_g_set *s, unsigned d, unsigned from, unsigned to, uint16_t row)
{
	uint16_t *t = d < WR_G_SMALL	? s->small[d]
		      : d == WR_G_VLAN	? s->vlan
		      : d >= WR_G_BYTES ? s->bytes[d - WR_G_BYTES]
					: s->wide[d - WR_G_SPORT];

	for (unsigned i = from; i <= to; i++)
		t[i] = row;
}

static void fill_address(
	struct plan *p, struct wr_g_addr *a, const wr_u128 *cut, const uint16_t *row, unsigned n)
{
	const wr_u128 base = (wr_u128)0xffff << 32;
	unsigned n4 = 1, at = 0;

	if (n > WR_G_CUTS) {
		fail(p, -E2BIG, "", "the rules together name too many addresses");
		return;
	}
	a->row4[0] = row[0];
	for (unsigned i = 0; i < WR_G_CUTS; i++) {
		unsigned k = wr_min(i, n - 1);
		wr_u128 c = i < n ? cut[i] : ~(wr_u128)0;

		a->cut6[i][0] = (uint64_t)(c >> 64);
		a->cut6[i][1] = (uint64_t)c;
		a->row6[i] = row[k];
		if (i < n && c <= base)
			a->row4[0] = row[k];
		else if (i < n && c - base <= 0xffffffff) {
			a->cut4[n4] = (uint32_t)(c - base);
			a->row4[n4++] = row[k];
		}
	}
	for (unsigned hi = 0; hi < 65536; hi++) {
		while (at + 1 < n4 && a->cut4[at + 1] <= hi << 16)
			at++;
		a->first[hi] = (uint16_t)at;
	}
	a->first[65536] = (uint16_t)(n4 - 1);
}

/* One dimension's table. */
static void table(struct plan *p, struct wr_g_set *s, unsigned d, const struct term *t, unsigned n,
	unsigned *rows, int16_t *hash)
{
	uint64_t w[WR_G_WORDS] = {0};
	unsigned cuts = 1, k = 0;
	uint16_t *row;
	wr_u128 *cut;

	for (unsigned i = 0; i < n; i++)
		cuts += t[i].v[d] ? 2 * t[i].v[d]->n : 0;
	cut = get(p, cuts * sizeof(*cut));
	row = get(p, cuts * sizeof(*row));
	if (!cut || !row)
		return;
	cuts = 1; /* zero is one */
	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; t[i].v[d] && j < t[i].v[d]->n; j++) {
			const struct span *sp = &t[i].v[d]->s[j];

			cut[cuts++] = sp->lo;
			if (sp->hi != top(d))
				cut[cuts++] = sp->hi + 1;
		}
	}
	qsort(cut, cuts, sizeof(*cut), by_value);
	for (unsigned i = 0; i < cuts && !p->rc; i++) {
		uint16_t r;

		if (i && cut[i] == cut[i - 1])
			continue;
		memset(w, 0, sizeof(w));
		for (unsigned j = 0; j < n; j++) {
			if (!t[j].v[d] || contains(t[j].v[d], cut[i]))
				w[j / 64] |= 1ull << (j & 63);
		}
		r = (uint16_t)row_of(p, s, rows, hash, w);
		if (k && row[k - 1] == r)
			continue;
		cut[k] = cut[i];
		row[k++] = r;
	}
	memset(w, 0, sizeof(w));
	for (unsigned j = 0; j < n; j++) {
		if (!t[j].v[d] || t[j].v[d]->absent)
			w[j / 64] |= 1ull << (j & 63);
	}
	*(d < WR_G_BYTES ? &s->absent[d] : &s->bytes[d - WR_G_BYTES][WR_G_NONE]) =
		(uint16_t)row_of(p, s, rows, hash, w);
	if (d == WR_G_SRC || d == WR_G_DST) {
		fill_address(p, &s->addr[d - WR_G_SRC], cut, row, k);
		return;
	}
	for (unsigned i = 0; i < k; i++)
		fill(s, d, (unsigned)cut[i],
			i + 1 < k ? (unsigned)cut[i + 1] - 1 : (unsigned)top(d), row[i]);
}

static uint64_t to_jiffies(uint64_t ns, const struct wr_guard_clock *now)
{
	if (!ns)
		return 0;
	return now->jiffies + (ns > now->ns ? (ns - now->ns + now->tick - 1) / now->tick : 0);
}

/* The kernel ends it, too, when its hours are over: whoever puts it in force again may be late. */
static uint64_t ends(const struct wr_guard_rule *r)
{
	return r->expires && r->until ? wr_min(r->expires, r->until) : wr_max(r->expires, r->until);
}

static void of_rule(
	const struct wr_guard_rule *r, const struct wr_guard_clock *now, struct wr_g_term *t)
{
	uint64_t rate = r->packets ? r->packets : r->bytes;

	*t = (struct wr_g_term){.slot = r->slot,
		.action = (uint8_t)r->action,
		.per = (uint8_t)r->per,
		.mask4 = 0xffffffffull << (32 - wr_min(r->bits4, 32)),
		.bits6 = r->bits6,
		.expires = to_jiffies(ends(r), now)};
	if (!rate)
		return;
	*(r->packets ? &t->packet_cost : &t->byte_cost) = wr_max(256000000000ull / rate, 1ull);
	t->burst = r->burst ? (uint64_t)((wr_u128)256000000000u * r->burst / rate) : 25600000000u;
	if (t->burst < 2560000000u)
		t->burst = 2560000000u; /* the clock that it reads moves in steps of up to 10 ms */
}

int wr_guard_plan(const struct wr_guard_rule *const *rules, unsigned n, uint32_t flags,
	const struct wr_guard_clock *now, struct wr_g_set *ret, unsigned *ret_bad, struct wr_err *e)
{
	static const enum wr_g_action order[] = {
		WR_G_ALLOW, WR_G_DROP, WR_G_REJECT, WR_G_TARPIT, WR_G_COOKIE, WR_G_LIMIT};
	struct plan p = {.e = e, .text = ""};
	struct term *all = get(&p, WR_G_TERMS * sizeof(*all));
	int16_t *hash = get(&p, HASH * sizeof(*hash));
	unsigned terms = 0, rows = 0;
	uint64_t w[WR_G_WORDS] = {0};

	memset(ret, 0, sizeof(*ret));
	for (unsigned a = 0; a < WR_N(order) && !p.rc; a++) {
		for (unsigned i = 0; i < n && !p.rc; i++) {
			struct wr_filter *f = NULL;
			struct terms t;

			if (rules[i]->action != order[a])
				continue;
			*ret_bad = i;
			if (rules[i]->slot < WR_G_SLOTS)
				ret->id[rules[i]->slot] = rules[i]->id;
			if (rules[i]->list) {
				ret->list_slot = rules[i]->slot;
				ret->list_expires = to_jiffies(ends(rules[i]), now);
				flags |= rules[i]->idle ? 0 : WR_G_LIST;
				continue;
			}
			p.rc = wr_filter_compile(&wr_kinds[WR_KIND_packet], rules[i]->text, &f, e);
			if (p.rc)
				break;
			p.f = f;
			p.text = rules[i]->text;
			t = expression(&p, wr_filter_root(f), false);
			wr_filter_free(f);
			if (!p.rc && rules[i]->idle)
				continue;
			if (!p.rc && terms + t.n > WR_G_TERMS)
				fail(&p, -E2BIG, "",
					"the rules together have more than 1,024 alternatives");
			for (unsigned k = 0; k < t.n && !p.rc; k++) {
				of_rule(rules[i], now, &ret->term[terms]);
				all[terms++] = t.t[k];
			}
		}
	}
	if (hash)
		memset(hash, 0xff, HASH * sizeof(*hash));
	for (unsigned i = 0; i < terms; i++)
		w[i / 64] |= 1ull << (i & 63);
	if (!p.rc)
		row_of(&p, ret, &rows, hash, w);
	for (unsigned d = 0; d < WR_G_DIMS && !p.rc; d++) {
		for (unsigned i = 0; i < terms && !(ret->dims >> d & 1); i++)
			ret->dims |= all[i].v[d] ? 1u << d : 0;
		if (ret->dims >> d & 1)
			table(&p, ret, d, all, terms, &rows, hash);
	}
	ret->terms = terms;
	ret->tick = now->tick * 256;
	ret->flags = flags;
	memcpy(ret->test, p.test, sizeof(p.test));
	if (ret->dims >> WR_G_BYTES ||
		ret->dims & (1u << WR_G_FLAGS | 1u << WR_G_ITYPE | 1u << WR_G_ICODE |
				    1u << WR_G_SPORT | 1u << WR_G_DPORT))
		ret->flags |= WR_G_FRAGMENTS;
	while (p.chunks) {
		struct chunk *next = p.chunks->next;

		free(p.chunks);
		p.chunks = next;
	}
	return p.rc;
}
