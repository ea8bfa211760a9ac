// SPDX-License-Identifier: Apache-2.0
#include "names.h"
#include "../base/htab.h"
#include "../base/limits.h"

struct told {
	struct wr_ip client;
	char *name;
	uint64_t first, last; /* when it was told, UTC ns */
};

struct named {
	struct wr_hnode node;
	struct named *older, *newer; /* by when they were named last */
	struct wr_ip addr;
	struct told told[WR_NAMES_EACH]; /* name NULL: free */
};

struct wr_names {
	struct wr_htab by_addr;
	struct named *oldest, *newest;
};

struct wr_names *wr_names_new(void)
{
	return wr_alloc(sizeof(struct wr_names));
}

static void take_out(struct wr_names *n, struct named *a)
{
	*(a->older ? &a->older->newer : &n->oldest) = a->newer;
	*(a->newer ? &a->newer->older : &n->newest) = a->older;
	a->older = a->newer = NULL;
}

static void put_newest(struct wr_names *n, struct named *a)
{
	a->older = n->newest;
	*(n->newest ? &n->newest->newer : &n->oldest) = a;
	n->newest = a;
}

static void forget(struct wr_names *n, struct named *a)
{
	wr_htab_del(&n->by_addr, &a->node);
	take_out(n, a);
	for (unsigned i = 0; i < WR_NAMES_EACH; i++)
		free(a->told[i].name);
	free(a);
}

void wr_names_free(struct wr_names *n)
{
	if (!n)
		return;
	while (n->oldest)
		forget(n, n->oldest);
	wr_htab_free(&n->by_addr);
	free(n);
}

static struct named *find(const struct wr_names *n, const struct wr_ip *addr)
{
	uint64_t hash = wr_hash(addr, sizeof(*addr), 0);

	for (struct wr_hnode *i = wr_htab_first(&n->by_addr, hash); i;
		i = wr_htab_next(i->next, hash)) {
		struct named *a = wr_container(i, struct named, node);

		if (!memcmp(&a->addr, addr, sizeof(*addr)))
			return a;
	}
	return NULL;
}

static struct named *make(struct wr_names *n, const struct wr_ip *addr)
{
	struct named *a;

	if (n->by_addr.n >= WR_MAX_NAMES)
		forget(n, n->oldest);
	a = wr_alloc(sizeof(*a));
	if (!a)
		return NULL;
	a->addr = *addr;
	if (wr_htab_add(&n->by_addr, &a->node, wr_hash(addr, sizeof(*addr), 0))) {
		free(a);
		return NULL;
	}
	put_newest(n, a);
	return a;
}

void wr_names_add(struct wr_names *n, const struct wr_ip *client, const struct wr_ip *addr,
	struct wr_str name, uint64_t at)
{
	struct named *a = find(n, addr);
	struct told *to = NULL;
	char *own;

	if (!name.n || (!a && !(a = make(n, addr))))
		return;
	take_out(n, a);
	put_newest(n, a);
	for (unsigned i = 0; i < WR_NAMES_EACH; i++) {
		struct told *t = &a->told[i];

		if (t->name && !memcmp(&t->client, client, sizeof(*client)) &&
			wr_str_eq(name, wr_str(t->name))) {
			t->last = at;
			return;
		}
		if (!to || (to->name && (!t->name || t->last < to->last)))
			to = t;
	}
	own = strndup(name.p, name.n);
	if (!own)
		return;
	free(to->name);
	*to = (struct told){*client, own, at, at};
}

/* When it was told last, as far as that was not behind @at; 0: it was behind it. */
static uint64_t before(const struct told *t, uint64_t at)
{
	return t->last <= at ? t->last : t->first <= at ? t->first : 0;
}

/* Is @a the better name at @at? */
static bool better(
	const struct told *a, const struct told *b, const struct wr_ip *client, uint64_t at)
{
	uint64_t of_a = before(a, at), of_b = before(b, at);
	bool own_a = !memcmp(&a->client, client, sizeof(*client));
	bool own_b = !memcmp(&b->client, client, sizeof(*client));

	if (!of_a != !of_b)
		return of_a;
	if (own_a != own_b)
		return own_a;
	return of_a ? of_a > of_b : a->first < b->first;
}

struct wr_str wr_names_find(
	const struct wr_names *n, const struct wr_ip *client, const struct wr_ip *addr, uint64_t at)
{
	const struct named *a = n->by_addr.n ? find(n, addr) : NULL;
	const struct told *best = NULL;

	for (unsigned i = 0; a && i < WR_NAMES_EACH; i++) {
		const struct told *t = &a->told[i];

		if (t->name && (!best || better(t, best, client, at)))
			best = t;
	}
	return wr_str(best ? best->name : NULL);
}

unsigned wr_names_count(const struct wr_names *n)
{
	return n->by_addr.n;
}
