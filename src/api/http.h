/* SPDX-License-Identifier: Apache-2.0 */
/* What the routes share. */
#ifndef WR_HTTP_H
#define WR_HTTP_H

#include "../base/buf.h"
#include "api.h"

#include <microhttpd.h>

#define WR_API_PAGE 1000 /* records of a page, at most */

/* Each has those before it. */
enum wr_right { WR_RIGHT_NONE, WR_RIGHT_READ, WR_RIGHT_PAYLOAD, WR_RIGHT_CONTROL, WR_RIGHTS };
extern const char *const wr_right_names[WR_RIGHTS];

#define WR_PARAM(n, ...) WR_P_##n,
enum wr_param {
#include "params.def"
	WR_PARAMS
};
#undef WR_PARAM

/* A request as a route sees it, and its answer. */
struct wr_call {
	struct wr_api *api;
	const struct wr_api_config *cfg;
	int client; /* descriptor of its connection; -1: not known */
	const char *tail; /* of a path that ends in '/': what is behind it */
	const char *p[WR_PARAMS]; /* parameters, NULL = not given */
	unsigned status;
	const char *type;
	const char *allow; /* of a 405: the methods that there are (RFC 9110 15.5.6); else NULL */
	struct wr_buf body;
	/*
	 * MAY: instead of a body, bytes as they come; see MHD_ContentReaderCallback. @stream is freed by @end.
	 */
	MHD_ContentReaderCallback read;
	MHD_ContentReaderFreeCallback end;
	void *stream;
};

/* {"error": "..."} with a status. */
void wr_call_fail(struct wr_call *c, unsigned status, const char *fmt, ...) WR_PRINTF(3, 4);

#define WR_ROUTE(n, ...) void wr_route_##n(struct wr_call *c);
#include "routes.def"
#undef WR_ROUTE

/* A file of the page, gzip: NULL = there is none. */
struct wr_asset {
	const char *path, *type;
	const unsigned char *p, *end;
};
const struct wr_asset *wr_asset_find(const char *path);

#endif
