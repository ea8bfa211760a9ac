// SPDX-License-Identifier: Apache-2.0
#include "opt.h"

static int set_one(const struct wr_opt *o, void *to, struct wr_str v, struct wr_err *e)
{
	char *at = (char *)to + o->off;
	uint64_t n = 0;
	int rc = 0;

	switch ((enum wr_opt_type)o->type) {
	case WR_OPT_BOOL:
		if (!v.n || wr_str_eq(v, WR_STR("true")) || wr_str_eq(v, WR_STR("yes")) ||
			wr_str_eq(v, WR_STR("on")))
			*(bool *)at = true;
		else if (wr_str_eq(v, WR_STR("false")) || wr_str_eq(v, WR_STR("no")) ||
			 wr_str_eq(v, WR_STR("off")))
			*(bool *)at = false;
		else
			return wr_fail(e, -EINVAL, "'%s' is true or false, not '%.*s'", o->name,
				(int)v.n, v.p);
		return 0;
	case WR_OPT_TEXT:
		*(const char **)(void *)at = v.p;
		return 0;
	case WR_OPT_U64:
		rc = wr_parse_u64(v, &n);
		break;
	case WR_OPT_DURATION:
		rc = wr_parse_duration(v, &n);
		break;
	case WR_OPT_SIZE:
		rc = wr_parse_size(v, &n);
		break;
	}
	if (rc)
		return wr_fail(e, -EINVAL, "'%s' wants %s, not '%.*s'", o->name,
			o->type == WR_OPT_U64	 ? "a number"
			: o->type == WR_OPT_SIZE ? "a size like 64k or 1GiB"
						 : "a duration like 500ms, 10s or 2h",
			(int)v.n, v.p);
	if (n < o->min || (o->max && n > o->max))
		return wr_fail(e, -EINVAL,
			"'%s' must be between %" PRIu64 " and %" PRIu64 ", not '%.*s'", o->name,
			o->min, o->max, (int)v.n, v.p);
	*(uint64_t *)(void *)at = n;
	return 0;
}

void wr_opt_defaults(const struct wr_opts *o, void *to)
{
	for (unsigned i = 0; i < o->n; i++) {
		if (o->v[i].def)
			set_one(&o->v[i], to, wr_str(o->v[i].def), NULL);
	}
}

static const struct wr_opt *find(const struct wr_opts *o, struct wr_str name)
{
	for (unsigned i = 0; i < o->n; i++) {
		if (wr_str_eq(name, wr_str(o->v[i].name)))
			return &o->v[i];
	}
	return NULL;
}

static const char *near(const struct wr_opts *o, struct wr_str name, unsigned *min)
{
	const char *best = NULL;

	for (unsigned i = 0; i < o->n; i++) {
		unsigned d = wr_distance(name, wr_str(o->v[i].name), *min);

		if (d < *min) {
			*min = d;
			best = o->v[i].name;
		}
	}
	return best;
}

int wr_opt_set(const struct wr_opts *o, void *to, struct wr_str name, struct wr_str value,
	struct wr_err *e)
{
	const struct wr_opt *row = find(o, name);
	unsigned min = 4;
	const char *best;

	if (row)
		return set_one(row, to, value, e);
	best = near(o, name, &min);
	return wr_fail(e, -ENOENT, "there is no option '%.*s'%s%s%s", (int)name.n, name.p,
		best ? "; did you mean '" : "", best ? best : "", best ? "'?" : "");
}

static const struct wr_opt *by_letter(const struct wr_opts *o, char c)
{
	for (unsigned i = 0; i < o->n; i++) {
		if (o->v[i].letter == c)
			return &o->v[i];
	}
	return NULL;
}

static int parse(const struct wr_opt_set *sets, unsigned n_sets, int argc, char **argv,
	bool command, struct wr_err *e)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *eq;
		const struct wr_opt *row = NULL;
		struct wr_str name, value = {NULL, 0};
		unsigned s, min = 4;
		const char *best = NULL;
		bool has_value = false;
		int rc;

		bool other = command && (a[0] != '-' || !a[1]);

		if (other || !strcmp(a, "--")) {
			for (i += !other; i < argc; i++)
				argv[n++] = argv[i];
			break;
		}
		if (a[0] != '-' || !a[1]) { /* "-" is a file: standard input or output */
			argv[n++] = argv[i];
			continue;
		}
		if (a[1] == '-') {
			eq = strchr(a, '=');
			name = (struct wr_str){a + 2, eq ? (size_t)(eq - a - 2) : strlen(a + 2)};
			for (s = 0; s < n_sets && !row; s++)
				row = find(&sets[s].o, name);
			if (eq) {
				value = wr_str(eq + 1);
				has_value = true;
			}
		} else {
			name = (struct wr_str){a + 1, 1};
			for (s = 0; s < n_sets && !row; s++)
				row = by_letter(&sets[s].o, a[1]);
			if (a[2]) {
				value = wr_str(a + 2);
				has_value = true;
			}
		}
		if (!row) {
			for (unsigned k = 0; k < n_sets && name.n > 1; k++) {
				const char *b = near(&sets[k].o, name, &min);

				best = b ? b : best;
			}
			return wr_fail(e, -EINVAL, "unknown option '%s'%s%s%s", a,
				best ? "; did you mean '--" : "", best ? best : "",
				best ? "'?" : "");
		}
		s--;
		if (row->type != WR_OPT_BOOL && !has_value) {
			if (i + 1 >= argc)
				return wr_fail(
					e, -EINVAL, "option '%s' wants a value: %s", a, row->value);
			value = wr_str(argv[++i]);
		}
		rc = set_one(row, sets[s].to, value, e);
		if (rc)
			return rc;
	}
	return n;
}

int wr_opt_parse(
	const struct wr_opt_set *sets, unsigned n_sets, int argc, char **argv, struct wr_err *e)
{
	return parse(sets, n_sets, argc, argv, false, e);
}

int wr_opt_parse_command(
	const struct wr_opt_set *sets, unsigned n_sets, int argc, char **argv, struct wr_err *e)
{
	return parse(sets, n_sets, argc, argv, true, e);
}

void wr_opt_help(const struct wr_opts *o, struct wr_buf *b)
{
	for (unsigned i = 0; i < o->n; i++) {
		const struct wr_opt *r = &o->v[i];
		char left[64];

		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", r->letter ? '-' : ' ',
			r->letter ? r->letter : ' ', r->letter ? "," : " ", r->name,
			r->value ? " " : "", r->value ? r->value : "");
		wr_buf_printf(b, "  %-26s %s", left, r->help);
		if (r->def && r->type != WR_OPT_BOOL)
			wr_buf_printf(b, " [%s]", r->def);
		wr_buf_c(b, '\n');
	}
}

void wr_opt_show(const struct wr_opt *o, const void *from, struct wr_buf *b)
{
	const char *at = (const char *)from + o->off;
	uint64_t v;

	switch ((enum wr_opt_type)o->type) {
	case WR_OPT_BOOL:
		wr_buf_str(b, *(const bool *)at ? WR_STR("true") : WR_STR("false"));
		return;
	case WR_OPT_TEXT:
		wr_buf_str(b, wr_str(*(const char *const *)(const void *)at));
		return;
	case WR_OPT_U64:
	case WR_OPT_SIZE:
		wr_buf_u64(b, *(const uint64_t *)(const void *)at);
		return;
	case WR_OPT_DURATION:
		v = *(const uint64_t *)(const void *)at;
		if (v % 1000000000 == 0)
			wr_buf_printf(b, "%" PRIu64 "s", v / 1000000000);
		else if (v % 1000000 == 0)
			wr_buf_printf(b, "%" PRIu64 "ms", v / 1000000);
		else
			wr_buf_printf(b, "%" PRIu64 "ns", v);
		return;
	}
}
