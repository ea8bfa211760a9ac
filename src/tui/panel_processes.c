// SPDX-License-Identifier: Apache-2.0
#include "tui.h"

static const char *get(const struct wr_tui_row *r, unsigned end, char *buf, size_t n)
{
	if (!r->end[end].process[0])
		return "";
	snprintf(buf, n, "%" PRIu64 " %s", r->end[end].pid, r->end[end].process);
	return buf;
}

static void lines(struct wr_tui *t, void (*add)(struct wr_tui *t, const struct wr_tui_line *l))
{
	wr_tui_sum(t, get, add);
}

static bool drill(const struct wr_tui_line *l, char *expr, size_t n)
{
	uint64_t pid = strtoull(l->key, NULL, 10);

	snprintf(expr, n, "pid = %" PRIu64, pid);
	return pid != 0;
}

const struct wr_panel wr_panel_processes = {
	.name = "processes",
	.empty = "no process has a socket yet",
	.cols = wr_sum_cols,
	.n_cols = WR_SUM_COLS,
	.sort = 2,
	.lines = lines,
	.drill = drill,
};
