/* SPDX-License-Identifier: Apache-2.0 */
/* A question to history: what `weir query` and the API ask. */
#ifndef WR_QUERY_H
#define WR_QUERY_H

#include "store.h"

struct wr_query {
	const char *kind; /* "request", "traffic", ... */
	const char *expr, *by, *show, *sql; /* NULL or "" = none; see filter.h, agg/table.h */
	uint64_t from, to, every; /* UTC ns; ns, 0 = one window */
	uint64_t top; /* rows of each window, 0 = all */
};

/* What is shown when nothing else was asked: of each kind what matters most. */
const char *wr_query_show(enum wr_kind_id kind);
/* WR_KINDS: no such kind, or it is not kept; @e has those that are. */
enum wr_kind_id wr_query_kind(const char *name, struct wr_err *e);
/*
 * How long the windows of traffic are that answer it: the longest that fit @every and the span, so that the
 * answer is fast. 0 for other kinds.
 */
uint64_t wr_query_step(enum wr_kind_id kind, uint64_t from, uint64_t to, uint64_t every);
/* A table of sums, or of SQL. 0; -EINVAL and @e; others. @ret: how complete, may be NULL. */
int wr_query_table(struct wr_history *h, const struct wr_query *q, const struct wr_grid *out,
	struct wr_complete *ret, struct wr_err *e);
/* The records themselves, to @fn until it says false. */
int wr_query_records(struct wr_history *h, const struct wr_query *q, bool newest_first,
	wr_history_fn fn, void *ctx, struct wr_err *e);

#endif
