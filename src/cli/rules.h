/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which firewall rule dropped what the kernel called NETFILTER_DROP, for the views that show it: traces are set
 * where such drops are seen, and what they tell is joined to the records. Needs root; without it nothing is found.
 */
#ifndef WR_RULES_H
#define WR_RULES_H

#include "../event/event.h"
#include "../sys/nftrace.h"

struct wr_rules;

struct wr_rules *wr_rules_new(void); /* NULL: no memory */
void wr_rules_free(struct wr_rules *r);
/*
 * The rule of this drop, if a trace told it; else traces its flow from now on. NULL: not known (yet). The answer
 * lives until the next call.
 */
const struct wr_nft_drop *wr_rules_find(struct wr_rules *r, const struct wr_ev_drop *d);
/* ... of a packet on its way from @src to @dst; @reason: the kernel's name; @dport 0: it has none. */
const struct wr_nft_drop *wr_rules_of(struct wr_rules *r, uint64_t netns, const char *reason,
	uint8_t proto, const struct wr_ip *src, const struct wr_ip *dst, uint16_t dport);
/* Puts a rule's fields into the record; they borrow from @rule. */
void wr_rules_fill(struct wr_ev_drop *d, const struct wr_nft_drop *rule);
/* The rules of the guard that the agent at @socket keeps, as records. -errno: there is no agent. */
int wr_rules_of_guard(const char *socket, wr_sink_fn fn, void *ctx, struct wr_err *e);
/* Why there are no rules: the first thing that failed, "" = nothing. */
const char *wr_rules_why(const struct wr_rules *r);

#endif
