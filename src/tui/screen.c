// SPDX-License-Identifier: Apache-2.0
/* The terminal: drawing, keys, sorting, scrolling. */
#include "tui_impl.h"

#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>

#define WR_PANEL(n) &wr_panel_##n,
static const struct wr_panel *const panels[] = {
#include "panels.def"
};
#undef WR_PANEL
_Static_assert(WR_N(panels) <= WR_TUI_PANELS, "more panels than keys");

enum { C_HEAD = 1, C_CURSOR, C_GOOD, C_BAD, C_DIM, C_TITLE };

/* shared columns ------------------------------------------------------------------------------ */

#define NUM(name, field)                                                                           \
	static int cmp_##name(const struct wr_tui_line *a, const struct wr_tui_line *b)            \
	{                                                                                          \
		return a->field < b->field ? -1 : a->field > b->field;                             \
	}
NUM(conns, conns)
NUM(rx_rate, rx_rate)
NUM(tx, tx)
NUM(rx, rx)
NUM(retr, retr)
NUM(rtt, rtt_us)

static int cmp_tx_rate(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	double x = a->tx_rate + a->rx_rate, y = b->tx_rate + b->rx_rate;

	return x != y			       ? (x < y ? -1 : 1)
	       : a->tx + a->rx < b->tx + b->rx ? -1
					       : a->tx + a->rx > b->tx + b->rx;
}

static int cmp_key(const struct wr_tui_line *a, const struct wr_tui_line *b)
{
	return strcmp(a->key, b->key);
}

static void c_key(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_str(b, wr_str(l->key));
}

static void c_conns(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_buf_u64(b, l->conns);
}

void wr_tui_rate(struct wr_buf *b, double r)
{
	if (r < 0.5) {
		wr_buf_c(b, '-');
		return;
	}
	wr_human_bytes(b, (uint64_t)r);
	wr_buf_lit(b, "/s");
}

static void c_tx_rate(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_tui_rate(b, l->tx_rate);
}

static void c_rx_rate(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_tui_rate(b, l->rx_rate);
}

static void c_tx(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_human_bytes(b, l->tx);
}

static void c_rx(struct wr_buf *b, const struct wr_tui_line *l)
{
	wr_human_bytes(b, l->rx);
}

static void c_retr(struct wr_buf *b, const struct wr_tui_line *l)
{
	if (l->retr)
		wr_buf_u64(b, l->retr);
}

static void c_rtt(struct wr_buf *b, const struct wr_tui_line *l)
{
	if (l->rtt_us)
		wr_human_us(b, (double)l->rtt_us);
}

const struct wr_tui_col wr_sum_cols[WR_SUM_COLS] = {
	{"NAME", 22, 0, false, true, c_key, cmp_key},
	{"CONNS", 6, 3, true, false, c_conns, cmp_conns},
	{"SENDS", 10, 0, true, false, c_tx_rate, cmp_tx_rate},
	{"RECEIVES", 10, 0, true, false, c_rx_rate, cmp_rx_rate},
	{"SENT", 8, 2, true, false, c_tx, cmp_tx},
	{"RECEIVED", 8, 2, true, false, c_rx, cmp_rx},
	{"RTT", 8, 4, true, false, c_rtt, cmp_rtt},
	{"RETR", 6, 5, true, false, c_retr, cmp_retr},
};

/* lines --------------------------------------------------------------------------------------- */

static void add_line(struct wr_tui *t, const struct wr_tui_line *l)
{
	if (t->n_lines == t->cap_lines) {
		unsigned cap = t->cap_lines ? t->cap_lines * 2 : 256;
		void *p = wr_realloc(t->lines, cap * sizeof(*t->lines));

		if (!p)
			return;
		t->lines = p;
		t->cap_lines = cap;
	}
	t->lines[t->n_lines++] = *l;
}

static int (*sort_cmp)(const struct wr_tui_line *a, const struct wr_tui_line *b);
static int sort_sign;

static int sort_lines(const void *a, const void *b)
{
	const struct wr_tui_line *x = a, *y = b;
	int c = sort_cmp(x, y) * sort_sign;

	if (c)
		return c;
	/* ties keep their place from one second to the next */
	if (x->row && y->row)
		return x->row->key < y->row->key ? -1 : x->row->key > y->row->key;
	return strcmp(x->key, y->key);
}

static void collect(struct wr_tui *t)
{
	const struct wr_panel *p = panels[t->panel];
	const struct wr_tui_col *c = &p->cols[t->sort[t->panel]];

	t->n_lines = 0;
	p->lines(t, add_line);
	if (!c->cmp)
		return;
	sort_cmp = c->cmp;
	sort_sign = (c->text ? 1 : -1) * (t->reverse[t->panel] ? -1 : 1);
	if (t->n_lines)
		qsort(t->lines, t->n_lines, sizeof(*t->lines), sort_lines);
}

/* drawing ------------------------------------------------------------------------------------- */

static void text_at(int y, int x, const char *fmt, ...) WR_PRINTF(3, 4);
static void text_at(int y, int x, const char *fmt, ...)
{
	char t[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t, sizeof(t), fmt, ap);
	va_end(ap);
	if (y < LINES && x < COLS)
		mvaddnstr(y, x, t, COLS - x);
}

static int draw_head(struct wr_tui *t)
{
	struct wr_buf b = WR_BUF(1024);
	char clock[32];
	int x = 0;

	wr_rfc3339(wr_now() + (uint64_t)wr_utc_offset(), clock);
	attron(COLOR_PAIR(C_TITLE) | A_BOLD);
	text_at(0, 0, "weir top");
	attroff(COLOR_PAIR(C_TITLE) | A_BOLD);
	text_at(0, 9, "%s  %.8s UTC  %s%s", t->host, clock + 11, t->source,
		t->paused ? "  PAUSED" : "");
	wr_buf_printf(&b, "%u connections  +%.0f/s -%.0f/s  to servers ", t->rows.n, t->opened_s,
		t->closed_s);
	wr_tui_rate(&b, t->up_rate);
	wr_buf_lit(&b, "  to clients ");
	wr_tui_rate(&b, t->down_rate);
	wr_buf_c(&b, 0);
	text_at(1, 0, "%s", b.p);
	b.n = 0;
	wr_buf_printf(&b, "%" PRIu64 " failed, %" PRIu64 " retransmits since the start", t->failed,
		t->retransmits);
	if (t->lost || t->refused)
		wr_buf_printf(&b, "   LOST %" PRIu64 " records", t->lost + t->refused);
	wr_buf_c(&b, 0);
	text_at(2, 0, "%s", b.p);
	wr_buf_free(&b);
	for (unsigned i = 0; i < WR_N(panels); i++) {
		if (i == t->panel)
			attron(A_REVERSE);
		text_at(3, x, " %u %s ", i + 1, panels[i]->name);
		if (i == t->panel)
			attroff(A_REVERSE);
		x += (int)strlen(panels[i]->name) + 4;
	}
	return 4;
}

static void choose(const struct wr_panel *p, bool *shown)
{
	for (unsigned i = 0; i < p->n_cols; i++)
		shown[i] = true;
	for (;;) {
		int need = 0;
		unsigned worst = p->n_cols;

		for (unsigned i = 0; i < p->n_cols; i++) {
			if (!shown[i])
				continue;
			need += p->cols[i].width + 1;
			if (worst == p->n_cols || p->cols[i].rank > p->cols[worst].rank)
				worst = i;
		}
		if (need <= COLS + 1 || worst == p->n_cols || !p->cols[worst].rank)
			return;
		shown[worst] = false;
	}
}

/* How wide each shown column may be: the text columns share what is left. */
static void widths(const struct wr_panel *p, const bool *shown, int *w)
{
	int left = COLS, texts = 0;

	for (unsigned i = 0; i < p->n_cols; i++) {
		w[i] = p->cols[i].width;
		if (!shown[i])
			continue;
		left -= w[i] + 1;
		texts += p->cols[i].text;
	}
	for (unsigned i = 0; i < p->n_cols && left > 0 && texts; i++) {
		int more;

		if (!shown[i] || !p->cols[i].text)
			continue;
		more = wr_min(left / texts, 30);
		w[i] += more;
		left -= more;
		texts--;
	}
}

static void draw_line(const struct wr_panel *p, const bool *shown, const int *w, int y,
	const struct wr_tui_line *l, unsigned sort)
{
	struct wr_buf cell = WR_BUF(512), out = WR_BUF(512);
	int x = 0;

	for (unsigned i = 0; i < p->n_cols && x < COLS; i++) {
		const struct wr_tui_col *c = &p->cols[i];
		size_t n, pad;

		if (!shown[i])
			continue;
		cell.n = out.n = 0;
		if (l)
			c->cell(&cell, l);
		else
			wr_buf_str(&cell, wr_str(c->title));
		n = wr_buf_text(&out, wr_buf_view(&cell), (size_t)wr_min(w[i], COLS - x));
		pad = (size_t)w[i] > n ? (size_t)w[i] - n : 0;
		if (!l && i == sort)
			attron(A_UNDERLINE);
		mvaddnstr(y, x + (c->right ? (int)pad : 0), out.p ? out.p : "", (int)out.n);
		if (!l && i == sort)
			attroff(A_UNDERLINE);
		x += w[i] + 1;
	}
	wr_buf_free(&cell);
	wr_buf_free(&out);
}

static void draw_help(void)
{
	static const char *const lines[] = {"1-5 Tab   another screen",
		"up down   move; PgUp PgDn Home End",
		"Enter     connections of this line; on a connection: all its facts",
		"Esc       back, and clear the filter", "< >       sort by another column",
		"r         sort the other way round",
		"/         filter, e.g.  port 443 and bytes_to_client > 1M",
		"p space   pause the screen, not the counting", "? h       this help",
		"q         quit"};

	for (unsigned i = 0; i < WR_N(lines); i++)
		text_at(6 + (int)i, 4, "%s", lines[i]);
}

static void draw_details(struct wr_tui *t, int y)
{
	_Alignas(16) char ev[WR_EVENT_MAX];
	const struct wr_event *e = (const struct wr_event *)(void *)ev;
	const struct wr_tui_row *r = t->cursor < t->n_lines ? t->lines[t->cursor].row : NULL;
	const struct wr_kind *k;
	int col = 0, line = y, width = COLS >= 104 ? 52 : 40, name = width - 18;

	if (!r || !r->packed ||
		wr_unpack((struct wr_bytes){r->packed, r->packed_n}, ev, sizeof(ev)) < 0) {
		text_at(y, 2, "this connection is gone");
		return;
	}
	k = &wr_kinds[e->kind];
	wr_ev_each (e, k, i) {
		struct wr_buf v = WR_BUF(256);

		if (k->fields[i].type == WR_U64 && !*(const uint64_t *)wr_ev_at(e, &k->fields[i]))
			continue; /* zeros tell little here */
		wr_text(&v, e, i);
		if (line >= LINES - 1) {
			line = y;
			col += width;
		}
		if (col < COLS) {
			attron(COLOR_PAIR(C_DIM));
			text_at(line, col + 1, "%-*.*s", name, name, k->fields[i].name);
			attroff(COLOR_PAIR(C_DIM));
			text_at(line, col + name + 1, "%.*s",
				(int)wr_min(v.n, (size_t)(width - name - 2)), v.p ? v.p : "");
		}
		line++;
		wr_buf_free(&v);
	}
}

static void draw(struct wr_tui *t)
{
	const struct wr_panel *p = panels[t->panel];
	bool shown[24];
	int w[24], y, rows;

	erase();
	y = draw_head(t);
	if (t->help) {
		draw_help();
	} else if (t->details) {
		draw_details(t, y + 1);
	} else {
		choose(p, shown);
		widths(p, shown, w);
		attron(COLOR_PAIR(C_HEAD) | A_BOLD);
		mvhline(y, 0, ' ', COLS);
		draw_line(p, shown, w, y, NULL, t->sort[t->panel]);
		attroff(COLOR_PAIR(C_HEAD) | A_BOLD);
		rows = LINES - y - 2;
		if (t->cursor >= t->n_lines)
			t->cursor = t->n_lines ? t->n_lines - 1 : 0;
		if (t->cursor < t->top)
			t->top = t->cursor;
		if (rows > 0 && t->cursor >= t->top + (unsigned)rows)
			t->top = t->cursor - (unsigned)rows + 1;
		for (int i = 0; i < rows && t->top + (unsigned)i < t->n_lines; i++) {
			const struct wr_tui_line *l = &t->lines[t->top + (unsigned)i];
			bool here = t->top + (unsigned)i == t->cursor,
			     gone = l->row && l->row->closed;

			if (here)
				attron(COLOR_PAIR(C_CURSOR));
			else if (gone)
				attron(COLOR_PAIR(C_DIM));
			if (here)
				mvhline(y + 1 + i, 0, ' ', COLS);
			draw_line(p, shown, w, y + 1 + i, l, UINT32_MAX);
			attroff(COLOR_PAIR(C_CURSOR) | COLOR_PAIR(C_DIM));
		}
		if (!t->n_lines)
			text_at(y + 2, 2, "%s",
				t->filter ? "nothing matches the filter; Esc clears it" : p->empty);
	}
	attron(A_REVERSE);
	mvhline(LINES - 1, 0, ' ', COLS);
	if (t->typing)
		text_at(LINES - 1, 0, "filter: %s_", t->typed);
	else if (t->message[0])
		text_at(LINES - 1, 0, "%s", t->message);
	else if (t->expr[0])
		text_at(LINES - 1, 0, "filter: %s   (Esc clears)", t->expr);
	else
		text_at(LINES - 1, 0,
			"? help   1-%u Tab screens   Enter more   / filter   < > r sort   p pause   q quit",
			(unsigned)WR_N(panels));
	attroff(A_REVERSE);
	refresh();
}

/* keys ---------------------------------------------------------------------------------------- */

static bool set_filter(struct wr_tui *t, const char *expr)
{
	struct wr_filter *f = NULL;
	struct wr_err e = {.text = ""};

	if (expr[0] && wr_filter_compile(&wr_kinds[WR_KIND_conn], expr, &f, &e)) {
		wr_copy(t->message, sizeof(t->message), wr_str(e.text));
		return false;
	}
	wr_filter_free(t->filter);
	t->filter = f;
	wr_copy(t->expr, sizeof(t->expr), wr_str(expr));
	t->message[0] = 0;
	return true;
}

static void go(struct wr_tui *t, unsigned panel)
{
	t->panel = panel;
	t->top = t->cursor = 0;
	t->details = t->help = false;
}

static void back(struct wr_tui *t)
{
	if (t->details || t->help) {
		t->details = t->help = false;
	} else if (t->drilled) {
		t->drilled = false;
		set_filter(t, t->came_expr);
		go(t, t->came_from);
	} else {
		set_filter(t, "");
	}
}

static void enter(struct wr_tui *t)
{
	const struct wr_panel *p = panels[t->panel];
	char expr[256];

	if (t->cursor >= t->n_lines)
		return;
	if (!p->drill) {
		t->details = t->lines[t->cursor].row != NULL;
		return;
	}
	if (!p->drill(&t->lines[t->cursor], expr, sizeof(expr)))
		return;
	t->came_from = t->panel;
	wr_copy(t->came_expr, sizeof(t->came_expr), wr_str(t->expr));
	if (set_filter(t, expr)) {
		t->drilled = true;
		go(t, 0);
	}
}

static void sort_by(struct wr_tui *t, int step)
{
	const struct wr_panel *p = panels[t->panel];
	unsigned *s = &t->sort[t->panel];

	do {
		*s = (*s + p->n_cols + (unsigned)step) % p->n_cols;
	} while (!p->cols[*s].cmp);
	t->reverse[t->panel] = false;
}

static void typing(struct wr_tui *t, int c)
{
	size_t n = strlen(t->typed);

	if (c == '\n' || c == '\r' || c == KEY_ENTER) {
		t->typing = !set_filter(t, t->typed);
		if (t->typing) /* the message is seen, the text stays to be mended */
			t->typing = false;
	} else if (c == 27) {
		t->typing = false;
	} else if ((c == KEY_BACKSPACE || c == 127 || c == 8) && n) {
		t->typed[n - 1] = 0;
	} else if (c >= 32 && c < 127 && n + 1 < sizeof(t->typed)) {
		t->typed[n] = (char)c;
		t->typed[n + 1] = 0;
	}
}

static void key(struct wr_tui *t, int c)
{
	unsigned page = LINES > 8 ? (unsigned)LINES - 6 : 1;

	if (t->typing) {
		typing(t, c);
		return;
	}
	t->message[0] = 0;
	if (c >= '1' && c < '1' + (int)WR_N(panels)) {
		go(t, (unsigned)(c - '1'));
		return;
	}
	switch (c) {
	case '\t':
		go(t, (t->panel + 1) % (unsigned)WR_N(panels));
		break;
	case KEY_BTAB:
		go(t, (t->panel + (unsigned)WR_N(panels) - 1) % (unsigned)WR_N(panels));
		break;
	case KEY_UP:
	case 'k':
		t->cursor -= t->cursor > 0;
		break;
	case KEY_DOWN:
	case 'j':
		t->cursor++;
		break;
	case KEY_PPAGE:
		t->cursor = t->cursor > page ? t->cursor - page : 0;
		break;
	case KEY_NPAGE:
		t->cursor += page;
		break;
	case KEY_HOME:
	case 'g':
		t->cursor = 0;
		break;
	case KEY_END:
	case 'G':
		t->cursor = t->n_lines;
		break;
	case '\n':
	case '\r':
	case KEY_ENTER:
		enter(t);
		break;
	case 27:
	case KEY_BACKSPACE:
		back(t);
		break;
	case '<':
	case KEY_LEFT:
		sort_by(t, -1);
		break;
	case '>':
	case KEY_RIGHT:
		sort_by(t, 1);
		break;
	case 'r':
		t->reverse[t->panel] = !t->reverse[t->panel];
		break;
	case '/':
		t->typing = true;
		wr_copy(t->typed, sizeof(t->typed), wr_str(t->expr));
		break;
	case 'p':
	case ' ':
		t->paused = !t->paused;
		break;
	case '?':
	case 'h':
		t->help = !t->help;
		break;
	case 'q':
	case 'Q':
		t->quit = true;
		break;
	case KEY_RESIZE:
		break;
	}
}

static volatile sig_atomic_t stopped;

static void on_signal(int s)
{
	(void)s;
	stopped = 1;
}

int wr_tui_run(struct wr_tui *t, int fd, bool (*feed)(void *ctx), void *ctx, uint64_t duration)
{
	uint64_t start = wr_now(), next = 0;
	SCREEN *scr;
	int c;

	for (unsigned i = 0; i < WR_N(panels); i++)
		t->sort[i] = panels[i]->sort;
	setlocale(LC_CTYPE, "");
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	set_escdelay(25);
	scr = newterm(NULL, stdout, stdin);
	if (!scr)
		return -ENOTTY;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	if (has_colors()) {
		start_color();
		use_default_colors();
		init_pair(C_HEAD, COLOR_BLACK, COLOR_CYAN);
		init_pair(C_CURSOR, COLOR_BLACK, COLOR_WHITE);
		init_pair(C_GOOD, COLOR_GREEN, -1);
		init_pair(C_BAD, COLOR_RED, -1);
		init_pair(C_DIM, COLOR_BLUE, -1);
		init_pair(C_TITLE, COLOR_CYAN, -1);
	}
	while (!t->quit && !stopped) {
		struct pollfd pf[2] = {{0, POLLIN, 0}, {fd, POLLIN, 0}};
		uint64_t now = wr_now();
		bool pressed = false;

		if (duration && now - start > duration)
			break;
		if (!feed(ctx)) {
			wr_copy(t->message, sizeof(t->message), WR_STR("the agent ended; q quits"));
			fd = -1;
		}
		while ((c = getch()) != ERR) {
			key(t, c);
			pressed = true;
		}
		if (pressed || now >= next) {
			if (now >= next) {
				if (!t->paused)
					wr_tui_tick(t, now);
				/* soon after the start the first rates are worth a second look */
				next = now + (now - start < 1500000000u ? 500000000u : 1000000000u);
			}
			if (!t->paused || pressed) {
				if (!t->paused)
					collect(t);
				draw(t);
			}
		}
		poll(pf, fd >= 0 ? 2 : 1, 50);
		if (pf[0].revents & (POLLHUP | POLLERR)) /* the terminal is gone */
			break;
	}
	endwin();
	delscreen(scr);
	return 0;
}
