/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 for the page and for programs, on a unix socket and on a loopback address; with TLS on any. It is a
 * client like any other: of the agent's socket for what is live, of the store for history; it never sees a map.
 *
 * Rights: on the unix socket by the peer's user; elsewhere by a bearer token of the file that is made at the
 * first start (0600): one to read, one to see payload, too, one to control. A name in Host that is none of this
 * machine's, or a foreign Origin, is refused (DNS rebinding, CSRF). Bounded: connections, requests a second,
 * questions at once, bytes, and time.
 */
#ifndef WR_API_H
#define WR_API_H

#include "../base/base.h"

struct wr_api;

struct wr_api_config {
	const char *listen; /* "127.0.0.1:8421", "[::1]:8421", "" = not; elsewhere than on loopback with TLS only */
	const char *certificate, *key; /* files (PEM): TLS 1.2 and 1.3; "" = none */
	const char *names; /* with commas: what it may be called in Host, besides its addresses */
	const char *path; /* of a unix socket, "" = not */
	const char *tokens; /* file, made when it is not there */
	const char *agent; /* the agent's socket */
	const char *store; /* folder of the history, "" = none */
	const char *host; /* name in records */
};

/* Starts its threads. -errno and @e: on what it cannot listen, why. */
int wr_api_open(const struct wr_api_config *c, struct wr_api **ret, struct wr_err *e);
void wr_api_close(struct wr_api *a);
/* The page with the token to read, for the person who starts the agent; "" = not over TCP. */
const char *wr_api_url(const struct wr_api *a);
/* The OpenAPI 3.1 description, from the tables. */
struct wr_buf;
void wr_api_describe(struct wr_buf *b);

#endif
