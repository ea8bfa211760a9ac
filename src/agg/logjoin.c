// SPDX-License-Identifier: Apache-2.0
#include "logjoin.h"

#define AFTER 500000000ull /* ns behind the end of a request in which its line may be written */
#define RECENT 4096 /* requests that a line could mean as well */
#define HELD 8192

struct line {
	struct wr_logline l; /* its texts are in @text */
	char *text;
	bool given; /* to the request that is told now */
};

/* What decides whether a line may speak of a request. */
struct meant {
	uint64_t start, end;
	uint64_t path, whole; /* of operation and resource, without its parameters and with them */
	uint32_t pid[2]; /* server, client; 0 = not known */
};

struct held {
	struct held *next;
	struct meant m;
	uint64_t due;
	struct wr_buf packed;
};

struct wr_logjoin {
	struct wr_logjoin_config cfg;
	struct line
		*line; /* a ring: the oldest at @tail; text NULL: it belongs to a request already */
	unsigned head, tail; /* head: where the next one goes; one place is free */
	struct held *first, **last;
	unsigned n_held;
	struct meant recent[RECENT];
	uint64_t n_recent;
	struct wr_logjoin_stats stats;
};

struct wr_logjoin *wr_logjoin_new(const struct wr_logjoin_config *cfg)
{
	struct wr_logjoin *j = wr_alloc(sizeof(*j));

	if (!j)
		return NULL;
	j->cfg = *cfg;
	j->cfg.lines++;
	j->last = &j->first;
	j->line = wr_alloc(j->cfg.lines * sizeof(*j->line));
	if (!j->line) {
		free(j);
		return NULL;
	}
	return j;
}

static void held_free(struct held *h)
{
	wr_buf_free(&h->packed);
	free(h);
}

void wr_logjoin_free(struct wr_logjoin *j)
{
	if (!j)
		return;
	while (j->first) {
		struct held *h = j->first;

		j->first = h->next;
		held_free(h);
	}
	for (unsigned i = 0; i < j->cfg.lines; i++)
		free(j->line[i].text);
	free(j->line);
	free(j);
}

static void pop(struct wr_logjoin *j)
{
	free(j->line[j->tail].text);
	j->line[j->tail].text = NULL;
	j->tail = (j->tail + 1) % j->cfg.lines;
}

void wr_logjoin_line(struct wr_logjoin *j, const struct wr_logline *l)
{
	struct line *to = &j->line[j->head];
	unsigned next = (j->head + 1) % j->cfg.lines;

	j->stats.lines++;
	if (next == j->tail)
		pop(j);
	to->l = *l;
	to->given = false;
	to->text = wr_alloc(l->source.n + l->text.n + 1);
	if (!to->text)
		return;
	memcpy(to->text, l->source.p, l->source.n);
	memcpy(to->text + l->source.n, l->text.p, l->text.n);
	to->l.source.p = to->text;
	to->l.text.p = to->text + l->source.n;
	j->head = next;
}

/* Bytes of a resource up to its parameters, or to what is masked. */
static size_t path_of(struct wr_str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '?' && s.p[n] != '*')
		n++;
	return n;
}

void wr_logjoin_request(struct wr_logjoin *j, const struct wr_ev_request *r, uint64_t now)
{
	struct held *h = wr_alloc(sizeof(*h));

	if (j->n_held == HELD)
		wr_logjoin_turn(j, j->first->due, false);
	if (h) {
		h->packed = WR_BUF(WR_MAX_LINE);
		wr_pack(&h->packed, &r->ev);
	}
	if (!h || h->packed.cut) { /* no memory to wait: without its lines */
		if (h)
			held_free(h);
		j->cfg.request(j->cfg.ctx, &r->ev);
		return;
	}
	h->due = now + j->cfg.hold;
	h->m = (struct meant){.start = r->time,
		.end = r->time +
		       (wr_ev_has(&r->ev, WR_I_request_duration_us) ? r->duration_us * 1000 : 0),
		.path = wr_hash(r->operation.p, r->operation.n,
			wr_hash(r->resource.p, path_of(r->resource), 0)),
		.whole = wr_hash(
			r->operation.p, r->operation.n, wr_hash(r->resource.p, r->resource.n, 0)),
		.pid = {(uint32_t)r->server_pid, (uint32_t)r->client_pid}};
	j->recent[j->n_recent++ % RECENT] = h->m;
	*j->last = h;
	j->last = &h->next;
	j->n_held++;
}

static bool in_time(const struct wr_logline *l, const struct meant *m)
{
	return l->time + l->unsure >= m->start && l->time <= m->end + AFTER + l->unsure;
}

static bool wrote_it(const struct wr_logline *l, const struct meant *m)
{
	for (unsigned i = 0; i < l->n_pids; i++) {
		if (l->pid[i] && (l->pid[i] == m->pid[0] || l->pid[i] == m->pid[1]))
			return true;
	}
	return false;
}

static bool has(struct wr_str text, struct wr_str s)
{
	return s.n && memmem(text.p, text.n, s.p, s.n);
}

static bool goes_on(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '/' || c == '.';
}

enum says { NOTHING, THE_PATH, ALL };

/*
 * Does it name operation and resource? The path not as the begin of a longer one, and "/" alone says little.
 * Where it has parameters they are the request's, up to what is masked in it.
 */
static enum says says(struct wr_str text, const struct wr_ev_request *r)
{
	const char *s = r->resource.p, *p = text.p, *end = text.p + text.n;
	size_t n = path_of(r->resource), left = r->resource.n - n;
	const char *mask = left ? memchr(s + n, '*', left) : NULL;

	if (n < 2 || !has(text, r->operation))
		return NOTHING;
	if (mask)
		left = (size_t)(mask - s) - n;
	while ((p = memmem(p, (size_t)(end - p), s, n))) {
		p += n;
		if (p < end && *p == '?' && r->resource.n > n) {
			if ((size_t)(end - p) >= left && !memcmp(p, s + n, left) &&
				(mask || p + left == end || !goes_on(p[left])))
				return ALL;
		} else if (p == end || !goes_on(*p)) {
			return THE_PATH;
		}
	}
	return NOTHING;
}

/* How many requests a line could mean: those that ask what it says as @as does; else those of its process. */
static unsigned others(const struct wr_logjoin *j, const struct wr_logline *l,
	const struct meant *as, enum says how)
{
	unsigned n = 0;

	for (uint64_t i = 0; i < wr_min(j->n_recent, (uint64_t)RECENT) && n < 2; i++) {
		const struct meant *m = &j->recent[i];

		if (in_time(l, m))
			n += how == ALL	       ? m->whole == as->whole
			     : how == THE_PATH ? m->path == as->path
					       : wrote_it(l, m);
	}
	return n;
}

/* NULL: it does not belong to the request. @same: a line of its source does already. */
static const char *joined_by(const struct wr_logjoin *j, const struct wr_logline *l,
	const struct meant *m, const struct wr_ev_request *r, bool same)
{
	enum says how;

	if (r->trace_id.n >= 16 && has(l->text, r->trace_id))
		return "trace";
	if (!in_time(l, m) || (l->n_pids && !wrote_it(l, m)))
		return NULL;
	how = says(l->text, r);
	if (how) /* of several that ask the same each gets one, in order */
		return !same || others(j, l, m, how) < 2 ? "resource" : NULL;
	return l->n_pids && others(j, l, m, NOTHING) < 2 ? "time" : NULL;
}

static void tell(struct wr_logjoin *j, struct held *h)
{
	uint8_t room[WR_EVENT_MAX] __attribute__((aligned(16)));
	struct wr_ev_request *r = (void *)room;
	struct wr_str given[8]; /* sources that it has a line of */
	unsigned n_given = 0;

	if (wr_unpack((struct wr_bytes){(const uint8_t *)h->packed.p, h->packed.n}, room,
		    sizeof(room)) <= 0)
		return;
	j->cfg.request(j->cfg.ctx, &r->ev);
	for (unsigned i = j->tail; i != j->head; i = (i + 1) % j->cfg.lines) {
		struct line *x = &j->line[i];
		struct wr_ev_log e;
		const char *by;
		bool same = false;

		if (!x->text)
			continue;
		for (unsigned k = 0; k < n_given; k++)
			same |= wr_str_eq(given[k], x->l.source);
		by = joined_by(j, &x->l, &h->m, r, same);
		if (!by)
			continue;
		WR_INIT(&e, log);
		WR_SET(&e, log, time, x->l.time);
		WR_SET(&e, log, host, r->host);
		WR_SET(&e, log, conn, r->conn);
		WR_SET(&e, log, source, x->l.source);
		if (x->l.n_pids == 1)
			WR_SET(&e, log, pid, x->l.pid[0]);
		WR_SET(&e, log, text, x->l.text);
		WR_SET(&e, log, by, wr_str(by));
		j->cfg.line(j->cfg.ctx, &e.ev);
		j->stats.joined++;
		if (!same && n_given < WR_N(given))
			given[n_given++] = x->l.source;
		x->given = true; /* freed below: @given looks at its text */
	}
	for (unsigned i = j->tail; i != j->head; i = (i + 1) % j->cfg.lines) {
		if (j->line[i].given) {
			free(j->line[i].text);
			j->line[i].text = NULL;
			j->line[i].given = false;
		}
	}
	while (j->tail != j->head && !j->line[j->tail].text)
		pop(j);
}

void wr_logjoin_turn(struct wr_logjoin *j, uint64_t now, bool all)
{
	while (j->first && (all || j->first->due <= now)) {
		struct held *h = j->first;

		j->first = h->next;
		if (!j->first)
			j->last = &j->first;
		j->n_held--;
		tell(j, h);
		held_free(h);
	}
}

struct wr_logjoin_stats wr_logjoin_stats(const struct wr_logjoin *j)
{
	return j->stats;
}
