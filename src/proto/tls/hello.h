/* SPDX-License-Identifier: Apache-2.0 */
/* The two hello messages, wherever they travel: TLS records (RFC 8446), QUIC's CRYPTO frames (RFC 9001). */
#ifndef WR_HELLO_H
#define WR_HELLO_H

#include "../proto.h"

/* Fills in operation, resource (server name), details; @b: the message's body. @transport as in JA4: t or q. */
int wr_client_hello(struct wr_request *q, struct wr_bytes b, char transport); /* 0 or -EBADMSG */
int wr_server_hello(struct wr_request *q, struct wr_bytes b); /* 0; 1: asks for another hello; -EBADMSG */

#endif
