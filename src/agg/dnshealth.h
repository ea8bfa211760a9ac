/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health of name look-ups, by process and resolver: answers that do not come, SERVFAIL, names that do not
 * exist, queries that only the search list makes, slow answers. Each pair gets one diagnosis.
 */
#ifndef WR_DNSHEALTH_H
#define WR_DNSHEALTH_H

#include "../event/event.h"

struct wr_dnshealth;

struct wr_dnshealth *wr_dnshealth_new(void); /* NULL: no memory */
void wr_dnshealth_free(struct wr_dnshealth *h);
/* A request of protocol dns; others are left alone. */
void wr_dnshealth_add(struct wr_dnshealth *h, const struct wr_ev_request *r);
/* A diagnosis record for each pair, those with a fault first; returns how many have one. */
unsigned wr_dnshealth_report(struct wr_dnshealth *h, const char *host, wr_sink_fn fn, void *ctx);

#endif
