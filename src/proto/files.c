// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#define WAYS 4

struct entry {
	uint64_t key; /* 0: free */
	uint32_t used;
	uint16_t n;
	char name[WR_FILES_NAME];
};

struct wr_files {
	uint32_t clock;
	struct entry e[WR_FILES];
};

static unsigned tables; /* parsers run on one thread */

static void call_it(struct entry *e, struct wr_str name)
{
	if (name.n > sizeof(e->name)) {
		name.p += name.n - sizeof(e->name);
		name.n = sizeof(e->name);
	}
	e->n = (uint16_t)name.n;
	memmove(e->name, name.p, name.n); /* it may be this one */
}

struct wr_str wr_files_get(const struct wr_files *f, uint64_t key)
{
	const struct entry *e = f ? &f->e[key % (WR_FILES / WAYS) * WAYS] : NULL;

	for (unsigned i = 0; e && i < WAYS; i++) {
		if (e[i].key == key)
			return (struct wr_str){e[i].name, e[i].n};
	}
	return (struct wr_str){"", 0};
}

void wr_files_put(struct wr_files **f, uint64_t key, struct wr_str name)
{
	struct entry *set, *e;

	if (!*f && tables < WR_FILES_TABLES) {
		*f = wr_alloc(sizeof(**f));
		tables += *f != NULL;
	}
	if (!*f || !key)
		return;
	set = e = &(*f)->e[key % (WR_FILES / WAYS) * WAYS];
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key) {
			e = &set[i];
			break;
		}
		if (set[i].used < e->used)
			e = &set[i];
	}
	e->key = key;
	e->used = ++(*f)->clock;
	call_it(e, name);
}

void wr_files_rename(struct wr_files *f, struct wr_str from, struct wr_str to)
{
	char t[WR_FILES_NAME], old[WR_FILES_NAME]; /* both may be names of this table */

	if (!f || !from.n || from.n > sizeof(old) || to.n > sizeof(t))
		return;
	memcpy(old, from.p, from.n);
	memcpy(t, to.p, to.n);
	for (unsigned i = 0; i < WR_FILES; i++) {
		if (f->e[i].key && wr_str_eq((struct wr_str){f->e[i].name, f->e[i].n},
					   (struct wr_str){old, from.n}))
			call_it(&f->e[i], (struct wr_str){t, to.n});
	}
}

void wr_files_free(struct wr_files *f)
{
	tables -= f != NULL;
	free(f);
}
