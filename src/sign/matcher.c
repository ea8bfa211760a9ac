// SPDX-License-Identifier: Apache-2.0
#define PCRE2_CODE_UNIT_WIDTH 8
#include "matcher.h"

#include <dlfcn.h>
#include <hs/hs.h>
#include <pcre2.h>

#define MATCH_LIMIT 100000 /* of an expression; more: given up */
#define MATCH_HEAP 1024 /* KiB */

/* What is taken of a library: the type is that of its header. */
#define HS_FNS(F)                                                                                  \
	F(hs_compile_lit_multi)                                                                    \
	F(hs_free_compile_error)                                                                   \
	F(hs_free_database)                                                                        \
	F(hs_alloc_scratch)                                                                        \
	F(hs_free_scratch)                                                                         \
	F(hs_scan)
#define PCRE_FNS(F)                                                                                \
	F(pcre2_compile_8)                                                                         \
	F(pcre2_code_free_8)                                                                       \
	F(pcre2_get_error_message_8)                                                               \
	F(pcre2_match_context_create_8)                                                            \
	F(pcre2_match_context_free_8)                                                              \
	F(pcre2_set_match_limit_8)                                                                 \
	F(pcre2_set_heap_limit_8)                                                                  \
	F(pcre2_match_data_create_8)                                                               \
	F(pcre2_match_data_free_8)                                                                 \
	F(pcre2_get_ovector_pointer_8)                                                             \
	F(pcre2_match_8)

struct wr_matcher {
	void *lib[2];
	pcre2_match_context *context;
	pcre2_match_data *data;
#define F(name) __typeof__(&name) name;
	HS_FNS(F) PCRE_FNS(F)
#undef F
};

struct wr_literals {
	const struct wr_matcher *x;
	hs_database_t *db;
	hs_scratch_t *scratch;
	void (*fn)(void *ctx, uint32_t literal, size_t end);
	void *ctx;
};

static int fetch(void *lib, const char *name, void *to)
{
	*(void **)to = dlsym(lib, name);
	return *(void **)to ? 0 : -ENOSYS;
}

int wr_matcher_open(struct wr_matcher **ret, struct wr_err *e)
{
	struct wr_matcher *x = wr_alloc(sizeof(*x));
	int rc = 0;

	if (!x)
		return wr_fail(e, -ENOMEM, "no memory");
	x->lib[0] = dlopen("libhs.so.5", RTLD_NOW | RTLD_LOCAL);
	x->lib[1] = x->lib[0] ? dlopen("libpcre2-8.so.0", RTLD_NOW | RTLD_LOCAL) : NULL;
	if (!x->lib[1]) {
		rc = wr_fail(e, -ENOSYS, "signatures need %s: %s",
			x->lib[0] ? "PCRE2 (package libpcre2-8-0)"
				  : "Vectorscan (package libvectorscan5)",
			dlerror());
		goto fail;
	}
#define F(name) rc |= fetch(x->lib[0], #name, &x->name);
	HS_FNS(F)
#undef F
#define F(name) rc |= fetch(x->lib[1], #name, &x->name);
	PCRE_FNS(F)
#undef F
	if (rc) {
		rc = wr_fail(e, -ENOSYS, "signatures: Vectorscan or PCRE2 lacks a function");
		goto fail;
	}
	x->context = x->pcre2_match_context_create_8(NULL);
	x->data = x->pcre2_match_data_create_8(1, NULL);
	if (!x->context || !x->data) {
		rc = wr_fail(e, -ENOMEM, "no memory");
		goto fail;
	}
	x->pcre2_set_match_limit_8(x->context, MATCH_LIMIT);
	x->pcre2_set_heap_limit_8(x->context, MATCH_HEAP);
	*ret = x;
	return 0;
fail:
	wr_matcher_close(x);
	return rc;
}

void wr_matcher_close(struct wr_matcher *x)
{
	if (!x)
		return;
	if (x->data)
		x->pcre2_match_data_free_8(x->data);
	if (x->context)
		x->pcre2_match_context_free_8(x->context);
	for (unsigned i = 0; i < 2; i++) {
		if (x->lib[i])
			dlclose(x->lib[i]);
	}
	free(x);
}

int wr_literals_new(const struct wr_matcher *x, const struct wr_literal *v, uint32_t n,
	struct wr_literals **ret, struct wr_err *e)
{
	struct wr_literals *l = wr_alloc(sizeof(*l));
	wr_free_ const char **p = wr_alloc(n * sizeof(*p));
	wr_free_ size_t *len = wr_alloc(n * sizeof(*len));
	wr_free_ unsigned *flags = wr_alloc(n * sizeof(*flags));
	wr_free_ unsigned *id = wr_alloc(n * sizeof(*id));
	hs_compile_error_t *why = NULL;
	int rc = 0;

	if (!l || !p || !len || !flags || !id) {
		free(l);
		return wr_fail(e, -ENOMEM, "no memory");
	}
	for (uint32_t i = 0; i < n; i++) {
		p[i] = (const char *)v[i].p;
		len[i] = v[i].n;
		flags[i] = v[i].nocase ? HS_FLAG_CASELESS : 0;
		id[i] = i;
	}
	l->x = x;
	if (x->hs_compile_lit_multi(p, flags, id, len, n, HS_MODE_BLOCK, NULL, &l->db, &why))
		rc = wr_fail(e, -EINVAL, "Vectorscan: %s", why ? why->message : "no database");
	else if (x->hs_alloc_scratch(l->db, &l->scratch))
		rc = wr_fail(e, -ENOMEM, "no memory");
	if (why)
		x->hs_free_compile_error(why);
	if (rc)
		wr_literals_free(l);
	else
		*ret = l;
	return rc;
}

void wr_literals_free(struct wr_literals *l)
{
	if (!l)
		return;
	if (l->scratch)
		l->x->hs_free_scratch(l->scratch);
	if (l->db)
		l->x->hs_free_database(l->db);
	free(l);
}

static int found(
	unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *ctx)
{
	struct wr_literals *l = ctx;

	(void)from;
	(void)flags;
	l->fn(l->ctx, id, (size_t)to);
	return 0;
}

void wr_literals_find(struct wr_literals *l, struct wr_bytes b,
	void (*fn)(void *ctx, uint32_t literal, size_t end), void *ctx)
{
	l->fn = fn;
	l->ctx = ctx;
	l->x->hs_scan(l->db, (const char *)b.p, (unsigned)b.n, 0, l->scratch, found, l);
}

int wr_regex_new(const struct wr_matcher *x, struct wr_str pattern, const char *flags, void **ret,
	struct wr_err *e)
{
	static const struct {
		char c;
		uint32_t option;
	} known[] = {{'i', PCRE2_CASELESS}, {'m', PCRE2_MULTILINE}, {'s', PCRE2_DOTALL},
		{'x', PCRE2_EXTENDED}, {'A', PCRE2_ANCHORED}, {'E', PCRE2_DOLLAR_ENDONLY},
		{'G', PCRE2_UNGREEDY}};
	uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C;
	PCRE2_UCHAR text[128];
	PCRE2_SIZE at;
	int why;

	for (; *flags; flags++) {
		for (unsigned i = 0; i < WR_N(known); i++)
			options |= known[i].c == *flags ? known[i].option : 0;
	}
	*ret = x->pcre2_compile_8((PCRE2_SPTR)pattern.p, pattern.n, options, &why, &at, NULL);
	if (*ret)
		return 0;
	x->pcre2_get_error_message_8(why, text, sizeof(text));
	return wr_fail(e, -EINVAL, "pcre: %s at character %zu", (char *)text, (size_t)at + 1);
}

void wr_regex_free(const struct wr_matcher *x, void *regex)
{
	x->pcre2_code_free_8(regex);
}

ssize_t wr_regex_find(const struct wr_matcher *x, const void *regex, struct wr_bytes b)
{
	int rc = x->pcre2_match_8(regex, (PCRE2_SPTR)b.p, b.n, 0, 0, x->data, x->context);

	if (rc >= 0)
		return (ssize_t)x->pcre2_get_ovector_pointer_8(x->data)[1];
	return rc == PCRE2_ERROR_NOMATCH ? -ENOENT : -E2BIG;
}
