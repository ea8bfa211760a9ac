/* SPDX-License-Identifier: Apache-2.0 */
/* A table whose columns are known only when it comes: as JSON lines, CSV, or columns for people. */
#ifndef WR_OUT_GRID_H
#define WR_OUT_GRID_H

#include "view.h"

struct wr_out_grid {
	struct wr_grid grid; /* hand this on */
	struct wr_view *v;
	const char *kind;
	unsigned n;
	char name[128][96];
	struct wr_buf cells; /* for people: kept until the widths are known; NUL behind each */
	unsigned width[128], rows;
	bool right[128];
};

/* @kind: value of the field "kind" in JSON. */
void wr_grid_init(struct wr_out_grid *g, struct wr_view *v, const char *kind);
/* Writes what is still held; frees. */
void wr_grid_end(struct wr_out_grid *g);

#endif
