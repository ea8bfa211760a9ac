// SPDX-License-Identifier: Apache-2.0
#include "../agg/burst.h"
#include "../flow/owner.h"
#include "../flow/packet.h"
#include "view.h"

#define EVERY 250000000ull /* ns between readings; the kernel keeps a second */
#define HOLD 1300 /* ms until a burst is told: young sockets have an owner by then */
#define SERIES 1024
#define PENDING 1024
#define SLOTS 512 /* of ten ms whose talkers are kept */
#define TALKERS 4096 /* of one slot */
#define TOP 5

struct bursts_config {
	uint64_t over, factor;
	const char *by;
	bool peaks;
};
#define O(field) offsetof(struct bursts_config, field)
static const struct wr_opt rows[] = {
	{"over", 0, WR_OPT_SIZE, O(over), "12500", "BYTES",
		"least bytes in the greatest ms of a burst (12500: 100 Mbit/s)", 1, 1ull << 32},
	{"factor", 0, WR_OPT_U64, O(factor), "4", "N",
		"... and so many times what is usual, the mean of the second before", 1, 1000000},
	{"by", 'b', WR_OPT_TEXT, O(by), NULL, "WHAT",
		"bursts of each process or service instead of each interface", 0, 0},
	{"peaks", 0, WR_OPT_BOOL, O(peaks), NULL, NULL,
		"at the end: sum and peaks of each interface, and no single bursts", 0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

struct talker {
	struct wr_talker_key k;
	struct wr_talker v;
};

struct slot {
	uint64_t slot;
	struct talker *t;
	uint32_t n, cap;
};

struct series {
	struct wr_series s;
	struct bursts *b;
	struct wr_burst_key k; /* of an owner: only out */
	char name[64];
	uint64_t told_bytes,
		told_packets; /* interface: totals up to the last step that was taken */
	bool seen;
};

struct pending {
	struct wr_burst_found f;
	struct series *of;
};

struct bursts {
	struct wr_view v;
	struct bursts_config o;
	bool by_service;
	struct series *series[SERIES];
	unsigned n;
	struct pending pending[PENDING];
	unsigned n_pending;
	struct slot slots[SLOTS];
	uint64_t began, done_slot, read, not_kept;
};

/* What the kernel gives as ms is CLOCK_BOOTTIME. */
static uint64_t utc_of(uint64_t ms)
{
	return ms * 1000000 + (uint64_t)wr_utc_offset();
}

static uint64_t step_ms(const struct bursts *b)
{
	return b->o.by ? 10 : 1;
}

static struct series *series_of(struct bursts *b, const struct wr_burst_key *k, const char *name)
{
	struct series *s;

	for (unsigned i = 0; i < b->n; i++) {
		s = b->series[i];
		if (s->k.ifindex == k->ifindex && s->k.netns == k->netns && s->k.out == k->out &&
			(k->ifindex || !strcmp(s->name, name)))
			return s;
	}
	s = b->n < SERIES ? wr_alloc(sizeof(*s)) : NULL;
	if (!s) {
		b->not_kept++;
		return NULL;
	}
	s->b = b;
	s->k = *k;
	s->s.over = b->o.over * step_ms(b);
	s->s.factor = b->o.factor;
	wr_copy(s->name, sizeof(s->name), wr_str(name));
	wr_series_begin(&s->s, b->began / step_ms(b));
	b->series[b->n++] = s;
	return s;
}

/* talkers -------------------------------------------------------------------------------------------- */

static int by_flow(const void *a, const void *b)
{
	const struct talker *x = a, *y = b;
	int c = memcmp(&x->k, &y->k, offsetof(struct wr_talker_key, out));

	if (!c)
		c = x->k.out - y->k.out;
	if (!c)
		c = memcmp(&x->k.ifindex, &y->k.ifindex, 8);
	return c;
}

static int by_bytes(const void *a, const void *b)
{
	const struct talker *x = a, *y = b;

	return x->v.bytes < y->v.bytes ? 1 : x->v.bytes > y->v.bytes ? -1 : by_flow(a, b);
}

/* Equal flows become one each; the number that is left. */
static uint32_t merge(struct talker *t, uint32_t n)
{
	uint32_t kept = 0;

	if (n)
		qsort(t, n, sizeof(*t), by_flow);
	for (uint32_t i = 0; i < n; i++) {
		if (kept && !by_flow(&t[kept - 1], &t[i])) {
			t[kept - 1].v.bytes += t[i].v.bytes;
			t[kept - 1].v.packets += t[i].v.packets;
		} else {
			t[kept++] = t[i];
		}
	}
	return kept;
}

static void on_talker(void *ctx, const struct wr_talker_key *k, const struct wr_talker *v)
{
	struct bursts *b = ctx;
	struct slot *s = &b->slots[k->slot % SLOTS];

	if (b->v.netns && k->netns != b->v.netns)
		return;
	if (s->slot != k->slot) {
		if (k->slot < s->slot)
			return; /* too old */
		s->slot = k->slot;
		s->n = 0;
	}
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : 16;
		void *p = cap <= TALKERS ? wr_realloc(s->t, cap * sizeof(*s->t)) : NULL;

		if (!p) {
			b->not_kept++;
			return;
		}
		s->t = p;
		s->cap = cap;
	}
	s->t[s->n++] = (struct talker){*k, *v};
}

static const struct wr_proc *owner_of(
	const struct bursts *b, const struct wr_talker_key *k, bool sender)
{
	const struct wr_ip *from = (const void *)k->saddr, *to = (const void *)k->daddr;
	const struct wr_conns *t = wr_pipe_conns(b->v.pipe);

	if (!k->family)
		return NULL;
	return sender ? wr_conns_owner(t, from, k->sport, to, k->dport, k->proto, k->netns)
		      : wr_conns_owner(t, to, k->dport, from, k->sport, k->proto, k->netns);
}

/* A flow that passes several interfaces of its namespace counts where it is greatest. */
static void add_owners(struct bursts *b, struct slot *s, wr_burst_found_fn fn)
{
	s->n = merge(s->t, s->n);
	for (uint32_t i = 0, n; i < s->n; i += n) {
		const struct talker *most = &s->t[i];
		struct wr_burst_key k = {.out = most->k.out};
		const struct wr_proc *p = NULL;
		struct series *of;

		for (n = 1; i + n < s->n; n++) {
			const struct talker *t = &s->t[i + n];

			if (memcmp(&t->k, &most->k, offsetof(struct wr_talker_key, pad)))
				break;
			most = t->v.bytes > most->v.bytes ? t : most;
		}
		for (uint32_t j = i; j < i + n && !p; j++)
			p = owner_of(b, &s->t[j].k, k.out);
		if (!p)
			continue;
		of = series_of(b, &k, b->by_service ? wr_owner_service(p) : p->comm);
		if (of)
			wr_series_add(&of->s, s->slot, most->v.bytes, most->v.packets, fn, of);
	}
}

/* records -------------------------------------------------------------------------------------------- */

static void end_text(struct wr_buf *b, const uint8_t *ip, uint16_t port, uint8_t proto)
{
	wr_cell_addr(b, (const void *)ip, proto == 1 || proto == 58 ? 0 : port);
}

/* @t: flows of the burst, greatest first. */
static void top_json(const struct bursts *b, struct wr_buf *j, const struct talker *t, uint32_t n,
	const struct wr_proc **ret)
{
	wr_buf_c(j, '[');
	for (uint32_t i = 0; i < n && i < TOP; i++) {
		const struct wr_talker_key *k = &t[i].k;
		const struct wr_proc *p = owner_of(b, k, k->out);

		if (!p)
			p = owner_of(b, k, !k->out);
		if (!i)
			*ret = p;
		wr_buf_printf(j, "%s{\"bytes\":%llu,\"packets\":%llu", i ? "," : "", t[i].v.bytes,
			t[i].v.packets);
		if (k->family) {
			wr_buf_lit(j, ",\"source\":\"");
			end_text(j, k->saddr, k->sport, k->proto);
			wr_buf_lit(j, "\",\"destination\":\"");
			end_text(j, k->daddr, k->dport, k->proto);
			wr_buf_printf(j, "\",\"transport\":\"%s\"", wr_proto_name(k->proto));
		}
		if (p) {
			wr_buf_printf(j, ",\"pid\":%u,\"process\":", p->pid);
			wr_buf_json(j, wr_str(p->comm));
		}
		wr_buf_c(j, '}');
	}
	wr_buf_c(j, ']');
}

/* The flows of these ms, greatest first, in memory of their own. */
static struct talker *flows_of(const struct bursts *b, const struct series *of, uint64_t from,
	uint64_t to, uint32_t *ret_n)
{
	struct talker *all = NULL;
	uint32_t n = 0, cap = 0;

	for (uint64_t at = from / 10; at <= (to - 1) / 10 && at - from / 10 < SLOTS; at++) {
		const struct slot *s = &b->slots[at % SLOTS];

		for (uint32_t i = 0; s->slot == at && i < s->n; i++) {
			const struct talker *t = &s->t[i];

			if (t->k.out != of->k.out ||
				(of->k.ifindex && (t->k.ifindex != of->k.ifindex ||
							  t->k.netns != of->k.netns)))
				continue;
			if (!of->k.ifindex) {
				const struct wr_proc *p = owner_of(b, &t->k, of->k.out);

				if (!p || strcmp(b->by_service ? wr_owner_service(p) : p->comm,
						  of->name))
					continue;
			}
			if (n == cap) {
				void *q = wr_realloc(all, (cap ? cap * 2 : 64) * sizeof(*all));

				if (!q)
					break;
				all = q;
				cap = cap ? cap * 2 : 64;
			}
			all[n] = *t;
			all[n++].k.slot = 0;
		}
	}
	n = merge(all, n);
	if (n)
		qsort(all, n, sizeof(*all), by_bytes);
	*ret_n = n;
	return all;
}

/* Of the steps from @from to @to, in ms. */
static void begin_record(const struct bursts *b, const struct series *of, struct wr_ev_burst *r,
	const char *event, uint64_t from, uint64_t to)
{
	WR_INIT(r, burst);
	WR_SET(r, burst, time, utc_of(from));
	WR_SET(r, burst, host, wr_str(b->v.host));
	WR_SET(r, burst, event, wr_str(event));
	WR_SET(r, burst, direction, of->k.out ? WR_STR("transmit") : WR_STR("receive"));
	if (of->k.ifindex) {
		WR_SET(r, burst, netns, of->k.netns);
		WR_SET(r, burst, interface, wr_str(of->name));
	} else {
		if (b->v.netns)
			WR_SET(r, burst, netns, b->v.netns);
		WR_SET(r, burst, key, wr_str(of->name));
	}
	WR_SET(r, burst, duration_ms, (double)(to - from));
	WR_SET(r, burst, from, utc_of(from));
	WR_SET(r, burst, to, utc_of(to));
}

static void put_burst(struct bursts *b, const struct pending *w)
{
	const struct series *of = w->of;
	uint64_t ms = step_ms(b), from = w->f.from * ms, to = w->f.to * ms;
	double bps = 8000.0 / (double)ms, usual = w->f.usual * bps;
	struct wr_buf j = WR_BUF(4096);
	const struct wr_proc *p = NULL;
	struct wr_ev_burst r;
	wr_free_ struct talker *t = NULL;
	uint32_t n;

	begin_record(b, of, &r, "burst", from, to);
	WR_SET(&r, burst, bytes, w->f.bytes);
	WR_SET(&r, burst, packets, w->f.packets);
	WR_SET(&r, burst, peak_bps, (double)w->f.peak * bps);
	WR_SET(&r, burst, usual_bps, usual);
	if (usual > 0)
		WR_SET(&r, burst, ratio, (double)w->f.peak * bps / usual);
	t = flows_of(b, of, from, to, &n);
	if (n) {
		top_json(b, &j, t, n, &p);
		if (!j.cut)
			WR_SET(&r, burst, top, wr_buf_view(&j));
		if (p)
			wr_owner_fill(&r.ev, WR_I_burst_owner_pid, p);
	}
	if (wr_view_wants(&b->v, &r.ev))
		wr_view_put(&b->v, &r.ev);
	wr_buf_free(&j);
}

static void put_peaks(struct bursts *b, const struct series *of, uint64_t now)
{
	double ms = (double)step_ms(b), bps = 8000.0 / ms;
	uint64_t looked = wr_max((now - b->began) / step_ms(b), 1ull);
	struct wr_ev_burst r;

	begin_record(b, of, &r, "peaks", b->began, now);
	WR_SET(&r, burst, bytes, of->s.bytes);
	WR_SET(&r, burst, packets, of->s.packets);
	WR_SET(&r, burst, peak_bps, (double)of->s.peak * bps);
	if (of->k.ifindex)
		WR_SET(&r, burst, peak_10ms_bps, (double)of->s.peak10 * bps / 10);
	WR_SET(&r, burst, usual_bps, (double)of->s.bytes / (double)looked * bps);
	if (of->s.bytes)
		WR_SET(&r, burst, ratio, (double)of->s.peak * (double)looked / (double)of->s.bytes);
	WR_SET(&r, burst, bursts, of->s.bursts);
	if (wr_view_wants(&b->v, &r.ev))
		wr_view_put(&b->v, &r.ev);
}

/* reading -------------------------------------------------------------------------------------------- */

static void on_found(void *ctx, const struct wr_burst_found *f)
{
	struct series *of = ctx;
	struct bursts *b = of->b;

	if (b->o.peaks)
		return;
	if (b->n_pending == PENDING) { /* told early rather than not */
		put_burst(b, &b->pending[0]);
		memmove(b->pending, b->pending + 1, --b->n_pending * sizeof(b->pending[0]));
	}
	b->pending[b->n_pending++] = (struct pending){*f, of};
}

static int by_ms(const void *a, const void *b)
{
	const struct wr_burst_start *x = a, *y = b;

	return x->ms < y->ms ? -1 : x->ms > y->ms;
}

/* A ms ends where the next one begins; the last one, when it is over, at the totals. */
static void on_link(void *ctx, const struct wr_burst_key *k, const struct wr_burst *v)
{
	struct bursts *b = ctx;
	struct wr_burst_start s[WR_BURST_SLOTS];
	char name[17];
	struct series *of;
	uint32_t n = 0;

	if (b->v.netns && k->netns != b->v.netns)
		return;
	wr_copy(name, sizeof(name), (struct wr_str){v->ifname, strnlen(v->ifname, 16)});
	of = series_of(b, k, name);
	if (!of)
		return;
	for (uint32_t i = 0; i < WR_BURST_SLOTS; i++) {
		if (v->start[i].ms && (!of->seen || v->start[i].bytes >= of->told_bytes) &&
			(v->start[i].ms + WR_BURST_SLOTS > v->ms))
			s[n++] = v->start[i];
	}
	if (!n)
		return;
	qsort(s, n, sizeof(s[0]), by_ms);
	of->seen = true;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t bytes = i + 1 < n ? s[i + 1].bytes : v->bytes;
		uint64_t packets = i + 1 < n ? s[i + 1].packets : v->packets;

		if (i + 1 == n && s[i].ms + 2 > b->read)
			break; /* it may still go on */
		if (bytes <= of->told_bytes)
			continue;
		wr_series_add(&of->s, s[i].ms, bytes - of->told_bytes, packets - of->told_packets,
			on_found, of);
		of->told_bytes = bytes;
		of->told_packets = packets;
	}
	wr_series_upto(&of->s, b->read - 2, on_found, of);
}

static void take(struct bursts *b, bool all)
{
	uint64_t upto;
	unsigned kept = 0;

	b->read = wr_now() / 1000000;
	wr_kern_read_bursts(wr_pipe_kern(b->v.pipe), b->o.by ? NULL : on_link, on_talker, b);
	upto = (all ? b->read : b->read - HOLD) / 10;
	for (uint64_t at = b->done_slot; b->o.by && at < upto; at++) {
		if (b->slots[at % SLOTS].slot == at)
			add_owners(b, &b->slots[at % SLOTS], on_found);
	}
	b->done_slot = wr_max(upto, b->done_slot);
	for (unsigned i = 0; b->o.by && i < b->n; i++)
		wr_series_upto(&b->series[i]->s, upto, on_found, b->series[i]);
	for (unsigned i = 0; i < b->n_pending; i++) {
		if (all || b->pending[i].f.to * step_ms(b) + HOLD < b->read)
			put_burst(b, &b->pending[i]);
		else
			b->pending[kept++] = b->pending[i];
	}
	b->n_pending = kept;
}

static void on_tick(void *ctx)
{
	take(ctx, false);
}

static int by_peak(const void *a, const void *b)
{
	const struct series *x = *(struct series *const *)a, *y = *(struct series *const *)b;

	return x->s.peak < y->s.peak ? 1 : x->s.peak > y->s.peak ? -1 : 0;
}

static void finish(struct bursts *b)
{
	unsigned bursts = 0;

	wr_pipe_flush(b->v.pipe);
	usleep(4000); /* the last ms is over then */
	take(b, true);
	if (b->n)
		qsort(b->series, b->n, sizeof(b->series[0]), by_peak);
	for (unsigned i = 0; i < b->n; i++) {
		wr_series_upto(&b->series[i]->s, UINT64_MAX, on_found, b->series[i]);
		bursts += (unsigned)b->series[i]->s.bursts;
	}
	for (unsigned i = 0; i < b->n_pending; i++)
		put_burst(b, &b->pending[i]);
	for (unsigned i = 0; b->o.peaks && i < b->n; i++)
		put_peaks(b, b->series[i], b->read);
	if (b->v.tty && !b->o.peaks && !bursts)
		fprintf(stderr,
			"no bursts of more than %.3g Mbit/s that were %" PRIu64
			" times what is usual\n",
			(double)b->o.over * 8 / 1000, b->o.factor);
	if (b->not_kept)
		fprintf(stderr, "weir bursts: %" PRIu64 " times there was no room for who sent\n",
			b->not_kept);
}

/* table ---------------------------------------------------------------------------------------------- */

#define R(e) ((const struct wr_ev_burst *)(const void *)(e))

static void rate(struct wr_buf *b, double bps)
{
	static const char *const unit[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s"};
	unsigned i = 0;

	for (; bps >= 1000 && i < 3; i++)
		bps /= 1000;
	wr_buf_printf(b, bps < 10 && i ? "%.1f %s" : "%.0f %s", bps, unit[i]);
}
static void c_time(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_burst_time);
}
static void c_where(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_str(b, R(e)->key.n ? R(e)->key : R(e)->interface);
}
static void c_way(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_str(
		b, wr_str_eq(R(e)->direction, WR_STR("transmit")) ? WR_STR("out") : WR_STR("in"));
}
static void c_peak(struct wr_buf *b, const struct wr_event *e)
{
	rate(b, R(e)->peak_bps);
}
static void c_usual(struct wr_buf *b, const struct wr_event *e)
{
	rate(b, R(e)->usual_bps);
}
static void c_long(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_printf(b, "%.0f ms", R(e)->duration_ms);
}
static void c_bytes(struct wr_buf *b, const struct wr_event *e)
{
	wr_human_bytes(b, R(e)->bytes);
}
static void c_packets(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_u64(b, R(e)->packets);
}
static void c_owner(struct wr_buf *b, const struct wr_event *e)
{
	if (R(e)->owner_process.n)
		wr_buf_printf(b, "%.*s/%" PRIu64, (int)R(e)->owner_process.n, R(e)->owner_process.p,
			R(e)->owner_pid);
	else if (R(e)->bursts)
		wr_buf_printf(b, "%" PRIu64 " bursts", R(e)->bursts);
}
/* of the greatest flow, out of the JSON that was written here */
static void c_flow(struct wr_buf *b, const struct wr_event *e)
{
	static const char *const part[] = {
		"\"transport\":\"", "\"source\":\"", "\"destination\":\""};
	struct wr_str s = R(e)->top;
	const char *end = s.n ? memchr(s.p, '}', s.n) : NULL;

	for (unsigned i = 0; end && i < WR_N(part); i++) {
		const char *at = memmem(s.p, (size_t)(end - s.p), part[i], strlen(part[i]));
		const char *q;

		if (!at)
			return;
		at += strlen(part[i]);
		q = memchr(at, '"', (size_t)(end - at));
		if (!q)
			return;
		wr_buf_str(b, i == 2 ? WR_STR(" > ") : i ? WR_STR(" ") : WR_STR(""));
		wr_buf_str(b, (struct wr_str){at, (size_t)(q - at)});
	}
}

static const struct wr_col cols[] = {
	{"TIME", 12, false, 6, c_time},
	{"WHERE", 12, false, 0, c_where},
	{"WAY", 3, false, 0, c_way},
	{"PEAK", 11, true, 0, c_peak},
	{"USUAL", 11, true, 2, c_usual},
	{"LONG", 7, true, 1, c_long},
	{"BYTES", 8, true, 3, c_bytes},
	{"PACKETS", 7, true, 5, c_packets},
	{"OWNER", 16, false, 0, c_owner},
	{"GREATEST FLOW", 30, false, 4, c_flow},
};

static void nothing(void *ctx, const struct wr_event *e)
{
	(void)ctx;
	(void)e;
}

static int run(int argc, char **argv)
{
	static struct bursts b; /* large */
	int n, rc = wr_view_init(
		       &b.v, &wr_cmd_bursts, WR_KIND_burst, WR_KIND_burst, &b.o, argc, argv, &n);

	if (!rc && n)
		rc = 1 + wr_die(b.v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[0]);
	if (!rc && b.o.by && strcmp(b.o.by, "process") && strcmp(b.o.by, "service"))
		rc = 1 + wr_die(b.v.cmd, WR_EXIT_USAGE, "--by takes process or service; not '%s'",
				 b.o.by);
	if (rc)
		goto out;
	b.by_service = b.o.by && !strcmp(b.o.by, "service");
	b.v.cols = cols;
	b.v.n_cols = WR_N(cols);
	b.v.sink = nothing;
	/* its kernel half is loaded while somebody looks */
	b.v.cfg.standalone = b.v.bursts = true;
	rc = wr_view_open(&b.v, WR_NEED_OWNER | WR_NEED_TCP | WR_NEED_TAP | WR_NEED_BURST, true);
	if (rc)
		goto out;
	b.began = wr_now() / 1000000;
	b.done_slot = b.began / 10;
	wr_view_run(&b.v, EVERY, on_tick, &b);
	finish(&b);
out:
	for (unsigned i = 0; i < b.n; i++)
		free(b.series[i]);
	for (unsigned i = 0; i < SLOTS; i++)
		free(b.slots[i].t);
	wr_view_free(&b.v);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_bursts = {
	.name = "bursts",
	.args = "",
	.help = "microbursts: when, how large, on which interface, who sent them",
	.more = "A burst is one or more milliseconds on one interface and direction with at least --over bytes and --factor\n"
		"times the mean of the second before. Told about a second later, with its greatest flows and whose they are.\n"
		"With --by, of a process or service, in steps of 10 ms. --peaks tells at the end the greatest ms and 10 ms of\n"
		"each interface beside its mean. Segments of offloaded packets count as they are on the wire. Needs root, also\n"
		"beside an agent.",
	.examples = "  weir bursts\n"
		    "  weir bursts --for 10s --peaks\n"
		    "  weir bursts --by process --over 125000 --json\n"
		    "  weir bursts -w 'interface = eth0 and direction = transmit'",
	.opts = &opts,
	.view = true,
	.run = run,
};
