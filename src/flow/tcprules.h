/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What TCP's own sections ask of a segment, beyond its form (that is packet.h's): RFC 9293, 7323, 2018. Only what
 * one can be sure of from where the packets were captured: packets that were seen twice, or a loss of less than a
 * window, accuse nobody.
 */
#ifndef WR_TCPRULES_H
#define WR_TCPRULES_H

#include "packet.h"

/* Of a connection, zeroed at its begin; 48 bytes. */
struct wr_tcp_rules {
	struct wr_tcp_side {
		uint32_t isn, next, fin; /* next: behind what it sent so far; fin: the number of its FIN */
		uint32_t window; /* the largest that it offered, in bytes */
		uint16_t told; /* bit per rule */
		uint8_t syns, scale; /* SYNs of different numbers */
		uint8_t any, all; /* options of its SYNs: of any, of all */
		bool seen, finished;
	} side[2];
};

/*
 * Takes a segment that side @dir (0: the client) sent. The rule that it breaks, as "RFC N SECTION: what", the first
 * time that this side breaks it; else NULL. @ret_ignored: the other end takes no notice of it; who reads along must
 * not either, or a forged reset would blind him.
 */
const char *wr_tcp_rules_see(
	struct wr_tcp_rules *r, unsigned dir, const struct wr_pkt *p, bool *ret_ignored);

#endif
