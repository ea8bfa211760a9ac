// SPDX-License-Identifier: Apache-2.0
#include "slab.h"

#define CHUNK 128u /* objects a chunk */

void *wr_slab_get(struct wr_slab *s)
{
	void *p;

	if (!s->free) {
		size_t size = (s->size + 7) & ~(size_t)7;
		char *c;

		if (s->made >= s->max || !(c = wr_alloc(16 + size * CHUNK))) {
			s->refused++;
			return NULL;
		}
		*(void **)c = s->chunks;
		s->chunks = c;
		for (unsigned i = CHUNK; i-- > 0;) {
			void **o = (void **)(c + 16 + i * size);

			*o = s->free;
			s->free = o;
		}
		s->made += CHUNK;
	}
	p = s->free;
	s->free = *(void **)p;
	memset(p, 0, s->clear);
	s->used++;
	return p;
}

void wr_slab_put(struct wr_slab *s, void *p)
{
	if (!p)
		return;
	*(void **)p = s->free;
	s->free = p;
	s->used--;
}

void wr_slab_free(struct wr_slab *s)
{
	for (void *c = s->chunks, *next; c; c = next) {
		next = *(void **)c;
		free(c);
	}
	s->chunks = s->free = NULL;
	s->used = s->made = 0;
}
