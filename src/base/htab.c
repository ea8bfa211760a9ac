// SPDX-License-Identifier: Apache-2.0
#include "htab.h"

void wr_htab_free(struct wr_htab *t)
{
	free(t->b);
	*t = (struct wr_htab){0};
}

static void resize(struct wr_htab *t, uint32_t size)
{
	struct wr_hnode **b = wr_alloc(size * sizeof(*b));

	if (!b)
		return;
	for (uint32_t i = 0; t->b && i <= t->mask; i++) {
		for (struct wr_hnode *n = t->b[i], *next; n; n = next) {
			next = n->next;
			n->next = b[n->hash & (size - 1)];
			b[n->hash & (size - 1)] = n;
		}
	}
	free(t->b);
	t->b = b;
	t->mask = size - 1;
}

int wr_htab_add(struct wr_htab *t, struct wr_hnode *n, uint64_t hash)
{
	if (!t->b)
		resize(t, 64);
	else if (t->n > 2 * t->mask) /* two a bucket: memory counts more than a compare */
		resize(t, (t->mask + 1) * 2);
	if (!t->b)
		return -ENOMEM;
	n->hash = hash;
	n->next = t->b[hash & t->mask];
	t->b[hash & t->mask] = n;
	t->n++;
	return 0;
}

void wr_htab_del(struct wr_htab *t, struct wr_hnode *n)
{
	if (!t->b)
		return;
	for (struct wr_hnode **p = &t->b[n->hash & t->mask]; *p; p = &(*p)->next) {
		if (*p == n) {
			*p = n->next;
			n->next = NULL;
			t->n--;
			return;
		}
	}
}
