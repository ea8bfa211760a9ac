// SPDX-License-Identifier: Apache-2.0
#include "filter.h"

#include <ctype.h>
#include <regex.h>

enum op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_RE, OP_NRE, OP_HAS };
enum node_type { N_AND, N_OR, N_NOT, N_TEST };

struct node {
	uint8_t type, op, field;
	uint8_t len; /* of bytes at @off: @lo under the mask @hi; 0: not of bytes */
	uint16_t a, b, off;
	uint64_t lo, hi;
	double f;
	struct wr_ip ip, mask;
	char *text;
	char *member; /* of a field of JSON: of this name in it; NULL: the whole */
	regex_t *re;
};

struct wr_filter {
	const struct wr_kind *k;
	struct node node[WR_MAX_NODES];
	unsigned n;
	uint16_t root;
	bool any; /* empty expression */
};

struct lex {
	const char *s;
	size_t at; /* where the present token begins */
	size_t next; /* behind it */
	char type; /* 'w' word, 'q' quoted, 'o' operator, '(' ')' ',' and 0 for the end */
	enum op op;
	struct wr_str tok;
	char unquoted[256];
};

struct parse {
	struct lex l;
	struct wr_filter *f;
	struct wr_err *e;
	unsigned depth;
	/* "name[off:len]": of the test that is read; len 0: as long as the value */
	bool slice;
	struct wr_str member; /* "field.member" of JSON: of the test that is read; empty: none */
	uint16_t off;
	uint8_t len;
};

static int fail(struct parse *p, size_t at, const char *fmt, ...) WR_PRINTF(3, 4);
static int fail(struct parse *p, size_t at, const char *fmt, ...)
{
	va_list ap;

	if (p->e) {
		va_start(ap, fmt);
		vsnprintf(p->e->text, sizeof(p->e->text), fmt, ap);
		va_end(ap);
		p->e->at = at;
	}
	return -EINVAL;
}

static bool word_char(char c)
{
	return c && !isspace((unsigned char)c) && !strchr("()=<>!~,\"'&|", c);
}

static int lex(struct parse *p)
{
	struct lex *l = &p->l;
	const char *s = l->s;
	size_t i = l->next, n = 0;

	while (isspace((unsigned char)s[i]))
		i++;
	l->at = i;
	l->type = 'o';
	switch (s[i]) {
	case 0:
		l->type = 0;
		l->next = i;
		return 0;
	case '(':
	case ')':
	case ',':
		l->type = s[i];
		l->next = i + 1;
		return 0;
	case '&':
	case '|':
		if (s[i + 1] != s[i])
			return fail(p, i, "expected '%c%c'", s[i], s[i]);
		l->type = 'w';
		l->tok = s[i] == '&' ? WR_STR("and") : WR_STR("or");
		l->next = i + 2;
		return 0;
	case '=':
		l->op = OP_EQ;
		l->next = i + (s[i + 1] == '=' ? 2 : 1);
		return 0;
	case '<':
		l->op = s[i + 1] == '=' ? OP_LE : OP_LT;
		l->next = i + (s[i + 1] == '=' ? 2 : 1);
		return 0;
	case '>':
		l->op = s[i + 1] == '=' ? OP_GE : OP_GT;
		l->next = i + (s[i + 1] == '=' ? 2 : 1);
		return 0;
	case '~':
		l->op = OP_RE;
		l->next = i + 1;
		return 0;
	case '!':
		if (s[i + 1] == '=' || s[i + 1] == '~') {
			l->op = s[i + 1] == '=' ? OP_NE : OP_NRE;
			l->next = i + 2;
			return 0;
		}
		l->type = 'w';
		l->tok = WR_STR("not");
		l->next = i + 1;
		return 0;
	case '"':
	case '\'': {
		char q = s[i++];

		for (; s[i] && s[i] != q; i++) {
			if (s[i] == '\\' && s[i + 1])
				i++;
			if (n + 1 >= sizeof(l->unquoted))
				return fail(p, l->at, "text of more than %zu bytes",
					sizeof(l->unquoted) - 1);
			l->unquoted[n++] = s[i];
		}
		if (!s[i])
			return fail(p, l->at, "the quote is not closed");
		l->unquoted[n] = 0;
		l->type = 'q';
		l->tok = (struct wr_str){l->unquoted, n};
		l->next = i + 1;
		return 0;
	}
	}
	while (word_char(s[i]))
		i++;
	l->type = 'w';
	l->tok = (struct wr_str){s + l->at, i - l->at};
	l->next = i;
	return 0;
}

static bool is_word(const struct lex *l, const char *w)
{
	return l->type == 'w' && l->tok.n == strlen(w) && !strncasecmp(l->tok.p, w, l->tok.n);
}

/* NULL when there are too many; the error is set. */
static struct node *node_new(struct parse *p)
{
	if (p->f->n >= WR_MAX_NODES) {
		fail(p, p->l.at, "the expression has more than %u tests", WR_MAX_NODES);
		return NULL;
	}
	return memset(&p->f->node[p->f->n++], 0, sizeof(struct node));
}

static int node_join(struct parse *p, enum node_type t, uint16_t a, uint16_t b, uint16_t *ret)
{
	struct node *n = node_new(p);

	if (!n)
		return -EINVAL;
	n->type = (uint8_t)t;
	n->a = a;
	n->b = b;
	*ret = (uint16_t)(n - p->f->node);
	return 0;
}

static int number(const struct wr_field *f, struct wr_str s, uint64_t *ret)
{
	uint64_t ns;

	if (!wr_parse_u64(s, ret))
		return 0;
	if (!strcmp(f->unit, "us") && !wr_parse_duration(s, &ns)) {
		*ret = ns / 1000;
		return 0;
	}
	if (!strcmp(f->unit, "ms") && !wr_parse_duration(s, &ns)) {
		*ret = ns / 1000000;
		return 0;
	}
	return wr_parse_size(s, ret);
}

/* "0x12ab", "7" or text as the bytes that it stands for, the first one highest; how many. 0: it is none. */
static unsigned bytes_of(struct wr_str v, bool quoted, unsigned len, uint64_t *ret)
{
	uint64_t x = 0;

	*ret = 0;
	if (!quoted && v.n >= 2 && v.p[0] == '0' && (v.p[1] | 32) == 'x') {
		unsigned n = (unsigned)(v.n - 2 + 1) / 2;

		for (size_t i = 2; i < v.n; i++) {
			int d = wr_hex_digit(v.p[i]);

			if (d < 0 || n > 8)
				return 0;
			x = x << 4 | (unsigned)d;
		}
		len = len ? len : n;
		if (!n || n > len)
			return 0;
	} else if (!quoted && !wr_parse_u64(v, &x)) {
		len = len ? len : 1;
		if (len < 8 && x >> 8 * len)
			return 0;
	} else {
		if (!v.n || v.n > 8 || (len && v.n != len))
			return 0;
		for (size_t i = 0; i < v.n; i++)
			x = x << 8 | (uint8_t)v.p[i];
		len = (unsigned)v.n;
	}
	*ret = x << (64 - 8 * len);
	return len;
}

/* The value of a test of bytes. */
static int test_bytes(struct parse *p, struct node *n)
{
	struct wr_str v = p->l.tok, mask = {NULL, 0};
	bool quoted = p->l.type == 'q';
	const char *slash = quoted ? NULL : memchr(v.p, '/', v.n);
	unsigned len;

	if (n->op != OP_EQ && n->op != OP_NE)
		return fail(p, p->l.at, "bytes at a place are tested with = or !=");
	if (slash) {
		mask = (struct wr_str){slash + 1, v.n - (size_t)(slash - v.p) - 1};
		v.n = (size_t)(slash - v.p);
	}
	len = bytes_of(v, quoted, p->len, &n->lo);
	n->hi = len ? ~0ull << (64 - 8 * len) : 0;
	if (!len || (slash && !bytes_of(mask, false, len, &n->hi)))
		return fail(p, p->l.at,
			"'%.*s' is not %s: write 0x..., 0xVALUE/0xMASK, a number or text, at most 8 bytes",
			(int)p->l.tok.n, p->l.tok.p,
			p->len ? "as many bytes as the brackets say" : "bytes");
	n->lo &= n->hi;
	n->off = p->off;
	n->len = (uint8_t)len;
	return 0;
}

/* "[4]", "[0:4]" behind a name: false: it is none. Takes them off the name. */
static bool slice(struct parse *p, struct wr_str *name)
{
	const char *open = memchr(name->p, '[', name->n);
	uint64_t off, len = 0;
	struct wr_str in;
	const char *colon;

	if (!open || name->p[name->n - 1] != ']')
		return false;
	in = (struct wr_str){open + 1, (size_t)(name->p + name->n - open) - 2};
	name->n = (size_t)(open - name->p);
	colon = memchr(in.p, ':', in.n);
	if (colon && (wr_parse_u64((struct wr_str){colon + 1, (size_t)(in.p + in.n - colon) - 1},
			      &len) ||
			     !len))
		return false;
	if (colon)
		in.n = (size_t)(colon - in.p);
	if (wr_parse_u64(in, &off) || off > 65527 || len > 8)
		return false;
	p->slice = true;
	p->off = (uint16_t)off;
	p->len = (uint8_t)len;
	return true;
}

/* 1: all is said, it is an order of numbers; 0: the rest is as of any text. */
static int member(struct parse *p, struct node *n)
{
	struct wr_str v = p->l.tok;
	char number[40], *end = number;

	n->member = wr_alloc(p->member.n + 1);
	if (!n->member)
		return -ENOMEM;
	wr_copy(n->member, p->member.n + 1, p->member);
	if (n->op == OP_EQ || n->op == OP_NE || n->op == OP_RE || n->op == OP_NRE ||
		n->op == OP_HAS)
		return 0;
	if (v.n && wr_copy(number, sizeof(number), v)) {
		n->f = strtod(number, &end);
		if (!*end)
			return 1;
	}
	return fail(p, p->l.at, "'%.*s' is not a number", (int)v.n, v.p);
}

/* One test of one field against the present token. */
static int test_one(struct parse *p, unsigned field, enum op op, uint16_t *ret)
{
	const struct wr_field *f = &p->f->k->fields[field];
	struct wr_str v = p->l.tok;
	struct node *n;
	const char *dash;
	int rc;

	if (p->l.type != 'w' && p->l.type != 'q')
		return fail(p, p->l.at, "expected a value for '%s'", f->name);
	n = node_new(p);
	if (!n)
		return -EINVAL;
	n->type = N_TEST;
	n->op = (uint8_t)op;
	n->field = (uint8_t)field;
	*ret = (uint16_t)(n - p->f->node);
	if (p->slice)
		return test_bytes(p, n);
	if (p->member.n) {
		rc = member(p, n);
		if (rc)
			return wr_min(rc, 0);
	}
	if (op == OP_RE || op == OP_NRE) {
		char pat[256], why[128];

		if (f->type != WR_STRING && f->type != WR_JSON)
			return fail(p, p->l.at, "'~' is for text, '%s' is not", f->name);
		wr_copy(pat, sizeof(pat), v);
		n->re = wr_alloc(sizeof(*n->re));
		if (!n->re)
			return -ENOMEM;
		rc = regcomp(n->re, pat, REG_EXTENDED | REG_NOSUB);
		if (rc) {
			regerror(rc, n->re, why, sizeof(why));
			free(n->re);
			n->re = NULL;
			return fail(p, p->l.at, "bad regular expression: %s", why);
		}
		return 0;
	}
	switch ((enum wr_type)f->type) {
	case WR_U64:
		if (!number(f, v, &n->lo)) {
			n->hi = n->lo;
			return 0;
		}
		dash = memchr(v.p, '-', v.n);
		if (dash && (op == OP_EQ || op == OP_NE) &&
			!number(f, (struct wr_str){v.p, (size_t)(dash - v.p)}, &n->lo) &&
			!number(f, (struct wr_str){dash + 1, v.n - (size_t)(dash - v.p) - 1},
				&n->hi)) {
			if (n->lo > n->hi)
				return fail(p, p->l.at, "the range '%.*s' is empty", (int)v.n, v.p);
			return 0;
		}
		return fail(p, p->l.at, "'%s' is a number%s%s, '%.*s' is not", f->name,
			f->unit[0] ? " in " : "", f->unit, (int)v.n, v.p);
	case WR_F64: {
		char t[64], *end;

		wr_copy(t, sizeof(t), v);
		n->f = strtod(t, &end);
		if (*end || end == t)
			return fail(p, p->l.at, "'%s' is a number, '%.*s' is not", f->name,
				(int)v.n, v.p);
		return 0;
	}
	case WR_BOOL:
		n->lo = wr_str_eq(v, WR_STR("true")) || wr_str_eq(v, WR_STR("1"));
		if (!n->lo && !wr_str_eq(v, WR_STR("false")) && !wr_str_eq(v, WR_STR("0")))
			return fail(p, p->l.at, "'%s' is true or false", f->name);
		n->hi = n->lo;
		return 0;
	case WR_ADDR:
		if (op != OP_EQ && op != OP_NE)
			return fail(p, p->l.at, "addresses have no order; use = != or in");
		if (wr_ip_parse(v, &n->ip, &n->mask))
			return fail(
				p, p->l.at, "'%.*s' is not an address or network", (int)v.n, v.p);
		return 0;
	case WR_TIME:
		return fail(p, p->l.at, "use --since and --until for times");
	case WR_STRING:
	case WR_JSON:
		if (op != OP_EQ && op != OP_NE)
			return fail(p, p->l.at, "'%s' is text: use = != or ~", f->name);
		n->text = wr_alloc(v.n + 1);
		if (!n->text)
			return -ENOMEM;
		wr_copy(n->text, v.n + 1, v);
		return 0;
	}
	return 0;
}

/* Fields that a name stands for: one, or one of each end. 0 = unknown. */
static unsigned resolve(const struct wr_kind *k, struct wr_str name, unsigned out[2])
{
	char t[96];
	int f = wr_field_find(k, name), a, b;

	if (f >= 0) {
		out[0] = (unsigned)f;
		return 1;
	}
	if (name.n > 64)
		return 0;
	if (wr_str_eq(name, WR_STR("host")) || wr_str_eq(name, WR_STR("net")) ||
		wr_str_eq(name, WR_STR("ip6")))
		name = WR_STR("ip");
	if (wr_str_eq(name, WR_STR("portrange")))
		name = WR_STR("port");
	if (wr_str_eq(name, WR_STR("proto"))) {
		f = wr_field_find(k, WR_STR("transport"));
		out[0] = (unsigned)f;
		return f >= 0;
	}
	if (wr_str_eq(name, WR_STR("src")) || wr_str_eq(name, WR_STR("dst")) ||
		wr_str_eq(name, wr_str(k->end_a)) || wr_str_eq(name, wr_str(k->end_b))) {
		bool first = wr_str_eq(name, WR_STR("src")) || wr_str_eq(name, wr_str(k->end_a));

		snprintf(t, sizeof(t), "%s.ip", first ? k->end_a : k->end_b);
		f = wr_field_find(k, wr_str(t));
		out[0] = (unsigned)f;
		return f >= 0;
	}
	/* "src.port" where the ends have other names */
	if (name.n > 4 && (!memcmp(name.p, "src.", 4) || !memcmp(name.p, "dst.", 4))) {
		snprintf(t, sizeof(t), "%s.%.*s", name.p[0] == 's' ? k->end_a : k->end_b,
			(int)name.n - 4, name.p + 4);
		f = wr_field_find(k, wr_str(t));
		out[0] = (unsigned)f;
		return f >= 0;
	}
	snprintf(t, sizeof(t), "%s.%.*s", k->end_a, (int)name.n, name.p);
	a = wr_field_find(k, wr_str(t));
	snprintf(t, sizeof(t), "%s.%.*s", k->end_b, (int)name.n, name.p);
	b = wr_field_find(k, wr_str(t));
	if (a < 0 || b < 0)
		return 0;
	out[0] = (unsigned)a;
	out[1] = (unsigned)b;
	return 2;
}

/* The present token is the value; tests one or both fields. "!=" on both ends means neither. */
static int test(struct parse *p, const unsigned *field, unsigned n, enum op op, uint16_t *ret)
{
	enum op each = n == 2 && op == OP_NE ? OP_EQ : n == 2 && op == OP_NRE ? OP_RE : op;
	uint16_t a, b;
	int rc;

	rc = test_one(p, field[0], each, &a);
	if (!rc && n == 2) {
		rc = test_one(p, field[1], each, &b);
		if (!rc)
			rc = node_join(p, N_OR, a, b, &a);
		if (!rc && each != op)
			rc = node_join(p, N_NOT, a, 0, &a);
	}
	*ret = a;
	return rc ? rc : lex(p);
}

/* "host" is the record's host and, before an address, the pcap word for either end's address. */
static unsigned host_is_address(
	const struct parse *p, struct wr_str name, unsigned field[2], unsigned n)
{
	struct wr_str v = p->l.tok;

	if (!wr_str_eq(name, WR_STR("host")) || p->l.type != 'w' || !v.n ||
		!(isdigit((unsigned char)v.p[0]) || memchr(v.p, ':', v.n)))
		return n;
	return resolve(p->f->k, WR_STR("ip"), field);
}

static int has(struct parse *p, const unsigned *field, unsigned n, uint16_t *ret)
{
	uint16_t id[2] = {0, 0};

	for (unsigned i = 0; i < n; i++) {
		const struct wr_field *f = &p->f->k->fields[field[i]];
		struct node *t = node_new(p);

		if (!t)
			return -EINVAL;
		t->type = N_TEST;
		t->field = (uint8_t)field[i];
		t->op = f->type == WR_BOOL ? OP_EQ : OP_HAS;
		t->lo = t->hi = 1;
		if (p->member.n) {
			int rc = member(p, t);

			if (rc)
				return rc;
		}
		if (p->slice) { /* whatever they are */
			t->op = OP_EQ;
			t->lo = t->hi = 0;
			t->off = p->off;
			t->len = p->len ? p->len : 1;
		}
		id[i] = (uint16_t)(t - p->f->node);
	}
	*ret = id[0];
	return n == 2 ? node_join(p, N_OR, id[0], id[1], ret) : 0;
}

static bool joins(const struct lex *l)
{
	return l->type == 0 || l->type == ')' || l->type == ',' || is_word(l, "and") ||
	       is_word(l, "or") || is_word(l, "not");
}

static int parse_or(struct parse *p, uint16_t *ret);

static int parse_test(struct parse *p, uint16_t *ret)
{
	static const char *const protos[] = {"tcp", "udp", "icmp", "icmp6", "sctp", "gre", "esp"};
	struct wr_str name = p->l.tok;
	size_t at = p->l.at;
	unsigned field[2], n;
	char dotted[96];
	uint16_t more;
	enum op op;
	int rc;

	if (p->l.type != 'w')
		return fail(p, at,
			p->l.type ? "expected a field name"
				  : "expected a field name, found the end");
	rc = lex(p);
	if (rc)
		return rc;
	/* a protocol alone */
	for (unsigned i = 0; i < WR_N(protos); i++) {
		if (wr_str_eq(name, wr_str(protos[i])) && (joins(&p->l) || p->l.type == 'w')) {
			int f = wr_field_find(p->f->k, WR_STR("transport"));
			struct node *t;

			if (f < 0)
				break;
			t = node_new(p);
			if (!t)
				return -EINVAL;
			t->type = N_TEST;
			t->op = OP_EQ;
			t->field = (uint8_t)f;
			t->text = strdup(protos[i]);
			*ret = (uint16_t)(t - p->f->node);
			return t->text ? 0 : -ENOMEM;
		}
	}
	/* "src port 80", "dst host 1.2.3.4" */
	if ((wr_str_eq(name, WR_STR("src")) || wr_str_eq(name, WR_STR("dst"))) &&
		p->l.type == 'w' &&
		(is_word(&p->l, "port") || is_word(&p->l, "host") || is_word(&p->l, "net"))) {
		snprintf(dotted, sizeof(dotted), "%.*s.%s", (int)name.n, name.p,
			is_word(&p->l, "port") ? "port" : "ip");
		name = wr_str(dotted);
		rc = lex(p);
		if (rc)
			return rc;
	}
	p->slice = false;
	if (memchr(name.p, '[', name.n)) {
		if (!slice(p, &name))
			return fail(p, at,
				"bytes are NAME[OFFSET:LENGTH], of at most 8, as in payload[0:2] = 0x1603");
		snprintf(dotted, sizeof(dotted), "%.*s.data", (int)wr_min(name.n, (size_t)64),
			name.p);
		name = wr_str(dotted);
	}
	n = resolve(p->f->k, name, field);
	p->member = (struct wr_str){"", 0};
	if (!n) {
		int f = wr_field_member(p->f->k, name, &p->member);

		field[0] = (unsigned)f;
		n = f >= 0;
	}
	if (!n) {
		const char *near = wr_field_near(p->f->k, name);

		return fail(p, at, "a %s record has no field '%.*s'%s%s%s", p->f->k->name,
			(int)name.n, name.p, near ? "; did you mean '" : "", near ? near : "",
			near ? "'?" : "");
	}
	if (p->l.type == 'o') {
		op = p->l.op;
		rc = lex(p);
		n = host_is_address(p, name, field, n);
		return rc ? rc : test(p, field, n, op, ret);
	}
	if (is_word(&p->l, "in")) {
		rc = lex(p);
		if (rc)
			return rc;
		n = host_is_address(p, name, field, n);
		if (p->l.type != '(')
			return test(p, field, n, OP_EQ, ret);
		do {
			rc = lex(p);
			n = host_is_address(p, name, field, n);
			if (!rc)
				rc = test(p, field, n, OP_EQ, &more);
			if (rc)
				return rc;
			if (*ret == UINT16_MAX)
				*ret = more;
			else if ((rc = node_join(p, N_OR, *ret, more, ret)))
				return rc;
		} while (p->l.type == ',');
		if (p->l.type != ')')
			return fail(p, p->l.at, "expected ',' or ')'");
		return lex(p);
	}
	if (joins(&p->l))
		return has(p, field, n, ret);
	n = host_is_address(p, name, field, n);
	return test(p, field, n, OP_EQ, ret);
}

static int parse_not(struct parse *p, uint16_t *ret)
{
	bool negate = false;
	int rc = 0;

	if (++p->depth > 64)
		return fail(p, p->l.at, "more than 64 levels of parentheses");
	while (is_word(&p->l, "not")) {
		negate = !negate;
		rc = lex(p);
		if (rc)
			return rc;
	}
	*ret = UINT16_MAX;
	if (p->l.type == '(') {
		size_t at = p->l.at;

		rc = lex(p);
		if (!rc)
			rc = parse_or(p, ret);
		if (!rc && p->l.type != ')')
			rc = fail(p, at, "the parenthesis is not closed");
		if (!rc)
			rc = lex(p);
	} else {
		rc = parse_test(p, ret);
	}
	if (!rc && negate)
		rc = node_join(p, N_NOT, *ret, 0, ret);
	p->depth--;
	return rc;
}

static int parse_and(struct parse *p, uint16_t *ret)
{
	uint16_t b;
	int rc = parse_not(p, ret);

	while (!rc && p->l.type && p->l.type != ')' && p->l.type != ',' && !is_word(&p->l, "or")) {
		if (is_word(&p->l, "and"))
			rc = lex(p);
		else if (p->l.type == 'o' || p->l.type == 'q')
			return fail(p, p->l.at, "expected 'and' or 'or'");
		if (!rc)
			rc = parse_not(p, &b);
		if (!rc)
			rc = node_join(p, N_AND, *ret, b, ret);
	}
	return rc;
}

static int parse_or(struct parse *p, uint16_t *ret)
{
	uint16_t b;
	int rc = parse_and(p, ret);

	while (!rc && is_word(&p->l, "or")) {
		rc = lex(p);
		if (!rc)
			rc = parse_and(p, &b);
		if (!rc)
			rc = node_join(p, N_OR, *ret, b, ret);
	}
	return rc;
}

int wr_filter_compile(
	const struct wr_kind *k, const char *expr, struct wr_filter **ret, struct wr_err *e)
{
	struct parse p = {.l.s = expr ? expr : "", .e = e};
	int rc;

	if (expr && strlen(expr) > WR_MAX_EXPR)
		return wr_fail(e, -EINVAL, "an expression of more than %u bytes", WR_MAX_EXPR);
	p.f = wr_alloc(sizeof(*p.f));
	if (!p.f)
		return wr_fail(e, -ENOMEM, "no memory");
	p.f->k = k;
	rc = lex(&p);
	if (!rc && !p.l.type)
		p.f->any = true;
	else if (!rc)
		rc = parse_or(&p, &p.f->root);
	if (!rc && p.l.type)
		rc = fail(
			&p, p.l.at, "unexpected '%.*s'", (int)(p.l.next - p.l.at), p.l.s + p.l.at);
	if (rc) {
		if (rc == -ENOMEM)
			wr_fail(e, rc, "no memory");
		wr_filter_free(p.f);
		return rc;
	}
	*ret = p.f;
	return 0;
}

void wr_filter_free(struct wr_filter *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->n; i++) {
		free(f->node[i].text);
		free(f->node[i].member);
		if (f->node[i].re) {
			regfree(f->node[i].re);
			free(f->node[i].re);
		}
	}
	free(f);
}

static bool order(enum op op, double v, double want)
{
	switch (op) {
	case OP_EQ:
		return v == want;
	case OP_NE:
		return v != want;
	case OP_LT:
		return v < want;
	case OP_LE:
		return v <= want;
	case OP_GT:
		return v > want;
	case OP_GE:
		return v >= want;
	default:
		return false;
	}
}

static bool test_match(const struct wr_filter *f, const struct node *n, const struct wr_event *e)
{
	const struct wr_field *fd = &f->k->fields[n->field];
	const void *at = wr_ev_at(e, fd);
	uint64_t v;

	if (!wr_ev_has(e, n->field))
		return false;
	if (n->len) {
		const struct wr_str *s = at;

		if (s->n < (size_t)n->off + n->len)
			return false;
		v = 0;
		for (unsigned i = 0; i < n->len; i++)
			v |= (uint64_t)(uint8_t)s->p[n->off + i] << (56 - 8 * i);
		return ((v & n->hi) == n->lo) == (n->op == OP_EQ);
	}
	if (n->op == OP_HAS && !n->member)
		return true;
	switch ((enum wr_type)fd->type) {
	case WR_U64:
	case WR_BOOL:
	case WR_TIME:
		v = *(const uint64_t *)at;
		switch ((enum op)n->op) {
		case OP_EQ:
			return v >= n->lo && v <= n->hi;
		case OP_NE:
			return v < n->lo || v > n->hi;
		case OP_LT:
			return v < n->lo;
		case OP_LE:
			return v <= n->lo;
		case OP_GT:
			return v > n->lo;
		case OP_GE:
			return v >= n->lo;
		default:
			return false;
		}
	case WR_F64:
		return order((enum op)n->op, *(const double *)at, n->f);
	case WR_ADDR:
		return wr_ip_in(at, &n->ip, &n->mask) == (n->op == OP_EQ);
	case WR_STRING:
	case WR_JSON: {
		struct wr_str s = *(const struct wr_str *)at;
		regmatch_t m = {.rm_so = 0};
		char buf[1024], number[40];

		if (n->member) {
			s = wr_json_member(s, wr_str(n->member), buf, sizeof(buf));
			if (!s.n || n->op == OP_HAS)
				return s.n;
			if (n->op >= OP_LT && n->op <= OP_GE)
				return wr_copy(number, sizeof(number), s) &&
				       order((enum op)n->op, strtod(number, NULL), n->f);
		}
		m.rm_eo = (regoff_t)s.n;
		if (n->re)
			return !regexec(n->re, s.p ? s.p : "", 1, &m, REG_STARTEND) ==
			       (n->op == OP_RE);
		return wr_str_eq(s, wr_str(n->text)) == (n->op == OP_EQ);
	}
	}
	return false;
}

static bool node_match(const struct wr_filter *f, uint16_t i, const struct wr_event *e)
{
	const struct node *n = &f->node[i];

	switch ((enum node_type)n->type) {
	case N_AND:
		return node_match(f, n->a, e) && node_match(f, n->b, e);
	case N_OR:
		return node_match(f, n->a, e) || node_match(f, n->b, e);
	case N_NOT:
		return !node_match(f, n->a, e);
	case N_TEST:
		return test_match(f, n, e);
	}
	return false;
}

bool wr_filter_match(const struct wr_filter *f, const struct wr_event *e)
{
	return !f || f->any || node_match(f, f->root, e);
}

unsigned wr_filter_root(const struct wr_filter *f)
{
	return f && !f->any ? f->root : 0;
}

void wr_filter_node(const struct wr_filter *f, unsigned node, struct wr_node *ret)
{
	const struct node *n;

	*ret = (struct wr_node){.type = WR_NODE_ALL};
	if (!f || f->any || node >= f->n)
		return;
	n = &f->node[node];
	*ret = (struct wr_node){
		.type = n->type == N_AND   ? WR_NODE_AND
			: n->type == N_OR  ? WR_NODE_OR
			: n->type == N_NOT ? WR_NODE_NOT
					   : WR_NODE_TEST,
		.a = n->a,
		.b = n->b,
		.field = n->field,
		.present = n->op == OP_HAS,
		.ip = n->ip,
		.mask = n->mask,
		.differs = n->op == OP_NE,
		.lo = n->lo,
		.hi = n->hi,
		.len = n->len,
		.off = n->off,
	};
	if (n->op == OP_GE || n->op == OP_GT)
		ret->hi = UINT64_MAX;
	if (n->op == OP_GT && ++ret->lo == 0)
		ret->hi = 0, ret->lo = 1;
	if (n->op == OP_LE || n->op == OP_LT)
		ret->lo = 0;
	if (n->op == OP_LE || (n->op == OP_LT && n->lo))
		ret->hi = n->op == OP_LE ? n->lo : n->lo - 1;
	else if (n->op == OP_LT)
		ret->lo = 1, ret->hi = 0;
	if (n->op == OP_HAS)
		ret->lo = 0, ret->hi = UINT64_MAX;
}

bool wr_filter_test(const struct wr_filter *f, unsigned node, const struct wr_event *e)
{
	return node_match(f, (uint16_t)node, e);
}

void wr_filter_need(const struct wr_filter *f, uint64_t need[2])
{
	for (unsigned i = 0; f && i < f->n; i++) {
		if (f->node[i].type == N_TEST)
			need[f->node[i].field >> 6] |= 1ull << (f->node[i].field & 63);
	}
}

void wr_filter_explain(const struct wr_err *e, const char *expr, struct wr_buf *b)
{
	wr_buf_printf(b, "filter: %s\n  ", e->text);
	wr_buf_text(b, wr_str(expr), 512);
	wr_buf_lit(b, "\n  ");
	for (size_t i = 0; i < e->at && i < 512; i++)
		wr_buf_c(b, ' ');
	wr_buf_lit(b, "^\n");
}

/* "src.ip = X or dst.ip = X": both tests are the same but for the end */
static bool same_test(const struct wr_filter *f, const struct node *n, const struct node **ret)
{
	const struct node *a = &f->node[n->a], *b = &f->node[n->b];
	const char *x, *y;

	if (n->type == N_TEST) {
		*ret = n;
		return true;
	}
	if (n->type != N_OR || a->type != N_TEST || b->type != N_TEST || a->op != b->op)
		return false;
	x = strrchr(f->k->fields[a->field].name, '.');
	y = strrchr(f->k->fields[b->field].name, '.');
	if (!x || !y || strcmp(x, y) || a->lo != b->lo || a->hi != b->hi || a->len != b->len ||
		a->off != b->off || memcmp(&a->ip, &b->ip, 16) || memcmp(&a->mask, &b->mask, 16) ||
		!!a->text != !!b->text || (a->text && strcmp(a->text, b->text)))
		return false;
	*ret = a;
	return true;
}

static void hint_node(const struct wr_filter *f, uint16_t i, struct wr_filter_hint *h)
{
	const struct node *n = &f->node[i], *t;
	const char *name, *last;

	if (n->type == N_AND) {
		hint_node(f, n->a, h);
		hint_node(f, n->b, h);
		return;
	}
	if (!same_test(f, n, &t) || t->op != OP_EQ) {
		h->exact = false;
		return;
	}
	name = f->k->fields[t->field].name;
	last = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
	if (n->type == N_TEST && strcmp(name, last))
		h->exact = false; /* one end only: the kernel looks at either */
	if (!strcmp(last, "port") && !h->port_hi && t->hi <= 65535 && t->hi) {
		h->port_lo = (uint16_t)t->lo;
		h->port_hi = (uint16_t)t->hi;
	} else if (!strcmp(last, "ip") && !h->addr_on) {
		h->addr_on = true;
		h->addr = t->ip;
		h->mask = t->mask;
	} else if (!strcmp(last, "pid") && t->lo == t->hi && !h->pid) {
		h->pid = (uint32_t)t->lo;
	} else if (!strcmp(last, "process") && strlen(t->text) < sizeof(h->process) - 1 &&
		   !h->process[0]) {
		wr_copy(h->process, sizeof(h->process), wr_str(t->text));
	} else if (!strcmp(last, "transport") && !h->proto) {
		h->proto = !strcmp(t->text, "tcp") ? 6 : !strcmp(t->text, "udp") ? 17 : 0;
		if (!h->proto)
			h->exact = false;
	} else {
		h->exact = false;
	}
}

void wr_filter_hint(const struct wr_filter *f, struct wr_filter_hint *ret)
{
	*ret = (struct wr_filter_hint){.exact = true};
	if (f && !f->any)
		hint_node(f, f->root, ret);
}
