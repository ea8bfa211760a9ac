/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table over records of any kind: rows by keys and time, columns that count, add, or rank what a field held.
 *
 *   count            records                        rate           records a second
 *   sum(F) rate(F)   of a number; bool: how often   min(F) max(F) avg(F)
 *   p50(F) ... p99(F) p999(F)                       quantiles, at most 6.3 % too high; F may be a histogram
 *   distinct(F)      how many values, to 2 %        last(F)        the latest value
 *
 * Bounded: more than WR_MAX_FLOWS_KEYS rows go into "(other)".
 */
#ifndef WR_TABLE_H
#define WR_TABLE_H

#include "../event/event.h"

struct wr_table;

/*
 * @by, @show: lists with commas, both may be empty; a bare name of an end is the server's. @every: ns of a
 * row's window, 0 = one for all. -EINVAL and @e: what is wrong, and the nearest name.
 */
int wr_table_new(const struct wr_kind *k, struct wr_str by, struct wr_str show, uint64_t every,
	struct wr_table **ret, struct wr_err *e);
void wr_table_free(struct wr_table *t);
void wr_table_add(struct wr_table *t, const struct wr_event *e);
/* Sets the bits of the fields that it reads. */
void wr_table_need(const struct wr_table *t, uint64_t need[2]);

/* Columns: "time" where there are windows, the keys, then what is shown. */
unsigned wr_table_columns(const struct wr_table *t, const char *const **ret_names);
/*
 * The rows by time, then by the first column that is shown, the largest first; of each window at most @top (0 =
 * all). @to: end of the last window, for rates; of one without windows @from is the begin. Values are texts
 * that live until the call returns; absent ones have p NULL.
 */
void wr_table_rows(struct wr_table *t, unsigned top, uint64_t from, uint64_t to,
	bool (*row)(void *ctx, unsigned n, const struct wr_str *v, const bool *number), void *ctx);
uint64_t wr_table_overflow(const struct wr_table *t); /* records in "(other)" */

#endif
