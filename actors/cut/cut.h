/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: a process, or a container, that shall not talk any more. What it has is ended (connections are reset,
 * listeners closed), and it gets nothing new, until the block ends. Its own sockets only: nothing else on the host
 * is touched. A line of the guard's language each:
 *   block [ttl D] [spare PID,...] process NAME|PID | container NAME | port N
 */
#ifndef WR_CUT_H
#define WR_CUT_H

#include "../../src/base/buf.h"
#include "../../src/base/ip.h"
#include "../../src/event/event.h"
#include "../../src/kern/cut.h"

struct wr_cut;

/* @host: borrowed. NULL: no memory. Nothing is loaded before the first rule. */
struct wr_cut *wr_cut_new(const char *host);
void wr_cut_free(struct wr_cut *b);

struct wr_cut_rule {
	enum { WR_CUT_PROCESS, WR_CUT_PID, WR_CUT_CONTAINER, WR_CUT_PORT } what;
	char name[256];
	uint32_t number; /* pid or port */
	uint64_t ttl; /* ns; 0: until it is cleared */
	uint32_t spare[16]; /* processes that it is not about: who asks for it */
	unsigned n_spare;
};
/* What stands behind "block": -EINVAL with @e->at in @rest. */
int wr_cut_parse(struct wr_str rest, struct wr_cut_rule *ret, struct wr_err *e);

/* @id: unique, of the guard. @ret_ended: sockets that were ended at once. WR_CUT_PORT is not for this. */
int wr_cut_add(struct wr_cut *b, const struct wr_cut_rule *r, uint32_t id,
	unsigned *ret_ended, struct wr_err *e);
/*
 * Ends what this host's processes have open on a local port (0: any), with a peer (NULL: any), but for what @spare
 * spares (MAY be NULL). How many sockets.
 */
unsigned wr_cut_end(uint16_t port, const struct wr_ip *peer, const struct wr_cut_rule *spare);
bool wr_cut_clear(struct wr_cut *b, uint32_t id, wr_sink_fn ended, void *ctx); /* is it one? */
unsigned wr_cut_clear_all(struct wr_cut *b, wr_sink_fn ended, void *ctx);
unsigned wr_cut_count(const struct wr_cut *b);
bool wr_cut_has(const struct wr_cut *b, uint32_t id);
/* New processes of the same name or container, and what is over; once a second. */
void wr_cut_turn(struct wr_cut *b, wr_sink_fn ended, void *ctx);
/* Records of kind rule. */
void wr_cut_rules(struct wr_cut *b, wr_sink_fn fn, void *ctx);

#endif
