/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture files. Reads pcap (microseconds and nanoseconds, both byte orders), pcapng (all interfaces,
 * resolutions and sections), each also as gzip or zstd, from a file or standard input, at any size in
 * bounded memory. Writes pcapng (draft-ietf-opsawg-pcapng).
 */
#ifndef WR_CAPFILE_H
#define WR_CAPFILE_H

#include "../base/base.h"

struct wr_cap;

struct wr_cap_packet {
	uint64_t ts; /* UTC, ns */
	uint32_t captured, length, interface;
	uint32_t snap; /* the file's limit, 0 = none: what is shorter was not cut by the capture */
	uint16_t link;
	const uint8_t *data; /* until the next call */
};

/* "-" is standard input. -errno; @e says what is wrong with the file. */
int wr_cap_open(const char *path, struct wr_cap **ret, struct wr_err *e);
/*
 * 1 and a packet; 0 at the end; -EBADMSG corrupt, -ENODATA cut in the middle of a packet: what came
 * before is good, @e tells the offset and the reason.
 */
int wr_cap_next(struct wr_cap *c, struct wr_cap_packet *ret, struct wr_err *e);
void wr_cap_close(struct wr_cap *c);
uint64_t wr_cap_offset(const struct wr_cap *c); /* bytes of the (unpacked) stream so far */
const char *wr_cap_interface(const struct wr_cap *c, uint32_t i, char *buf, size_t n);

struct wr_capw;
struct wr_capw_config {
	const char *path; /* "-" = standard output */
	uint16_t link;
	uint32_t snap;
	uint64_t rotate_bytes, rotate_ns; /* 0 = never; then path-00001.pcapng and so on */
	uint32_t rotate_files; /* keep at most this many, 0 = all */
	const char *hardware, *filter;
};
int wr_capw_open(const struct wr_capw_config *cfg, struct wr_capw **ret, struct wr_err *e);
/*
 * Appends one packet; @dir: 0 received, 1 sent, else neither; @comment may be empty. On a full disk or a
 * closed pipe -errno: the file is cut back to its last whole block, so what was written stays readable.
 */
int wr_capw_packet(struct wr_capw *w, uint64_t ts, const uint8_t *data, uint32_t captured,
	uint32_t length, uint8_t dir, struct wr_str comment, struct wr_err *e);
int wr_capw_flush(struct wr_capw *w, struct wr_err *e);
/* Writes the interface statistics block and closes. NULL is fine. */
int wr_capw_close(struct wr_capw *w, uint64_t dropped, struct wr_err *e);

#endif
