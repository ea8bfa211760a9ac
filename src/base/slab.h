/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of one size from chunks, with a ceiling. Freed objects are used again; nothing goes back to
 * the system before the slab does. */
#ifndef WR_SLAB_H
#define WR_SLAB_H

#include "base.h"

struct wr_slab {
	size_t size, clear; /* clear: bytes that wr_slab_get() zeroes, from the front */
	uint32_t max, used, made;
	void *free, *chunks;
	uint64_t refused; /* times the ceiling or memory said no */
};

#define WR_SLAB(T, max_) ((struct wr_slab){.size = sizeof(T), .clear = sizeof(T), .max = (max_)})

void *wr_slab_get(struct wr_slab *s); /* zeroed as far as `clear` goes, or NULL */
void wr_slab_put(struct wr_slab *s, void *p);
void wr_slab_free(struct wr_slab *s);

#endif
