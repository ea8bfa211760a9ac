// SPDX-License-Identifier: Apache-2.0
/*
 * Services, clients and pairs of them: what each minute brings, against what is usual at this hour. An hour is
 * kept as the median of its minutes and their median absolute deviation, for four weeks; what is due is the
 * median over the hours like this one: of the same weekday once that was seen twice, else of working days or
 * of weekends, else of all days, each with the hour before and the one behind. Medians are not moved by an
 * attack of less than half an hour; a longer one counts as if it had been at the edge of what is usual, so
 * that a new normal is taken up slowly.
 */
#include "detect.h"

#include <math.h>

#define MINUTES 60 /* of an hour */
#define DAY 24
#define HOURS (28 * DAY)
#define NEAR 3 /* the hour before, this one, the one behind */
#define UNKNOWN 65535
#define ENOUGH 10 /* events */
#define LOST 10 /* minutes without any record at all: nobody watched */

enum metric { CONNECTIONS, REQUESTS, BYTES_IN, BYTES_OUT, LARGEST_IN, LARGEST_OUT, METRICS };

static const struct {
	const char *name, *more, *less;
	double grain; /* what one event is worth: chance moves a sum by the root of it times the sum */
	double least; /* less is nothing to talk of, a minute */
	bool largest; /* a minute has the largest one, not a sum; that none is large is no news */
} metrics[METRICS] = {
	[CONNECTIONS] = {"connections", "more connections", "fewer connections", 1, 30, false},
	[REQUESTS] = {"requests", "more requests", "fewer requests", 1, 60, false},
	[BYTES_IN] = {"bytes_to_server", "more bytes to the server", "fewer bytes to the server",
		3000, 1000000, false},
	[BYTES_OUT] = {"bytes_to_client", "more bytes to the client", "fewer bytes to the client",
		3000, 1000000, false},
	[LARGEST_IN] = {"request_bytes", "larger requests", "", 3000, 100000, true},
	[LARGEST_OUT] = {"response_bytes", "larger responses", "", 3000, 100000, true},
};

enum scope { SERVICE, CLIENT, PAIR };

/* The minute that is counted. */
struct now {
	uint32_t events;
	double sum[METRICS]; /* or the largest */
	enum scope scope;
	uint64_t kept; /* key of its profile */
	/* of a pair: keys of its service and its client, whose deviation it explains */
	uint64_t by[2];
	uint64_t since; /* UTC ns: began to deviate; 0: it does not */
	uint32_t run; /* minutes of that */
	bool explained; /* a pair of it deviates: that is told */
	char source[64], target[64];
	struct wr_whose whose;
};

/* Numbers as their logarithm, to 0.3 %. */
struct usual {
	uint16_t mid, spread;
};

struct profile {
	uint64_t minute; /* number of the next one; 0: it is new */
	uint32_t known, hours; /* minutes of this hour; hours, as far as they are known */
	struct usual hour[METRICS][HOURS];
	uint16_t now[METRICS][MINUTES];
};

/* The state: time. */
struct clock {
	uint64_t minute, length; /* number of the minute that is counted; ns */
	unsigned minutes; /* of an hour */
	bool whole; /* it was watched from its beginning */
};

static uint16_t pack(double v)
{
	double l = log2(v + 1) * 256;

	return l < UNKNOWN - 1 ? (uint16_t)(l + 0.5) : UNKNOWN - 1;
}

static double unpack(uint16_t v)
{
	return exp2((double)v / 256) - 1;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), order);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static double deviation(double *v, unsigned n, double mid)
{
	for (unsigned i = 0; i < n; i++)
		v[i] = fabs(v[i] - mid);
	return 1.4826 * median(v, n); /* of a normal distribution: its standard deviation */
}

static bool is_weekend(uint64_t day)
{
	unsigned weekday = (unsigned)((day + 4) % 7); /* day 0 was a Thursday */

	return weekday == 0 || weekday == 6;
}

struct due {
	double mid, spread;
	unsigned hours; /* that it is made of; 0: it is not known */
	bool days; /* of days like this one: fewer than that is told, too */
};

/* The hours of which days count? */
enum like { WEEKDAY, KIND_OF_DAY, ALL_DAYS };

static struct due due_of(const struct profile *p, enum metric m, uint64_t hour, enum like like)
{
	double mid[28 * NEAR], spread[28 * NEAR];
	struct due due = {.mid = 0};
	unsigned n = 0;

	for (unsigned back = 1; back < 28; back++) {
		if ((like == WEEKDAY && back % 7) ||
			(like == KIND_OF_DAY && hour / DAY >= back &&
				is_weekend(hour / DAY) != is_weekend(hour / DAY - back)))
			continue;
		for (unsigned k = 0; k < NEAR; k++) {
			const struct usual *u =
				&p->hour[m][(hour + k + HOURS - 1 - back * DAY) % HOURS];

			if (u->mid == UNKNOWN)
				continue;
			mid[n] = unpack(u->mid);
			spread[n++] = unpack(u->spread);
		}
	}
	if (n < 2 * NEAR - 1)
		return due;
	due.mid = median(mid, n);
	due.spread = wr_max(median(spread, n), deviation(mid, n, due.mid));
	due.hours = n;
	due.days = like != ALL_DAYS;
	return due;
}

/* Fewer than two days are known: all that the hours before this one had is due. */
static struct due due_of_day(const struct profile *p, enum metric m, uint64_t hour)
{
	double least = HUGE_VAL, most = 0, spread[DAY];
	struct due due = {.mid = 0};
	unsigned n = 0;

	for (unsigned back = 1; back <= DAY; back++) {
		const struct usual *u = &p->hour[m][(hour + HOURS - back) % HOURS];

		if (u->mid == UNKNOWN)
			continue;
		least = wr_min(least, unpack(u->mid));
		most = wr_max(most, unpack(u->mid));
		spread[n++] = unpack(u->spread);
	}
	if (!n)
		return due;
	due.mid = (least + most) / 2;
	due.spread = wr_max(median(spread, n), (most - least) / 2);
	due.hours = n;
	return due;
}

static struct due usual(const struct profile *p, enum metric m, uint64_t hour)
{
	struct due due = {.mid = 0};

	for (enum like like = WEEKDAY; like <= ALL_DAYS && !due.hours; like++)
		due = due_of(p, m, hour, like);
	if (!due.hours)
		due = due_of_day(p, m, hour);
	/* chance alone: Poisson; and a tenth is no news */
	due.spread = wr_max(due.spread, sqrt((due.mid + metrics[m].grain) * metrics[m].grain));
	due.spread = wr_max(due.spread, due.mid / 10);
	return due;
}

static bool deviates(const struct wr_limits *l, enum metric m, double v, const struct due *due)
{
	double away = fabs(v - due->mid), big = wr_max(v, due->mid);

	return away > (double)l->baseline_deviation_factor * due->spread &&
	       big >= metrics[m].least &&
	       (v > due->mid ? v > 2 * due->mid : due->days && !metrics[m].largest);
}

/* The hour is over: what it had becomes what is usual. */
static void close_hour(
	const struct wr_limits *l, const struct clock *c, struct profile *p, uint64_t hour)
{
	bool known = p->known >= c->minutes / 2;

	for (unsigned m = 0; m < METRICS; m++) {
		struct due due = usual(p, m, hour);
		double v[MINUTES], mid, spread;
		unsigned n = 0;

		for (unsigned k = 0; k < c->minutes; k++) {
			if (p->now[m][k] != UNKNOWN)
				v[n++] = unpack(p->now[m][k]);
			p->now[m][k] = UNKNOWN;
		}
		p->hour[m][hour % HOURS] = (struct usual){UNKNOWN, UNKNOWN};
		if (!known || !n)
			continue;
		mid = median(v, n);
		spread = deviation(v, n, mid);
		if (due.hours && deviates(l, m, mid, &due)) {
			mid = mid > due.mid ? due.mid + 3 * due.spread
					    : wr_max(due.mid - 3 * due.spread, 0.0);
			spread = due.spread;
		}
		p->hour[m][hour % HOURS] = (struct usual){pack(mid), pack(spread)};
	}
	p->hours += known;
	p->known = 0;
}

/* Goes to the minute @to of a profile: what lies between was not watched. */
static void skip(const struct wr_limits *l, const struct clock *c, struct profile *p, uint64_t to)
{
	if (!p->minute ||
		to < p->minute) { /* new, or a clock was set back, or an hour is another length */
		if (!p->minute || to + DAY * c->minutes < p->minute) {
			memset(p->hour, 0xff, sizeof(p->hour));
			p->hours = 0;
		}
		memset(p->now, 0xff, sizeof(p->now));
		p->known = 0;
		p->minute = to;
	}
	for (unsigned n = 0; p->minute / c->minutes < to / c->minutes; n++) {
		close_hour(l, c, p, p->minute / c->minutes);
		p->minute = (p->minute / c->minutes + 1) * c->minutes;
		if (n > HOURS) /* all that was known is too old */
			p->minute = to;
	}
	p->minute = to;
}

static void raise_it(struct wr_detect *d, const struct wr_detector *self, const struct clock *c,
	const struct now *a, enum metric m, double v, const struct due *due)
{
	static const char *const scopes[] = {"service", "client", "pair"};
	struct wr_incident *i = wr_incident(d, self, a->source, a->target);

	if (!i)
		return;
	wr_incident_is(i, a->since, (c->minute + 1) * c->length, i->count ? i->count + 1 : a->run,
		"medium", due->hours >= 2 * DAY ? 0.8 : 0.6);
	snprintf(i->summary, sizeof(i->summary),
		"%s%s%s: %s than usual, %.0f%s in %.0f s where %.0f are due, give or take %.0f; for %" PRIu64
		" s",
		a->source, a->scope == PAIR ? " to " : "", a->target,
		v > due->mid ? metrics[m].more : metrics[m].less, v,
		metrics[m].largest ? " bytes for the largest" : "", (double)c->length / 1e9,
		due->mid, due->spread, (i->last - i->first) / 1000000000);
	snprintf(i->evidence, sizeof(i->evidence),
		"{\"scope\":\"%s\",\"metric\":\"%s\",\"value\":%.0f,\"usual\":%.0f,\"spread\":%.1f,"
		"\"spreads_away\":%.1f,\"hours_like_this\":%u}",
		scopes[a->scope], metrics[m].name, v, due->mid, due->spread,
		fabs(v - due->mid) / due->spread, due->hours);
	i->whose = a->whose;
}

struct walk {
	struct wr_detect *d;
	const struct wr_detector *self;
	struct clock *c;
	bool pairs; /* those first: they say whose it is */
};

/* A minute of one of them is over. */
static void push(void *ctx, const struct wr_entry *entry, void *row)
{
	const struct walk *w = ctx;
	const struct wr_limits *l = wr_detect_limits(w->d);
	const struct clock *c = w->c;
	struct now *a = row;
	double value = 0;
	struct due found = {.mid = 0};
	enum metric which = 0;
	bool odd = false;
	struct profile *p;

	(void)entry;
	if ((a->scope == PAIR) != w->pairs)
		return;
	if (a->events < ENOUGH) {
		memset(a->sum, 0, sizeof(a->sum));
		return;
	}
	p = wr_detect_kept(w->d, w->self, a->kept, c->minute * c->length);
	if (!p)
		return;
	skip(l, c, p, c->minute);
	for (unsigned m = 0; m < METRICS; m++) {
		struct due due = usual(p, m, c->minute / c->minutes);

		/* the first tells: bytes follow from how many came */
		if (!odd && due.hours && deviates(l, m, a->sum[m], &due)) {
			odd = true;
			value = a->sum[m];
			found = due;
			which = m;
		}
		p->now[m][c->minute % c->minutes] = pack(a->sum[m]);
		a->sum[m] = 0;
	}
	p->known++;
	p->minute++;
	if (p->minute % c->minutes == 0)
		close_hour(l, c, p, c->minute / c->minutes);
	if (odd && p->hours * c->minutes * c->length >= l->baseline_deviation_learn * 1000000000) {
		a->since = a->since ? a->since : c->minute * c->length;
		if (++a->run >= l->baseline_deviation_minutes && !a->explained) {
			struct wr_entries *t = wr_detect_entries(w->d, w->self);

			raise_it(w->d, w->self, c, a, which, value, &found);
			for (unsigned k = 0; k < 2 && a->scope == PAIR; k++) {
				struct now *of = wr_entries_peek(t, a->by[k]);

				if (of)
					of->explained = true;
			}
		}
	} else {
		a->since = a->run = 0;
	}
	a->explained = false;
}

/* A minute of which only a part was watched. */
static void forget(void *ctx, const struct wr_entry *entry, void *row)
{
	(void)ctx;
	(void)entry;
	memset(((struct now *)row)->sum, 0, sizeof(((struct now *)row)->sum));
}

static void turn(struct wr_detect *d, const struct wr_detector *self, uint64_t now)
{
	struct clock *c = wr_detect_state(d, self);
	struct walk w = {d, self, c, true};
	uint64_t minute = now / c->length;
	bool watched = minute > c->minute && minute - c->minute <= LOST;

	while (c->minute != minute) {
		for (unsigned pass = 0; pass < 2 && c->whole; pass++) {
			w.pairs = !pass;
			wr_entries_each(wr_detect_entries(d, self), push, &w);
		}
		if (!c->whole)
			wr_entries_each(wr_detect_entries(d, self), forget, NULL);
		c->whole = watched;
		c->minute = watched ? c->minute + 1 : minute;
	}
}

static struct now *count(struct wr_detect *d, const struct wr_detector *self, enum scope s,
	uint64_t key, const struct wr_event *e, uint64_t at)
{
	const struct wr_moved *m = wr_detect_moved(d);
	struct now *a = wr_detect_entry(d, self, key, at);

	if (!a)
		return NULL;
	if (!a->kept) {
		a->scope = s;
		a->kept = key;
	}
	if (e->kind == WR_KIND_request) {
		const struct wr_ev_request *r = (const void *)e;

		a->sum[REQUESTS]++;
		a->sum[LARGEST_IN] = wr_max(a->sum[LARGEST_IN], (double)r->request_bytes);
		a->sum[LARGEST_OUT] = wr_max(a->sum[LARGEST_OUT], (double)r->response_bytes);
		return a;
	}
	a->sum[CONNECTIONS] += m->last;
	a->sum[BYTES_IN] += (double)m->to_server;
	a->sum[BYTES_OUT] += (double)m->to_client;
	return a;
}

/* How it is called, and whose it is: told once. */
static void describe(struct now *a, const struct wr_event *e, const struct wr_pair *p)
{
	if (++a->events != ENOUGH) /* those that come and go need no name */
		return;
	if (a->scope != SERVICE)
		wr_pair_owner(a->source, p, false);
	if (a->scope != CLIENT && p->server_service.n)
		wr_copy(a->target, sizeof(a->target), p->server_service);
	else if (a->scope != CLIENT)
		wr_detect_target(a->target, p->server, p->port);
	wr_whose_is(&a->whose, e, a->scope == SERVICE);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_conn *r = (const void *)e;
	const struct wr_pair *p = wr_detect_pair(d);
	uint64_t key[3] = {0};
	bool few = false;

	if (!p || (e->kind == WR_KIND_conn && !r->packets_to_client))
		return;
	/* each server of the Internet would be too many: the client tells of them */
	if (p->server_key)
		key[SERVICE] = wr_hash64(
			p->server_key ^ (p->server_service.n ? SERVICE : 65536ull + p->port));
	if (p->client_key)
		key[CLIENT] = wr_hash64(p->client_key ^ CLIENT);
	if (key[SERVICE] && key[CLIENT])
		key[PAIR] = wr_hash64(key[SERVICE] ^ wr_hash64(key[CLIENT]));
	for (enum scope s = SERVICE; s <= PAIR; s++) {
		struct now *a = NULL;

		if (key[s] && (s != PAIR || !few))
			a = count(d, self, s, key[s], e, p->at);
		if (!a)
			continue;
		a->by[0] = key[SERVICE];
		a->by[1] = key[CLIENT];
		describe(a, e, p);
		few = few || a->events < ENOUGH;
	}
}

static int setup(const struct wr_limits *l, void **ret_state, struct wr_err *e)
{
	struct clock *c = wr_alloc(sizeof(*c));

	if (!c)
		return wr_fail(e, -ENOMEM, "no memory");
	c->length = wr_max(l->baseline_deviation_hour * 1000000000 / MINUTES, 1000000000ull);
	c->minutes = (unsigned)wr_min(
		l->baseline_deviation_hour * 1000000000 / c->length, (uint64_t)MINUTES);
	*ret_state = c;
	return 0;
}

const struct wr_detector wr_detector_baseline_deviation = {
	.name = "baseline_deviation",
	.help = "a service, a client or a pair of them with far more, or less, than is usual at this hour",
	.attack_id = "T1499",
	.advice =
		"`weir compare` shows what else changed then; `weir flows --by client.ip` who brings it",
	.impact = "a limit hits those who come for good reason, too",
	.entry = sizeof(struct now),
	.entries = 2048,
	.kept = sizeof(struct profile),
	.kepts = 1024,
	.kept_version = 2,
	.grows = true,
	.setup = setup,
	.unset = free,
	.turn = turn,
	.event = event,
};
