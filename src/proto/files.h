/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server's handles stand for: names of files, shares, users, of one session of a file protocol. The last
 * WR_FILES of them; WR_FILES_TABLES sessions at a time have a table, the others know none.
 */
#ifndef WR_FILES_H
#define WR_FILES_H

#include "../base/base.h"

#define WR_FILES 512
#define WR_FILES_TABLES 256
#define WR_FILES_NAME 240

struct wr_files; /* NULL: empty */

/* "" : not known. A view until the next put. */
struct wr_str wr_files_get(const struct wr_files *f, uint64_t key);
/* A name that is too long keeps its end. Without memory or room nothing is kept. */
void wr_files_put(struct wr_files **f, uint64_t key, struct wr_str name);
/* What was known as @from is @to now. */
void wr_files_rename(struct wr_files *f, struct wr_str from, struct wr_str to);
void wr_files_free(struct wr_files *f);

#endif
