/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of flow, packet and alert records, shared by `flows`, `alerts` and `read`. */
#ifndef WR_FLOWCOLS_H
#define WR_FLOWCOLS_H

#include "../agg/group.h"
#include "view.h"

extern const struct wr_col wr_flow_cols[];
extern const unsigned wr_n_flow_cols;
extern const struct wr_col wr_packet_cols[];
extern const unsigned wr_n_packet_cols;
extern const struct wr_col wr_alert_cols[];
extern const unsigned wr_n_alert_cols;

/* Does `--by` ask for headers of packets rather than for facts of connections? */
bool wr_by_packets(int argc, char **argv);
/* Writes the rows of a window and resets it. */
void wr_group_put(struct wr_view *v, struct wr_group *g, unsigned top, uint64_t from, uint64_t to);

#endif
