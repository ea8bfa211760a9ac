/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums by any keys. Conn records carry totals, so a grouping keeps the last total of each connection
 * and adds differences: what was there before the first record does not count. Packet records add
 * themselves. A bare end name (process, user, ...) counts a connection once for each end that has it.
 */
#ifndef WR_GROUP_H
#define WR_GROUP_H

#include "../base/htab.h"
#include "../base/slab.h"
#include "../event/event.h"

#define WR_GROUP_KEYS 8

struct wr_group_row {
	struct wr_hnode node;
	char *key; /* values joined by 0x1f */
	size_t key_n;
	uint64_t bytes_to_server, bytes_to_client, packets_to_server, packets_to_client,
		retransmits, connections;
	uint64_t rtt_sum, rtt_var_sum, rtt_packets, rtt_min; /* sums: us times the packets moved */
};

struct wr_group;

/* @keys: names separated by commas. -EINVAL and @e for an unknown one. */
int wr_group_new(
	const struct wr_kind *k, struct wr_str keys, struct wr_group **ret, struct wr_err *e);
void wr_group_free(struct wr_group *g);
/* Adds a record of the kind. @existing: it was there before the window, so its totals are a base only. */
void wr_group_add(struct wr_group *g, const struct wr_event *e, bool existing);
/* Rows sorted by bytes, the largest first, at most @max; the array belongs to the group until the next call. */
unsigned wr_group_top(struct wr_group *g, struct wr_group_row ***ret, unsigned max);
/* A flow record of a row; its strings live until the next call. */
void wr_group_record(struct wr_group *g, const struct wr_group_row *r, struct wr_ev_flow *ret);
/* Begins a new window: rows go, the connections' totals stay. */
void wr_group_reset(struct wr_group *g);
unsigned wr_group_n_keys(const struct wr_group *g);
const char *wr_group_key_name(const struct wr_group *g, unsigned i);
/* Value @i of a row's key. */
struct wr_str wr_group_value(const struct wr_group *g, const struct wr_group_row *r, unsigned i);
uint64_t wr_group_overflow(const struct wr_group *g); /* records summed into "(other)" */

#endif
