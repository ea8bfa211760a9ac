/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of conn and request records, shared by `conns`, `requests`, `read` and `top`. */
#ifndef WR_CELLS_H
#define WR_CELLS_H

#include "view.h"

extern const struct wr_col wr_conn_cols[];
extern const unsigned wr_n_conn_cols;
extern const struct wr_col wr_request_cols[];
extern const unsigned wr_n_request_cols;
extern const struct wr_col wr_red_cols[], wr_edge_cols[], wr_diagnosis_cols[];
extern const unsigned wr_n_red_cols, wr_n_edge_cols, wr_n_diagnosis_cols;

void wr_cell_owner(struct wr_buf *b, const struct wr_ev_conn *r);

#endif
