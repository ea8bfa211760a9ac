/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of the addresses of a record's ends: their names, from the answers of DNS that passed before, their
 * country and network, from files. Every record goes through here on its way out.
 */
#ifndef WR_ENDS_H
#define WR_ENDS_H

#include "../event/event.h"

struct wr_ends;
struct wr_geo;

struct wr_ends *wr_ends_new(void); /* NULL: no memory */
void wr_ends_free(struct wr_ends *n);
/* Places by @g, in place of the one before; it is owned from now on. NULL = none. */
void wr_ends_geo(struct wr_ends *n, struct wr_geo *g);
/* Fills in what is known, learns from answers of DNS, hands @e on to @sink. @n MAY be NULL. */
void wr_ends_hand(struct wr_ends *n, struct wr_event *e, wr_sink_fn sink, void *ctx);

unsigned wr_ends_names(const struct wr_ends *n); /* addresses whose name is known */

#endif
