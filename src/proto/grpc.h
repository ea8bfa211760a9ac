/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of gRPC (grpc/doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message): how many each side sent, and the
 * fields of the first one by their numbers (protobuf.dev, encoding), without a description. Their values are
 * secrets like any: where a route is not unmasked only what kind they are is told. For HTTP/2 and session.c.
 */
#ifndef WR_GRPC_H
#define WR_GRPC_H

#include "proto.h"

#define WR_GRPC_KEPT 512 /* bytes of the first message of each side */

struct wr_grpc;

/* The request is one of gRPC. */
void wr_grpc_begin(struct wr_request *r);
/* @n bytes of content passed; @p NULL: nobody read them. */
void wr_grpc_data(struct wr_request *r, unsigned dir, const uint8_t *p, uint64_t n);
/* detail.request_messages, .response_messages, .request_fields, .response_fields. Before the detail is taken. */
void wr_grpc_detail(struct wr_request *r, bool unmasked);
void wr_grpc_free(struct wr_request *r);
/* {"1":"text(5)","3":{"1":"varint"}}, or with @values {"1":"alice","3":{"1":7}}. False: no message of protobuf. */
bool wr_grpc_fields(struct wr_buf *b, struct wr_bytes message, bool whole, bool values);

#endif
