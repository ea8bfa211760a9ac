/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections from packets: what the kernel counts for live sockets is worked out here from a
 * capture, with packet time as the clock. Conn records come out as for live traffic.
 */
#ifndef WR_TRACK_H
#define WR_TRACK_H

#include "../event/event.h"
#include "../proto/proto.h"
#include "ends.h"
#include "packet.h"

struct wr_track;

struct wr_track_config {
	const char *host;
	uint64_t udp_idle; /* ns of packet time; 0 = 60 s */
	bool requests, unmasked; /* read the payload too; show secrets in it */
	size_t raw; /* bytes of each message that become records (message); 0: none */
	struct wr_sign *sign; /* MAY: signatures that are looked for in it (records match) */
	uint32_t max; /* connections at once; 0 = WR_MAX_CONNS. More: counted, not tracked */
	struct wr_ends *ends; /* MAY: names and places of addresses */
	wr_sink_fn sink;
	void *ctx;
};

struct wr_track *wr_track_new(const struct wr_track_config *cfg);
void wr_track_free(struct wr_track *t);
/* Takes one decoded packet. Allocates only for a connection that is new. */
void wr_track_packet(struct wr_track *t, const struct wr_pkt *p);
/* End of the capture: every connection that is still open is reported as an update. */
void wr_track_end(struct wr_track *t);

struct wr_track_stats {
	uint64_t packets, bytes; /* all that came in */
	uint64_t tracked, fragments; /* joined to a connection; of those, later fragments */
	uint64_t not_ip, cut, refused; /* why the others were not */
	uint64_t unknown_fragments; /* whose first fragment was not seen */
	uint64_t connections;
	uint64_t bad[WR_BAD_N];
	uint64_t first, last; /* UTC ns */
};
void wr_track_stats(const struct wr_track *t, struct wr_track_stats *ret);
/* Alert records for the malformed packets: one a kind. */
void wr_track_malformed(const struct wr_track *t, wr_sink_fn fn, void *ctx);

#endif
