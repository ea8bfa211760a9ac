// SPDX-License-Identifier: Apache-2.0
#include "habit.h"

#define ENOUGH 50 /* records */
#define RARE 25 /* one new value in so many is no habit */
#define HASHES 4
#define ADOPT 3 /* days */
#define DAY 86400000000000ull

static bool has(const struct wr_habit *h, uint64_t value)
{
	for (unsigned i = 0; i < HASHES; i++, value = wr_hash64(value + 1)) {
		if (!(h->bit[value % WR_HABIT_BITS / 64] & 1ull << (value & 63)))
			return false;
	}
	return true;
}

static void add(struct wr_habit *h, uint64_t value)
{
	for (unsigned i = 0; i < HASHES; i++, value = wr_hash64(value + 1))
		h->bit[value % WR_HABIT_BITS / 64] |= 1ull << (value & 63);
}

static void learn_all(struct wr_habit *h, const uint64_t *value, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		add(h, value[i]);
}

/* Came it on days enough to be a habit now? */
static bool adopted(struct wr_habit *h, uint64_t value, uint64_t at)
{
	uint32_t day = (uint32_t)(at / DAY);
	unsigned oldest = 0;

	for (unsigned i = 0; i < WR_HABIT_ODD; i++) {
		if (h->odd[i].value == value) {
			h->odd[i].days += h->odd[i].day != day;
			h->odd[i].day = day;
			if (h->odd[i].days < ADOPT)
				return false;
			h->odd[i].value = 0;
			return true;
		}
		if (h->odd[i].day < h->odd[oldest].day)
			oldest = i;
	}
	h->odd[oldest].value = value;
	h->odd[oldest].day = day;
	h->odd[oldest].days = 1;
	return false;
}

bool wr_habit_is_odd(
	struct wr_habit *h, const uint64_t *value, unsigned n, uint64_t at, uint64_t learn)
{
	bool settled;

	h->since = h->since ? h->since : at;
	if (!h->seen)
		h->news = at;
	h->seen += h->seen < UINT32_MAX;
	for (unsigned i = 0; i < n; i++) {
		if (has(h, value[i])) {
			learn_all(h, value, n); /* its other names */
			return false;
		}
	}
	settled = h->seen > ENOUGH && h->values <= WR_HABIT_VALUES && h->values <= h->seen / RARE &&
		  at > h->news + learn;
	if (settled && !adopted(h, value[0], at))
		return true;
	learn_all(h, value, n);
	h->values += h->values < UINT32_MAX;
	if (!settled) /* else it came for days, and the others are as settled as before */
		h->news = wr_max(h->news, at);
	return false;
}

/* Did this connection come up in the sight of weir? */
static bool counts(const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;
	struct wr_attempt a;

	return e->kind == WR_KIND_conn && wr_attempt_of(e, &a) && a.answered &&
	       (!a.tcp || wr_ev_has(e, WR_I_conn_handshake_us)) &&
	       (a.tcp || (r->packets_to_server && r->packets_to_client));
}

void wr_habit_event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e,
	wr_habit_fn judge, bool server_first)
{
	const struct wr_pair *p = wr_detect_pair(d);
	bool odd;

	if (!p || !counts(e))
		return;
	odd = judge(d, self, e, p, server_first, false);
	judge(d, self, e, p, !server_first, odd);
}

struct wr_habit *wr_habit_of(struct wr_detect *d, const struct wr_detector *self,
	const struct wr_pair *p, bool server, uint64_t what)
{
	uint64_t owner = server ? p->server_key : p->client_key;

	return owner ? wr_detect_kept(d, self, wr_hash64(owner ^ server) ^ what, p->at) : NULL;
}

void wr_habit_text(char *buf, size_t n, const struct wr_habit *h, uint64_t at)
{
	uint64_t s = (at - wr_min(at, h->since)) / 1000000000;

	snprintf(buf, n, "it had %u in %u connections of %" PRIu64 " %s", h->values, h->seen,
		s >= 172800 ? s / 86400
		: s >= 7200 ? s / 3600
			    : s / 60,
		s >= 172800 ? "days"
		: s >= 7200 ? "hours"
			    : "minutes");
}
