/* SPDX-License-Identifier: Apache-2.0 */
/* `weir alerts explain ID`: an alert of history in full, the limits that decided, and the records behind it. */
#ifndef WR_EXPLAIN_H
#define WR_EXPLAIN_H

/* @id: as alerts have it, or its begin. Limits: of the agent on @socket, or the defaults. An exit status. */
int wr_explain(const char *store, const char *socket, const char *id);

#endif
