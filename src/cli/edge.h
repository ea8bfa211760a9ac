/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edge mode, for small devices behind a thin line: the agent keeps nothing on the disk, listens nowhere but on its
 * socket, takes little memory; a child without any right sends sums of each minute and alerts up.
 */
#ifndef WR_EDGE_H
#define WR_EDGE_H

#include "../ctl/config.h"

#include <sys/types.h>

/* Other defaults than those of a server: to be called before a file or options are read. */
void wr_edge_config(struct wr_config *c);
/*
 * Begins the child, which waits for the agent's socket, sends to @to (as `weir export`) at most @budget bytes a
 * minute, and ends with this process. 0 or -errno; -EINVAL: @to is wrong.
 */
int wr_edge_begin(
	const char *to, uint64_t budget, const char *socket, pid_t *ret_child, struct wr_err *e);
/* Ends it: what waits is sent first, for five seconds at most. */
void wr_edge_end(pid_t child);

#endif
