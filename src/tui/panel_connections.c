// SPDX-License-Identifier: Apache-2.0
#include "tui.h"

static void cell_proto(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_str(b, wr_str(l->row->proto));
}

static void cell_client(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_str(b, wr_str(l->row->listener ? "*" : l->row->end[0].addr));
}

static void cell_server(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_str(b, wr_str(l->row->end[1].addr));
}

static void cell_state(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_str(b, wr_str(l->row->state));
}

static void cell_owner(struct wr_buf *b, const struct wr_tui_line *l)
{
	const struct wr_tui_end *c = &l->row->end[0], *s = &l->row->end[1];

	wr_buf_str(b, wr_str(c->container[0] ? c->container : c->process));
	if (s->process[0]) {
		wr_buf_str(b, c->process[0] ? WR_STR(" > ") : WR_STR("> "));
		wr_buf_str(b, wr_str(s->container[0] ? s->container : s->process));
	} else if (c->process[0] && s->name[0]) {
		wr_buf_lit(b, " > ");
		wr_buf_str(b, wr_str(s->name));
	}
}

#define BY_TEXT(name, what)                                                                        \
	static int name(const struct wr_tui_line *a, const struct wr_tui_line *b)                  \
	{                                                                                          \
		return strcmp(a->row->what, b->row->what);                                         \
	}
BY_TEXT(by_client, end[0].addr)
BY_TEXT(by_server, end[1].addr)
BY_TEXT(by_state, state)
BY_TEXT(by_proto, proto)

static int by_owner(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	const char *x = a->row->end[0].process, *y = b->row->end[0].process;

	return strcmp(x[0] ? x : a->row->end[1].process, y[0] ? y : b->row->end[1].process);
}

static int by_rate(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	double x = a->tx_rate + a->rx_rate, y = b->tx_rate + b->rx_rate;

	if (x != y)
		return x < y ? -1 : 1;
	/* silent ones: the more it carried, the higher; listeners last */
	if (a->row->listener != b->row->listener)
		return a->row->listener ? -1 : 1;
	return a->tx + a->rx < b->tx + b->rx ? -1 : a->tx + a->rx > b->tx + b->rx;
}

static void cell_up(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_tui_rate(b, l->tx_rate);
}

static void cell_down(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_tui_rate(b, l->rx_rate);
}

static int by_total(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	return a->tx + a->rx < b->tx + b->rx ? -1 : a->tx + a->rx > b->tx + b->rx;
}

static void cell_total(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_human_bytes(b, l->tx + l->rx);
}

static int by_rtt(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	return a->rtt_us < b->rtt_us ? -1 : a->rtt_us > b->rtt_us;
}

static void cell_rtt(struct wr_buf *b, const struct wr_tui_line *l)
{
	if (l->rtt_us)
		wr_human_us(b, (double)l->rtt_us);
}

static int by_retr(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	return a->retr < b->retr ? -1 : a->retr > b->retr;
}

static void cell_retr(struct wr_buf *b, const struct wr_tui_line *l)
{
	if (l->retr)
		wr_buf_u64(b, l->retr);
}

static const struct wr_tui_col cols[] = {
	{"PROTO", 5, 6, false, false, cell_proto, by_proto},
	{"CLIENT", 21, 1, false, true, cell_client, by_client},
	{"SERVER", 21, 0, false, true, cell_server, by_server},
	{"TO-SRV", 8, 0, true, false, cell_up, by_rate},
	{"TO-CLI", 8, 0, true, false, cell_down, by_rate},
	{"TOTAL", 7, 4, true, false, cell_total, by_total},
	{"RTT", 7, 5, true, false, cell_rtt, by_rtt},
	{"RETR", 5, 7, true, false, cell_retr, by_retr},
	{"STATE", 12, 3, false, true, cell_state, by_state},
	{"OWNER", 15, 2, false, true, cell_owner, by_owner},
};

static void (*sink)(struct wr_tui *t, const struct wr_tui_line *l);

static void one(struct wr_tui *t, const struct wr_tui_row *r, void *ctx)
{
	struct wr_tui_line l = {.row = r,
		.conns = 1,
		.tx = r->up,
		.rx = r->down,
		.tx_rate = r->up_rate,
		.rx_rate = r->down_rate,
		.retr = r->retr,
		.rtt_us = r->rtt_us};

	(void)ctx;
	sink(t, &l);
}

static void lines(struct wr_tui *t, void (*add)(struct wr_tui *t, const struct wr_tui_line *l))
{
	sink = add;
	wr_tui_each(t, one, NULL);
}

const struct wr_panel wr_panel_connections = {
	.name = "connections",
	.empty = "no connection yet; open one (curl, ssh, ping a name) and it appears here",
	.cols = cols,
	.n_cols = WR_N(cols),
	.sort = 3,
	.lines = lines,
};
