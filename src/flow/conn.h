/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of live connections. Readings of sockets and flows go in; conn records come out. A
 * connection with both ends on this host is one record with two owners: the ends find each other by
 * the initial sequence numbers (whatever NAT did in between), older ones and UDP by their addresses
 * within one network namespace.
 */
#ifndef WR_CONN_H
#define WR_CONN_H

#include "../../abi/wr_abi.h"
#include "../enrich/enrich.h"
#include "../event/event.h"
#include "../proto/proto.h"
#include "ends.h"

struct wr_conns;

/* SILENCE: inside TLS, not even that there was something. */
enum wr_wanted { WR_WANT_NOTHING, WR_WANT_HEADS, WR_WANT_FRAMES, WR_WANT_ALL, WR_WANT_SILENCE };

struct wr_conns_config {
	const char *host; /* borrowed for the table's life */
	uint64_t udp_idle; /* ns without a packet after which a UDP flow is closed; 0 = 30 s */
	uint32_t max; /* live connections; 0 = WR_MAX_CONNS */
	struct wr_enrich *enrich;
	/* Is the address one of this host's? MAY be NULL. Flows of watched interfaces that have a local end are
	 * left to the socket that counts them. */
	bool (*local)(void *ctx, const struct wr_ip *a);
	void *local_ctx;
	/* MAY: grows with each packet of a flow that the kernel drops. Any of this one? How many in that time? */
	const volatile uint64_t *drop_seq;
	bool (*drops)(void *ctx, const struct wr_flow_id *id, uint64_t from, uint64_t to,
		uint64_t *ret_n);
	bool requests,
		unmasked; /* read the payload that wr_conns_payload() gives; show secrets in it */
	const struct wr_routes *unmasked_routes; /* ... of these; MAY be NULL */
	size_t raw; /* bytes of each message that become records (message); 0: none */
	struct wr_sign *sign; /* MAY: signatures that are looked for in it (records match) */
	/* MAY: the protocol of a socket with long turns is known now, or never will be: what is wanted of it? */
	void (*limit)(void *ctx, uint64_t cookie, enum wr_wanted w);
	void (*tls)(void *ctx, uint32_t pid); /* MAY: a process speaks TLS */
	void *limit_ctx; /* of both */
	/* MAY: the running kernel's name of a reason for a reset (enum sk_rst_reason); NULL = it has none */
	const char *(*reset_name)(uint32_t reason);
	struct wr_ends *ends; /* MAY: names and places of addresses */
	wr_sink_fn sink;
	void *ctx;
};

struct wr_conns *wr_conns_new(const struct wr_conns_config *cfg);
void wr_conns_free(struct wr_conns *t);

/* Where records go from now on; NULL = nowhere. */
void wr_conns_sink(struct wr_conns *t, wr_sink_fn sink, void *ctx);
/* Any record of the STATE ring or of a reading; unknown types are counted as dropped. */
void wr_conns_record(struct wr_conns *t, const struct wr_rec *r, size_t len);
/* An entry of the flow map; true = idle, remove it (then it is handed over once more with @last). */
bool wr_conns_flow(
	struct wr_conns *t, const struct wr_flow_key *k, const struct wr_flow *v, bool last);
/* Payload of a connection, @data: r->cap bytes; UDP: @udp says whose. -ENOENT: the socket is not known (yet). */
int wr_conns_payload(struct wr_conns *t, const struct wr_rec_payload *r,
	const struct wr_payload_udp *udp, const uint8_t *data);
/* Plain text of a connection's TLS, @data: r->cap bytes. -ENOENT: the socket is not known (yet). */
int wr_conns_tls(struct wr_conns *t, const struct wr_rec_tls *r, const uint8_t *data);
/* NULL: no requests. */
const struct wr_sessions *wr_conns_sessions(const struct wr_conns *t);
/* SYNs to a port: a record if many of them became nothing. */
void wr_conns_syns(struct wr_conns *t, const struct wr_syn_key *k, const struct wr_syns *v);
/* End of a reading: one update for each connection that it changed. */
void wr_conns_settle(struct wr_conns *t);
/* Begin of a reading of everything; what it does not find is closed by wr_conns_sweep(). */
void wr_conns_mark(struct wr_conns *t);
void wr_conns_sweep(struct wr_conns *t);
/* Now, for expiry and for times: CLOCK_BOOTTIME and the offset to UTC. Call at least once a second. */
void wr_conns_tick(struct wr_conns *t, uint64_t now, int64_t utc_offset);
/* Hands every live connection to @fn as an update. */
void wr_conns_each(struct wr_conns *t, wr_sink_fn fn, void *ctx);

/* The id of the connection that a socket belongs to, 0 = unknown. */
uint64_t wr_conns_id(const struct wr_conns *t, uint64_t cookie);

/*
 * Whose socket has these ends, seen from its side, in this namespace. NULL: nobody's of this host that is known.
 * Valid until the next record is taken.
 */
struct wr_proc;
const struct wr_proc *wr_conns_owner(const struct wr_conns *t, const struct wr_ip *local,
	uint16_t lport, const struct wr_ip *remote, uint16_t rport, uint8_t proto, uint32_t netns);

struct wr_conns_stats {
	uint32_t live, sides;
	uint64_t opened, closed, named, unnamed; /* sides closed with and without an owner */
	uint64_t refused; /* no room in the table */
	struct wr_ledger records;
};
void wr_conns_stats(const struct wr_conns *t, struct wr_conns_stats *ret);

const char *wr_tcp_state_name(uint8_t state);

#endif
