// SPDX-License-Identifier: Apache-2.0
#include "export.h"
#include "spool.h"

#include <unistd.h>

#define MAX_BATCH (256u << 10) /* bytes */
#define MAX_MESSAGES 1200 /* bytes of messages that are packed into one datagram */
#define LINGER 1000000000ull /* ns that a batch waits for more */
#define RETRY 500000000ull
#define RETRY_MAX 30000000000ull
#define AROUND 1024 /* bytes of a batch's headers, and of the connection's own packets */
#define MINUTE 61 /* s: a part of one at each end */
#define DATAGRAMS 64 /* messages of a batch over UDP: each fails or goes by itself */

#define WR_EXPORTER(n) extern const struct wr_exporter wr_exporter_##n;
#include "exporters.def"
#undef WR_EXPORTER
#define WR_EXPORTER(n) &wr_exporter_##n,
static const struct wr_exporter *const exporters[] = {
#include "exporters.def"
};
#undef WR_EXPORTER

struct batch {
	struct batch *next;
	struct wr_buf b;
	unsigned lane, records;
	uint64_t begun;
	bool spooled; /* it is in the folder, too */
	bool sums; /* its share of the budget: of sums, or of single records */
};

struct wr_export {
	struct wr_export_config cfg;
	const struct wr_exporter *x;
	struct wr_to *to;
	struct wr_spool *spool; /* NULL: none */
	struct batch *open[2][WR_LANES]; /* being filled; of sums those of [1] */
	struct batch *first, **last; /* full, or old enough: on their way */
	uint64_t queued, next_try, pause; /* queued: bytes of all batches */
	uint64_t disk_full; /* until then nothing goes into the folder */
	uint32_t sequence; /* records sent: IPFIX counts them */
	struct wr_export_stats s;
	struct {
		uint64_t second, bytes;
	} spent[2][MINUTE]; /* of the budget */
};

const struct wr_exporter *wr_exporter_row(unsigned i)
{
	return i < WR_N(exporters) ? exporters[i] : NULL;
}

const struct wr_exporter *wr_exporter_find(struct wr_str name)
{
	for (unsigned i = 0; i < WR_N(exporters); i++) {
		if (wr_str_eq(name, wr_str(exporters[i]->name)))
			return exporters[i];
	}
	return NULL;
}

int wr_export_open(const struct wr_export_config *c, struct wr_export **ret, struct wr_err *e)
{
	size_t n = strcspn(c->to, ":");
	const struct wr_exporter *x = wr_exporter_find((struct wr_str){c->to, n});
	struct wr_export *p;
	int rc;

	if (!x && wr_str_eq((struct wr_str){c->to, n}, WR_STR("kafka")))
		return wr_fail(e, -EINVAL,
			"say in which form: for example json:kafka://127.0.0.1:9092/weir, or ecs:, ocsf:");
	if (!x)
		return wr_fail(e, -EINVAL,
			"there is no exporter '%.*s'; `weir export --list` shows them", (int)n,
			c->to);
	if (!c->to[n] || !c->to[n + 1])
		return wr_fail(e, -EINVAL, "where to? For example %s:%s", x->name, x->example);
	p = wr_alloc(sizeof(*p));
	if (!p)
		return wr_fail(e, -ENOMEM, "no memory");
	p->cfg = *c;
	p->x = x;
	p->last = &p->first;
	rc = wr_to_open(c->to + n + 1, x, c, &p->to, e);
	if (!rc && c->spool)
		rc = wr_spool_open(c->spool, x->name, c->spool_max, &p->spool, e);
	if (rc) {
		wr_export_free(p);
		return rc;
	}
	if (p->spool) {
		struct wr_spool_stats s;

		wr_spool_stats(p->spool, &s);
		p->s.in = p->s.resumed = s.records;
	}
	*ret = p;
	return 0;
}

static bool waits_on_disk(const struct wr_export *p)
{
	struct wr_spool_stats s = {.batches = 0};

	if (p->spool)
		wr_spool_stats(p->spool, &s);
	return s.batches;
}

static void free_batch(struct batch *b)
{
	if (b)
		wr_buf_free(&b->b);
	free(b);
}

/* Into the folder instead of memory. False: there is no room; a disk that was full is not asked for a while. */
static bool put_aside(struct wr_export *p, struct batch *b)
{
	uint64_t now = wr_now();

	if (now < p->disk_full ||
		wr_spool_put(p->spool, b->begun + (uint64_t)wr_utc_offset(), b->lane, b->records,
			(struct wr_bytes){(const uint8_t *)b->b.p, b->b.n})) {
		p->disk_full = wr_max(p->disk_full, now + RETRY);
		return false;
	}
	p->queued -= wr_min((uint64_t)b->b.n, p->queued);
	free_batch(b);
	return true;
}

/* The oldest of the folder comes back; it stays there until it has gone. */
static void fetch(struct wr_export *p)
{
	struct batch *b = wr_alloc(sizeof(*b));
	int rc = -EBADMSG;

	if (!b)
		return;
	b->b = WR_BUF(MAX_BATCH * 2);
	while (rc == -EBADMSG)
		rc = wr_spool_get(p->spool, &b->lane, &b->records, &b->b);
	if (rc <= 0) {
		free_batch(b);
		return;
	}
	b->spooled = true;
	p->queued += b->b.n;
	p->first = b;
	p->last = &b->next;
}

/* It goes on its way; behind what waits on the disk already. */
static void seal(struct wr_export *p, bool sums, unsigned lane)
{
	struct batch *b = p->open[sums][lane];

	if (!b)
		return;
	if (p->x->end)
		p->x->end(&b->b, lane);
	p->open[sums][lane] = NULL;
	if (waits_on_disk(p) && put_aside(p, b))
		return;
	*p->last = b;
	p->last = &b->next;
}

/* Those that wait for more records long enough at @now. */
static void seal_all(struct wr_export *p, uint64_t now)
{
	for (unsigned i = 0; i < 2 * WR_LANES; i++) {
		const struct batch *b = p->open[i % 2][i / 2];

		if (b && now >= b->begun + LINGER)
			seal(p, i % 2, i / 2);
	}
}

/* What waits in memory goes into the folder, as far as there is room. */
static void keep(struct wr_export *p)
{
	struct batch *b, *next;

	if (!p->spool)
		return;
	b = p->first;
	p->first = NULL;
	p->last = &p->first;
	for (; b; b = next) {
		next = b->next;
		b->next = NULL;
		if (b->spooled) {
			p->queued -= wr_min((uint64_t)b->b.n, p->queued);
			free_batch(b);
		} else if (!put_aside(p, b)) {
			*p->last = b;
			p->last = &b->next;
		}
	}
}

/* Of a batch of @n bytes. */
static uint64_t cost(size_t n)
{
	return n + n / 16 + AROUND;
}

static uint64_t spent(const struct wr_export *p, bool sums, uint64_t second)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < MINUTE; i++)
		sum += p->spent[sums][i].second + MINUTE > second ? p->spent[sums][i].bytes : 0;
	return sum;
}

/*
 * Is there room in this minute? Else it has to wait. Neither kind can take more than three quarters, so that a
 * storm of alerts leaves room for sums, and the other way round. A larger batch has a minute of its own.
 */
static bool affords(const struct wr_export *p, const struct batch *b, uint64_t now)
{
	uint64_t own, all;

	if (!p->cfg.budget)
		return true;
	own = spent(p, b->sums, now / 1000000000);
	all = own + spent(p, !b->sums, now / 1000000000);
	return !all ||
	       (own + cost(b->b.n) <= p->cfg.budget * 3 / 4 && all + cost(b->b.n) <= p->cfg.budget);
}

static void spend(struct wr_export *p, const struct batch *b, uint64_t now)
{
	uint64_t second = now / 1000000000;
	unsigned i = second % MINUTE;

	p->spent[b->sums][i].bytes =
		cost(b->b.n) +
		(p->spent[b->sums][i].second == second ? p->spent[b->sums][i].bytes : 0);
	p->spent[b->sums][i].second = second;
}

/* A batch is at most an eighth of the budget, so that a minute is used. */
static size_t max_batch(const struct wr_export *p)
{
	return p->cfg.budget ? wr_min((size_t)p->cfg.budget / 8, (size_t)MAX_BATCH) : MAX_BATCH;
}

uint64_t wr_export_room(const struct wr_export *p)
{
	uint64_t second = wr_now() / 1000000000, own = spent(p, true, second);
	uint64_t all = own + spent(p, false, second), n = max_batch(p);
	uint64_t left = wr_min(p->cfg.budget * 3 / 4 - wr_min(own, p->cfg.budget * 3 / 4),
		p->cfg.budget - wr_min(all, p->cfg.budget));

	return left * n / cost(n);
}

void wr_export_put(struct wr_export *p, const struct wr_event *e)
{
	unsigned lane = p->x->lane ? p->x->lane(e) : 0;
	bool sums = e->kind == WR_KIND_traffic;
	struct batch *b;
	size_t before;

	p->s.in++;
	if (p->spool && p->queued >= p->cfg.queue / 2) {
		seal_all(p, UINT64_MAX);
		keep(p);
	}
	if (p->queued >= p->cfg.queue) {
		p->s.queue_full++;
		return;
	}
	b = p->open[sums][lane];
	if (!b) {
		b = wr_alloc(sizeof(*b));
		if (!b) {
			p->s.queue_full++;
			return;
		}
		b->b = WR_BUF(MAX_BATCH + 65536);
		b->lane = lane;
		b->sums = sums;
		b->begun = wr_now();
		if (p->x->begin)
			p->x->begin(&b->b, lane, &p->cfg.form);
		p->open[sums][lane] = b;
		p->queued += b->b.n;
	}
	before = b->b.n;
	if (!p->x->put(&b->b, e, !b->records, &p->cfg.form) || b->b.cut) {
		b->b.n = before;
		b->b.cut = false;
		p->s.no_form++;
		if (!b->records) {
			p->queued -= b->b.n;
			free_batch(b);
			p->open[sums][lane] = NULL;
		}
		return;
	}
	p->queued += b->b.n - before;
	p->s.bytes += b->b.n - before;
	b->records++;
	if (b->b.n >= max_batch(p) || b->records == p->x->most ||
		(p->x->messages && b->records == DATAGRAMS) ||
		(p->x->pack && b->b.n >= MAX_MESSAGES))
		seal(p, sums, lane);
}

static int send_batch(
	struct wr_export *p, struct batch *b, uint64_t *ret_rejected, struct wr_err *e)
{
	struct wr_buf packed = WR_BUF(MAX_BATCH + 65536);
	struct wr_bytes bytes = {(const uint8_t *)b->b.p, b->b.n};
	int rc;

	if (p->x->pack) {
		p->x->pack(&packed, bytes, p->sequence);
		bytes = (struct wr_bytes){(const uint8_t *)packed.p, packed.n};
	}
	rc = wr_to_send(p->to, p->x, b->lane, bytes, ret_rejected, e);
	wr_buf_free(&packed);
	return rc;
}

/* The first one that the budget has room for; NULL: none. */
static struct batch **next_batch(struct wr_export *p, uint64_t now)
{
	if (!p->first && waits_on_disk(p))
		fetch(p);
	for (struct batch **b = &p->first; *b; b = &(*b)->next) {
		if (affords(p, *b, now))
			return b;
	}
	return NULL;
}

/* It is gone, or will never go. */
static void finish(struct wr_export *p, struct batch **at, uint64_t rejected)
{
	struct batch *b = *at;

	p->s.refused += rejected;
	p->s.sent += b->records - rejected;
	p->sequence += b->records;
	p->queued -= wr_min((uint64_t)b->b.n, p->queued);
	if (b->spooled)
		wr_spool_done(p->spool);
	*at = b->next;
	if (!b->next)
		p->last = at;
	free_batch(b);
}

uint64_t wr_export_step(struct wr_export *p, uint64_t now)
{
	struct batch **at = NULL;

	seal_all(p, now);
	for (unsigned n = 0; now >= p->next_try && n < 16 && (at = next_batch(p, now)); n++) {
		struct wr_err e = {.text = ""};
		uint64_t rejected = 0;
		int rc;

		spend(p, *at, now);
		rc = send_batch(p, *at, &rejected, &e);
		rejected = rc ? (*at)->records : wr_min(rejected, (uint64_t)(*at)->records);
		p->s.tries++;
		if (rc)
			p->s.failures++;
		if (rejected)
			wr_copy(p->s.last, sizeof(p->s.last), wr_str(e.text));
		if (rc == -EPIPE) {
			p->s.closed = true;
			break;
		}
		if (rc == -EAGAIN) {
			p->pause = p->pause ? wr_min(p->pause * 2, RETRY_MAX) : RETRY;
			p->next_try = wr_now() + p->pause;
			break;
		}
		p->pause = 0;
		finish(p, at, rejected);
	}
	if (!p->first && !waits_on_disk(p))
		return LINGER / 4;
	return at ? wr_max(p->next_try, now + 1000000) - now
		  : LINGER / 4; /* NULL: the budget is spent */
}

void wr_export_stats(const struct wr_export *p, struct wr_export_stats *ret)
{
	struct wr_spool_stats s = {.records = 0};

	*ret = p->s;
	if (p->spool)
		wr_spool_stats(p->spool, &s);
	ret->held = ret->spooled = s.records;
	ret->damaged = s.damaged;
	ret->refused += s.damaged_records;
	for (const struct batch *b = p->first; b; b = b->next)
		ret->held += b->spooled ? 0 : b->records;
	for (unsigned i = 0; i < 2 * WR_LANES; i++) {
		const struct batch *b = p->open[i % 2][i / 2];

		ret->held += b ? b->records : 0;
	}
}

void wr_export_flush(struct wr_export *p, uint64_t patience)
{
	uint64_t end = wr_now() + patience;

	if (!p)
		return;
	seal_all(p, UINT64_MAX);
	while ((p->first || waits_on_disk(p)) && !p->s.closed && wr_now() < end) {
		uint64_t wait;

		p->next_try = wr_min(p->next_try, wr_now() + RETRY);
		wait = wr_export_step(p, wr_now());
		if (p->first)
			usleep((useconds_t)(wr_min(wait, RETRY) / 1000));
	}
	keep(p);
}

void wr_export_free(struct wr_export *p)
{
	if (!p)
		return;
	while (p->first) {
		struct batch *b = p->first;

		p->first = b->next;
		free_batch(b);
	}
	for (unsigned i = 0; i < 2 * WR_LANES; i++)
		free_batch(p->open[i % 2][i / 2]);
	if (p->to)
		wr_to_close(p->to);
	wr_spool_close(p->spool);
	free(p);
}

/* for exporters ------------------------------------------------------------------------------------- */

size_t wr_message_begin(struct wr_buf *b)
{
	static const char room[4];

	wr_buf_put(b, room, sizeof(room));
	return b->n;
}

void wr_message_end(struct wr_buf *b, size_t at)
{
	uint32_t n = (uint32_t)(b->n - at);

	if (!b->cut)
		memcpy(b->p + at - sizeof(n), &n, sizeof(n));
}

bool wr_message_next(struct wr_bytes *m, struct wr_bytes *ret)
{
	uint32_t n;

	if (m->n < sizeof(n))
		return false;
	memcpy(&n, m->p, sizeof(n));
	if (n > m->n - sizeof(n))
		return false;
	*ret = (struct wr_bytes){m->p + sizeof(n), n};
	m->p += sizeof(n) + n;
	m->n -= sizeof(n) + n;
	return true;
}

void wr_form_value(struct wr_buf *b, const struct wr_event *e, unsigned field)
{
	struct wr_buf t = WR_BUF(WR_MAX_LINE);

	wr_plain(&t, e, field);
	switch ((enum wr_type)wr_kinds[e->kind].fields[field].type) {
	case WR_U64:
	case WR_F64:
	case WR_BOOL:
	case WR_JSON:
		wr_buf_str(b, t.n ? wr_buf_view(&t) : WR_STR("null"));
		break;
	case WR_STRING:
	case WR_ADDR:
	case WR_TIME:
		wr_buf_json(b, wr_buf_view(&t));
	}
	wr_buf_free(&t);
}

uint64_t wr_form_time(const struct wr_event *e)
{
	const struct wr_ev_metric *m = (const void *)e; /* the common fields are the same in all */

	return m->time;
}

/* ECS counts durations in ns. */
static void ecs_value(struct wr_buf *b, const struct wr_event *e, unsigned i)
{
	const struct wr_field *f = &wr_kinds[e->kind].fields[i];
	uint64_t times = !strcmp(f->unit, "us") ? 1000 : !strcmp(f->unit, "ms") ? 1000000 : 0;

	if (!strcmp(f->otel, "event.duration") && times && f->type == WR_U64)
		wr_buf_u64(b, *(const uint64_t *)wr_ev_at(e, f) * times);
	else
		wr_form_value(b, e, i);
}

void wr_form_ecs(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_kind *k = &wr_kinds[e->kind];
	char t[WR_IP_TEXT];

	wr_buf_printf(b,
		"{\"@timestamp\":\"%s\",\"ecs.version\":\"8.11.0\",\"event.kind\":\"%s\""
		",\"event.module\":\"weir\",\"event.dataset\":\"weir.%s\"",
		wr_rfc3339(wr_form_time(e), t),
		e->kind == WR_KIND_alert    ? "alert"
		: e->kind == WR_KIND_metric ? "metric"
					    : "event",
		k->name);
	wr_ev_each (e, k, i) {
		const struct wr_field *f = &k->fields[i];

		if (!strcmp(f->otel, "timestamp"))
			continue;
		wr_buf_c(b, ',');
		if (f->otel[0]) {
			wr_buf_json(b, wr_str(f->otel));
		} else {
			char name[96];

			snprintf(name, sizeof(name), "weir.%s.%s", k->name, f->name);
			wr_buf_json(b, wr_str(name));
		}
		wr_buf_c(b, ':');
		ecs_value(b, e, i);
	}
	wr_buf_c(b, '}');
}

unsigned wr_form_severity(const struct wr_event *e)
{
	const struct wr_ev_alert *a = (const void *)e;
	const struct wr_ev_request *q = (const void *)e;

	switch (e->kind) {
	case WR_KIND_alert:
		return wr_str_eq(a->severity, WR_STR("high"))  ? 2
		       : wr_str_eq(a->severity, WR_STR("low")) ? 5
							       : 4;
	case WR_KIND_drop:
	case WR_KIND_loss:
		return 4;
	case WR_KIND_diagnosis:
		return 3;
	case WR_KIND_request:
		return wr_ev_has(e, WR_I_request_error) && q->error ? 4 : 6;
	}
	return 6;
}

struct wr_str wr_form_text(const struct wr_event *e, const char *name, struct wr_buf *tmp)
{
	int i = wr_field_find(&wr_kinds[e->kind], wr_str(name));
	size_t at = tmp->n;

	if (i < 0 || !wr_ev_has(e, (unsigned)i))
		return (struct wr_str){"", 0};
	wr_plain(tmp, e, (unsigned)i);
	return tmp->cut ? (struct wr_str){"", 0} : (struct wr_str){tmp->p + at, tmp->n - at};
}
