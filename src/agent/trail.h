/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent puts into the audit trail: alerts, what was done and who asked for it, chosen connections. */
#ifndef WR_TRAIL_H
#define WR_TRAIL_H

#include "../ctl/config.h"
#include "../ctl/ctl.h"

struct wr_trail;

/* NULL in *ret: none is kept (audit.path is empty). -EINVAL: audit.conns is no filter; else @e says why. */
int wr_trail_open(const struct wr_config *c, struct wr_trail **ret, struct wr_err *e);
/* All of these: @t may be NULL. */
void wr_trail_close(struct wr_trail *t);
void wr_trail_alert(struct wr_trail *t, const struct wr_ev_alert *a);
/* A connection at its end, if it is chosen; a rule that ended by itself. */
void wr_trail_event(struct wr_trail *t, const struct wr_event *e);
/* @error NULL: it was done. */
void wr_trail_action(
	struct wr_trail *t, const struct wr_peer *who, struct wr_str action, const char *error);
void wr_trail_turn(struct wr_trail *t, uint64_t now);
/* "SEQ HASH\n" of the last entry, for `weir audit verify`. */
void wr_trail_head(const struct wr_trail *t, struct wr_buf *ret);
/* Entries written, and lost. */
void wr_trail_stats(const struct wr_trail *t, uint64_t *ret_entries, uint64_t *ret_lost);

#endif
