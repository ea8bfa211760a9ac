/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two libraries of signatures, loaded when there are rules: they are large. Vectorscan searches for
 * thousands of literals in one pass, PCRE2 evaluates expressions within a bound of steps.
 */
#ifndef WR_MATCHER_H
#define WR_MATCHER_H

#include "../base/base.h"

struct wr_matcher;

/* -ENOSYS: one of them is not installed. */
int wr_matcher_open(struct wr_matcher **ret, struct wr_err *e);
void wr_matcher_close(struct wr_matcher *x);

/* Literals, to be searched for in any order. */
struct wr_literal {
	const uint8_t *p;
	size_t n;
	bool nocase;
};
struct wr_literals;
int wr_literals_new(const struct wr_matcher *x, const struct wr_literal *v, uint32_t n,
	struct wr_literals **ret, struct wr_err *e);
void wr_literals_free(struct wr_literals *l);
/* fn() for each place: the number of the literal, and where it ends in @b. */
void wr_literals_find(struct wr_literals *l, struct wr_bytes b,
	void (*fn)(void *ctx, uint32_t literal, size_t end), void *ctx);

/* @flags: of "imsxAEG" (Perl's, and PCRE's anchored, dollar at the end only, not greedy). */
int wr_regex_new(const struct wr_matcher *x, struct wr_str pattern, const char *flags, void **ret,
	struct wr_err *e);
void wr_regex_free(const struct wr_matcher *x, void *regex);
/* The end of the first match in @b; -ENOENT: there is none, -E2BIG: it takes too long. */
ssize_t wr_regex_find(const struct wr_matcher *x, const void *regex, struct wr_bytes b);

#endif
