/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Responders: what the guard does when a detector raises an alert: against the address that did it, or against
 * the process of this host that did. Dry by default: then it only says what it would do. Who comes again after
 * its time gets twice as long, up to a day. One thread.
 */
#ifndef WR_RESPOND_H
#define WR_RESPOND_H

#include "../../actors/guard/guard.h"
#include "../base/ip.h"

#define WR_RESPOND_MAX 64 /* rules of responders at once; what is more is only told */

struct wr_respond;

/*
 * @table: "detector=drop:10m,...": drop:D, limit:RATE:D, reset, block:D (its process), isolate:D (its container),
 * capture:D (its packets); several of one detector are all done.
 * -EINVAL: what is wrong with it. @g outlives it.
 */
int wr_respond_new(
	const char *table, bool dry, struct wr_guard *g, struct wr_respond **ret, struct wr_err *e);
/*
 * How packets are kept: what @a sends and gets for @ns as evidence of the alert @id; 0 and the file's path in @ret,
 * or -errno and @e. Without this nothing is captured.
 */
void wr_respond_capture(struct wr_respond *r,
	int (*capture)(void *ctx, struct wr_str id, const struct wr_ip *a, uint64_t ns, char *ret,
		size_t n, struct wr_err *e),
	void *ctx);
/* The end of an incident that is not this host. False: none is, or no address is known. */
bool wr_respond_other(const struct wr_ev_alert *a, struct wr_ip *ret);
void wr_respond_free(struct wr_respond *r);
/* Does what the table says about this alert. In words what was done, would be done, or was not and why; "" = nothing. */
const char *wr_respond_alert(struct wr_respond *r, const struct wr_ev_alert *a);

#endif
