/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded tables of the detectors: entries by the hash of a key, in sets of eight. A new one in a full set
 * pushes out the one that rested longest; of a table that is kept, the one that was asked for least, so that a
 * flood of new keys takes at most one entry of a set from what was learned.
 */
#ifndef WR_ENTRIES_H
#define WR_ENTRIES_H

#include "../base/buf.h"

/* What is known of each, apart from the entries: to look a key up touches three cache lines, not eight entries. */
struct wr_entry {
	uint64_t key, used; /* key 0: free; time of the last event */
	uint32_t n; /* how often it was asked for */
};

struct wr_entries {
	struct wr_entry *entry; /* NULL: made when it is needed, most hosts see no attack */
	uint8_t *rows;
	size_t sets, size; /* size: of a row */
	uint64_t evicted;
};

void wr_entries_free(struct wr_entries *t);
/*
 * About @count entries of @size bytes. @quiet: ns; one that rested longer begins anew (0: never), or, of a
 * table that is kept, counts as never asked for.
 */
struct wr_entries_shape {
	size_t size, count;
	uint64_t quiet;
	bool kept;
};
/* Zeroed when it is new. NULL: no memory. */
void *wr_entries_get(
	struct wr_entries *t, const struct wr_entries_shape *s, uint64_t key, uint64_t now);
/* That of @key, not counted as asked for; NULL: there is none. */
void *wr_entries_peek(const struct wr_entries *t, uint64_t key);
/* Makes a free place of what wr_entries_get() gave. */
void wr_entries_drop(struct wr_entries *t, void *row);
void wr_entries_each(const struct wr_entries *t,
	void (*fn)(void *ctx, const struct wr_entry *entry, void *row), void *ctx);
/* As wr_entries_each() told it. 0 or -ENOMEM. */
int wr_entries_put(struct wr_entries *t, const struct wr_entries_shape *s,
	const struct wr_entry *entry, const void *row);

#endif
