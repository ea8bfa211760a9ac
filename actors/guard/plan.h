/* SPDX-License-Identifier: Apache-2.0 */
/* Rules -> the tables that the kernel reads. Pure: no file, no kernel, no clock. */
#ifndef WR_GUARD_PLAN_H
#define WR_GUARD_PLAN_H

#include "../../src/base/limits.h"
#include "../../src/event/filter.h"
#include "guard_abi.h"
#include "when.h"

struct wr_guard_rule {
	uint32_t id; /* from 1, never used again */
	bool fresh; /* it was not in force yet */
	uint32_t slot; /* of its counters */
	enum wr_g_action action;
	enum wr_g_per per;
	uint8_t bits4, bits6; /* of the address that a limit counts by */
	bool automatic; /* of the set that is never blocked */
	uint64_t packets, bytes; /* of a limit, of cookies: a second; one is 0 */
	uint64_t burst; /* packets or bytes at once; 0: a tenth of a second's */
	bool list; /* @text is a file of networks: their sources */
	char of[160]; /* of a list in MaxMind's format: the countries and networks (wr_geo_list()); "": a list of lines */
	uint32_t networks; /* in it */
	struct wr_guard_when when;
	bool idle; /* not at this hour: it is compiled, and matches nothing */
	uint64_t until; /* CLOCK_MONOTONIC ns, when its hours are over; 0: no end */
	uint64_t made; /* UTC ns */
	uint64_t expires; /* CLOCK_MONOTONIC ns; 0: never */
	uint64_t expires_utc;
	char example[160]; /* a packet that it dropped, in words */
	char text[WR_MAX_EXPR + 1]; /* the expression */
};

/* The kernel's clock: how many jiffies it was when CLOCK_MONOTONIC was @ns. */
struct wr_guard_clock {
	uint64_t jiffies, ns, tick; /* tick: ns of a jiffy */
};

/*
 * Compiles @n rules; the order of bits is allow, drop, reject, tarpit, cookie, limit, each in the order of
 * @rules. @ret is written whole.
 * -EINVAL: rule *@ret_bad cannot be compiled, @e->text says why with @e->at the place in its text; -E2BIG: together
 * they need more than the tables hold; -ENOMEM.
 */
int wr_guard_plan(const struct wr_guard_rule *const *rules, unsigned n, uint32_t flags,
	const struct wr_guard_clock *now, struct wr_g_set *ret, unsigned *ret_bad,
	struct wr_err *e);

/* Fields of a packet record that a rule may test, with commas. */
extern const char wr_guard_fields[];

#endif
