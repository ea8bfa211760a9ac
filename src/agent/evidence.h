/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of an incident, as a file: the last ones of an address when the alert came, where they are kept
 * (alerts.packets), and what goes to and from it for some seconds after it (guard.respond); or what
 * somebody asked for. One that goes on at a time; a file of an alert is made once. One thread.
 */
#ifndef WR_EVIDENCE_H
#define WR_EVIDENCE_H

#include "pipeline.h"

#define WR_EVIDENCE_PACKETS 10000 /* of a file; more: it ends there */
#define WR_EVIDENCE_SNAP 2048 /* bytes of a packet */
#define WR_EVIDENCE_SEARCHES 4 /* of the last packets, in a second; of more alerts none are looked for */
#define WR_EVIDENCE_FILES 64 /* kept; the oldest goes */

struct wr_evidence;

/* @folder: made when the first file is. NULL: no memory. */
struct wr_evidence *wr_evidence_new(struct wr_pipe *p, const char *folder);
void wr_evidence_free(struct wr_evidence *v);
/*
 * The last packets that @a sent or got, into FOLDER/ID.pcapng: 0 and its path; also when it is there already.
 * -ENOENT: there are none; -EBUSY: too many alerts at once; -errno and @e.
 */
int wr_evidence_recent(struct wr_evidence *v, struct wr_str id, const struct wr_ip *a,
	char *ret_path, size_t n, struct wr_err *e);
/*
 * Begins, behind the last packets: @ns of what @a sends and gets, into FOLDER/ID.pcapng. 0 and its path; -EBUSY:
 * another one is under way, -errno.
 */
int wr_evidence_begin(struct wr_evidence *v, struct wr_str id, const struct wr_ip *a, uint64_t ns,
	char *ret_path, size_t n, struct wr_err *e);
/*
 * The same of what an expression over packet records lets through, because somebody asked for it; *@ret_id has
 * WR_EVIDENCE_ID digits. -EINVAL: the expression, at @e->at.
 */
#define WR_EVIDENCE_ID 16
int wr_evidence_capture(struct wr_evidence *v, const char *expr, uint64_t ns,
	char ret_id[WR_EVIDENCE_ID + 1], struct wr_err *e);
/* Ends it before its time. -ENOENT: it is not under way. */
int wr_evidence_stop(struct wr_evidence *v, struct wr_str id, struct wr_err *e);
/* What the pipe copies. */
void wr_evidence_packet(
	struct wr_evidence *v, const struct wr_rec_packet *p, const uint8_t *data);
/* Ends what is over; about once a second. */
void wr_evidence_turn(struct wr_evidence *v, uint64_t now);

#endif
