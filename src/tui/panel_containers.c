// SPDX-License-Identifier: Apache-2.0
#include "tui.h"

static const char *get(const struct wr_tui_row *r, unsigned end, char *buf, size_t n)
{
	(void)buf;
	(void)n;
	return r->end[end].container;
}

static void lines(struct wr_tui *t, void (*add)(struct wr_tui *t, const struct wr_tui_line *l))
{
	wr_tui_sum(t, get, add);
}

static bool drill(const struct wr_tui_line *l, char *expr, size_t n)
{
	snprintf(expr, n, "container = '%s'", l->key);
	return true;
}

const struct wr_panel wr_panel_containers = {
	.name = "containers",
	.empty = "no container has a socket; containers are found by their control group",
	.cols = wr_sum_cols,
	.n_cols = WR_SUM_COLS,
	.sort = 2,
	.lines = lines,
	.drill = drill,
};
