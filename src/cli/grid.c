// SPDX-License-Identifier: Apache-2.0
#include "grid.h"

#define MAX_CELLS                                                                                  \
	(8u << 20) /* bytes held to align columns; more: the widths are those of what came so far */
#define MAX_WIDTH 60

static void hold(struct wr_out_grid *g, unsigned i, struct wr_str s)
{
	size_t cols = wr_buf_text(&g->cells, s, MAX_WIDTH);

	wr_buf_c(&g->cells, 0);
	g->width[i] = wr_max(g->width[i], (unsigned)cols);
}

static void line(struct wr_out_grid *g, const char **p)
{
	struct wr_buf *b = &g->v->out;

	for (unsigned i = 0; i < g->n; i++) {
		size_t n = strlen(*p), cols = 0, pad;

		for (size_t c = 0; c < n; c++)
			cols += ((*p)[c] & 0xc0) != 0x80;
		pad = g->width[i] > cols ? g->width[i] - cols : 0;
		for (size_t s = 0; g->right[i] && s < pad; s++)
			wr_buf_c(b, ' ');
		wr_buf_put(b, *p, n);
		for (size_t s = 0; !g->right[i] && i + 1 < g->n && s < pad; s++)
			wr_buf_c(b, ' ');
		if (i + 1 < g->n)
			wr_buf_lit(b, "  ");
		*p += n + 1;
	}
	wr_buf_c(b, '\n');
}

static void release(struct wr_out_grid *g)
{
	const char *p = g->cells.p;

	for (unsigned r = 0; r < g->rows; r++) {
		line(g, &p);
		if (g->v->out.n > 65536)
			wr_view_flush(g->v);
	}
	g->cells.n = 0;
	g->rows = 0;
}

static void head(void *ctx, unsigned n, const char *const *names)
{
	struct wr_out_grid *g = ctx;

	g->n = wr_min(n, 128u);
	for (unsigned i = 0; i < g->n; i++) {
		wr_copy(g->name[i], sizeof(g->name[i]), wr_str(names[i]));
		if (g->v->cfg.csv) {
			if (i)
				wr_buf_c(&g->v->out, ',');
			wr_buf_csv(&g->v->out, wr_str(names[i]), false);
		} else if (!g->v->cfg.json) {
			hold(g, i, wr_str(names[i]));
		}
	}
	if (g->v->cfg.csv)
		wr_buf_lit(&g->v->out, "\r\n");
	else if (!g->v->cfg.json)
		g->rows = 1;
}

static bool row(void *ctx, unsigned n, const struct wr_str *v, const bool *number)
{
	struct wr_out_grid *g = ctx;
	struct wr_buf *b = &g->v->out;

	if (g->v->cfg.json) {
		wr_buf_lit(b, "{\"kind\":");
		wr_buf_json(b, wr_str(g->kind));
	}
	for (unsigned i = 0; i < n && i < g->n; i++) {
		if (g->v->cfg.json) {
			wr_buf_c(b, ',');
			wr_buf_json(b, wr_str(g->name[i]));
			wr_buf_c(b, ':');
			if (!v[i].p)
				wr_buf_lit(b, "null");
			else if (number[i])
				wr_buf_str(b, v[i]);
			else
				wr_buf_json(b, v[i]);
		} else if (g->v->cfg.csv) {
			if (i)
				wr_buf_c(b, ',');
			wr_buf_csv(b, v[i], false);
		} else {
			hold(g, i, v[i].p ? v[i] : WR_STR("-"));
			g->right[i] |= number[i];
		}
	}
	if (g->v->cfg.json)
		wr_buf_lit(b, "}\n");
	else if (g->v->cfg.csv)
		wr_buf_lit(b, "\r\n");
	else if (++g->rows && g->cells.n > MAX_CELLS)
		release(g);
	if (b->n > 65536)
		wr_view_flush(g->v);
	return !g->v->broken && ++g->v->emitted != g->v->cfg.count;
}

void wr_grid_init(struct wr_out_grid *g, struct wr_view *v, const char *kind)
{
	*g = (struct wr_out_grid){
		.grid = {g, head, row}, .v = v, .kind = kind, .cells = WR_BUF(MAX_CELLS + 65536)};
}

void wr_grid_end(struct wr_out_grid *g)
{
	release(g);
	wr_buf_free(&g->cells);
}
