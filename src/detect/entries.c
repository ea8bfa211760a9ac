// SPDX-License-Identifier: Apache-2.0
#include "entries.h"
#include "../base/base.h"

#include <errno.h>

#define WAYS 8

static void *row(const struct wr_entries *t, const struct wr_entry *e)
{
	return t->rows + (size_t)(e - t->entry) * t->size;
}

void wr_entries_free(struct wr_entries *t)
{
	free(t->entry);
	free(t->rows);
	*t = (struct wr_entries){.entry = NULL};
}

static int make(struct wr_entries *t, const struct wr_entries_shape *s)
{
	t->sets = s->count / WAYS + 1;
	t->size = s->size;
	t->entry = wr_alloc(t->sets * WAYS * sizeof(*t->entry));
	t->rows = wr_alloc(t->sets * WAYS * t->size);
	if (t->entry && t->rows)
		return 0;
	wr_entries_free(t);
	return -ENOMEM;
}

/* Does @a go rather than @b? */
static bool goes(const struct wr_entries_shape *s, const struct wr_entry *a,
	const struct wr_entry *b, uint64_t now)
{
	uint64_t of_a = now > a->used + s->quiet ? 0 : a->n;
	uint64_t of_b = now > b->used + s->quiet ? 0 : b->n;

	if (!a->key || !b->key)
		return b->key;
	return s->kept && of_a != of_b ? of_a < of_b : a->used < b->used;
}

static struct wr_entry *set_of(const struct wr_entries *t, uint64_t key)
{
	return t->entry + (size_t)((unsigned __int128)key * t->sets >> 64) * WAYS;
}

void *wr_entries_get(
	struct wr_entries *t, const struct wr_entries_shape *s, uint64_t key, uint64_t now)
{
	struct wr_entry *e, *set;

	if (!t->entry && make(t, s))
		return NULL;
	key = key ? key : 1;
	set = set_of(t, key);
	for (e = set; e < set + WAYS; e++) {
		if (e->key != key)
			continue;
		if (!s->kept && s->quiet && now > e->used + s->quiet)
			memset(row(t, e), 0, t->size);
		e->used = wr_max(e->used, now);
		e->n += e->n < UINT32_MAX;
		return row(t, e);
	}
	for (struct wr_entry *i = e = set; i < set + WAYS; i++) {
		if (goes(s, i, e, now))
			e = i;
	}
	t->evicted += e->key != 0;
	*e = (struct wr_entry){key, now, 1};
	return memset(row(t, e), 0, t->size);
}

void *wr_entries_peek(const struct wr_entries *t, uint64_t key)
{
	struct wr_entry *set;

	if (!t->entry)
		return NULL;
	key = key ? key : 1;
	set = set_of(t, key);
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return row(t, &set[i]);
	}
	return NULL;
}

void wr_entries_drop(struct wr_entries *t, void *of)
{
	t->entry[(size_t)((uint8_t *)of - t->rows) / t->size] = (struct wr_entry){.key = 0};
}

void wr_entries_each(const struct wr_entries *t,
	void (*fn)(void *ctx, const struct wr_entry *entry, void *row), void *ctx)
{
	for (size_t i = 0; t->entry && i < t->sets * WAYS; i++) {
		if (t->entry[i].key)
			fn(ctx, &t->entry[i], row(t, &t->entry[i]));
	}
}

int wr_entries_put(struct wr_entries *t, const struct wr_entries_shape *s,
	const struct wr_entry *entry, const void *of)
{
	uint8_t *to = wr_entries_get(t, s, entry->key, entry->used);

	if (!to)
		return -ENOMEM;
	t->entry[(size_t)(to - t->rows) / t->size].n = entry->n;
	memcpy(to, of, t->size);
	return 0;
}
