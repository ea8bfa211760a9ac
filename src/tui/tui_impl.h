/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the screen: shared by rows.c (data) and screen.c (terminal). */
#ifndef WR_TUI_IMPL_H
#define WR_TUI_IMPL_H

#include "tui.h"

#define WR_TUI_PANELS 8

struct wr_tui {
	const char *host, *source;
	struct wr_htab rows, requests;
	struct wr_slab slab;
	uint64_t now, lost, refused, opened, closed, failed, retransmits, was_opened, was_closed;
	double up_rate, down_rate, opened_s, closed_s;
	struct wr_filter *filter;
	char expr[256], message[256];
	/* the screen */
	struct wr_tui_line *lines;
	unsigned n_lines, cap_lines;
	unsigned panel, sort[WR_TUI_PANELS], top, cursor;
	bool reverse[WR_TUI_PANELS], paused, quit, help, details, typing, drilled;
	char typed[256];
	unsigned came_from;
	char came_expr[256];
};

#endif
