/* SPDX-License-Identifier: Apache-2.0 */
/* A packet that was copied for a capture, as a record: with its owner, its connection, and why it was dropped. */
#ifndef WR_COPIED_H
#define WR_COPIED_H

#include "../event/filter.h"
#include "../flow/drop.h"
#include "../flow/packet.h"
#include "pipeline.h"

struct wr_copied {
	struct wr_pkt k;
	struct wr_ev_packet r; /* views into this struct, the packet and the owner */
	struct wr_dropped drop; /* where @dropped */
	bool dropped;
	uint64_t conn, netns; /* 0: not known */
	struct wr_proc *proc; /* NULL: not known */
	struct wr_packet_text text;
	char id[20];
};

/*
 * @n: its number; @utc: wr_utc_offset(). False: the kernel frees so what has done its work, nothing was lost, and
 * there is no record. Behind it comes wr_copied_done(), either way.
 */
bool wr_copied_fill(struct wr_copied *c, struct wr_pipe *p, const struct wr_rec_packet *rec,
	const uint8_t *data, uint64_t n, int64_t utc);
void wr_copied_done(struct wr_copied *c, struct wr_pipe *p);
/* The comment of its block in a pcapng file. */
void wr_copied_comment(const struct wr_copied *c, struct wr_buf *b);
/* What the kernel can decide of an expression, it decides before the copy: it may let more through, never less. */
void wr_copied_choose(const struct wr_filter *f, uint32_t snap, struct wr_kfilter *ret);

#endif
