/* SPDX-License-Identifier: Apache-2.0 */
/* An intrusive chained hash table: the node lives in the object, the caller compares. */
#ifndef WR_HTAB_H
#define WR_HTAB_H

#include "base.h"

struct wr_hnode {
	struct wr_hnode *next;
	uint64_t hash;
};

struct wr_htab {
	struct wr_hnode **b;
	uint32_t mask, n;
};

void wr_htab_free(struct wr_htab *t); /* the table, not the objects */
/* 0 or -ENOMEM (then nothing changed); grows by doubling, a failed growth is not an error. */
int wr_htab_add(struct wr_htab *t, struct wr_hnode *n, uint64_t hash);
void wr_htab_del(struct wr_htab *t, struct wr_hnode *n);

/* First node with @hash; go on with wr_htab_next(). The caller compares the keys. */
static inline struct wr_hnode *wr_htab_next(struct wr_hnode *n, uint64_t hash)
{
	while (n && n->hash != hash)
		n = n->next;
	return n;
}
static inline struct wr_hnode *wr_htab_first(const struct wr_htab *t, uint64_t hash)
{
	return t->b ? wr_htab_next(t->b[hash & t->mask], hash) : NULL;
}

/* Every node; the body may delete the node that it is at. */
#define wr_htab_each(t, i_, n_)                                                                    \
	for (uint32_t i_ = 0; (t)->b && i_ <= (t)->mask; i_++)                                     \
		for (struct wr_hnode *n_ = (t)->b[i_], *next_##n_;                                 \
			n_ && (next_##n_ = n_->next, 1); n_ = next_##n_)

#endif
