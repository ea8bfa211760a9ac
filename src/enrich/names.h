/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of addresses, as DNS told them to the hosts that were seen: who asked for a name and got an address
 * calls that address by this name. An address may have several, and each client its own: WR_NAMES_EACH are
 * known, the one that was told longest ago goes. So it is with addresses (WR_MAX_NAMES).
 */
#ifndef WR_NAMES_H
#define WR_NAMES_H

#include "../base/ip.h"

struct wr_names;

#define WR_NAMES_EACH 4

struct wr_names *wr_names_new(void); /* NULL: no memory */
void wr_names_free(struct wr_names *n);

/* @client was told at @at (UTC ns) that @name is at @addr. What there is no memory for is not known. */
void wr_names_add(struct wr_names *n, const struct wr_ip *client, const struct wr_ip *addr,
	struct wr_str name, uint64_t at);

/*
 * What @client called @addr at @at: what it was told last before, else what another one was told last before (its
 * resolver asks in its own name), else what was told first behind it. Empty: nobody asked. A view, until the next
 * wr_names_add().
 */
struct wr_str wr_names_find(const struct wr_names *n, const struct wr_ip *client,
	const struct wr_ip *addr, uint64_t at);

unsigned wr_names_count(const struct wr_names *n);

#endif
