/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scraper reads: counters and histograms since the start, as OpenMetrics 1.0 text. Of each family at most
 * WR_EXPOSE_SERIES series have names of their own; what comes later is in the one that is called "(other)".
 */
#ifndef WR_EXPOSE_H
#define WR_EXPOSE_H

#include "../event/event.h"

#define WR_EXPOSE_SERIES 200

struct wr_expose;

struct wr_expose *wr_expose_new(void); /* NULL: no memory */
void wr_expose_free(struct wr_expose *x);
/* Requests, connections at their end, drops, alerts; the rest is left. */
void wr_expose_event(struct wr_expose *x, const struct wr_event *e);
/* The families, without the end of the exposition. */
void wr_expose_text(const struct wr_expose *x, struct wr_buf *b);

#endif
