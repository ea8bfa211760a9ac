/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History. Records are handed over in batches to a thread that packs them into blocks (block.h), sums traffic
 * by second, minute and hour (traffic.h), and gives both to an engine, one line in engines.def. The way in
 * never waits: what does not fit into the queue, or what the engine cannot take, is counted and told as loss
 * records that are themselves kept, so that a reader can say how complete its answer is.
 */
#ifndef WR_STORE_H
#define WR_STORE_H

#include "../event/event.h"

#define WR_STORE_PATH "/var/lib/weir"

struct wr_store_config {
	const char *path; /* folder of the embedded engine */
	uint64_t max_bytes; /* all files together; the oldest records go first, alerts last */
	uint64_t keep; /* ns; what is older goes */
	uint64_t keep_sums; /* ns; minutes and hours of traffic, alerts */
	const char *host;
};

/* engines ------------------------------------------------------------------------------------------ */

/* A block that is kept. Writing the same id again replaces it. */
struct wr_stored {
	uint64_t id; /* unique on this host: of the moment when it was begun */
	enum wr_kind_id kind;
	uint64_t step; /* ns; windows of traffic: how long one is; 0 = records as they came */
	uint64_t from, to; /* UTC ns; times in it, both included */
	uint32_t n;
	struct wr_bytes data;
};

/* What a reader wants. */
struct wr_range {
	enum wr_kind_id kind;
	uint64_t step, from, to; /* step: exactly this one; UTC ns, both included */
	bool newest_first; /* blocks in the order of their time, the last one first */
};

struct wr_grid;

struct wr_engine {
	const char *name, *help;
	/* MUST: for one writer; -errno and @e. */
	int (*open)(const struct wr_store_config *c, void **ret, struct wr_err *e);
	/*
	 * MUST: all of @s or nothing, on the disk when it returns 0. -ENOSPC: no room now; -EIO and others:
	 * what was wrong was put aside, the same may be tried again.
	 */
	int (*write)(void *engine, const struct wr_stored *s, unsigned n, struct wr_err *e);
	/* MUST: removes what is too old or too much at @now (UTC ns). */
	int (*retain)(void *engine, uint64_t now, struct wr_err *e);
	void (*close)(void *engine);

	/* MUST: for readers, in any process. -ENOENT: there is no store; -EACCES; @e says so. */
	int (*open_read)(const char *path, void **ret, struct wr_err *e);
	/* MUST: begins to read the blocks that touch @r; NULL: no memory. */
	void *(*find)(void *reader, const struct wr_range *r);
	/*
	 * MUST: the next one, its bytes live until the next call: 1, 0 at the end. What is damaged is left out,
	 * counted.
	 */
	int (*next)(void *found, struct wr_stored *ret, unsigned *ret_damaged);
	void (*found_free)(void *found);
	void (*close_read)(void *reader);
	/* MAY: SQL that only reads; each kind is a table of its fields. */
	int (*sql)(void *reader, const char *text, const struct wr_range *span,
		const struct wr_grid *out, struct wr_err *e);
};

/* The engine that is used: the first row of engines.def. */
const struct wr_engine *wr_store_engine(void);

/* writing ------------------------------------------------------------------------------------------ */

struct wr_store;

/* Starts the thread. @e says what failed, on what. */
int wr_store_open(const struct wr_store_config *c, struct wr_store **ret, struct wr_err *e);
/* Writes what is there, ends the thread. */
void wr_store_close(struct wr_store *s);
/* Copies the record; never waits. NULL is no store. */
void wr_store_put(struct wr_store *s, const struct wr_event *e);
/* To be called some times a second: hands over what is there. */
void wr_store_turn(struct wr_store *s, uint64_t now);

struct wr_store_stats {
	uint64_t in, stored, dropped; /* records; in == stored + dropped + those under way */
	uint64_t blocks, bytes, failed; /* failed: writes */
	uint64_t traffic; /* windows of traffic that were made of them */
};
void wr_store_stats(struct wr_store *s, struct wr_store_stats *ret);
/* Is the kind kept? */
bool wr_store_keeps(enum wr_kind_id kind);

/* reading ------------------------------------------------------------------------------------------ */

struct wr_history;

int wr_history_open(const char *path, struct wr_history **ret, struct wr_err *e);
void wr_history_close(struct wr_history *h);
/*
 * Hands the records of @r to @fn, block by block in the order of their time. @need: see wr_block_decode().
 * false from @fn ends. 0 or -errno.
 */
typedef bool (*wr_history_fn)(void *ctx, const struct wr_event *e);
int wr_history_read(struct wr_history *h, const struct wr_range *r, const uint64_t need[2],
	wr_history_fn fn, void *ctx);
/* Blocks that were read so far: tells, in a wr_history_fn, the records of one block from those of another. */
unsigned wr_history_blocks(const struct wr_history *h);
/* How much of what was seen between @from and @to was kept; counts, and 1 = all of it. */
struct wr_complete {
	uint64_t kept, lost;
	unsigned damaged; /* blocks or files that could not be read, of all readings so far */
	double share;
};
void wr_history_complete(struct wr_history *h, enum wr_kind_id kind, uint64_t from, uint64_t to,
	struct wr_complete *ret);

/* A table that comes out of SQL: names once, then rows of text; @number: without quotes in JSON. */
struct wr_grid {
	void *ctx;
	void (*head)(void *ctx, unsigned n, const char *const *names);
	bool (*row)(void *ctx, unsigned n, const struct wr_str *v, const bool *number);
};
int wr_history_sql(struct wr_history *h, const char *text, uint64_t from, uint64_t to,
	const struct wr_grid *out, struct wr_err *e);

/*
 * A time of a person: "1h" (before @now), RFC 3339, "2026-11-26 10:30", "10:30" (today, or yesterday when that
 * is to come; local), "now". UTC ns; -EINVAL.
 */
int wr_parse_when(struct wr_str s, uint64_t now, uint64_t *ret);

#endif
