// SPDX-License-Identifier: Apache-2.0
/*
 * Does a rule match? Its items one after the other; where an item counts from the one before, each place of that
 * one is tried. Steps are bounded: a rule cannot make the agent stand still.
 */
#include "sign_priv.h"

#include <ctype.h>
#include <strings.h>

/* The first place of the pattern in [@from, @to) of @b; -1: none. */
static ssize_t find(struct wr_bytes b, size_t from, size_t to, const struct item *it)
{
	const uint8_t *p;

	if (to > b.n)
		to = b.n;
	if (it->n > to || from > to - it->n)
		return -1;
	if (!it->nocase) {
		p = memmem(b.p + from, to - from, it->pattern, it->n);
		return p ? p - b.p : -1;
	}
	for (size_t i = from; i + it->n <= to; i++) {
		size_t k = 0;

		while (k < it->n && tolower(b.p[i + k]) == tolower(it->pattern[k]))
			k++;
		if (k == it->n)
			return (ssize_t)i;
	}
	return -1;
}

/* Where an item may be: [lo, hi) of @b; @pos: where the one before ended. */
static void bounds(
	const struct item *it, struct wr_bytes b, size_t pos, size_t *ret_lo, size_t *ret_hi)
{
	int64_t lo = it->offset, hi = (int64_t)b.n;

	if (it->has_depth)
		hi = wr_min(hi, (int64_t)it->offset + it->depth);
	if (it->relative) {
		lo = wr_max(lo, (int64_t)pos + it->distance);
		if (it->has_within)
			hi = wr_min(hi, (int64_t)pos + it->distance + it->within);
	}
	if (it->ends)
		lo = wr_max(lo, (int64_t)b.n - it->n);
	*ret_lo = (size_t)wr_max(lo, (int64_t)0);
	*ret_hi = (size_t)wr_max(hi, (int64_t)0);
}

/* The number at @at; false: it is not there. */
static bool number(const struct item *it, struct wr_bytes b, int64_t at, uint64_t *ret)
{
	uint64_t v = 0;

	if (at < 0 || at + it->bytes > (int64_t)b.n)
		return false;
	if (it->base) {
		char t[24] = "", *end;

		memcpy(t, b.p + at, wr_min((size_t)it->bytes, sizeof(t) - 1));
		v = strtoull(t, &end, it->base);
		*ret = v;
		return end != t;
	}
	for (unsigned i = 0; i < it->bytes; i++)
		v |= (uint64_t)b.p[at + i] << 8 * (it->little ? i : it->bytes - 1u - i);
	if (it->mask)
		v = (v & it->mask) >> __builtin_ctz(it->mask);
	*ret = v;
	return true;
}

static bool compares(const struct item *it, uint64_t v)
{
	switch (it->op) {
	case '<':
		return v < it->value;
	case '>':
		return v > it->value;
	case '=':
		return v == it->value;
	case 'l': /* <= */
		return v <= it->value;
	case 'g': /* >= */
		return v >= it->value;
	case '&':
		return v & it->value;
	default:
		return v ^ it->value;
	}
}

static bool items(struct look *l, unsigned i, size_t pos);

/* A step, and one for each 64 bytes that were looked through. */
static bool spend(struct look *l, size_t bytes)
{
	uint32_t cost = 1 + (uint32_t)(bytes / 64);

	l->steps = l->steps > cost ? l->steps - cost : 0;
	return l->steps;
}

static bool content(struct look *l, unsigned i, struct wr_bytes b, size_t pos)
{
	const struct item *it = &l->rule->items[i];
	/* what comes next counts from here: each place may be the one */
	bool tried = i + 1u < l->rule->n_items && it[1].relative && it[1].buffer == it->buffer;
	size_t lo, hi;

	bounds(it, b, pos, &lo, &hi);
	for (;;) {
		ssize_t at = find(b, lo, hi, it);

		if (!spend(l, at >= 0 ? (size_t)at - lo : hi > lo ? hi - lo : 0))
			return false;
		if (it->negated)
			return at < 0 && items(l, i + 1, pos);
		if (at < 0)
			return false;
		if (!i)
			l->at = (uint32_t)at;
		if (items(l, i + 1, (size_t)at + it->n))
			return true;
		if (!tried)
			return false;
		lo = (size_t)at + 1;
	}
}

static bool items(struct look *l, unsigned i, size_t pos)
{
	const struct item *it = &l->rule->items[i];
	struct wr_bytes b;
	size_t lo, hi;
	int64_t at;
	uint64_t v;
	ssize_t end;

	if (i == l->rule->n_items)
		return true;
	if (!l->steps)
		return false;
	b = it->buffer && l->views ? l->views->v[it->buffer]
	    : it->buffer	   ? (struct wr_bytes){NULL, 0}
				   : l->raw;
	if (!b.p)
		return false;
	if (i && it[-1].buffer != it->buffer)
		pos = 0;
	switch (it->kind) {
	case CONTENT:
		return content(l, i, b, pos);
	case PCRE:
		lo = it->relative ? wr_min(pos, b.n) : 0;
		if (!spend(l, b.n - lo))
			return false;
		end = wr_regex_find(l->matcher, it->regex, (struct wr_bytes){b.p + lo, b.n - lo});
		if (end == -E2BIG) {
			l->steps = 0;
			return false;
		}
		if (it->negated)
			return end < 0 && items(l, i + 1, pos);
		return end >= 0 && items(l, i + 1, lo + (size_t)end);
	case DATAAT:
		lo = (it->relative ? pos : 0) + it->n;
		return (lo <= b.n) != it->negated && items(l, i + 1, pos);
	case BYTE_TEST:
		at = (int64_t)(it->relative ? pos : 0) + it->offset;
		return number(it, b, at, &v) && compares(it, v) != it->negated &&
		       items(l, i + 1, pos);
	default: /* BYTE_JUMP */
		at = (int64_t)(it->relative ? pos : 0) + it->offset;
		if (!number(it, b, at, &v))
			return false;
		v *= it->multiply;
		if (it->align)
			v = (v + 3) & ~3ull;
		if (v > b.n)
			return false;
		at = it->from_begin ? (int64_t)v : at + it->bytes + (int64_t)v;
		hi = (size_t)wr_max(at + it->post, (int64_t)0);
		return hi <= b.n && items(l, i + 1, hi);
	}
}

bool rule_matches(struct look *l)
{
	const struct wr_sign_rule *r = l->rule;

	if (r->late && !l->whole)
		return false;
	if (l->length < r->dsize[0] || l->length > r->dsize[1])
		return false;
	l->at = 0;
	return items(l, 0, 0);
}
