/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reassembly: segments of one TCP connection, by sequence number (RFC 9293 3.4), to ordered bytes of its
 * session. What came twice is given once; what came too early waits; what the peer acknowledged without
 * this side having seen it is a gap.
 */
#ifndef WR_STREAM_H
#define WR_STREAM_H

#include "../proto/proto.h"

struct wr_early;

struct wr_stream {
	struct wr_session *s; /* NULL: nobody reads */
	struct {
		struct wr_early *early; /* by sequence number */
		uint32_t next;
		uint16_t n;
		bool known;
	} d[2];
};

struct wr_segment {
	uint32_t seq, ack;
	uint32_t len; /* payload bytes, of which data.n were seen */
	struct wr_bytes data;
	bool syn, has_ack;
	uint64_t ts;
};

void wr_stream_segment(struct wr_stream *st, unsigned dir, const struct wr_segment *g);
/* Gives what still waits, ends the session and frees it. */
void wr_stream_end(struct wr_stream *st, uint64_t ts, bool closed);
/* Without a word. */
void wr_stream_free(struct wr_stream *st);

#endif
