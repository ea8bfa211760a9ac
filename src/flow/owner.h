/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a record is: a process as the fields that WR_OWNER_FIELDS declares. */
#ifndef WR_OWNER_H
#define WR_OWNER_H

#include "../enrich/enrich.h"
#include "../event/event.h"

/* Its unit, else its container, else its own name. */
const char *wr_owner_service(const struct wr_proc *p);
/* @pid: index of the first of the fields (WR_I_burst_owner_pid). Texts are views of @p. */
void wr_owner_fill(struct wr_event *e, unsigned pid, const struct wr_proc *p);
/* The processes above the owner of an alert, while it lives; @tmp holds the text. */
void wr_owner_parents(struct wr_ev_alert *a, struct wr_buf *tmp);

/* " curl[123] user=root container=x conn=...": the end of the comment of a packet block; @proc MAY be NULL. */
void wr_owner_comment(struct wr_buf *b, const struct wr_proc *proc, uint64_t conn);

#endif
