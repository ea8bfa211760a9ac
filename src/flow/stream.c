// SPDX-License-Identifier: Apache-2.0
#include "stream.h"
#include "packet.h"

struct wr_early {
	struct wr_early *next;
	uint64_t ts;
	uint32_t seq, len, n;
	uint8_t data[];
};

static void deliver(struct wr_stream *st, unsigned dir, uint32_t seq, uint32_t len,
	struct wr_bytes b, uint64_t ts)
{
	uint32_t old = st->d[dir].next - seq; /* bytes of it that were given already */

	if (old >= len)
		return;
	len -= old;
	if (old < b.n) {
		b.p += old;
		b.n -= old;
	} else {
		b.n = 0;
	}
	st->d[dir].next += len;
	if (b.n)
		wr_session_data(st->s, dir, b, ts);
	if (len > b.n)
		wr_session_gap(st->s, dir, len - b.n, ts);
}

/* Gives what waited and fits now. */
static void drain(struct wr_stream *st, unsigned dir)
{
	struct wr_early *e;

	while ((e = st->d[dir].early) && (int32_t)(e->seq - st->d[dir].next) <= 0) {
		st->d[dir].early = e->next;
		st->d[dir].n--;
		deliver(st, dir, e->seq, e->len, (struct wr_bytes){e->data, e->n}, e->ts);
		free(e);
	}
}

/* The bytes in front of the first segment that waits will not come. */
static void hole(struct wr_stream *st, unsigned dir, uint64_t ts)
{
	uint32_t lost = st->d[dir].early->seq - st->d[dir].next;

	st->d[dir].next += lost;
	wr_session_gap(st->s, dir, lost, ts);
	drain(st, dir);
}

static void wait_for_it(struct wr_stream *st, unsigned dir, const struct wr_segment *g)
{
	struct wr_early **at = &st->d[dir].early, *e;

	while (*at && wr_seq_before((*at)->seq, g->seq))
		at = &(*at)->next;
	if (*at && (*at)->seq == g->seq && (*at)->len >= g->len)
		return;
	e = wr_alloc(sizeof(*e) + g->data.n);
	if (e) {
		e->seq = g->seq;
		e->len = g->len;
		e->ts = g->ts;
		e->n = (uint32_t)g->data.n;
		memcpy(e->data, g->data.p, g->data.n);
		e->next = *at;
		*at = e;
		st->d[dir].n++;
	}
	if (!e || st->d[dir].n > WR_MAX_SEGMENTS) {
		if (st->d[dir].early)
			hole(st, dir, g->ts);
	}
}

void wr_stream_segment(struct wr_stream *st, unsigned dir, const struct wr_segment *g)
{
	uint32_t seq = g->seq + g->syn;
	int32_t ahead;

	if (!st->s)
		return;
	/* acknowledged, and yet it waits: the bytes in between passed unseen */
	while (g->has_ack && st->d[!dir].early && (int32_t)(g->ack - st->d[!dir].early->seq) > 0)
		hole(st, !dir, g->ts);
	if (g->syn || !st->d[dir].known) {
		st->d[dir].known = true;
		st->d[dir].next = seq;
	}
	if (!g->len)
		return;
	ahead = (int32_t)(seq - st->d[dir].next);
	if (ahead > 0) {
		wait_for_it(st, dir, g);
		return;
	}
	deliver(st, dir, seq, g->len, g->data, g->ts);
	drain(st, dir);
}

void wr_stream_end(struct wr_stream *st, uint64_t ts, bool closed)
{
	if (!st->s)
		return;
	for (unsigned dir = 0; dir < 2; dir++) {
		while (st->d[dir].early)
			hole(st, dir, st->d[dir].early->ts);
	}
	wr_session_end(st->s, ts, closed);
	wr_stream_free(st);
}

void wr_stream_free(struct wr_stream *st)
{
	for (unsigned dir = 0; dir < 2; dir++) {
		while (st->d[dir].early) {
			struct wr_early *e = st->d[dir].early;

			st->d[dir].early = e->next;
			free(e);
		}
	}
	wr_session_free(st->s);
	st->s = NULL;
}
