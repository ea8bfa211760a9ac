// SPDX-License-Identifier: Apache-2.0
#include "block.h"
#include "store.h"

#include <time.h>

#define SECOND 1000000000ull

struct wr_history {
	const struct wr_engine *engine;
	void *r;
	unsigned damaged, blocks;
};

int wr_history_open(const char *path, struct wr_history **ret, struct wr_err *e)
{
	struct wr_history *h = wr_alloc(sizeof(*h));
	int rc;

	if (!h)
		return wr_fail(e, -ENOMEM, "no memory");
	h->engine = wr_store_engine();
	rc = h->engine->open_read(path, &h->r, e);
	if (rc)
		free(h);
	else
		*ret = h;
	return rc;
}

void wr_history_close(struct wr_history *h)
{
	if (!h)
		return;
	h->engine->close_read(h->r);
	free(h);
}

/* One block; 0 = go on, 1 = the caller has enough. */
static int one(struct wr_history *h, const struct wr_range *r, const uint64_t need[2],
	const struct wr_stored *s, wr_history_fn fn, void *ctx)
{
	struct wr_block_reader *b;
	union {
		struct wr_event e;
		struct wr_ev_conn common; /* the common fields come first */
		char room[WR_EVENT_MAX];
	} u;
	int rc = wr_block_open(s->data, s->kind, need, &b);
	bool more = true;

	h->blocks++;
	if (rc == -EBADMSG)
		h->damaged++;
	if (rc)
		return rc == -EBADMSG ? 0 : rc;
	while (more && (rc = wr_block_next(b, &u.e)) == 1) {
		if (u.common.time >= r->from && u.common.time <= r->to)
			more = fn(ctx, &u.e);
	}
	if (rc == -EBADMSG)
		h->damaged++;
	wr_block_close(b);
	return more ? 0 : 1;
}

int wr_history_read(struct wr_history *h, const struct wr_range *r, const uint64_t need[2],
	wr_history_fn fn, void *ctx)
{
	uint64_t with_time[2] = {0, 0};
	struct wr_stored s;
	void *f = h->engine->find(h->r, r);
	int rc = 0;

	if (!f)
		return -ENOMEM;
	if (need) {
		with_time[0] = need[0] | 1; /* the time is the first field of every kind */
		with_time[1] = need[1];
	}
	while (!rc && (rc = h->engine->next(f, &s, &h->damaged)) == 1)
		rc = one(h, r, need ? with_time : NULL, &s, fn, ctx);
	h->engine->found_free(f);
	return rc < 0 ? rc : 0;
}

unsigned wr_history_blocks(const struct wr_history *h)
{
	return h->blocks;
}

static bool add_loss(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_loss *l = (const void *)e;

	*(uint64_t *)ctx += l->count;
	return true;
}

void wr_history_complete(struct wr_history *h, enum wr_kind_id kind, uint64_t from, uint64_t to,
	struct wr_complete *ret)
{
	struct wr_range r = {kind, 0, from, to, false};
	struct wr_stored s;
	void *f = h->engine->find(h->r, &r);

	*ret = (struct wr_complete){.share = 1};
	while (f && h->engine->next(f, &s, &h->damaged) == 1) {
		uint64_t span = s.to - s.from + 1, in = wr_min(to, s.to) - wr_max(from, s.from) + 1;

		/* of a block that lies across the end: its part by time */
		ret->kept += in == span ? s.n : (uint64_t)((double)s.n * (double)in / (double)span);
	}
	if (f)
		h->engine->found_free(f);
	r.kind = WR_KIND_loss;
	wr_history_read(h, &r, NULL, add_loss, &ret->lost);
	ret->damaged = h->damaged;
	if (ret->lost)
		ret->share = (double)ret->kept / (double)(ret->kept + ret->lost);
}

int wr_history_sql(struct wr_history *h, const char *text, uint64_t from, uint64_t to,
	const struct wr_grid *out, struct wr_err *e)
{
	struct wr_range span = {.from = from, .to = to};

	if (!h->engine->sql)
		return wr_fail(e, -ENOTSUP, "this store does not speak SQL");
	return h->engine->sql(h->r, text, &span, out, e);
}

int wr_parse_when(struct wr_str s, uint64_t now, uint64_t *ret)
{
	struct tm t = {.tm_isdst = -1}, today;
	time_t secs = (time_t)(now / SECOND);
	char text[40], *end = NULL;
	uint64_t ago, frac = 0, scale = SECOND / 10;
	bool utc;

	if (wr_str_eq(s, WR_STR("now"))) {
		*ret = now;
		return 0;
	}
	if (!wr_parse_duration(s, &ago) && s.n && (s.p[s.n - 1] > '9' || s.p[s.n - 1] < '0')) {
		*ret = now > ago ? now - ago : 0;
		return 0;
	}
	if (!wr_copy(text, sizeof(text), s))
		return -EINVAL;
	localtime_r(&secs, &today);
	if (s.n > 10 && text[4] == '-') {
		text[10] = ' ';
		end = strptime(text, "%Y-%m-%d %H:%M:%S", &t);
		if (!end)
			end = strptime(text, "%Y-%m-%d %H:%M", &t);
	} else if (s.n == 10 && text[4] == '-') {
		end = strptime(text, "%Y-%m-%d", &t);
	} else {
		t = today;
		t.tm_sec = 0;
		t.tm_isdst = -1;
		end = strptime(text, "%H:%M:%S", &t);
		if (!end)
			end = strptime(text, "%H:%M", &t);
	}
	if (!end)
		return -EINVAL;
	if (*end == '.') {
		for (end++; *end >= '0' && *end <= '9'; end++, scale /= 10)
			frac += (uint64_t)(*end - '0') * scale;
	}
	utc = *end == 'Z';
	if (end[utc])
		return -EINVAL;
	secs = utc ? timegm(&t) : mktime(&t);
	if (secs < 0)
		return -EINVAL;
	*ret = (uint64_t)secs * SECOND + frac;
	if (s.n < 10 && *ret > now) /* a time of the day that is to come was yesterday's */
		*ret -= 24 * 3600 * SECOND;
	return 0;
}
