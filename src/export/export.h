/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records on their way out: an exporter is a form (JSON of some schema, syslog, IPFIX, ...), what it is written to
 * is a file, a socket or a URL. Batches wait in a bounded queue; a target that does not answer is tried again with
 * growing pauses; what finds no room, or is refused, is counted: in == sent + dropped + held, always. One thread.
 */
#ifndef WR_EXPORT_H
#define WR_EXPORT_H

#include "../event/event.h"

#define WR_LANES 3

struct wr_form {
	const char *host; /* of records */
	const char *pattern; /* template of a webhook; NULL: none */
};

struct wr_exporter {
	const char *name, *help; /* MUST */
	const char *example; /* MUST: what it is written to */
	const char *kinds; /* MUST: kinds that it sends when none are asked for, with commas */
	const char *path[WR_LANES]; /* MAY: of a URL that has none; by lane */
	const char *type; /* MAY: of the body of a POST */
	const char *rpc[WR_LANES]; /* MAY: the method of gRPC that takes it, by lane; the body is its message */
	const char *port; /* MAY: where none is given */
	unsigned most; /* MAY: records of a batch; 0: as many as fit */
	bool lines; /* MAY: each record is a line, for a file or Kafka */
	bool messages; /* MAY: each record is a message of its own: wr_message_begin(), wr_message_end() */
	/* MAY: which batch the record goes into, by the path that it is sent to; NULL: 0 */
	unsigned (*lane)(const struct wr_event *e);
	/* MAY: before the first and behind the last record of a batch */
	void (*begin)(struct wr_buf *b, unsigned lane, const struct wr_form *f);
	void (*end)(struct wr_buf *b, unsigned lane);
	/* MUST: adds a record; @first of its batch. False: this form has no room for such a record. */
	bool (*put)(
		struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f);
	/* MAY: how many records of a batch were not taken, by the body of a success; why in @why */
	uint64_t (*rejected)(struct wr_bytes answer, struct wr_err *why);
	/* MAY: the datagram or stream of messages of a batch from them; NULL: as they are */
	void (*pack)(struct wr_buf *b, struct wr_bytes messages, uint32_t sequence);
};
/* By name; NULL: there is none. @i: a row of the table, NULL behind the last. */
const struct wr_exporter *wr_exporter_find(struct wr_str name);
const struct wr_exporter *wr_exporter_row(unsigned i);

struct wr_export;
struct wr_export_config {
	const char *
		to; /* "NAME:WHERE": "syslog:udp://10.0.0.1:514", "ecs:/var/log/weir.json", "otlp:http://h:4318" */
	const char *header; /* of each POST: "Authorization: Bearer x"; NULL: none */
	/* TLS, files (PEM), NULL: whom to believe instead of the system's; who this is, if the server asks */
	const char *ca, *certificate, *key;
	struct wr_form form;
	uint64_t queue; /* bytes that wait at most */
	/* bytes in any minute at most, with what stands around a batch on the wire (estimated); 0: any */
	uint64_t budget;
	/* MAY: a folder where waits what finds no room there, and what is left at the end (spool.h); its bytes */
	const char *spool;
	uint64_t spool_max;
};
int wr_export_open(const struct wr_export_config *c, struct wr_export **ret, struct wr_err *e);
/* Tries for at most @patience ns more to send what waits; what still does then goes into the folder. */
void wr_export_flush(struct wr_export *x, uint64_t patience);
void wr_export_free(struct wr_export *x);
void wr_export_put(struct wr_export *x, const struct wr_event *e);
/* Bytes of sums (traffic records) that the budget has room for now. */
uint64_t wr_export_room(const struct wr_export *x);
/* Sends what is due. Ns until there is something to do again. */
uint64_t wr_export_step(struct wr_export *x, uint64_t now);

struct wr_export_stats {
	uint64_t in, sent, held; /* records; held: in memory and in the folder */
	uint64_t spooled, resumed; /* of held: in the folder; of in: found there at the beginning */
	uint64_t damaged; /* files of the folder that were put aside; what they held is refused */
	uint64_t queue_full, refused, no_form; /* dropped */
	uint64_t tries, failures; /* of batches */
	uint64_t bytes; /* of all records that came in, in this form */
	bool closed; /* stdout is: there is nobody to send to any more */
	char last[160]; /* why the last one failed */
};
void wr_export_stats(const struct wr_export *x, struct wr_export_stats *ret);

/* for exporters ------------------------------------------------------------------------------------- */

/* A message within a batch: its length stands before it. */
size_t wr_message_begin(struct wr_buf *b);
void wr_message_end(struct wr_buf *b, size_t at);
bool wr_message_next(struct wr_bytes *messages, struct wr_bytes *ret);
/* A field's value as JSON. */
void wr_form_value(struct wr_buf *b, const struct wr_event *e, unsigned field);
/* The record with the names of OpenTelemetry and ECS, as an object. */
void wr_form_ecs(struct wr_buf *b, const struct wr_event *e);
/* The time of the record, UTC ns. */
uint64_t wr_form_time(const struct wr_event *e);
/* syslog's severity (RFC 5424 6.2.1) of a record. */
unsigned wr_form_severity(const struct wr_event *e);
/* Text of a field by its outside name; "" where it is not there. Numbers are written to @tmp. */
struct wr_str wr_form_text(const struct wr_event *e, const char *name, struct wr_buf *tmp);

/* where to ------------------------------------------------------------------------------------------ */

struct wr_to;
/*
 * "/file", "-", "udp://host:port", "tcp://host:port", "tls://host:port", "http://...", "https://...", "host:port" (udp),
 * "grpc://host:port", "grpcs://host:port" (with TLS), "kafka://host:port[,host:port]/topic".
 */
int wr_to_open(const char *where, const struct wr_exporter *x, const struct wr_export_config *c,
	struct wr_to **ret, struct wr_err *e);
void wr_to_close(struct wr_to *t);
/*
 * 0, -EAGAIN: not now, try again; -EBADMSG: it will never take this; -EPIPE: stdout is closed. @e says why.
 * @ret_rejected: with 0, how many of its records were not taken; @e says why.
 */
int wr_to_send(struct wr_to *t, const struct wr_exporter *x, unsigned lane, struct wr_bytes b,
	uint64_t *ret_rejected, struct wr_err *e);

#endif
