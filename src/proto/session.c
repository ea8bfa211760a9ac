// SPDX-License-Identifier: Apache-2.0
#include "body.h"
#include "grpc.h"
#include "proxied.h"
#include "raw.h"
#include "../base/slab.h"

#include <strings.h>

#define WR_PROTO(n) extern const struct wr_proto wr_proto_##n;
#include "protos.def"
#undef WR_PROTO
#define WR_PROTO(n) ROW_##n,
enum {
#include "protos.def"
	BUILT_IN,
	MAX_PROTOS = 64
};
#undef WR_PROTO
_Static_assert((int)BUILT_IN < (int)MAX_PROTOS, "more protocols than bits");
#define WR_PROTO(n) &wr_proto_##n,
const struct wr_proto *wr_protos[MAX_PROTOS] = {
#include "protos.def"
};
#undef WR_PROTO
unsigned wr_n_protos = BUILT_IN;

int wr_proto_add(const struct wr_proto *p)
{
	if (wr_n_protos == MAX_PROTOS)
		return -ENOSPC;
	wr_protos[wr_n_protos++] = p;
	return 0;
}

void wr_proto_forget(void)
{
	wr_n_protos = BUILT_IN;
}

#define ENOUGH 60 /* of probe(): from here on it is believed */
#define CLASSIFY_BYTES 2048 /* of one direction, until a protocol is unknown */
#define LATE_TRIES 64 /* chunks that are looked at where the begin was not seen */
#define UNANSWERED (10ull * 1000000000) /* ns after which a datagram is taken for unanswered */
#define EARLY 3 /* messages after which a parser is not doubted any more */

struct side {
	uint8_t *p;
	uint32_t n, cap;
	uint64_t skip; /* bytes that come next and are not wanted */
	struct wr_request *charge; /* whose body they are */
	bool told; /* the parser waits to hear that they are through */
	uint64_t t_first; /* of the first byte in the buffer */
	bool dead; /* after a gap that the parser cannot cross */
	uint32_t last; /* where the newest chunk begins in the buffer */
};

struct wr_session {
	struct wr_sessions *pool;
	void *owner;
	const struct wr_proto *proto;
	void *state;
	struct side d[2];
	struct wr_request *first, *last;
	uint64_t ts, ts_first;
	uint64_t refused_by; /* bit a protocol that was tried */
	uint32_t n_requests; /* under way */
	uint32_t messages, tries;
	uint16_t port;
	uint8_t over;
	bool joined, flip, given_up, switching, net_known;
	bool bodies; /* are read: every byte is wanted */
	bool begun; /* it is known whether the header of a proxy is in front */
	uint8_t violations; /* that were told */
	bool cut; /* the end of the datagram is missing */
	const char
		*blamed; /* the rule that the last message broke, by its parser; NULL: not said */
	struct wr_str blamed_at; /* in what it was given */
	struct wr_net net;
	uint64_t t_read[2];
	struct wr_session *older, *newer; /* among those that wait for answers, by `waits` */
	uint64_t waits; /* since when the oldest request waits, as listed; 0 = not listed */
	uint8_t row; /* of proto */
	char *carried;
	size_t carried_n;
	char *proxied; /* whom a proxy connected for, by its header; NULL: not said */
	const struct wr_proto *next_proto;
	struct wr_sign_state *sign;
};

struct wr_sessions {
	struct wr_session_config cfg;
	struct wr_slab sessions, requests;
	struct wr_session_stats stats;
	struct wr_proto_stats by[MAX_PROTOS];
	uint64_t buffered;
	struct wr_session *oldest, *newest; /* over UDP, with requests under way */
	struct wr_raw *raw; /* NULL: bytes are not kept */
};

struct wr_sessions *wr_sessions_new(const struct wr_session_config *cfg)
{
	struct wr_sessions *p = wr_alloc(sizeof(*p));

	if (!p)
		return NULL;
	p->cfg = *cfg;
	p->sessions = WR_SLAB(struct wr_session, WR_MAX_SESSIONS);
	p->requests = WR_SLAB(struct wr_request, WR_MAX_REQUESTS);
	p->requests.clear =
		offsetof(struct wr_request, text); /* the text is written before it is read */
	if (cfg->raw && cfg->message) {
		p->raw = wr_raw_new(cfg->raw);
		if (!p->raw) {
			free(p);
			return NULL;
		}
	}
	return p;
}

void wr_sessions_free(struct wr_sessions *p)
{
	if (!p)
		return;
	wr_slab_free(&p->sessions);
	wr_slab_free(&p->requests);
	wr_raw_free(p->raw);
	free(p);
}

const struct wr_session_stats *wr_sessions_stats(const struct wr_sessions *p)
{
	return &p->stats;
}

void wr_sessions_each_proto(const struct wr_sessions *p,
	void (*fn)(void *ctx, const struct wr_proto *proto, const struct wr_proto_stats *s),
	void *ctx)
{
	for (unsigned i = 0; i < wr_n_protos; i++)
		fn(ctx, wr_protos[i], &p->by[i]);
}

static unsigned index_of(const struct wr_proto *p)
{
	unsigned i = 0;

	while (i < wr_n_protos - 1 && wr_protos[i] != p)
		i++;
	return i;
}

static void unlist(struct wr_session *s)
{
	if (!s->waits)
		return;
	*(s->older ? &s->older->newer : &s->pool->oldest) = s->newer;
	*(s->newer ? &s->newer->older : &s->pool->newest) = s->older;
	s->older = s->newer = NULL;
	s->waits = 0;
}

/* Over UDP an answer may never come: looked at by wr_sessions_tick(). */
static void enlist(struct wr_session *s)
{
	if (s->waits || !s->first || s->over != WR_UDP)
		return;
	s->waits = s->first->t_first ? s->first->t_first : 1;
	s->older = s->pool->newest;
	*(s->pool->newest ? &s->pool->newest->newer : &s->pool->oldest) = s;
	s->pool->newest = s;
}

void wr_sessions_tick(struct wr_sessions *p, uint64_t now)
{
	struct wr_session *s, *last = p->newest;

	while ((s = p->oldest) && s->waits + UNANSWERED < now) {
		bool end = s == last;

		unlist(s);
		while (s->first && s->first->t_first + UNANSWERED < now)
			wr_req_done(s, s->first);
		enlist(s);
		if (end)
			break;
	}
}

struct wr_session *wr_session_new(
	struct wr_sessions *p, void *owner, uint8_t over, uint16_t server_port, bool joined)
{
	struct wr_session *s = wr_slab_get(&p->sessions);

	if (!s) {
		p->stats.refused++;
		return NULL;
	}
	s->pool = p;
	s->owner = owner;
	s->over = over;
	s->port = server_port;
	s->joined = joined;
	return s;
}

static void drop_buffer(struct wr_session *s, struct side *d)
{
	s->pool->buffered -= d->cap;
	free(d->p);
	d->p = NULL;
	d->n = d->cap = d->last = 0;
}

static void stop(struct wr_session *s)
{
	if (s->proto && s->state && s->proto->fini)
		s->proto->fini(s->state);
	free(s->state);
	s->state = NULL;
	s->proto = NULL;
}

static void request_free(struct wr_session *s, struct wr_request *r)
{
	if (r->raw)
		wr_raw_forget(r);
	wr_body_free(r);
	wr_grpc_free(r);
	wr_slab_put(&s->pool->requests, r);
}

void wr_session_free(struct wr_session *s)
{
	if (!s)
		return;
	while (s->first) {
		struct wr_request *r = s->first;

		s->first = r->next;
		request_free(s, r);
	}
	drop_buffer(s, &s->d[0]);
	drop_buffer(s, &s->d[1]);
	stop(s);
	unlist(s);
	free(s->carried);
	free(s->proxied);
	if (s->sign)
		wr_sign_forget(s->pool->cfg.sign, &s->sign);
	wr_slab_put(&s->pool->sessions, s);
}

/* Nothing of this connection will be read; its bytes are counted. */
static void give_up(struct wr_session *s)
{
	s->given_up = true;
	s->pool->stats.unknown += s->d[0].n + s->d[1].n;
	drop_buffer(s, &s->d[0]);
	drop_buffer(s, &s->d[1]);
}

/* @n bytes of a body passed; @p NULL: nobody read them. */
static void skipped(struct wr_session *s, struct side *d, const uint8_t *p, uint64_t n)
{
	struct wr_request *r = d->charge;

	if (d->skip != UINT64_MAX)
		d->skip -= n;
	s->pool->stats.skipped += n;
	if (!r)
		return;
	if (r->raw)
		wr_raw_body(r, d == &s->d[1], p, n);
	if (r->body)
		wr_body_data(r, d == &s->d[1], p, n, s->ts);
	if (r->grpc)
		wr_grpc_data(r, d == &s->d[1], p, n);
	if (d == &s->d[0]) {
		r->request_bytes += n;
		r->t_last = s->ts;
	} else {
		r->response_bytes += n;
		r->r_last = s->ts;
	}
}

static bool keep(struct wr_session *s, struct side *d, struct wr_bytes b)
{
	size_t want = d->n + b.n;

	if (want > WR_MAX_MESSAGE)
		return false;
	if (want > d->cap) {
		uint32_t cap = d->cap ? d->cap : 512;
		void *p;

		while (cap < want)
			cap *= 2;
		if (s->pool->buffered + cap - d->cap > WR_MAX_BUFFERED)
			return false;
		p = wr_realloc(d->p, cap);
		if (!p)
			return false;
		s->pool->buffered += cap - d->cap;
		d->p = p;
		d->cap = cap;
	}
	if (!d->n)
		d->t_first = s->ts;
	d->last = d->n;
	memcpy(d->p + d->n, b.p, b.n);
	d->n += (uint32_t)b.n;
	return true;
}

static void consume(struct wr_session *s, struct side *d, size_t n)
{
	if (!n)
		return;
	if (n >= d->last)
		d->t_first = s->ts;
	d->last = n >= d->last ? 0 : d->last - (uint32_t)n;
	d->n -= (uint32_t)n;
	memmove(d->p, d->p + n, d->n);
	if (!d->n && d->cap > 4096)
		drop_buffer(s, d);
}

static bool start(struct wr_session *s, const struct wr_proto *p)
{
	stop(s);
	s->state = p->state ? wr_alloc(p->state) : NULL;
	if (p->state && !s->state)
		return false;
	s->proto = p;
	s->row = (uint8_t)index_of(p);
	s->messages = 0;
	s->pool->by[s->row].sessions++;
	s->pool->by[s->row].bytes += s->d[0].n + s->d[1].n;
	return true;
}

/* Evidence of both directions, port as a hint. -1: wait, 0: nobody. */
static int classify(struct wr_session *s, const struct wr_proto **ret, bool *ret_flip)
{
	int best = 0;
	bool wait = false;

	for (unsigned i = 0; i < wr_n_protos; i++) {
		const struct wr_proto *p = wr_protos[i];

		if (!(p->over & s->over) || (s->refused_by >> i & 1))
			continue;
		for (unsigned flip = 0;
			flip < 1u + ((s->joined || s->over == WR_UDP) && p->fixed_roles); flip++) {
			int sum = 0, hint = 0;
			bool no = false;

			for (unsigned d = 0; d < 2 && !no; d++) {
				struct wr_bytes b = {s->d[d].p, s->d[d].n};
				int v;

				if (!b.n)
					continue;
				v = p->probe_own ? p->probe_own(p, b, d ^ flip)
						 : p->probe(b, d ^ flip, s->joined);
				if (v == WR_PROBE_NO)
					no = true;
				else if (v == WR_PROBE_MORE)
					wait = true;
				else
					sum += v;
			}
			if (no)
				continue;
			for (unsigned k = 0; k < WR_N(p->ports); k++)
				hint |= p->ports[k] && p->ports[k] == s->port;
			/* the port decides between equals and helps weak evidence; it is none by itself */
			if (sum && hint)
				sum += 15;
			if (sum > best) {
				best = sum;
				*ret = p;
				*ret_flip = flip;
			}
		}
	}
	if (best >= ENOUGH)
		return best;
	return wait || best ? -1 : 0;
}

static void run(struct wr_session *s, unsigned dir);

static void switch_now(struct wr_session *s)
{
	const struct wr_proto *p = s->next_proto;

	s->switching = false;
	s->next_proto = NULL;
	s->refused_by = 0;
	s->d[0].dead = s->d[1].dead = false;
	s->d[0].skip = s->d[1].skip = 0;
	s->d[0].told = s->d[1].told = false;
	if (p && start(s, p))
		return;
	stop(s);
}

static void try_classify(struct wr_session *s)
{
	const struct wr_proto *p = NULL;
	bool flip = false;
	int v = classify(s, &p, &flip);

	if (v >= ENOUGH) {
		if (!start(s, p))
			return give_up(s);
		if (flip) {
			struct side t = s->d[0];

			s->d[0] = s->d[1];
			s->d[1] = t;
			s->flip = !s->flip;
		}
		/* what asked is read before what answered */
		run(s, 0);
		run(s, 1);
	} else if (!v || s->d[0].n >= CLASSIFY_BYTES || s->d[1].n >= CLASSIFY_BYTES) {
		/* joined in the middle of a message: the begin of the next one may tell */
		if (s->joined && ++s->tries < LATE_TRIES) {
			s->pool->stats.unknown += s->d[0].n + s->d[1].n;
			s->d[0].n = s->d[1].n = 0;
		} else {
			give_up(s);
		}
	}
}

/* Takes the header of a proxy off the front of what the client sends. False: it is not whole yet. */
static bool begin(struct wr_session *s)
{
	struct side *d = &s->d[0];
	char client[WR_PROXIED_TEXT];
	ssize_t n;

	if (s->begun || !d->n)
		return true;
	n = s->joined || s->flip ? 0 : wr_proxied((struct wr_bytes){d->p, d->n}, client);
	s->begun = n >= 0 || d->n >= CLASSIFY_BYTES;
	if (n > 0) {
		consume(s, d, (size_t)n);
		s->pool->stats.skipped += (uint64_t)n;
		s->proxied = client[0] ? strdup(client) : NULL;
	}
	return s->begun;
}

/* What broke a rule and is of no request. */
static void tell_alone(struct wr_session *s)
{
	const struct wr_session_config *c = &s->pool->cfg;
	struct wr_ev_message e;

	if (!wr_raw_alone(s->pool->raw, c->unmasked, &e))
		return;
	WR_SET(&e, message, time, s->ts);
	WR_SET(&e, message, protocol, wr_str(s->proto->name));
	c->message(c->ctx, s, &e, s->flip);
}

/* feed() said so of @b; by @rule, where the parser does not know better. */
static void no_message(struct wr_session *s, unsigned dir, struct wr_bytes b, const char *rule)
{
	if (s->pool->raw)
		wr_raw_begin(s->pool->raw, s->first, dir, b);
	if (s->blamed)
		wr_session_violation(s, dir, s->blamed, s->blamed_at);
	else
		wr_session_violation(s, dir, rule, WR_STR(""));
	if (s->pool->raw) {
		wr_raw_end(s->pool->raw, s->first, -1);
		tell_alone(s);
	}
}

/* Not of this protocol after all: early, another one may be; later it is a fault in the stream. */
static void not_ours(struct wr_session *s, unsigned dir)
{
	struct side *d = &s->d[dir];

	if (s->messages < EARLY && !s->first) {
		s->refused_by |= 1ull << index_of(s->proto);
		s->pool->by[s->row].sessions--;
		stop(s);
		if (d->n)
			try_classify(s);
		else
			give_up(s);
		return;
	}
	no_message(s, dir, (struct wr_bytes){d->p, d->n}, "bytes that are no message of it");
	s->pool->by[s->row].unread += d->n;
	if (s->proto->gap && s->proto->gap(s, dir, 0)) {
		consume(s, d, d->n);
		return;
	}
	d->dead = true;
	drop_buffer(s, d);
}

static void tell(struct wr_session *s, struct wr_request *r, const char *protocol);

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct wr_raw *w = s->pool->raw;
	const char *protocol;
	struct wr_request *r;
	ssize_t n;

	if (w)
		wr_raw_begin(w, s->first, dir, b);
	s->blamed = NULL;
	n = s->proto->feed(s, dir, b);
	if (!w)
		return n;
	wr_raw_end(w, s->first, s->over == WR_UDP && n >= 0 ? (ssize_t)b.n : n);
	while ((r = wr_raw_done(w, &protocol)))
		tell(s, r, protocol);
	tell_alone(s);
	return n;
}

/* Gives the parser what a direction has. */
static void run(struct wr_session *s, unsigned dir)
{
	struct side *d = &s->d[dir];

	while (s->proto && (d->n || d->told) && !d->dead) {
		bool told;
		ssize_t n;

		if (d->skip) {
			size_t k = (size_t)wr_min(d->skip, (uint64_t)d->n);

			if (!k)
				return;
			skipped(s, d, d->p, k);
			consume(s, d, k);
			continue;
		}
		told = d->told;
		d->told = false;
		d->charge = NULL;
		s->ts_first = d->t_first;
		n = feed(s, dir, (struct wr_bytes){d->p, d->n});
		if (n < 0) {
			not_ours(s, dir);
			return;
		}
		if (n) {
			s->messages++;
			consume(s, d, wr_min((size_t)n, (size_t)d->n));
		}
		if (s->switching) {
			switch_now(s);
			if (!s->proto && (s->d[0].n || s->d[1].n)) {
				try_classify(s);
				return;
			}
			continue;
		}
		if (!n && !told)
			return;
	}
	if (d->dead && d->n) {
		s->pool->by[s->row].unread += d->n;
		drop_buffer(s, d);
	}
}

static void datagram(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	s->ts_first = s->ts;
	if (!s->proto) {
		const struct wr_proto *p = NULL;
		struct side was = s->d[dir];
		bool flip = false;
		int v;

		s->d[dir].p = (uint8_t *)(uintptr_t)b.p; /* only looked at */
		s->d[dir].n = (uint32_t)b.n;
		v = classify(s, &p, &flip);
		s->d[dir] = was;
		if (v < ENOUGH || !start(s, p)) {
			s->pool->stats.unknown += b.n;
			s->given_up = ++s->tries > 4;
			return;
		}
		if (flip) {
			s->flip = !s->flip;
			dir = !dir;
		}
	}
	if (feed(s, dir, b) >= 0)
		return;
	for (unsigned i = 0; i < WR_N(s->proto->ports) && s->proto->ports[i]; i++) {
		if (s->proto->ports[i] == s->port) { /* elsewhere it may be something else */
			no_message(s, dir, b, "a datagram that is no message of it");
			return;
		}
	}
	s->pool->stats.violations++;
}

static void on_hit(void *ctx, const struct wr_sign_hit *h)
{
	struct wr_session *s = ctx;
	struct wr_ev_match r;

	WR_INIT(&r, match);
	WR_SET(&r, match, time, s->ts);
	if (s->proto)
		WR_SET(&r, match, protocol, wr_str(s->proto->name));
	wr_sign_fill(h, &r);
	s->pool->cfg.match(s->pool->cfg.ctx, s, &r, h->rule, s->flip);
}

static struct wr_sign_at sign_at(struct wr_session *s, unsigned dir)
{
	return (struct wr_sign_at){.udp = s->over == WR_UDP,
		.dir = dir ^ s->flip,
		.protocol = wr_session_protocol(s),
		.hit = on_hit,
		.ctx = s};
}

static void miss(struct wr_session *s, unsigned dir, uint64_t n, uint64_t ts);

static void take(struct wr_session *s, unsigned dir, struct wr_bytes b, uint64_t ts)
{
	struct side *d;

	dir ^= s->flip;
	d = &s->d[dir];
	s->ts = ts;
	s->pool->stats.bytes += b.n;
	if (s->proto)
		s->pool->by[s->row].bytes += b.n;
	if (s->given_up) {
		s->pool->stats.unknown += b.n;
		return;
	}
	if (!b.n)
		return;
	if (s->over == WR_UDP) {
		datagram(s, dir, b);
		return;
	}
	if (d->dead) {
		s->pool->by[s->row].unread += b.n;
		return;
	}
	/* what is skipped needs no copy */
	if (d->skip && !d->n) {
		size_t k = (size_t)wr_min(d->skip, (uint64_t)b.n);

		skipped(s, d, b.p, k);
		b.p += k;
		b.n -= k;
		if (!b.n) {
			run(s, dir);
			return;
		}
	}
	if (!keep(s, d, b)) {
		/* a message larger than the ceiling: as if these bytes were missing */
		uint64_t n = d->n + b.n;

		drop_buffer(s, d);
		miss(s, dir ^ s->flip, n, ts);
		return;
	}
	if (s->proto)
		run(s, dir);
	else if (begin(s) && (s->d[0].n || s->d[1].n))
		try_classify(s);
}

void wr_session_cut(struct wr_session *s, uint64_t n)
{
	s->cut = n;
}

/* Signatures come behind the parser: they ask what is spoken. */
void wr_session_data(struct wr_session *s, unsigned dir, struct wr_bytes b, uint64_t ts)
{
	take(s, dir, b, ts);
	if (wr_sign_has_rules(s->pool->cfg.sign)) {
		struct wr_sign_at at = sign_at(s, dir);

		wr_sign_data(s->pool->cfg.sign, &s->sign, &at, b);
	}
}

static void miss(struct wr_session *s, unsigned dir, uint64_t n, uint64_t ts)
{
	struct side *d;

	dir ^= s->flip;
	d = &s->d[dir];
	s->ts = ts;
	if (d->skip && !d->n) {
		uint64_t k = wr_min(d->skip, n);

		skipped(s, d, NULL, k);
		n -= k;
	}
	if (!n) {
		run(s, dir);
		return;
	}
	if (s->given_up)
		return;
	s->pool->stats.lost += n;
	if (s->proto)
		s->pool->by[s->row].lost += n;
	if (!s->proto) {
		/* what came before cannot be told from what comes behind: begin anew there */
		s->pool->stats.unknown += d->n;
		d->n = d->last = 0;
		s->joined = true;
		return;
	}
	if (d->dead)
		return;
	s->pool->by[s->row].unread += d->n;
	d->n = d->last = 0;
	s->ts_first = ts;
	if (!s->proto->gap || !s->proto->gap(s, dir, n)) {
		while (!s->proto->gap && s->first) {
			s->first->gap += n;
			wr_req_done(s, s->first);
		}
		d->dead = true;
		drop_buffer(s, d);
	}
}

void wr_session_gap(struct wr_session *s, unsigned dir, uint64_t n, uint64_t ts)
{
	miss(s, dir, n, ts);
	if (wr_sign_has_rules(s->pool->cfg.sign)) {
		struct wr_sign_at at = sign_at(s, dir);

		wr_sign_gap(s->pool->cfg.sign, &s->sign, &at, n);
	}
}

void wr_session_end(struct wr_session *s, uint64_t ts, bool closed)
{
	if (ts > s->ts)
		s->ts = ts;
	if (s->sign) {
		struct wr_sign_at at = sign_at(s, 0);

		wr_sign_end(s->pool->cfg.sign, &s->sign, &at);
	}
	if (s->proto && s->proto->finish)
		s->proto->finish(s);
	while (s->first) {
		struct wr_request *r = s->first;

		if (r->r_first) {
			r->truncated = true;
			if (!closed && r->status_n) {
				wr_req_detail(r, "status_seen",
					(struct wr_str){r->text + r->status, r->status_n});
				r->status_n = 0;
			}
		}
		wr_req_done(s, r);
	}
}

void wr_session_net(struct wr_session *s, const struct wr_net *n)
{
	s->net = *n;
	s->net_known = true;
}

void wr_session_read(struct wr_session *s, unsigned dir, uint64_t ts)
{
	s->t_read[dir ^ s->flip] = ts;
}

void *wr_session_owner(const struct wr_session *s)
{
	return s->owner;
}

bool wr_session_whole(const struct wr_session *s)
{
	return s->proto && (s->proto->whole || s->bodies);
}

bool wr_session_framed(const struct wr_session *s)
{
	return s->proto && s->proto->framed;
}

bool wr_session_bodies(const struct wr_session *s)
{
	return s->bodies;
}

bool wr_session_opening(const struct wr_session *s)
{
	return s->proto && s->proto->opening;
}

unsigned wr_session_protocol_row(const struct wr_session *s)
{
	return s->proto ? index_of(s->proto) + 1 : 0;
}

bool wr_session_given_up(const struct wr_session *s)
{
	return s->given_up;
}

const struct wr_proto *wr_proto_named(const char *name)
{
	for (unsigned i = 0; i < wr_n_protos; i++) {
		if (!strcmp(wr_protos[i]->name, name))
			return wr_protos[i];
	}
	return NULL;
}

const struct wr_proto *wr_session_proto(const struct wr_session *s)
{
	return s->proto;
}

const char *wr_session_protocol(const struct wr_session *s)
{
	return s->proto ? s->proto->name : NULL;
}

void *wr_state(struct wr_session *s)
{
	return s->state;
}

bool wr_unmasked(const struct wr_session *s, struct wr_request *r, struct wr_str url)
{
	const struct wr_session_config *c = &s->pool->cfg;

	r->unmasked = c->unmasked || (c->unmasked_routes && wr_routes_match(c->unmasked_routes,
								    s->proto->name, s->port, url));
	return r->unmasked;
}

bool wr_joined(const struct wr_session *s)
{
	return s->joined;
}

uint16_t wr_port(const struct wr_session *s)
{
	return s->port;
}

uint8_t wr_over(const struct wr_session *s)
{
	return s->over;
}

uint64_t wr_ts_first(const struct wr_session *s)
{
	return s->ts_first;
}

uint64_t wr_ts(const struct wr_session *s)
{
	return s->ts;
}

void wr_session_skip(struct wr_session *s, unsigned dir, uint64_t n, struct wr_request *r)
{
	struct side *d = &s->d[dir];

	d->skip = n;
	d->charge = r;
	d->told = true;
}

void wr_session_carry(struct wr_session *s, struct wr_str v)
{
	size_t n = wr_min(v.n, (size_t)512);

	free(s->carried);
	s->carried = n ? wr_alloc(n) : NULL;
	s->carried_n = s->carried ? n : 0;
	if (s->carried)
		memcpy(s->carried, v.p, n);
}

struct wr_str wr_session_carried(const struct wr_session *s)
{
	return (struct wr_str){s->carried, s->carried_n};
}

void wr_session_wants_bodies(struct wr_session *s)
{
	s->bodies = true;
}

void wr_session_switch(struct wr_session *s, const struct wr_proto *p)
{
	s->switching = true;
	s->next_proto = p;
}

void wr_session_violation(struct wr_session *s, unsigned dir, const char *rule, struct wr_str where)
{
	const struct wr_session_config *c = &s->pool->cfg;
	struct wr_ev_violation r;

	s->pool->stats.violations++;
	/* behind a gap, in what was cut, or of a connection that was joined, it may be the reader who is wrong */
	if (!c->violation || s->joined || s->cut || s->violations == WR_VIOLATIONS)
		return;
	s->violations++;
	WR_INIT(&r, violation);
	WR_SET(&r, violation, time, s->ts);
	WR_SET(&r, violation, protocol, wr_str(s->proto->name));
	WR_SET(&r, violation, sender, dir ? WR_STR("server") : WR_STR("client"));
	WR_SET(&r, violation, rule, wr_str(rule));
	c->violation(c->ctx, s, &r, s->flip);
	if (s->pool->raw)
		wr_raw_wrong(s->pool->raw, rule, where);
}

void wr_session_blame(struct wr_session *s, const char *rule, struct wr_str where)
{
	s->blamed = rule;
	s->blamed_at = where;
}

struct wr_request *wr_req_new(struct wr_session *s, uint64_t key)
{
	struct wr_request *r;

	if (s->n_requests >= WR_MAX_PENDING && s->first)
		wr_req_done(s, s->first); /* never answered: the oldest is told as it is */
	r = wr_slab_get(&s->pool->requests);
	if (!r) {
		s->pool->stats.refused++;
		return NULL;
	}
	r->key = key;
	r->t_first = s->ts_first;
	r->t_last = s->ts;
	r->net = s->net;
	if (s->last)
		s->last->next = r;
	else
		s->first = r;
	s->last = r;
	s->n_requests++;
	enlist(s);
	s->pool->stats.requests++;
	if (s->pool->raw)
		wr_raw_touch(s->pool->raw, r);
	if (s->proxied)
		wr_req_detail(r, "proxied_for", wr_str(s->proxied));
	return r;
}

struct wr_request *wr_req_oldest(const struct wr_session *s)
{
	return s->first;
}

struct wr_request *wr_req_find(const struct wr_session *s, uint64_t key)
{
	struct wr_request *r = s->first;

	while (r && r->key != key)
		r = r->next;
	return r;
}

void wr_req_answer(struct wr_session *s, struct wr_request *r, uint64_t bytes)
{
	if (!r->r_first) {
		r->r_first = s->ts_first;
		r->t_read = s->t_read[!r->reversed];
		s->pool->stats.responses++;
	}
	r->r_last = s->ts;
	r->response_bytes += bytes;
	if (s->pool->raw)
		wr_raw_touch(s->pool->raw, r);
}

static void take_out(struct wr_session *s, struct wr_request *r)
{
	struct wr_request **at = &s->first, *prev = NULL;

	while (*at && *at != r) {
		prev = *at;
		at = &(*at)->next;
	}
	if (!*at)
		return;
	*at = r->next;
	if (s->last == r)
		s->last = prev;
	s->n_requests--;
	if (!s->first)
		unlist(s);
	for (unsigned d = 0; d < 2; d++) {
		if (s->d[d].charge == r)
			s->d[d].charge = NULL;
	}
}

/*
 * Where the time went: the request arrives, waits to be read, is worked on, is answered. Waiting and work are
 * known where the answering application is on this host, and had read the request before it answered.
 */
static void fill_stages(struct wr_ev_request *e, const struct wr_request *r)
{
	if (r->t_last < r->t_first || r->r_first < r->t_last || r->r_last < r->r_first)
		return; /* answered before it was through */
	WR_SET(e, request, st_request, (r->t_last - r->t_first) / 1000);
	if (r->t_read >= r->t_last && r->t_read <= r->r_first) {
		if (r->t_read > r->t_last) /* else it is seen from within, where nothing waits */
			WR_SET(e, request, st_queue, (r->t_read - r->t_last) / 1000);
		WR_SET(e, request, st_application, (r->r_first - r->t_read) / 1000);
	}
	WR_SET(e, request, st_response, (r->r_last - r->r_first) / 1000);
}

static void tell_messages(struct wr_session *s, struct wr_request *r, struct wr_str protocol)
{
	const struct wr_session_config *c = &s->pool->cfg;
	bool unmasked = r->unmasked || wr_unmasked(s, r, (struct wr_str){NULL, 0});

	for (unsigned i = 0; i < 2; i++) {
		struct wr_ev_message e;

		if (!wr_raw_event(r, i, unmasked, &e))
			continue;
		WR_SET(&e, message, protocol, protocol);
		c->message(c->ctx, s, &e, s->flip ^ r->reversed);
	}
}

void wr_req_done(struct wr_session *s, struct wr_request *r)
{
	const char *protocol = r->protocol ? r->protocol : s->proto->name;

	take_out(s, r);
	s->pool->by[s->row].requests++;
	if (!r->raw || !wr_raw_hold(r, protocol))
		tell(s, r, protocol);
}

static void tell(struct wr_session *s, struct wr_request *r, const char *protocol)
{
	struct wr_ev_request e;
	char detail[WR_REQ_TEXT + 2];

	if (!r->r_first)
		s->pool->stats.unpaired++;
	if (!s->pool->cfg.emit)
		goto out;
	WR_INIT(&e, request);
	WR_SET(&e, request, time, r->t_first);
	WR_SET(&e, request, protocol, wr_str(protocol));
	if (r->body) {
		wr_body_detail(r);
		wr_body_fields(r, &e);
	}
	if (r->grpc)
		wr_grpc_detail(r, r->unmasked);
	if (r->op_n)
		WR_SET(&e, request, operation, ((struct wr_str){r->text + r->op, r->op_n}));
	if (r->resource_n)
		WR_SET(&e, request, resource,
			((struct wr_str){r->text + r->resource, r->resource_n}));
	if (r->status_n)
		WR_SET(&e, request, status, ((struct wr_str){r->text + r->status, r->status_n}));
	if (r->trace_n)
		WR_SET(&e, request, trace_id, ((struct wr_str){r->text + r->trace, r->trace_n}));
	if (r->r_first || r->status_n)
		WR_SET(&e, request, error, r->error);
	if (r->r_first && !r->no_request) {
		WR_SET(&e, request, duration_us,
			r->r_last > r->t_first ? (r->r_last - r->t_first) / 1000 : 0);
		WR_SET(&e, request, first_byte_us,
			r->r_first > r->t_last ? (r->r_first - r->t_last) / 1000 : 0);
	}
	if (r->r_first && !r->no_request)
		fill_stages(&e, r);
	if (s->net_known) {
		WR_SET(&e, request, retransmits, s->net.retransmits - r->net.retransmits);
		WR_SET(&e, request, zero_window_us,
			(s->net.zero_window_ns - r->net.zero_window_ns) / 1000);
	}
	if (s->pool->cfg.drops && !r->no_request)
		WR_SET(&e, request, drops,
			s->pool->cfg.drops(s->pool->cfg.ctx, s, r->t_first,
				r->r_last ? r->r_last : UINT64_MAX));
	if (!r->no_request)
		WR_SET(&e, request, request_bytes, r->request_bytes);
	if (r->r_first)
		WR_SET(&e, request, response_bytes, r->response_bytes);
	if (r->truncated)
		WR_SET(&e, request, truncated, 1);
	if (r->gap)
		WR_SET(&e, request, gap, r->gap);
	if (r->detail_n) {
		detail[0] = '{';
		memcpy(detail + 1, r->text + r->detail, r->detail_n);
		detail[1 + r->detail_n] = '}';
		WR_SET(&e, request, detail, ((struct wr_str){detail, r->detail_n + 2u}));
	}
	s->pool->cfg.emit(s->pool->cfg.ctx, s, &e, s->flip ^ r->reversed);
	if (r->raw)
		tell_messages(s, r, e.protocol);
out:
	request_free(s, r);
}

void wr_req_give_up(struct wr_session *s, uint64_t lost)
{
	while (s->first) {
		s->first->gap += lost;
		wr_req_done(s, s->first);
	}
}
