/* SPDX-License-Identifier: Apache-2.0 */
/* Hours and days in which a rule holds. Pure. */
#ifndef WR_GUARD_WHEN_H
#define WR_GUARD_WHEN_H

#include "../../src/base/base.h"

#include <time.h>

struct wr_guard_when {
	uint16_t from,
		to; /* minutes of the day; from > to: over midnight, of the day on which it begins */
	uint8_t days; /* bit 0: Sunday; 0: no window, always */
};

/*
 * "22:00-06:00", "mon-fri", "sat,sun", "mon-fri@08:00-18:00", the hours up to 24:00. -EINVAL: it is no such text, or
 * a window of no length.
 */
int wr_guard_when_parse(struct wr_str s, struct wr_guard_when *ret);
#define WR_GUARD_WHEN_TEXT 48
/* "mon,tue@08:00-18:00"; @w has a window. */
void wr_guard_when_text(const struct wr_guard_when *w, char buf[WR_GUARD_WHEN_TEXT]);
/* For how many seconds from @t (a local time) on it holds; 0: not now; UINT32_MAX: without end. */
uint32_t wr_guard_when_left(const struct wr_guard_when *w, const struct tm *t);

#endif
