// SPDX-License-Identifier: Apache-2.0
#include "store.h"
#include "../base/log.h"
#include "block.h"
#include "traffic.h"

#include <pthread.h>
#include <time.h>

#define SECOND 1000000000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define BATCH                                                                                      \
	(128u << 10) /* bytes that are handed over at once; or what is there, HAND_OVER later */
#define HAND_OVER 250000000ull /* ns */
#define FLUSH SECOND /* what was handed over is on the disk this much later */
#define FLUSH_ALERT HAND_OVER /* an alert with what came before it: a kill must not lose it */
#define BLOCK_AGE MINUTE /* a block that is not full is closed after it */
#define RETAIN MINUTE
#define MAX_PUT 64 /* blocks of one transaction */

#define WR_ENGINE(n) extern const struct wr_engine wr_engine_##n;
#include "engines.def"
#undef WR_ENGINE

#define WR_ENGINE(n) &wr_engine_##n,
static const struct wr_engine *const engines[] = {
#include "engines.def"
};
#undef WR_ENGINE

/* The kinds that are kept. Others are made from them, or are asked of the machine as it is now. */
static const enum wr_kind_id kept[] = {WR_KIND_conn, WR_KIND_request, WR_KIND_drop, WR_KIND_match,
	WR_KIND_alert, WR_KIND_loss, WR_KIND_traffic};

static const uint64_t steps[] = {SECOND, MINUTE, HOUR};

struct batch {
	struct batch *next;
	struct wr_buf b;
	uint32_t n;
	bool alert; /* holds one */
};

/* A block that is being filled: its stored form is written again until it is closed. */
struct open_block {
	struct wr_block *b;
	uint64_t id, begun;
	unsigned written; /* records that are on the disk */
};

struct wr_store {
	struct wr_store_config cfg;
	char path[4096], host[64];
	const struct wr_engine *engine;
	void *e;
	pthread_t thread;
	bool running;

	/* between the threads */
	pthread_mutex_t lock;
	pthread_cond_t some;
	struct batch *first, **last;
	size_t queued; /* bytes */
	bool stop;
	struct wr_store_stats stats;
	uint64_t told_dropped;

	/* the producer's */
	struct batch *filling;
	uint64_t handed; /* when */

	/* the thread's */
	struct open_block open[WR_KINDS], sums[WR_N(steps)];
	struct wr_traffic *traffic[WR_N(steps)];
	uint64_t window[WR_N(steps)], since, last_id, flushed, retained;
	uint64_t fresh; /* bytes written since what is too much was removed */
	bool alert; /* one waits to be written */
};

bool wr_store_keeps(enum wr_kind_id kind)
{
	for (unsigned i = 0; i < WR_N(kept); i++) {
		if (kept[i] == kind)
			return true;
	}
	return false;
}

static uint64_t utc(void)
{
	return wr_now() + (uint64_t)wr_utc_offset();
}

/* producer ----------------------------------------------------------------------------------------- */

static void batch_free(struct batch *b)
{
	if (!b)
		return;
	wr_buf_free(&b->b);
	free(b);
}

static void drop(struct wr_store *s, uint64_t n)
{
	pthread_mutex_lock(&s->lock);
	s->stats.in += n;
	s->stats.dropped += n;
	pthread_mutex_unlock(&s->lock);
}

static void hand_over(struct wr_store *s, uint64_t now)
{
	struct batch *b = s->filling;

	s->handed = now;
	if (!b || !b->n)
		return;
	s->filling = NULL;
	pthread_mutex_lock(&s->lock);
	s->stats.in += b->n;
	if (s->queued + b->b.n > WR_MAX_STORE_QUEUE) {
		s->stats.dropped += b->n;
	} else {
		s->queued += b->b.n;
		*s->last = b;
		s->last = &b->next;
		b = NULL;
		pthread_cond_signal(&s->some);
	}
	pthread_mutex_unlock(&s->lock);
	batch_free(b);
}

void wr_store_put(struct wr_store *s, const struct wr_event *e)
{
	struct batch *b;
	size_t had;

	if (!s || !wr_store_keeps(e->kind))
		return;
	if (!s->filling) {
		s->filling = wr_alloc(sizeof(*s->filling));
		if (!s->filling) {
			drop(s, 1);
			return;
		}
		s->filling->b = WR_BUF(BATCH + WR_MAX_FRAME);
	}
	b = s->filling;
	had = b->b.n;
	wr_pack(&b->b, e);
	if (b->b.n == had || b->b.n - had > WR_MAX_FRAME) { /* no memory, or too long */
		b->b.n = had;
		b->b.cut = false;
		drop(s, 1);
		return;
	}
	b->n++;
	b->alert |= e->kind == WR_KIND_alert;
	if (b->b.n >= BATCH)
		hand_over(s, wr_now());
}

void wr_store_turn(struct wr_store *s, uint64_t now)
{
	if (s && now - s->handed >= HAND_OVER)
		hand_over(s, now);
}

void wr_store_stats(struct wr_store *s, struct wr_store_stats *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->stats;
	pthread_mutex_unlock(&s->lock);
}

/* the thread --------------------------------------------------------------------------------------- */

static uint64_t new_id(struct wr_store *s)
{
	s->last_id = wr_max(s->last_id + 1, utc());
	return s->last_id;
}

static void count(struct wr_store *s, uint64_t stored, uint64_t dropped)
{
	pthread_mutex_lock(&s->lock);
	s->stats.stored += stored;
	s->stats.dropped += dropped;
	pthread_mutex_unlock(&s->lock);
}

static bool failed(struct wr_store *s, int rc, const struct wr_err *e)
{
	if (!rc)
		return false;
	wr_log(store, WR_WARN, "%s; observation goes on, what is not kept is counted", e->text);
	pthread_mutex_lock(&s->lock);
	s->stats.failed++;
	pthread_mutex_unlock(&s->lock);
	return true;
}

/* The stored form of what is open, into @ret; false: nothing new in it. */
static bool stored_form(struct open_block *o, enum wr_kind_id kind, uint64_t step,
	struct wr_buf *data, struct wr_stored *ret)
{
	if (!o->b || wr_block_n(o->b) == o->written)
		return false;
	*data = WR_BUF(64u << 20);
	if (wr_block_encode(o->b, data)) {
		wr_buf_free(data);
		return false;
	}
	*ret = (struct wr_stored){.id = o->id, .kind = kind, .step = step, .n = wr_block_n(o->b)};
	wr_block_span(o->b, &ret->from, &ret->to);
	ret->data = (struct wr_bytes){(const uint8_t *)data->p, data->n};
	return true;
}

static bool is_sum(const struct wr_store *s, const struct open_block *o)
{
	return o >= s->sums && o < s->sums + WR_N(s->sums);
}

static void close_block(struct open_block *o)
{
	wr_block_free(o->b);
	*o = (struct open_block){.b = NULL};
}

/*
 * Writes these open blocks in one transaction. Those that are full or old are closed: when they could not be
 * written, what was new in them is lost, and counted.
 */
static void write_blocks(struct wr_store *s, struct open_block **o, unsigned n, bool full)
{
	struct wr_stored put[MAX_PUT];
	struct wr_buf data[MAX_PUT];
	struct open_block *of[MAX_PUT];
	struct wr_err e = {.text = ""};
	unsigned n_put = 0;
	uint64_t fresh = 0, bytes = 0, now = wr_now();
	bool bad;

	for (unsigned i = 0; i < n && n_put < MAX_PUT; i++) {
		bool sum = is_sum(s, o[i]);
		enum wr_kind_id kind = sum ? WR_KIND_traffic : (enum wr_kind_id)(o[i] - s->open);

		if (!stored_form(
			    o[i], kind, sum ? steps[o[i] - s->sums] : 0, &data[n_put], &put[n_put]))
			continue;
		fresh += sum ? 0 : put[n_put].n - o[i]->written;
		bytes += put[n_put].data.n;
		of[n_put++] = o[i];
	}
	bad = n_put && failed(s, s->engine->write(s->e, put, n_put, &e), &e);
	if (!bad)
		count(s, fresh, 0);
	for (unsigned i = 0; i < n_put; i++) {
		wr_buf_free(&data[i]);
		if (!bad)
			of[i]->written = put[i].n;
	}
	for (unsigned i = 0; i < n; i++) {
		if (!o[i]->b || (!full && now - o[i]->begun < BLOCK_AGE))
			continue;
		/* what says that something was lost is not lost itself while the disk is full */
		if (bad && !full && o[i] == &s->open[WR_KIND_loss])
			continue;
		if (bad && !is_sum(s, o[i]))
			count(s, 0, wr_block_n(o[i]->b) - o[i]->written);
		close_block(o[i]);
	}
	s->fresh += bad ? 0 : bytes;
	pthread_mutex_lock(&s->lock);
	s->stats.blocks += bad ? 0 : n_put;
	s->stats.bytes += bad ? 0 : bytes;
	pthread_mutex_unlock(&s->lock);
}

static void add(struct wr_store *s, struct open_block *o, const struct wr_event *e)
{
	int rc = -ENOMEM;

	for (unsigned tries = 0; tries < 2; tries++) {
		if (!o->b) {
			o->b = wr_block_new(e->kind);
			o->id = new_id(s);
			o->begun = wr_now();
		}
		rc = o->b ? wr_block_add(o->b, e) : -ENOMEM;
		if (rc != -ENOSPC)
			break;
		write_blocks(s, &o, 1, true);
	}
	if (rc && !is_sum(s, o))
		count(s, 0, 1);
}

struct sums {
	struct wr_store *s;
	unsigned level;
};

static void end_window(struct wr_store *s, unsigned level);

/* A row of a window that is over: kept, and a part of the next longer one. */
static void on_sum(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_traffic *r = (const void *)e;
	struct sums *u = ctx;
	unsigned longer = u->level + 1;

	add(u->s, &u->s->sums[u->level], e);
	pthread_mutex_lock(&u->s->lock);
	u->s->stats.traffic++;
	pthread_mutex_unlock(&u->s->lock);
	if (longer == WR_N(steps))
		return;
	if (r->from / steps[longer] != u->s->window[longer]) {
		end_window(u->s, longer);
		u->s->window[longer] = r->from / steps[longer];
	}
	wr_traffic_add(u->s->traffic[longer], r);
}

static void end_window(struct wr_store *s, unsigned level)
{
	uint64_t begin = s->window[level] * steps[level];
	struct sums u = {s, level};

	wr_traffic_tell(
		s->traffic[level], wr_str(s->host), begin, begin + steps[level], on_sum, &u);
}

static void end_windows(struct wr_store *s, uint64_t now)
{
	for (unsigned i = 0; i < WR_N(steps); i++) {
		if (now / steps[i] == s->window[i])
			continue;
		end_window(s, i);
		s->window[i] = now / steps[i];
	}
}

/* Loss of the way in is a record like any other, so that a reader of history finds it. */
static void tell_dropped(struct wr_store *s)
{
	struct wr_ev_loss l;
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->stats.dropped - s->told_dropped;
	s->told_dropped = s->stats.dropped;
	s->stats.in += n != 0;
	pthread_mutex_unlock(&s->lock);
	if (!n)
		return;
	WR_INIT(&l, loss);
	WR_SET(&l, loss, time, utc());
	WR_SET(&l, loss, host, wr_str(s->host));
	WR_SET(&l, loss, where, WR_STR("store"));
	WR_SET(&l, loss, reason, WR_STR("not_kept"));
	WR_SET(&l, loss, count, n);
	add(s, &s->open[WR_KIND_loss], &l.ev);
}

static void flush(struct wr_store *s)
{
	struct open_block *o[WR_KINDS + WR_N(steps)];
	uint64_t now = utc();
	struct wr_err e = {.text = ""};
	unsigned n = 0;

	s->flushed = wr_now();
	s->alert = false;
	end_windows(s, now);
	tell_dropped(s);
	for (unsigned i = 0; i < WR_KINDS; i++)
		o[n++] = &s->open[i];
	for (unsigned i = 0; i < WR_N(steps); i++)
		o[n++] = &s->sums[i];
	write_blocks(s, o, n, false);
	if (s->flushed - s->retained >= RETAIN || s->fresh > s->cfg.max_bytes / 64) {
		s->retained = s->flushed;
		s->fresh = 0;
		failed(s, s->engine->retain(s->e, now, &e), &e);
	}
}

static void take(struct wr_store *s, struct batch *b)
{
	struct wr_bytes rest = {(const uint8_t *)b->b.p, b->b.n};
	uint32_t taken = 0;
	union {
		struct wr_event e;
		char room[WR_EVENT_MAX];
	} u;

	while (rest.n) {
		ssize_t n = wr_unpack(rest, &u, sizeof(u));

		if (n <= 0)
			break;
		rest.p += n;
		rest.n -= (size_t)n;
		taken++;
		wr_traffic_event(s->traffic[0], &u.e, s->since);
		add(s, &s->open[u.e.kind], &u.e);
	}
	if (taken < b->n)
		count(s, 0, b->n - taken);
}

static bool latest(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_traffic *r = (const void *)e;
	uint64_t *to = ctx;

	*to = wr_max(*to, r->to);
	return true;
}

static bool again(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_traffic *r = (const void *)e;
	struct sums *u = ctx;

	if (r->from / steps[u->level] != u->s->window[u->level]) {
		end_window(u->s, u->level);
		u->s->window[u->level] = r->from / steps[u->level];
	}
	wr_traffic_add(u->s->traffic[u->level], r);
	return true;
}

/*
 * What an agent that ended had not summed yet. First hours of the minutes that are kept, then minutes of the
 * seconds: those go into hours too.
 */
static void catch_up(struct wr_store *s)
{
	static const uint64_t reach[] = {0, 2 * HOUR, 48 * HOUR};
	struct wr_history *h;
	uint64_t now = utc();

	if (wr_history_open(s->path, &h, NULL))
		return;
	for (unsigned i = WR_N(steps) - 1; i > 0; i--) {
		struct wr_range r = {WR_KIND_traffic, steps[i], now - reach[i], now, false};
		uint64_t to = r.from;
		struct sums u = {s, i};

		wr_history_read(h, &r, NULL, latest, &to);
		r.step = steps[i - 1];
		r.from = to;
		wr_history_read(h, &r, NULL, again, &u);
	}
	wr_history_close(h);
}

static void *work(void *arg)
{
	struct wr_store *s = arg;
	bool stop = false;

	pthread_setname_np(pthread_self(), "weir-store");
	catch_up(s);
	while (!stop) {
		struct timespec until;
		struct batch *b;
		uint64_t now;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += HAND_OVER;
		if (until.tv_nsec >= (long)SECOND) {
			until.tv_sec++;
			until.tv_nsec -= (long)SECOND;
		}
		pthread_mutex_lock(&s->lock);
		if (!s->first && !s->stop)
			pthread_cond_timedwait(&s->some, &s->lock, &until);
		b = s->first;
		if (b) {
			s->first = b->next;
			if (!s->first)
				s->last = &s->first;
			s->queued -= b->b.n;
		}
		stop = s->stop && !b;
		pthread_mutex_unlock(&s->lock);
		if (b) {
			end_windows(s, utc()); /* what came before is of the second before */
			take(s, b);
			s->alert |= b->alert;
		}
		batch_free(b);
		now = wr_now();
		if (now - s->flushed >= (s->alert ? FLUSH_ALERT : FLUSH) || stop)
			flush(s);
	}
	return NULL;
}

/* opening ------------------------------------------------------------------------------------------ */

int wr_store_open(const struct wr_store_config *c, struct wr_store **ret, struct wr_err *e)
{
	struct wr_store *s = wr_alloc(sizeof(*s));
	pthread_condattr_t clock;
	int rc = -ENOMEM;

	if (!s)
		return wr_fail(e, -ENOMEM, "no memory");
	s->cfg = *c;
	wr_copy(s->path, sizeof(s->path), wr_str(c->path));
	wr_copy(s->host, sizeof(s->host), wr_str(c->host));
	s->cfg.path = s->path;
	s->cfg.host = s->host;
	s->engine = engines[0];
	s->last = &s->first;
	s->since = utc();
	s->flushed = wr_now();
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(
		&clock, CLOCK_MONOTONIC); /* a stepped clock must not make it spin or sleep */
	pthread_cond_init(&s->some, &clock);
	pthread_condattr_destroy(&clock);
	for (unsigned i = 0; i < WR_N(steps); i++) {
		s->traffic[i] = wr_traffic_new();
		if (!s->traffic[i]) {
			wr_fail(e, rc, "no memory");
			goto bad;
		}
		s->window[i] = s->since / steps[i];
	}
	rc = s->engine->open(&s->cfg, &s->e, e);
	if (rc)
		goto bad;
	rc = -pthread_create(&s->thread, NULL, work, s);
	if (rc) {
		wr_fail(e, rc, "cannot start the thread of the store: %s", strerror(-rc));
		goto bad;
	}
	s->running = true;
	*ret = s;
	return 0;
bad:
	wr_store_close(s);
	return rc;
}

void wr_store_close(struct wr_store *s)
{
	struct batch *next;

	if (!s)
		return;
	if (s->running) {
		hand_over(s, wr_now());
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->some);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	for (struct batch *b = s->first; b; b = next) {
		next = b->next;
		batch_free(b);
	}
	batch_free(s->filling);
	for (unsigned i = 0; i < WR_KINDS; i++)
		wr_block_free(s->open[i].b);
	for (unsigned i = 0; i < WR_N(steps); i++) {
		wr_block_free(s->sums[i].b);
		wr_traffic_free(s->traffic[i]);
	}
	if (s->e)
		s->engine->close(s->e);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->some);
	free(s);
}

const struct wr_engine *wr_store_engine(void)
{
	return engines[0];
}
