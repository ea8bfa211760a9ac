/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches that wait on a disk, a file each, oldest first: for targets that are away for longer than memory
 * lasts, and over the end of the program. What wr_spool_put() took is on the disk (a kill or a power cut does
 * not lose it) and stays until wr_spool_done(): a batch may be sent twice, when the end comes between sending
 * and that. One thread.
 */
#ifndef WR_SPOOL_H
#define WR_SPOOL_H

#include "../base/buf.h"

#define WR_SPOOL_FILES (1u << 20) /* at most */

struct wr_spool;
/*
 * The folder @path, made if it is not there; of one exporter, named @owner, and of one process at a time: -EBUSY.
 * @max: bytes. Files that are torn or changed are put aside as NAME.bad.
 */
int wr_spool_open(
	const char *path, const char *owner, uint64_t max, struct wr_spool **ret, struct wr_err *e);
void wr_spool_close(struct wr_spool *s); /* NULL is fine */
/* @at: of batches the one with the lesser is the older. 0, -ENOSPC (also over @max), -errno: it is not taken. */
int wr_spool_put(
	struct wr_spool *s, uint64_t at, unsigned lane, unsigned records, struct wr_bytes b);
/* The oldest one, copied to @b. 1; 0: none; -EBADMSG: it is damaged, was put aside, the next one is the oldest. */
int wr_spool_get(struct wr_spool *s, unsigned *ret_lane, unsigned *ret_records, struct wr_buf *b);
/* What wr_spool_get() gave is done with. */
void wr_spool_done(struct wr_spool *s);

struct wr_spool_stats {
	uint64_t batches, records, bytes; /* that wait */
	uint64_t damaged; /* files that were put aside */
	uint64_t damaged_records; /* in them, as far as they said */
};
void wr_spool_stats(const struct wr_spool *s, struct wr_spool_stats *ret);

#endif
