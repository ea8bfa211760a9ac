/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of networks from files, as threat lists come: an IPv4 or IPv6 address or network a line. Pure but for the
 * file.
 */
#ifndef WR_GUARD_LIST_H
#define WR_GUARD_LIST_H

#include "../../src/base/ip.h"
#include "guard_abi.h"

struct wr_guard_list {
	struct wr_g_list in;
	uint32_t lines; /* that named a network */
};

/*
 * "203.0.113.0/24", "203.0.113.7" or "2001:db8::/32", then nothing, or behind a space, tab, comma, ; or # whatever; empty lines
 * and those that begin with # or ; are not read. -EINVAL with FILE:LINE in @e; -EFBIG: more than 16 million
 * lines; -errno.
 */
int wr_guard_list_read(const char *path, struct wr_guard_list *ret, struct wr_err *e);
/* The same of a file in MaxMind's format: what is in @of, see wr_geo_list(). */
int wr_guard_list_places(
	const char *path, struct wr_str of, struct wr_guard_list *ret, struct wr_err *e);
int wr_guard_list_parse(
	const char *name, const char *text, struct wr_guard_list *ret, struct wr_err *e);
void wr_guard_list_free(struct wr_guard_list *l);
bool wr_guard_list_has(const struct wr_guard_list *l, const struct wr_ip *src);

#endif
