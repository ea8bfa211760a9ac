/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HPACK (RFC 7541), decoding only, and from any point of a connection: an entry of the dynamic table that
 * was made before we came is unknown, it is said to be so, and the table heals as new entries come.
 */
#ifndef WR_HPACK_H
#define WR_HPACK_H

#include "../../base/buf.h"
#include "../../base/rd.h"

#define WR_HPACK_TABLE 65536u /* bytes of a dynamic table; a peer that asks for more is not followed */
#define WR_HPACK_ENTRIES 512
#define WR_HPACK_BLOCK 65536 /* bytes of a header block */

struct wr_hpack_field {
	struct wr_str name, value; /* borrowed for the call */
	bool name_unknown, value_unknown;
};

struct wr_hpack {
	void *e[WR_HPACK_ENTRIES]; /* a ring, the newest at `first` */
	uint32_t first, n, size, max;
	bool joined; /* there are entries that we have not seen */
};

void wr_hpack_init(struct wr_hpack *h, bool joined);
void wr_hpack_free(struct wr_hpack *h);
/* A block was missed: what the table holds is not known any more. */
void wr_hpack_lost(struct wr_hpack *h);
/* One whole header block. -EBADMSG: not HPACK; the table is lost then. */
int wr_hpack_decode(struct wr_hpack *h, struct wr_bytes block,
	void (*field)(void *ctx, const struct wr_hpack_field *f), void *ctx);

#endif
