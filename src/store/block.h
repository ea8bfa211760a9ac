/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of one kind, column by column: what a store keeps. A column carries its field's name, so that a block
 * can be read by a version whose tables changed: unknown columns are left out, missing ones are absent fields.
 * Texts and addresses are numbers of a dictionary; numbers are told as they are, by the record before, or by an
 * earlier field of the same record, whichever takes fewest bits; their bytes stand in planes, and zstd goes
 * over the whole.
 */
#ifndef WR_BLOCK_H
#define WR_BLOCK_H

#include "../event/event.h"

struct wr_block; /* one that is being filled */

/* NULL: no memory. */
struct wr_block *wr_block_new(enum wr_kind_id kind);
void wr_block_free(struct wr_block *b);
/* Copies what it needs. 0, -ENOSPC: full (WR_MAX_STORE_RECORDS, _BYTES), nothing was added; -ENOMEM. */
int wr_block_add(struct wr_block *b, const struct wr_event *e);
unsigned wr_block_n(const struct wr_block *b);
/* The earliest and latest time in it, UTC ns. */
void wr_block_span(const struct wr_block *b, uint64_t *ret_from, uint64_t *ret_to);
/* Appends its stored form; the block may be filled further. 0 or -ENOMEM. */
int wr_block_encode(const struct wr_block *b, struct wr_buf *ret);

/*
 * Reading a stored block. @need: a bit for each field that is wanted (others stay absent), NULL = all.
 * 0, -ENOMEM, or -EBADMSG: not a block, cut or damaged.
 */
struct wr_block_reader;
int wr_block_open(struct wr_bytes stored, enum wr_kind_id kind, const uint64_t need[2],
	struct wr_block_reader **ret);
/*
 * The next record, in the order in which they were added; its texts live until the reader is closed.
 * 1, 0 at the end, -EBADMSG. @ret_event: room for WR_EVENT_MAX bytes.
 */
int wr_block_next(struct wr_block_reader *r, struct wr_event *ret_event);
void wr_block_close(struct wr_block_reader *r);

#endif
