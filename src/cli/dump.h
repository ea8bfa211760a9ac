/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a message for people: sixteen a row, the fields that begin in it, marks under what is wrong. */
#ifndef WR_DUMP_H
#define WR_DUMP_H

#include "view.h"

/* Requests with their messages (--bytes): `message` records belong to the request before them. */
struct wr_dump {
	bool on, shown; /* shown: the last request was wanted */
};

/* Is --bytes possible with the other options? Exit status + 1. */
int wr_dump_check(const struct wr_view *v);
/* Writes @e if it is a message of a request that was shown, or of none and nothing is filtered. */
void wr_dump_put(struct wr_dump *d, struct wr_view *v, const struct wr_event *e);

#define WR_DUMP_BYTES 4096 /* of a message; more: counted */
#define WR_DUMP_HELP "the bytes of request and response, its fields, what breaks a rule"

#endif
