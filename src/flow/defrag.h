/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP datagrams from their fragments (RFC 791 3.2, RFC 8200 4.5). Bounded: WR_MAX_FRAGS datagrams at once,
 * WR_MAX_FRAG_BYTES of them all, 30 s of packet time each. Overlapping fragments end their datagram
 * (RFC 5722; Linux does the same with IPv4, commit 7969e5c40dfd).
 */
#ifndef WR_DEFRAG_H
#define WR_DEFRAG_H

#include "packet.h"

struct wr_defrag;

enum wr_frag {
	WR_FRAG_MORE, /* taken; others are missing */
	WR_FRAG_WHOLE, /* the datagram is complete */
	WR_FRAG_OVERLAP, /* it overlaps another one: the datagram is given up */
	WR_FRAG_LOST, /* not kept: cut by the capture, or no room */
};

struct wr_defrag *wr_defrag_new(void); /* NULL = no memory */
void wr_defrag_free(struct wr_defrag *d);
/*
 * Takes a fragment (@p->frag.p set). WR_FRAG_WHOLE: @ret_whole is the datagram's packet, decoded through its
 * tunnels, with the headers of the first fragment; its payload lives until the next call. @ret_port: the
 * ports of the first fragment, where it was seen (else unchanged, @ret_known false).
 */
enum wr_frag wr_defrag_add(struct wr_defrag *d, const struct wr_pkt *p, struct wr_pkt *ret_whole,
	uint16_t ret_port[2], bool *ret_known);

#endif
