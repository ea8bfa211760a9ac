/* SPDX-License-Identifier: Apache-2.0 */
/* The two hello messages, wherever they travel: TLS records (RFC 8446), QUIC's CRYPTO frames (RFC 9001). */
#ifndef WR_HELLO_H
#define WR_HELLO_H

#include "../proto.h"

/* What decides how the rest of a handshake looks. */
struct wr_hello_facts {
	uint16_t version, cipher; /* the server's choice */
	bool early; /* data of the client may stand before the end of its handshake (RFC 8446 4.2.10) */
};

/*
 * Fill in operation, resource (server name), details; @b: the message's body. @transport as in JA4: t or q.
 * @f: MAY be NULL. 0 or -EBADMSG; of a server 1: it asks for another hello.
 */
int wr_client_hello(
	struct wr_request *q, struct wr_bytes b, char transport, struct wr_hello_facts *f);
int wr_server_hello(struct wr_request *q, struct wr_bytes b, struct wr_hello_facts *f);

#endif
