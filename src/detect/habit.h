/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service or a host does again and again: the ports that it uses, the peers that it talks to. The
 * values are in a Bloom filter: up to WR_HABIT_VALUES of them a new one is taken for a known one in less than
 * 1 of 100 cases; who has more has no habit. A value that was told as odd does not become a habit by going on:
 * it must come on three days. What happens while nothing comes does not count.
 */
#ifndef WR_HABIT_H
#define WR_HABIT_H

#include "detect.h"

#define WR_HABIT_BITS 2048
#define WR_HABIT_VALUES 200
#define WR_HABIT_ODD 16

struct wr_habit {
	uint64_t since, news; /* UTC ns: the first record; when a value was new last */
	uint32_t seen, values; /* records; distinct values */
	struct {
		uint64_t value;
		uint32_t day, days; /* the last on which it came, and on how many */
	} odd[WR_HABIT_ODD];
	uint64_t bit[WR_HABIT_BITS / 64];
};

/*
 * The @n names of one value, at @at. True: it has a habit (of @learn ns at least, and records enough), and
 * this is not of it.
 */
bool wr_habit_is_odd(
	struct wr_habit *h, const uint64_t *value, unsigned n, uint64_t at, uint64_t learn);

/*
 * Both ends of a connection that came up in the sight of weir, so that it is known who opened it; @server_first, or
 * the client. @judge: is it odd for that end? Of one connection one end alone is told: @quiet: the other one was.
 */
typedef bool (*wr_habit_fn)(struct wr_detect *d, const struct wr_detector *self,
	const struct wr_event *e, const struct wr_pair *p, bool server, bool quiet);
void wr_habit_event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e,
	wr_habit_fn judge, bool server_first);
/* What is known of one end; @what: which of its habits (0: the first). NULL: it is nobody's, or no memory. */
struct wr_habit *wr_habit_of(struct wr_detect *d, const struct wr_detector *self,
	const struct wr_pair *p, bool server, uint64_t what);

/* What it was used to: "it had 3 in 1240 connections of 5 days". */
void wr_habit_text(char *buf, size_t n, const struct wr_habit *h, uint64_t at);

#endif
