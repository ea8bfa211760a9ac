/* SPDX-License-Identifier: Apache-2.0 */
/* What SYN cookies need to know of this host. */
#ifndef WR_COOKIE_H
#define WR_COOKIE_H

#include "../../src/base/base.h"
#include "cookie_abi.h"

/* A fresh key, and what this host's TCP does (flags). -ENOTSUP: it takes no cookies at all. */
int wr_cookie_host(struct wr_cookie_ctl *ret, struct wr_err *e);

#endif
