/* SPDX-License-Identifier: Apache-2.0 */
/* Rate, errors, duration of requests by any keys. Bounded: more than WR_MAX_RED keys go into one row "(other)". */
#ifndef WR_RED_H
#define WR_RED_H

#include "../base/htab.h"
#include "../event/event.h"
#include "hist.h"

#define WR_RED_KEYS 8

struct wr_red_row {
	struct wr_hnode node;
	char *key; /* values joined by 0x1f */
	size_t key_n;
	uint64_t count, errors, unanswered, request_bytes, response_bytes, retransmits;
	struct wr_hist us;
};

struct wr_red;

/* @keys: fields of requests, with commas; a bare name of an end is the server's. -EINVAL and @e: unknown. */
int wr_red_new(struct wr_str keys, struct wr_red **ret, struct wr_err *e);
void wr_red_free(struct wr_red *g);
void wr_red_add(struct wr_red *g, const struct wr_ev_request *r);
/* The same into a row whose key the caller made: values joined by 0x1f. */
void wr_red_add_to(struct wr_red *g, struct wr_str key, const struct wr_ev_request *r);
/* Rows by count, the largest first, at most @max; the array belongs to the group until the next call. */
unsigned wr_red_top(struct wr_red *g, struct wr_red_row ***ret, unsigned max);
/* A record of a row over @from to @to (UTC ns); its strings live until the next call. */
void wr_red_record(struct wr_red *g, const struct wr_red_row *r, uint64_t from, uint64_t to,
	struct wr_ev_requests *ret);
/* Begins a new window. */
void wr_red_reset(struct wr_red *g);
struct wr_str wr_red_value(const struct wr_red_row *r, unsigned i);

#endif
