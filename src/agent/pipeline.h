/* SPDX-License-Identifier: Apache-2.0 */
/* The way from the kernel to records: sensors, rings, connection table, sink. The agent runs one; a view
 * without an agent runs one with just the sensors that it needs. One thread. */
#ifndef WR_PIPELINE_H
#define WR_PIPELINE_H

#include "../event/event.h"
#include "../flow/conn.h"
#include "../kern/kern.h"

struct wr_pipe;
struct wr_sign;

/* A copied packet of the DATA ring; lives as long as the call. */
typedef void (*wr_packet_fn)(void *ctx, const struct wr_rec_packet *p, const uint8_t *data);

/* A step of a packet (DATA ring); lives as long as the call. */
typedef void (*wr_step_fn)(void *ctx, const struct wr_rec_journey *r);

#define WR_TLS_LEAVE "clickhouse,amqproxy" /* known to break when they are probed */

struct wr_pipe_config {
	struct wr_kern_config kern;
	const char *host;
	uint64_t udp_idle; /* ns */
	uint32_t max_conns;
	bool requests, unmasked; /* read payload: request records too; show secrets in them */
	const struct wr_routes *unmasked_routes; /* ... of these; MAY be NULL; the caller's */
	size_t raw; /* bytes of each message that become records (message); 0: none */
	struct wr_sign *sign; /* MAY: signatures that are looked for in it: match records */
	const char *tls_leave; /* words: files that are not probed for what is inside TLS (kern.tls) */
	wr_sink_fn sink; /* conn, request, loss records */
	wr_packet_fn packet;
	wr_step_fn step;
	void *ctx;
};

int wr_pipe_open(const struct wr_pipe_config *cfg, struct wr_pipe **ret, struct wr_err *e);
void wr_pipe_close(struct wr_pipe *p);
/* Descriptor for poll(): a ring is filling. */
int wr_pipe_fd(struct wr_pipe *p);
/* Takes what is there; once a second reads sockets and flows. Returns the ms to wait before the next. */
int wr_pipe_step(struct wr_pipe *p);
/* Reads everything now, so that what follows is exact up to this moment. */
void wr_pipe_flush(struct wr_pipe *p);
/* Why no request records come; NULL = they come. */
const char *wr_pipe_no_requests(struct wr_pipe *p);
/* Names of the kernel's places and of its reasons for a drop; NULL: not known. A new one costs a large file. */
const char *wr_pipe_symbol(struct wr_pipe *p, uint64_t addr);
const char *wr_pipe_drop_reason(uint32_t reason);
struct wr_kern *wr_pipe_kern(struct wr_pipe *p);
struct wr_conns *wr_pipe_conns(struct wr_pipe *p);
struct wr_enrich *wr_pipe_enrich(struct wr_pipe *p);
struct wr_ends *wr_pipe_ends(struct wr_pipe *p);
/* The ledger, as metric and loss records: in == out + dropped for every stage. */
void wr_pipe_report(struct wr_pipe *p, wr_sink_fn fn, void *ctx);

#endif
