/* SPDX-License-Identifier: Apache-2.0 */
/* SQL over blocks: each kind is a table of its fields, dots written as underscores ("client_ip"). */
#ifndef WR_SQLITE_H
#define WR_SQLITE_H

#include "store.h"

extern const struct wr_engine wr_engine_sqlite;

/*
 * Runs one statement that only reads, over what @g finds in @span. Times are RFC 3339 texts. Nothing else can
 * be reached by it: no file, no other database, no PRAGMA. Ended after WR_SQL_SECONDS.
 */
#define WR_SQL_SECONDS 30
int wr_sqlite_select(const struct wr_engine *g, void *reader, const char *text,
	const struct wr_range *span, const struct wr_grid *out, struct wr_err *e);

#endif
