/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of log files and of the journal, as they are written or of a time that is past. */
#ifndef WR_LOGS_H
#define WR_LOGS_H

#include "../agg/logjoin.h"

struct wr_logs;

/*
 * @spec: files with commas; `journal` is that of systemd. @from, @to: UTC ns of the past; both 0: what is
 * written from now on. -errno and @e: one cannot be read.
 */
int wr_logs_open(const char *spec, uint64_t from, uint64_t to, struct wr_logs **ret, struct wr_err *e);
void wr_logs_free(struct wr_logs *l);
/* Gives @fn what is there, and returns. @now: UTC ns. */
void wr_logs_read(struct wr_logs *l, uint64_t now,
	void (*fn)(void *ctx, const struct wr_logline *line), void *ctx);

/*
 * The time that a line says: RFC 3339, ISO 8601 (also with '/' and a comma), the common log format, syslog,
 * seconds since 1970. @now says the year where there is none. False: none is found. @ret_unsure: what it
 * may be off.
 */
bool wr_logs_time(struct wr_str line, uint64_t now, uint64_t *ret_time, uint64_t *ret_unsure);

#endif
