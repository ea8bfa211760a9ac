/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic between services by windows: seconds of records, minutes of seconds, hours of minutes. Sums and
 * histograms merge by adding, so that a longer window is exactly its parts. Bounded: more than WR_MAX_TRAFFIC
 * rows a window go into one row whose services are "(other)".
 */
#ifndef WR_TRAFFIC_H
#define WR_TRAFFIC_H

#include "../agg/hist.h"
#include "../event/event.h"

struct wr_traffic;

struct wr_traffic *wr_traffic_new(void); /* NULL: no memory */
void wr_traffic_free(struct wr_traffic *t);
/*
 * Adds a conn or request record. Connections carry totals: what they had before @since (UTC ns) does not count.
 */
void wr_traffic_event(struct wr_traffic *t, const struct wr_event *e, uint64_t since);
/* Adds a row of a shorter window. */
void wr_traffic_add(struct wr_traffic *t, const struct wr_ev_traffic *r);
/* All but the @keep rows that moved the most bytes become one, whose services are "(other)"; how many did. */
unsigned wr_traffic_fold(struct wr_traffic *t, unsigned keep);
/* Hands the rows on as records of the window and begins the next; their number. */
unsigned wr_traffic_tell(struct wr_traffic *t, struct wr_str host, uint64_t from, uint64_t to,
	wr_sink_fn fn, void *ctx);

#endif
