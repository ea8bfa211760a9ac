/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bodies of HTTP say beyond their size, read as they pass and not kept: the events of a stream (HTML
 * Living Standard 9.2, text/event-stream), and of calls to language models the model, the tokens, and when the
 * first one came (OpenTelemetry, semantic conventions of generative AI). For HTTP's parsers and session.c.
 */
#ifndef WR_BODY_H
#define WR_BODY_H

#include "proto.h"

struct wr_body;

/* The texts of the request are known: its bodies are read if it is a call to a language model. */
void wr_body_request(struct wr_session *s, struct wr_request *r);
/* The head of the response is known: ... or if it is a stream of events. @coding: Content-Encoding. */
void wr_body_response(
	struct wr_session *s, struct wr_request *r, struct wr_str type, struct wr_str coding);
/* Of what is skipped next (wr_session_skip()) the first @n bytes are content. */
void wr_body_expect(struct wr_request *r, unsigned dir, uint64_t n);

/* @n bytes passed at @ts; @p NULL: nobody read them. */
void wr_body_data(struct wr_request *r, unsigned dir, const uint8_t *p, uint64_t n, uint64_t ts);
/* What they said, in the request's detail (before it is taken) and its fields (views of @r). */
void wr_body_detail(struct wr_request *r);
void wr_body_fields(const struct wr_request *r, struct wr_ev_request *e);
void wr_body_free(struct wr_request *r);

#endif
