/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which requests may show what is a secret in others: a list of routes, each [PROTOCOL][:PORT][/PATH] with at least
 * one of them: "http:8080/debug", ":5432", "redis", "/internal". PORT is the server's; PATH and what is below it.
 */
#ifndef WR_ROUTES_H
#define WR_ROUTES_H

#include "../base/base.h"

struct wr_routes;

/* @list: words with commas; @ret NULL: it is empty. 0, or -EINVAL, -E2BIG, -ENOMEM with the reason. */
int wr_routes_new(const char *list, struct wr_routes **ret, struct wr_err *e);
void wr_routes_free(struct wr_routes *r);

/*
 * @url: the request's, with or without scheme and host; empty where its protocol has none: no route with a path
 * matches then. Nor does one match a path with "..", whose meaning is its server's business.
 */
bool wr_routes_match(const struct wr_routes *r, const char *protocol, uint16_t port, struct wr_str url);

#endif
