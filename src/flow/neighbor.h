/* SPDX-License-Identifier: Apache-2.0 */
/* ARP (RFC 826) by pairs: who asks for whom, who answers. The pair that rested longest makes room for a new one. */
#ifndef WR_NEIGHBOR_H
#define WR_NEIGHBOR_H

#include "../event/event.h"

struct wr_neighbors;

struct wr_arp {
	uint64_t ts; /* UTC, ns */
	unsigned ifindex; /* 0: of a capture */
	uint16_t op; /* 1: request, 2: reply; others are not counted */
	struct wr_ip sender, target;
	uint8_t mac[6]; /* of the sender */
};

/* Records of kind neighbor go to the sink of the flush or, when a pair makes room, to that of the packet. */
struct wr_neighbors *wr_neighbors_new(const char *host);
void wr_neighbors_free(struct wr_neighbors *t);
/* Announcements and probes (RFC 5227: no sender, or the sender itself) are not counted. */
void wr_neighbors_packet(
	struct wr_neighbors *t, const struct wr_arp *a, wr_sink_fn sink, void *ctx);
/* What changed since. */
void wr_neighbors_flush(struct wr_neighbors *t, wr_sink_fn sink, void *ctx);

#endif
