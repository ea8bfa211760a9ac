/* SPDX-License-Identifier: Apache-2.0 */
/* The only way to read bytes from the network: a cursor that cannot leave its bounds. A failed read
 * sets `bad`, moves nothing, and yields 0, so that a decoder may check once at the end. */
#ifndef WR_RD_H
#define WR_RD_H

#include "base.h"

struct wr_rd {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct wr_rd wr_rd(const void *p, size_t n)
{
	return (struct wr_rd){p, (const uint8_t *)p + n, false};
}
static inline size_t wr_rd_left(const struct wr_rd *r)
{
	return (size_t)(r->end - r->p);
}
static inline const uint8_t *wr_rd_take(struct wr_rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (wr_rd_left(r) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}
static inline uint8_t wr_rd_u8(struct wr_rd *r)
{
	const uint8_t *p = wr_rd_take(r, 1);

	return p ? p[0] : 0;
}
static inline uint16_t wr_rd_be16(struct wr_rd *r)
{
	const uint8_t *p = wr_rd_take(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}
static inline uint32_t wr_rd_be32(struct wr_rd *r)
{
	const uint8_t *p = wr_rd_take(r, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}
static inline uint16_t wr_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t wr_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif
