/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live screen. It takes conn and request records from anywhere, keeps a row for each connection with rates,
 * and draws panels. A panel turns rows into lines; columns, sorting, scrolling and keys are common.
 */
#ifndef WR_TUI_H
#define WR_TUI_H

#include "../base/htab.h"
#include "../base/slab.h"
#include "../event/event.h"
#include "../event/filter.h"

/* Of one end, as text. */
struct wr_tui_end {
	char addr[48], process[24], container[32], service[32], name[48];
	uint64_t pid;
};

/* One connection as it was last told. */
struct wr_tui_row {
	struct wr_hnode node;
	uint64_t key, up, down, packets, retr, rtt_us, closed;
	uint64_t seen_at, seen_up, seen_down; /* where the present rate was measured from */
	double up_rate, down_rate; /* bytes a second, between the last two readings */
	char proto[6], state[20];
	struct wr_tui_end end[2];
	bool listener;
	void *packed; /* the whole record, for the details */
	uint32_t packed_n;
};

/* A line of a panel: what columns show and sort by. */
struct wr_tui_line {
	const struct wr_tui_row *row; /* of a connection panel, else NULL */
	char key[64]; /* what the line sums */
	char extra[64];
	uint64_t conns, tx, rx, retr, rtt_us, errors, max_us;
	double tx_rate, rx_rate; /* bytes a second; of requests: tx_rate is requests a second */
};

struct wr_tui;

struct wr_tui_col {
	const char *title;
	uint8_t width, rank; /* rank: dropped first on a narrow screen is the highest; 0 never */
	bool right, text; /* text: sorts upwards */
	void (*cell)(struct wr_buf *b, const struct wr_tui_line *l);
	int (*cmp)(
		const struct wr_tui_line *a, const struct wr_tui_line *b); /* NULL: not sortable */
};

struct wr_panel {
	const char *name, *empty; /* empty: what to say when there is no line */
	const struct wr_tui_col *cols;
	unsigned n_cols, sort; /* column to sort by at first */
	/* Calls add() for each line. */
	void (*lines)(struct wr_tui *t, void (*add)(struct wr_tui *t, const struct wr_tui_line *l));
	/* Filter that a line stands for, for drilling down to connections; NULL = details. */
	bool (*drill)(const struct wr_tui_line *l, char *expr, size_t n);
};

#define WR_PANEL(n) extern const struct wr_panel wr_panel_##n;
#include "panels.def"
#undef WR_PANEL

/* The table of rows, without a screen: what the unit test looks at. */
struct wr_tui *wr_tui_new(const char *host, const char *source);
void wr_tui_free(struct wr_tui *t);
void wr_tui_record(struct wr_tui *t, const struct wr_event *e);
/* Once a second: rates, and closed connections fade out. */
void wr_tui_tick(struct wr_tui *t, uint64_t now);
void wr_tui_each(struct wr_tui *t,
	void (*fn)(struct wr_tui *t, const struct wr_tui_row *r, void *ctx), void *ctx);
uint64_t wr_tui_now(const struct wr_tui *t);

/* Each kind of request that was seen: who is asked (key), what (extra), count (conns), rate, errors, time. */
void wr_tui_requests(struct wr_tui *t, void (*add)(struct wr_tui *t, const struct wr_tui_line *l));
/* Sums rows by a text of each end; for panels. @get returns "" for an end that has none. */
void wr_tui_sum(struct wr_tui *t,
	const char *(*get)(const struct wr_tui_row *r, unsigned end, char *buf, size_t n),
	void (*add)(struct wr_tui *t, const struct wr_tui_line *l));

/* The columns of every panel that sums; sorted by SENDS at first. */
#define WR_SUM_COLS 8
extern const struct wr_tui_col wr_sum_cols[WR_SUM_COLS];
/* "1.2 MB/s", "-" for nothing. */
void wr_tui_rate(struct wr_buf *b, double bytes_per_second);

/* Takes the terminal. @fd: becomes readable when @feed has something; @feed is called at least every 50 ms.
 * Returns when the user quits or feed() says no. */
int wr_tui_run(struct wr_tui *t, int fd, bool (*feed)(void *ctx), void *ctx, uint64_t duration);

#endif
