/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY protocol (haproxy's proxy-protocol.txt, versions 1 and 2): whom a proxy connects for. */
#ifndef WR_PROXIED_H
#define WR_PROXIED_H

#include "../base/base.h"

#define WR_PROXIED_TEXT 56 /* "[IPv6]:port" */

/*
 * The header at the begin of @b, which the client's side sends first. Its bytes, and in @ret_client whom it is for ("":
 * not said); 0: it is none; -1: more bytes are needed to tell. @client: WR_PROXIED_TEXT bytes.
 */
ssize_t wr_proxied(struct wr_bytes b, char *ret_client);

#endif
