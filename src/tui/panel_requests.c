// SPDX-License-Identifier: Apache-2.0
#include "tui.h"

static void lines(struct wr_tui *t, void (*add)(struct wr_tui *t, const struct wr_tui_line *l))
{
	wr_tui_requests(t, add);
}

static bool drill(const struct wr_tui_line *l, char *expr, size_t n)
{
	snprintf(expr, n, "server.service = '%s'", l->key);
	return true;
}

static void c_service(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_str(b, wr_str(l->key));
}

static void c_what(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_str(b, wr_str(l->extra));
}

static void c_rate(struct wr_buf *b, const struct wr_tui_line *l)
{
	if (l->tx_rate > 0)
		wr_buf_printf(b, "%.*f", l->tx_rate < 10, l->tx_rate);
	else
		wr_buf_c(b, '-');
}

static void c_count(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_u64(b, l->conns);
}

static void c_errors(struct wr_buf *b, const struct wr_tui_line *l)
{
	if (l->errors)
		wr_buf_u64(b, l->errors);
}

static void c_mean(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_human_us(b, (double)l->rtt_us);
}

static void c_max(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_human_us(b, (double)l->max_us);
}

static int by_service(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	return strcmp(a->key, b->key);
}

static int by_what(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	return strcmp(a->extra, b->extra);
}

#define BY(name, field)                                                                            \
	static int name(const struct wr_tui_line *a, const struct wr_tui_line *b)                  \
	{                                                                                          \
		return a->field < b->field ? -1 : a->field > b->field;                             \
	}
BY(by_rate, tx_rate)
BY(by_count, conns)
BY(by_errors, errors)
BY(by_mean, rtt_us)
BY(by_max, max_us)

static const struct wr_tui_col cols[] = {
	{"SERVICE", 20, 0, false, true, c_service, by_service},
	{"REQUEST", 20, 0, false, true, c_what, by_what},
	{"RATE/S", 8, 0, true, false, c_rate, by_rate},
	{"COUNT", 9, 2, true, false, c_count, by_count},
	{"ERRORS", 7, 1, true, false, c_errors, by_errors},
	{"MEAN", 8, 0, true, false, c_mean, by_mean},
	{"SLOWEST", 8, 3, true, false, c_max, by_max},
};

const struct wr_panel wr_panel_requests = {
	.name = "requests",
	.empty = "no request has been seen yet",
	.cols = cols,
	.n_cols = WR_N(cols),
	.sort = 2,
	.lines = lines,
	.drill = drill,
};
