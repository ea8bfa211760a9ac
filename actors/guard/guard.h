/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard: rules that drop, limit or let pass packets where they arrive. It is attached to interfaces only while
 * it has rules. Every rule ends by itself, in the kernel too when nobody runs here any more. One thread.
 *
 * Its language, one line a command (the socket's, a file's, and what the command line makes):
 *   drop | allow | limit rate R [per total|src|dst[/BITS4[/BITS6]]] [burst N]   then   [ttl D] [EXPR]
 *   reject [ttl D] EXPR   TCP segments are answered with a reset; what else matches is dropped
 *   tarpit [ttl D] EXPR   SYNs to ports where nobody listens are answered, and what comes behind them is lost
 *   cookie [rate R [per ...] [burst N]] [ttl D] EXPR   SYNs (over R packets a second) are answered with cookies
 *   drop list FILE [ttl D]   sources that a file names, a network a line; one list at a time
 *   drop list FILE of KP,AS64500 [ttl D]   those of countries and networks in a file of MaxMind's format
 *   each may say when, before its expression: when 22:00-06:00, when mon-fri, when mon-fri@08:00-18:00 (local time)
 *   R: packets (1000/s, 10k/s) or bits and bytes (10mbit, 2MB/s) a second; D: a duration, 0 = until it is cleared
 *   block [ttl D] [spare PID,...] process NAME|PID | container NAME | port N   (actors/cut/cut.h)
 *   reset ADDRESS     connections with it are ended, once
 *   keep [ttl D] EXPR allow, of the set that is never blocked
 *   clear [ID ...]    these rules or all
 *   load PATH         a file of lines: the whole set
 *   guard INTERFACE   there, and on no other that is not named so, until no rule is left
 */
#ifndef WR_GUARD_H
#define WR_GUARD_H

#include "../../src/base/buf.h"
#include "../../src/event/event.h"
#include "../../src/kern/guard.h"
#include "list.h"
#include "plan.h"

#define WR_GUARD_TTL (600ull * 1000000000u) /* of a rule that names none: 10 minutes */

struct wr_guard_config {
	const char *host;
	const char *interfaces; /* with commas; "": every one that is up, without loopback */
	enum wr_guard_mode mode;
	bool drop_unparsed;
	wr_sink_fn ended; /* MAY: gets a rule that ends, with its last counts */
	void *ctx;
};

struct wr_guard;

int wr_guard_new(const struct wr_guard_config *c, struct wr_guard **ret, struct wr_err *e);
void wr_guard_free(struct wr_guard *g);

/* Reads a line with a rule about packets ("drop ...", ..., "keep ..."): -EINVAL with @e->at in the line. */
int wr_guard_parse(struct wr_str line, struct wr_guard_rule *ret, struct wr_err *e);
/* Does one line; all of it or nothing. @ret: what to tell. */
int wr_guard_do(struct wr_guard *g, struct wr_str line, struct wr_buf *ret, struct wr_err *e);
/* Takes away what is over; call it every second or so. */
void wr_guard_turn(struct wr_guard *g);
/* Each rule as a record of kind rule; the counters of the guard as records of kind metric. */
void wr_guard_rules(struct wr_guard *g, wr_sink_fn fn, void *ctx);
void wr_guard_metrics(struct wr_guard *g, wr_sink_fn fn, void *ctx);
unsigned wr_guard_count(const struct wr_guard *g); /* rules, without those that are never blocked */
/* "eth0 native, eth1 tc"; "" when it is not attached. */
void wr_guard_where(const struct wr_guard *g, struct wr_buf *b);

#endif
