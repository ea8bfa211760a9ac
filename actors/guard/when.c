// SPDX-License-Identifier: Apache-2.0
#include "when.h"

#define DAY 1440u /* minutes */
#define WEEK (7 * DAY)

static const char *const names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static int day(struct wr_str s)
{
	for (unsigned i = 0; i < WR_N(names); i++) {
		if (s.n == 3 && !strncasecmp(s.p, names[i], 3))
			return (int)i;
	}
	return -1;
}

/* "mon-fri", "sat,sun": a bit a day; 0: it is none. */
static uint8_t days(struct wr_str s)
{
	uint8_t set = 0;
	struct wr_str w;

	if (!s.n || s.p[s.n - 1] == ',')
		return 0;
	while (wr_next_word(&s, &w)) {
		const char *dash = memchr(w.p, '-', w.n);
		size_t n = dash ? (size_t)(dash - w.p) : w.n;
		int a = day((struct wr_str){w.p, n}),
		    b = dash ? day((struct wr_str){dash + 1, w.n - n - 1}) : a;

		if (a < 0 || b < 0)
			return 0;
		for (int i = a;; i = (i + 1) % 7) {
			set |= (uint8_t)(1u << i);
			if (i == b)
				break;
		}
	}
	return set;
}

static bool hour(struct wr_str s, uint16_t *ret)
{
	uint64_t h, m;

	if (s.n != 5 || s.p[2] != ':' || wr_parse_u64((struct wr_str){s.p, 2}, &h) ||
		wr_parse_u64((struct wr_str){s.p + 3, 2}, &m) || m > 59 || h * 60 + m > DAY)
		return false;
	*ret = (uint16_t)(h * 60 + m);
	return true;
}

int wr_guard_when_parse(struct wr_str s, struct wr_guard_when *ret)
{
	const char *at = memchr(s.p, '@', s.n);
	struct wr_str first = {s.p, at ? (size_t)(at - s.p) : s.n};
	struct wr_guard_when w = {.to = DAY, .days = days(first)};

	if (at && !w.days)
		return -EINVAL;
	if (at)
		s = (struct wr_str){at + 1, s.n - first.n - 1};
	if (at || !w.days) {
		w.days = w.days ? w.days : 0x7f;
		if (s.n != 11 || s.p[5] != '-' || !hour((struct wr_str){s.p, 5}, &w.from) ||
			!hour((struct wr_str){s.p + 6, 5}, &w.to) || w.from == w.to ||
			w.from == DAY)
			return -EINVAL;
	}
	*ret = w;
	return 0;
}

void wr_guard_when_text(const struct wr_guard_when *w, char buf[WR_GUARD_WHEN_TEXT])
{
	size_t n = 0;

	for (unsigned i = 0; i < 7 && w->days != 0x7f; i++) {
		if (w->days >> i & 1)
			n += (size_t)snprintf(
				buf + n, WR_GUARD_WHEN_TEXT - n, n ? ",%s" : "%s", names[i]);
	}
	if (!n || w->from || w->to != DAY)
		snprintf(buf + n, WR_GUARD_WHEN_TEXT - n, "%s%02u:%02u-%02u:%02u", n ? "@" : "",
			w->from / 60, w->from % 60, w->to / 60, w->to % 60);
}

uint32_t wr_guard_when_left(const struct wr_guard_when *w, const struct tm *t)
{
	/* minutes of a week from Sunday's midnight on, and from then on how far windows reach one into the next */
	uint32_t length = (w->to > w->from ? 0 : DAY) + w->to - w->from, now, end;
	bool further = true;

	if (!w->days)
		return UINT32_MAX;
	/* a week later, so that those that began before Sunday's midnight are seen */
	now = WEEK + (uint32_t)t->tm_wday * DAY + (uint32_t)t->tm_hour * 60 + (uint32_t)t->tm_min;
	end = now;
	while (further && end < now + WEEK) {
		further = false;
		for (uint32_t d = 6; d < 22 && !further; d++) { /* from Saturday before on */
			uint32_t from = d * DAY + w->from;

			if (w->days >> d % 7 & 1 && from <= end && from + length > end) {
				end = from + length;
				further = true;
			}
		}
	}
	if (end == now)
		return 0;
	return end >= now + WEEK ? UINT32_MAX : (end - now) * 60 - (uint32_t)t->tm_sec % 60;
}
