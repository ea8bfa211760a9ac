/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines joined to the requests that they speak of: by a trace id; by what they say (operation and
 * resource) in the time of the request; by its process and time alone, where only one request can be meant.
 * Bounded: the oldest lines and requests go first. A line belongs to one request.
 */
#ifndef WR_LOGJOIN_H
#define WR_LOGJOIN_H

#include "../event/event.h"

#define WR_LOG_WRITERS 16

struct wr_logline {
	uint64_t time, unsure; /* UTC ns; it may be off by so much */
	uint32_t pid[WR_LOG_WRITERS]; /* who may have written it */
	unsigned n_pids; /* 0: not known */
	struct wr_str source, text;
};

struct wr_logjoin_config {
	uint64_t hold; /* ns that a request waits for its lines */
	unsigned lines; /* that wait for a request */
	wr_sink_fn request; /* a request, then by `line` each record `log` of it */
	wr_sink_fn line;
	void *ctx;
};

struct wr_logjoin;

struct wr_logjoin *wr_logjoin_new(const struct wr_logjoin_config *cfg);
void wr_logjoin_free(struct wr_logjoin *j);
/* Copied. */
void wr_logjoin_line(struct wr_logjoin *j, const struct wr_logline *l);
/* @now: the clock of the records, UTC ns. Copied. */
void wr_logjoin_request(struct wr_logjoin *j, const struct wr_ev_request *r, uint64_t now);
/* Tells the requests that have waited long enough; @all: every one. */
void wr_logjoin_turn(struct wr_logjoin *j, uint64_t now, bool all);
/* Lines that came, and those of them that belonged to a request. */
struct wr_logjoin_stats {
	uint64_t lines, joined;
};
struct wr_logjoin_stats wr_logjoin_stats(const struct wr_logjoin *j);

#endif
