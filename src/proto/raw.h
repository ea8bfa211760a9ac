/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of messages, kept while their requests are under way, and which of them are fields: a parser gives the
 * texts of a request as views of what it reads, so their places are known without its help. For session.c.
 */
#ifndef WR_RAW_H
#define WR_RAW_H

#include "proto.h"

/* Of one thread: what a parser looks at now. */
struct wr_raw;

/* @keep: bytes of a message; more is counted only. NULL: no memory. */
struct wr_raw *wr_raw_new(size_t keep);
void wr_raw_free(struct wr_raw *w);

/*
 * Around feed(): what it is given, and how much of it was a message (negative: none). @first: the requests
 * under way; those that count more bytes behind it have these.
 */
void wr_raw_begin(struct wr_raw *w, struct wr_request *first, unsigned dir, struct wr_bytes b);
void wr_raw_end(struct wr_raw *w, struct wr_request *first, ssize_t n);
/* A request that was done in between, with its protocol; NULL: no more. */
struct wr_request *wr_raw_done(struct wr_raw *w, const char **ret_protocol);

/* The bytes belong to this request (MAY be called again); a text of it was taken from here; they break a rule. */
void wr_raw_touch(struct wr_raw *w, struct wr_request *r);
void wr_raw_mark(struct wr_request *r, const char *name, struct wr_str at);
void wr_raw_wrong(struct wr_raw *w, const char *rule, struct wr_str at);
/* @n bytes of a body; @p NULL: they were not seen. */
void wr_raw_body(struct wr_request *r, unsigned dir, const uint8_t *p, uint64_t n);
/* Within feed() a request is told later, when its bytes are known: true, and wr_raw_done() gives it. */
bool wr_raw_hold(struct wr_request *r, const char *protocol);
void wr_raw_forget(struct wr_request *r);

/*
 * The message of a request (@answer: or its response) as a record, with texts that hold until the next
 * call; false: there is none. @unmasked: all bytes; else only those of fields that the request shows.
 */
bool wr_raw_event(const struct wr_request *r, bool answer, bool unmasked, struct wr_ev_message *e);
/* What broke a rule and is of no request, once; false: nothing did. */
bool wr_raw_alone(struct wr_raw *w, bool unmasked, struct wr_ev_message *e);

#endif
