// SPDX-License-Identifier: Apache-2.0
/*
 * Rules as text (docs.suricata.io "Rules Format", read in November 2026) into rules as they are evaluated. A word
 * that is not known refuses its rule: a rule that is half understood would match what it does not mean.
 */
#include "sign_priv.h"

#include <ctype.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_FILE (256u << 20)
#define MAX_RULE 16384 /* bytes of a rule */
#define MAX_PATTERN 512
#define MAX_REGEX 4096

struct parse {
	struct rules *to;
	const struct wr_matcher *x;
	struct vars vars;
	struct wr_sign_rule *r;
	struct item item[MAX_ITEMS];
	struct bit bit[16];
	uint8_t buffer; /* that the next contents are of */
	bool sticky; /* ... by a word in front of them */
	char why[128]; /* of the refusal; "": none */
};

static bool is(struct wr_str a, const char *b)
{
	return wr_str_eq(a, wr_str(b));
}

static void refuse(struct parse *p, const char *fmt, ...) WR_PRINTF(2, 3);
static void refuse(struct parse *p, const char *fmt, ...)
{
	va_list a;

	if (p->why[0])
		return;
	va_start(a, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, a);
	va_end(a);
}

static struct wr_str trim(struct wr_str s)
{
	while (s.n && isspace((unsigned char)*s.p)) {
		s.p++;
		s.n--;
	}
	while (s.n && isspace((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s;
}

/* The next of a list with @by between; false at its end. */
static bool part(struct wr_str *s, char by, struct wr_str *ret)
{
	const char *c;

	if (!s->p)
		return false;
	c = s->n ? memchr(s->p, by, s->n) : NULL;
	*ret = trim((struct wr_str){s->p, c ? (size_t)(c - s->p) : s->n});
	if (c)
		*s = (struct wr_str){c + 1, s->n - (size_t)(c + 1 - s->p)};
	else
		*s = (struct wr_str){NULL, 0};
	return true;
}

static const char *keep(struct parse *p, struct wr_str s)
{
	char *t = arena_get(&p->to->mem, s.n + 1);

	if (!t)
		refuse(p, "no memory");
	else
		memcpy(t, s.p, s.n);
	return t;
}

static uint64_t number(struct parse *p, struct wr_str s, uint64_t max)
{
	uint64_t v = 0;

	s = trim(s);
	if (wr_parse_u64(s, &v) || v > max) {
		refuse(p, "'%.*s' is not a number that fits", (int)wr_min(s.n, (size_t)32), s.p);
		return 0;
	}
	return v;
}

static int32_t integer(struct parse *p, struct wr_str s)
{
	bool minus;

	s = trim(s);
	minus = s.n && *s.p == '-';
	if (minus) {
		s.p++;
		s.n--;
	}
	return minus ? -(int32_t)number(p, s, 65535) : (int32_t)number(p, s, 65535);
}

static struct item *last(struct parse *p, const char *word)
{
	struct wr_sign_rule *r = p->r;

	if (!r->n_items || p->item[r->n_items - 1].kind != CONTENT) {
		refuse(p, "%s without a content before it", word);
		return NULL;
	}
	return &p->item[r->n_items - 1];
}

static struct item *more(struct parse *p, enum item_kind kind)
{
	struct item *it;

	if (p->r->n_items == MAX_ITEMS) {
		refuse(p, "more than %d contents", MAX_ITEMS);
		return NULL;
	}
	it = &p->item[p->r->n_items++];
	*it = (struct item){.kind = (uint8_t)kind, .buffer = p->buffer};
	return it;
}

/* `!"text"` without its quotes. */
static struct wr_str quoted(struct parse *p, struct wr_str v, bool *ret_negated)
{
	v = trim(v);
	*ret_negated = v.n && *v.p == '!';
	if (*ret_negated)
		v = trim((struct wr_str){v.p + 1, v.n - 1});
	if (v.n < 2 || *v.p != '"') {
		refuse(p, "a text without quotes");
		return (struct wr_str){"", 0};
	}
	if (v.p[v.n - 1] != '"') {
		refuse(p, "something behind a text (the language of Snort 3?)");
		return (struct wr_str){"", 0};
	}
	return (struct wr_str){v.p + 1, v.n - 2};
}

/* "GET |0d 0a|\"" */
static void on_content(struct parse *p, struct wr_str v)
{
	struct item *it = more(p, CONTENT);
	uint8_t b[MAX_PATTERN];
	uint32_t n = 0;
	bool hex = false;

	if (!it)
		return;
	v = quoted(p, v, &it->negated);
	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i];

		if (n == sizeof(b)) {
			refuse(p, "a content of more than %d bytes", MAX_PATTERN);
			return;
		}
		if (c == '|') {
			hex = !hex;
		} else if (hex) {
			if (c == ' ')
				continue;
			if (wr_hex_digit(c) < 0 || i + 1 >= v.n || wr_hex_digit(v.p[i + 1]) < 0) {
				refuse(p, "hexadecimal digits that are none");
				return;
			}
			b[n++] = (uint8_t)(wr_hex_digit(c) << 4 | wr_hex_digit(v.p[++i]));
		} else {
			if (c == '\\' && i + 1 < v.n)
				c = v.p[++i];
			b[n++] = (uint8_t)c;
		}
	}
	if (hex || !n) {
		refuse(p, hex ? "hexadecimal digits without an end" : "an empty content");
		return;
	}
	it->n = n;
	it->pattern = arena_get(&p->to->mem, n);
	if (!it->pattern)
		refuse(p, "no memory");
	else
		memcpy((void *)(uintptr_t)it->pattern, b, n);
}

/* "/expression/imsR" */
static void on_pcre(struct parse *p, struct wr_str v)
{
	struct item *it = more(p, PCRE);
	char flags[16];
	struct wr_err e;
	size_t end, n = 0;
	void **grown;

	if (!it)
		return;
	v = quoted(p, v, &it->negated);
	end = v.n;
	while (end > 1 && v.p[end - 1] != '/')
		end--;
	if (end < 2 || *v.p != '/' || end > MAX_REGEX) {
		refuse(p, "a pcre is \"/expression/\" and flags");
		return;
	}
	for (size_t i = end; i < v.n; i++) {
		static const struct {
			char c;
			uint8_t buffer;
		} of[] = {{'U', B_uri}, {'I', B_raw_uri}, {'P', B_request_body}, {'H', B_headers},
			{'D', B_raw_headers}, {'M', B_method}, {'C', B_cookie}, {'S', B_stat_code},
			{'Y', B_stat_msg}, {'V', B_user_agent}, {'W', B_host},
			{'Q', B_response_body}, {'B', B_raw}};
		bool known = false;

		for (unsigned k = 0; k < WR_N(of); k++) {
			if (of[k].c == v.p[i]) {
				it->buffer = of[k].buffer;
				known = true;
			}
		}
		if (v.p[i] == 'R') {
			it->relative = known = true;
		} else if (!known && strchr("imsxAEG", v.p[i]) && n + 1 < sizeof(flags)) {
			flags[n++] = v.p[i];
			known = true;
		}
		if (!known) {
			refuse(p, "the flag %c of a pcre", v.p[i]);
			return;
		}
	}
	flags[n] = 0;
	if (p->why[0])
		return;
	if (wr_regex_new(p->x, (struct wr_str){v.p + 1, end - 2}, flags, &it->regex, &e)) {
		refuse(p, "%s", e.text);
		return;
	}
	if (p->to->n_regex == p->to->cap_regex) {
		uint32_t cap = p->to->cap_regex ? p->to->cap_regex * 2 : 64;

		grown = wr_realloc(p->to->regex, cap * sizeof(*grown));
		if (!grown) {
			wr_regex_free(p->x, it->regex);
			refuse(p, "no memory");
			return;
		}
		p->to->regex = grown;
		p->to->cap_regex = cap;
	}
	p->to->regex[p->to->n_regex++] = it->regex;
}

static void on_dataat(struct parse *p, struct wr_str v)
{
	struct item *it = more(p, DATAAT);
	struct wr_str w;

	if (!it)
		return;
	v = trim(v);
	if (v.n && *v.p == '!') {
		it->negated = true;
		v = (struct wr_str){v.p + 1, v.n - 1};
	}
	part(&v, ',', &w);
	it->n = (uint32_t)number(p, w, 65535);
	while (part(&v, ',', &w)) {
		if (is(w, "relative"))
			it->relative = true;
		else if (!is(w, "rawbytes"))
			refuse(p, "isdataat: '%.*s'", (int)wr_min(w.n, (size_t)32), w.p);
	}
}

/* What byte_test and byte_jump share: a number's form. */
static void form(struct parse *p, struct item *it, struct wr_str w)
{
	if (is(w, "relative"))
		it->relative = true;
	else if (is(w, "little"))
		it->little = true;
	else if (is(w, "string"))
		it->base = it->base ? it->base : 10;
	else if (is(w, "hex"))
		it->base = 16;
	else if (is(w, "dec"))
		it->base = 10;
	else if (is(w, "oct"))
		it->base = 8;
	else if (w.n > 8 && !memcmp(w.p, "bitmask ", 8))
		it->mask = (uint32_t)number(p, (struct wr_str){w.p + 8, w.n - 8}, UINT32_MAX);
	else if (it->kind == BYTE_JUMP && is(w, "align"))
		it->align = true;
	else if (it->kind == BYTE_JUMP && is(w, "from_beginning"))
		it->from_begin = true;
	else if (it->kind == BYTE_JUMP && w.n > 11 && !memcmp(w.p, "multiplier ", 11))
		it->multiply = (uint32_t)number(p, (struct wr_str){w.p + 11, w.n - 11}, 65535);
	else if (it->kind == BYTE_JUMP && w.n > 12 && !memcmp(w.p, "post_offset ", 12))
		it->post = integer(p, (struct wr_str){w.p + 12, w.n - 12});
	else if (!is(w, "big"))
		refuse(p, "byte_test or byte_jump: '%.*s'", (int)wr_min(w.n, (size_t)32), w.p);
}

/* What stands behind the numbers of @word. */
static void forms(struct parse *p, struct item *it, struct wr_str v, const char *word)
{
	struct wr_str w;

	while (part(&v, ',', &w))
		form(p, it, w);
	if (!it->bytes || (!it->base && it->bytes > 8))
		refuse(p, "%s of %u bytes", word, it->bytes);
}

/* "4,>,1000,20,relative" */
static void on_byte_test(struct parse *p, struct wr_str v)
{
	struct item *it = more(p, BYTE_TEST);
	struct wr_str w;

	if (!it)
		return;
	part(&v, ',', &w);
	it->bytes = (uint8_t)number(p, w, 20);
	if (part(&v, ',', &w) && w.n && *w.p == '!') {
		it->negated = true;
		w = w.n > 1 ? trim((struct wr_str){w.p + 1, w.n - 1}) : WR_STR("=");
	}
	it->op = is(w, "<=") ? 'l' : is(w, ">=") ? 'g' : w.n == 1 ? (uint8_t)*w.p : '?';
	if (!strchr("<>=lg&^", it->op))
		refuse(p, "byte_test: '%.*s'", (int)wr_min(w.n, (size_t)32), w.p);
	if (!part(&v, ',', &w))
		refuse(p, "byte_test without a value");
	else
		it->value = (uint32_t)number(p, w, UINT32_MAX);
	if (!part(&v, ',', &w))
		refuse(p, "byte_test without an offset");
	else
		it->offset = integer(p, w);
	forms(p, it, v, "byte_test");
}

/* "2,10,relative,align" */
static void on_byte_jump(struct parse *p, struct wr_str v)
{
	struct item *it = more(p, BYTE_JUMP);
	struct wr_str w;

	if (!it)
		return;
	it->multiply = 1;
	part(&v, ',', &w);
	it->bytes = (uint8_t)number(p, w, 20);
	if (!part(&v, ',', &w))
		refuse(p, "byte_jump without an offset");
	else
		it->offset = integer(p, w);
	forms(p, it, v, "byte_jump");
}

static void on_flow(struct parse *p, struct wr_str v)
{
	static const char *const none[] = {
		"established", "stateless", "no_stream", "only_stream", "no_frag"};
	struct wr_str w;

	while (part(&v, ',', &w)) {
		bool ok = false;

		for (unsigned i = 0; i < WR_N(none); i++)
			ok |= is(w, none[i]);
		if (is(w, "to_server") || is(w, "from_client"))
			p->r->dirs = 1;
		else if (is(w, "to_client") || is(w, "from_server"))
			p->r->dirs = 2;
		else if (!ok)
			refuse(p, "flow: '%.*s'", (int)wr_min(w.n, (size_t)32), w.p);
	}
}

/* "100", "<100", ">100", "100<>200", "!100" is not known */
static void on_dsize(struct parse *p, struct wr_str v)
{
	const char *between;
	uint32_t *d = p->r->dsize;

	v = trim(v);
	between = v.n > 2 ? memmem(v.p, v.n, "<>", 2) : NULL;
	if (between) {
		d[0] = 1 +
		       (uint32_t)number(p, (struct wr_str){v.p, (size_t)(between - v.p)}, 65535);
		d[1] = (uint32_t)number(
			p, (struct wr_str){between + 2, (size_t)(v.p + v.n - between - 2)}, 65535);
		d[1] -= d[1] > 0;
	} else if (v.n && *v.p == '<') {
		d[1] = (uint32_t)number(p, (struct wr_str){v.p + 1, v.n - 1}, 65535);
		d[1] -= d[1] > 0;
	} else if (v.n && *v.p == '>') {
		d[0] = 1 + (uint32_t)number(p, (struct wr_str){v.p + 1, v.n - 1}, 65535);
	} else {
		d[0] = d[1] = (uint32_t)number(p, v, 65535);
	}
	p->r->late |= d[1] != UINT32_MAX;
}

/* "type limit, track by_src, count 1, seconds 60" */
static void on_threshold(struct parse *p, struct wr_str v, bool filter)
{
	static const char *const types[] = {"", "limit", "threshold", "both"};
	static const char *const tracks[] = {"by_src", "by_dst", "by_both", "by_rule"};
	struct wr_sign_rule *r = p->r;
	struct wr_str w;

	r->threshold = filter ? TH_FILTER : TH_NONE;
	while (part(&v, ',', &w)) {
		struct wr_str word, value = w;

		part(&value, ' ', &word);
		value = trim(value);
		if (is(word, "type")) {
			for (unsigned i = 1; i < WR_N(types); i++)
				r->threshold = is(value, types[i]) ? (uint8_t)i : r->threshold;
		} else if (is(word, "track")) {
			unsigned i = 0;

			while (i < WR_N(tracks) && !is(value, tracks[i]))
				i++;
			if (i == WR_N(tracks))
				refuse(p, "threshold: track '%.*s'",
					(int)wr_min(value.n, (size_t)32), value.p);
			r->track = (uint8_t)i;
		} else if (is(word, "count")) {
			r->count = (uint32_t)number(p, value, 1000000);
		} else if (is(word, "seconds")) {
			r->seconds = (uint32_t)number(p, value, 30 * 86400);
		} else {
			refuse(p, "threshold: '%.*s'", (int)wr_min(w.n, (size_t)32), w.p);
		}
	}
	if (!r->threshold || !r->count || !r->seconds)
		refuse(p, "a threshold has a type, count and seconds");
}

static void on_flowbits(struct parse *p, struct wr_str v)
{
	static const char *const ops[] = {"set", "unset", "toggle", "isset", "isnotset"};
	struct wr_sign_rule *r = p->r;
	struct rules *to = p->to;
	struct wr_str op, name, *grown;
	unsigned k = 0;
	uint32_t i = 0;

	part(&v, ',', &op);
	if (is(op, "noalert")) {
		r->noalert = true;
		return;
	}
	while (k < WR_N(ops) && !is(op, ops[k]))
		k++;
	if (k == WR_N(ops) || !part(&v, ',', &name) || !name.n || memchr(name.p, '|', name.n)) {
		refuse(p, "flowbits: %.*s", (int)wr_min(op.n, (size_t)32), op.p);
		return;
	}
	if (r->n_bits == WR_N(p->bit)) {
		refuse(p, "more than %zu flowbits", WR_N(p->bit));
		return;
	}
	while (i < to->n_bits && !wr_str_eq(to->bits[i], name))
		i++;
	if (i == to->n_bits) {
		if (i == UINT16_MAX || !(grown = wr_realloc(to->bits, (i + 1) * sizeof(*grown)))) {
			refuse(p, "too many flowbits");
			return;
		}
		to->bits = grown;
		to->bits[i] = (struct wr_str){keep(p, name), name.n};
		to->n_bits++;
	}
	p->bit[r->n_bits++] = (struct bit){(uint8_t)k, (uint16_t)i};
}

static void on_class(struct parse *p, struct wr_str v)
{
	static const char first
		[] = " attempted-admin attempted-user successful-admin successful-user trojan-activity "
		     "unsuccessful-user web-application-attack policy-violation shellcode-detect "
		     "inappropriate-content targeted-activity exploit-kit domain-c2 credential-theft "
		     "command-and-control ",
	   second[] = " attempted-dos attempted-recon bad-unknown default-login-attempt "
		      "denial-of-service misc-attack non-standard-protocol rpc-portmap-decode "
		      "successful-dos successful-recon-largescale successful-recon-limited "
		      "suspicious-filename-detect suspicious-login system-call-detect "
		      "unusual-client-port-connection web-application-activity external-ip-check "
		      "pup-activity social-engineering coin-mining ";
	char word[66];

	v = trim(v);
	p->r->class = keep(p, v);
	snprintf(word, sizeof(word), " %.*s ", (int)wr_min(v.n, (size_t)60), v.p);
	if (!p->r->priority)
		p->r->priority = strstr(first, word) ? 1 : strstr(second, word) ? 2 : 3;
}

/* "..., mitre_technique_id T1059, ..." */
static void on_metadata(struct parse *p, struct wr_str v)
{
	struct wr_str w;

	while (part(&v, ',', &w)) {
		if (w.n > 19 && !memcmp(w.p, "mitre_technique_id ", 19))
			p->r->technique = keep(
				p, trim((struct wr_str){w.p + 19, wr_min(w.n - 19, (size_t)16)}));
	}
}

static bool place(struct parse *p, struct wr_str name, struct wr_str v)
{
	static const char *const words[] = {"offset", "depth", "distance", "within", "nocase",
		"startswith", "endswith", "fast_pattern"};
	struct item *it;
	unsigned k = 0;

	while (k < WR_N(words) && !is(name, words[k]))
		k++;
	if (k == WR_N(words))
		return false;
	it = last(p, words[k]);
	if (!it)
		return true;
	switch (k) {
	case 0:
		it->offset = integer(p, v);
		break;
	case 1:
		it->depth = integer(p, v);
		it->has_depth = true;
		break;
	case 2:
		it->distance = integer(p, v);
		it->relative = true;
		break;
	case 3:
		it->within = integer(p, v);
		it->relative = it->has_within = true;
		break;
	case 4:
		it->nocase = true;
		break;
	case 5:
		it->starts = it->has_depth = true;
		it->depth = (int32_t)it->n;
		break;
	case 6:
		it->ends = true;
		break;
	default:
		it->fast = true;
	}
	return true;
}

static bool buffer_word(struct parse *p, struct wr_str name)
{
	static const char *const today[] =
		{
#define WR_BUFFER(id, keyword, old) keyword,
#include "buffers.def"
#undef WR_BUFFER
		},
				 *const behind[] = {
#define WR_BUFFER(id, keyword, old) old,
#include "buffers.def"
#undef WR_BUFFER
				 };

	for (unsigned i = 0; i < N_BUFFERS; i++) {
		if (is(name, today[i])) {
			p->buffer = (uint8_t)i;
			return true;
		}
		if (is(name, behind[i]) && i) {
			struct item *it;

			/* file_data and dns_query stood in front */
			if (i == B_file_data || i == B_query || i == B_sni) {
				p->buffer = (uint8_t)i;
				return true;
			}
			it = last(p, behind[i]);
			if (it)
				it->buffer = (uint8_t)i;
			return true;
		}
	}
	return false;
}

static void option(struct parse *p, struct wr_str name, struct wr_str v)
{
	static const char *const told[] = {"gid", "target", "rawbytes"};
	struct wr_sign_rule *r = p->r;
	bool negated;

	for (unsigned i = 0; i < WR_N(told); i++) {
		if (is(name, told[i]))
			return;
	}
	if (place(p, name, v) || buffer_word(p, name))
		return;
	if (is(name, "msg"))
		r->message = keep(p, quoted(p, v, &negated));
	else if (is(name, "sid"))
		r->sid = (uint32_t)number(p, v, UINT32_MAX);
	else if (is(name, "rev"))
		r->rev = (uint32_t)number(p, v, UINT32_MAX);
	else if (is(name, "priority"))
		r->priority = (uint8_t)number(p, v, 255);
	else if (is(name, "classtype"))
		on_class(p, v);
	else if (is(name, "reference"))
		r->reference = r->reference ? r->reference : keep(p, trim(v));
	else if (is(name, "metadata"))
		on_metadata(p, v);
	else if (is(name, "content"))
		on_content(p, v);
	else if (is(name, "pcre"))
		on_pcre(p, v);
	else if (is(name, "isdataat"))
		on_dataat(p, v);
	else if (is(name, "byte_test"))
		on_byte_test(p, v);
	else if (is(name, "byte_jump"))
		on_byte_jump(p, v);
	else if (is(name, "flow"))
		on_flow(p, v);
	else if (is(name, "dsize"))
		on_dsize(p, v);
	else if (is(name, "threshold") || is(name, "detection_filter"))
		on_threshold(p, v, is(name, "detection_filter"));
	else if (is(name, "flowbits"))
		on_flowbits(p, v);
	else if (is(name, "noalert"))
		r->noalert = true;
	else
		refuse(p, "the word %.*s", (int)wr_min(name.n, (size_t)48), name.p);
}

/* "name:value; name; ..." */
static const char *options(struct parse *p, struct wr_str s)
{
	while ((s = trim(s)).n) {
		bool in = false;
		size_t i = 0, colon = SIZE_MAX;

		for (; i < s.n && (in || s.p[i] != ';'); i++) {
			if (s.p[i] == '\\' && i + 1 < s.n)
				i++;
			else if (s.p[i] == '"')
				in = !in;
			else if (s.p[i] == ':' && colon == SIZE_MAX && !in)
				colon = i;
		}
		if (in)
			return "a text without its closing quote";
		if (i >= s.n)
			return "an option without ';' behind it";
		if (colon == SIZE_MAX)
			option(p, trim((struct wr_str){s.p, i}), (struct wr_str){"", 0});
		else
			option(p, trim((struct wr_str){s.p, colon}),
				(struct wr_str){s.p + colon + 1, i - colon - 1});
		s = (struct wr_str){s.p + i + 1, s.n - i - 1};
	}
	return NULL;
}

/* The words of the header: spaces within brackets do not end one. */
static bool word(struct wr_str *s, struct wr_str *ret)
{
	size_t i = 0;
	unsigned open = 0;

	*s = trim(*s);
	for (; i < s->n && (open || !isspace((unsigned char)s->p[i])); i++) {
		open += s->p[i] == '[';
		open -= s->p[i] == ']' && open;
	}
	*ret = (struct wr_str){s->p, i};
	*s = (struct wr_str){s->p + i, s->n - i};
	return i;
}

static void transport(struct parse *p, struct wr_str proto)
{
	static const char *const tcp[] = {"tcp", "tcp-pkt", "tcp-stream"};
	static const char *const names[][2] = {{"http", "http"}, {"http1", "http"}, {"dns", "dns"},
		{"tls", "tls"}, {"ssl", "tls"}, {"ssh", "ssh"}, {"ftp", "ftp"}, {"smtp", "smtp"},
		{"smb", "smb"}, {"nfs", "nfs"}, {"rdp", "rdp"}, {"mqtt", "mqtt"}, {"ldap", "ldap"},
		{"modbus", "modbus"}, {"http2", "http2"}, {"quic", "quic"}, {"dhcp", "dhcp"},
		{"ntp", "ntp"}, {"pgsql", "postgresql"}, {"websocket", "websocket"}};
	struct wr_sign_rule *r = p->r;

	for (unsigned i = 0; i < WR_N(tcp); i++) {
		if (is(proto, tcp[i]))
			r->over = 1;
	}
	if (is(proto, "udp"))
		r->over = 2;
	else if (is(proto, "ip"))
		r->over = 3;
	for (unsigned i = 0; i < WR_N(names) && !r->over; i++) {
		if (is(proto, names[i][0])) {
			r->over = 3;
			r->protocol = names[i][1];
		}
	}
	if (!r->over)
		refuse(p, "the protocol %.*s", (int)wr_min(proto.n, (size_t)32), proto.p);
}

static void networks(struct parse *p, struct wr_str s, bool ports, struct ranges *ret)
{
	const char *why = ranges_parse(&p->to->mem, &p->vars, s, ports, ret);

	if (why)
		refuse(p, "%.*s: %s", (int)wr_min(s.n, (size_t)48), s.p, why);
}

/* What follows from its items. */
static void finish(struct parse *p)
{
	struct wr_sign_rule *r = p->r;
	struct item *items;
	struct bit *bits;

	r->floats = r->dsize[0] == 0 && r->dsize[1] == UINT32_MAX;
	for (unsigned i = 0; i < r->n_items; i++) {
		const struct item *it = &p->item[i];

		r->late |= it->negated || it->ends;
		r->views |= it->buffer != B_raw;
		r->floats &= it->buffer == B_raw && !it->offset && !it->has_depth && !it->ends &&
			     (it->kind == CONTENT || it->relative) && !it->from_begin &&
			     (i || it->kind == CONTENT);
	}
	if (!r->n_items && !r->n_bits)
		refuse(p, "no content: nothing to look for in what is sent");
	items = arena_get(&p->to->mem, r->n_items * sizeof(*items));
	bits = arena_get(&p->to->mem, r->n_bits * sizeof(*bits));
	if (!items || !bits) {
		refuse(p, "no memory");
		return;
	}
	memcpy(items, p->item, r->n_items * sizeof(*items));
	memcpy(bits, p->bit, r->n_bits * sizeof(*bits));
	r->items = items;
	r->bits = bits;
	r->priority = r->priority ? r->priority : 3;
}

/* What is not a rule at all is told; NULL: it is one, of which p->why may refuse. */
static const char *rule(struct parse *p, struct wr_str s)
{
	static const char *const actions[] = {
		"alert", "drop", "reject", "rejectsrc", "rejectdst", "rejectboth"};
	struct wr_str w[7];
	const char *open = memchr(s.p, '(', s.n), *why;
	struct wr_str head = {s.p, open ? (size_t)(open - s.p) : 0};
	unsigned k = 0;

	s = trim(s);
	if (!open || s.p[s.n - 1] != ')')
		return "not a rule: HEADER (OPTIONS) is one";
	for (unsigned i = 0; i < 7; i++) {
		if (!word(&head, &w[i]))
			return "not a rule: its header is ACTION PROTOCOL ADDRESS PORT -> ADDRESS PORT";
	}
	if (trim(head).n || (!is(w[4], "->") && !is(w[4], "<>")))
		return "not a rule: its header is ACTION PROTOCOL ADDRESS PORT -> ADDRESS PORT";
	while (k < WR_N(actions) && !is(w[0], actions[k]))
		k++;
	if (k == WR_N(actions)) {
		if (!is(w[0], "pass") && !is(w[0], "config"))
			return "not a rule: it begins with alert, drop or reject";
		refuse(p, "the action %.*s", (int)w[0].n, w[0].p);
	}
	p->r->dirs = 3;
	p->r->dsize[1] = UINT32_MAX;
	p->r->both_ways = is(w[4], "<>");
	transport(p, w[1]);
	networks(p, w[2], false, &p->r->src);
	networks(p, w[3], true, &p->r->sport);
	networks(p, w[5], false, &p->r->dst);
	networks(p, w[6], true, &p->r->dport);
	why = options(p, (struct wr_str){open + 1, (size_t)(s.p + s.n - 1 - (open + 1))});
	if (why)
		return why;
	if (!p->r->sid)
		return "a rule without sid";
	if (!p->why[0])
		finish(p);
	return NULL;
}

static bool variable(struct parse *p, struct wr_str s, const char **ret_why)
{
	struct wr_str w, name, value;

	if (!word(&s, &w) || (!is(w, "ipvar") && !is(w, "portvar") && !is(w, "var")))
		return false;
	value = (struct wr_str){"", 0};
	if (word(&s, &name))
		value = trim(s);
	if (!value.n || !vars_set(&p->vars, name, value))
		*ret_why = "a variable is: ipvar NAME VALUE (of at most 511 bytes; at most 64)";
	return true;
}

static int one(struct parse *p, const char *path, unsigned line, struct wr_str s,
	void (*refused)(void *ctx, const struct wr_sign_refusal *r), void *ctx, struct wr_err *e)
{
	struct rules *to = p->to;
	const char *why = NULL;

	if (variable(p, s, &why))
		return why ? wr_fail(e, -EINVAL, "%s:%u: %s", path, line, why) : 0;
	if (to->n == MAX_RULES)
		return wr_fail(e, -E2BIG, "%s:%u: more than %d rules", path, line, MAX_RULES);
	if (to->n == to->cap) {
		uint32_t cap = to->cap ? to->cap * 2 : 256;
		void *v = wr_realloc(to->v, cap * sizeof(*to->v));

		if (!v)
			return wr_fail(e, -ENOMEM, "no memory");
		to->v = v;
		to->cap = cap;
	}
	p->r = arena_get(&to->mem, sizeof(*p->r));
	if (!p->r)
		return wr_fail(e, -ENOMEM, "no memory");
	p->buffer = B_raw;
	p->why[0] = 0;
	why = rule(p, s);
	if (why)
		return wr_fail(e, -EINVAL, "%s:%u: %s", path, line, why);
	if (p->why[0]) {
		struct wr_sign_refusal f = {path, line, p->r->sid, p->why};

		to->refused++;
		if (refused)
			refused(ctx, &f);
		return 0;
	}
	p->r->index = to->n;
	to->v[to->n++] = p->r;
	return 0;
}

static char *contents(const char *path, size_t *ret_n, struct wr_err *e)
{
	wr_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &st)) {
		wr_fail(e, -errno, "detect.signatures: cannot open %s: %s", path, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE) {
		wr_fail(e, -E2BIG, "detect.signatures: %s is %s", path,
			S_ISREG(st.st_mode) ? "larger than 256 MiB" : "no regular file");
		errno = EINVAL;
		return NULL;
	}
	text = wr_alloc((size_t)st.st_size + 1);
	while (text && n < (size_t)st.st_size) {
		ssize_t k = read(fd, text + n, (size_t)st.st_size - n);

		if (k <= 0)
			break;
		n += (size_t)k;
	}
	if (!text) {
		wr_fail(e, -ENOMEM, "no memory");
		errno = ENOMEM;
	}
	*ret_n = n;
	return text;
}

int rules_read(struct rules *r, const struct wr_matcher *x, const char *path,
	void (*refused)(void *ctx, const struct wr_sign_refusal *r), void *ctx, struct wr_err *e)
{
	struct parse *p = wr_alloc(sizeof(*p));
	struct wr_buf b = WR_BUF(MAX_RULE);
	unsigned line = 0, first = 1;
	wr_free_ char *text = NULL;
	size_t n = 0, at = 0;
	int rc = 0;

	if (!p)
		return wr_fail(e, -ENOMEM, "no memory");
	text = contents(path, &n, e);
	if (!text) {
		free(p);
		return -errno;
	}
	p->to = r;
	p->x = x;
	vars_default(&p->vars);
	while (at < n && !rc) {
		char *lf = memchr(text + at, '\n', n - at);
		struct wr_str s =
			trim((struct wr_str){text + at, lf ? (size_t)(lf - text) - at : n - at});
		bool goes_on = s.n && s.p[s.n - 1] == '\\';

		at = lf ? (size_t)(lf - text) + 1 : n;
		line++;
		if (!b.n)
			first = line;
		if (!b.n && s.n && *s.p == '#')
			continue;
		wr_buf_put(&b, s.p, goes_on ? s.n - 1 : s.n);
		if (goes_on && at < n)
			continue;
		if (b.cut)
			rc = wr_fail(e, -E2BIG, "%s:%u: a rule of more than %d bytes", path, first,
				MAX_RULE);
		else if (b.n && memchr(b.p, 0, b.n))
			rc = wr_fail(e, -EINVAL, "%s:%u: not text", path, first);
		else if (b.n)
			rc = one(p, path, first, wr_buf_view(&b), refused, ctx, e);
		b.n = 0;
		b.cut = false;
	}
	wr_buf_free(&b);
	free(p);
	return rc;
}

void rules_free(struct rules *r, const struct wr_matcher *x)
{
	for (uint32_t i = 0; i < r->n_regex; i++)
		wr_regex_free(x, r->regex[i]);
	free(r->regex);
	free(r->bits);
	free(r->v);
	arena_free(&r->mem);
	memset(r, 0, sizeof(*r));
}
