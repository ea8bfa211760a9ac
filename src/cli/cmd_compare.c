// SPDX-License-Identifier: Apache-2.0
#include "../base/htab.h"
#include "../store/query.h"
#include "grid.h"

#include <math.h>

#define MAX_VALUES 16
#define MAX_SUBJECTS 20000
#define ENOUGH 20 /* requests on both sides, to compare their durations */

struct compare_opts {
	const char *by;
	uint64_t top;
};
static const struct wr_opt rows[] = {
	{"by", 'b', WR_OPT_TEXT, offsetof(struct compare_opts, by),
		"client.service,server.service,protocol", "KEYS", "what is compared with itself", 0,
		0},
	{"top", 't', WR_OPT_U64, offsetof(struct compare_opts, top), "20", "N",
		"only the N largest changes", 1, 100000},
};
static const struct wr_opts opts = {rows, WR_N(rows)};

/* One side: a store and a time in it. */
struct side {
	const char *path;
	char store[4096];
	uint64_t from, to;
	struct wr_complete whole;
};

/* What a question said of a subject, on both sides. */
struct subject {
	struct wr_hnode node;
	char key[512];
	double v[2][MAX_VALUES];
	bool has[2][MAX_VALUES], seen[2];
};

/* Rows of a question by their keys. */
struct sheet {
	struct wr_htab t;
	unsigned side, n_keys, n_values;
	bool full;
};

struct change {
	const struct subject *s;
	const char *what, *stage;
	double before, after, weight;
};

static void on_head(void *ctx, unsigned n, const char *const *names)
{
	(void)ctx;
	(void)n;
	(void)names;
}

static struct subject *subject_of(struct sheet *h, const char *key)
{
	uint64_t hash = wr_hash(key, strlen(key), 13);
	struct subject *s;

	for (struct wr_hnode *n = wr_htab_first(&h->t, hash); n; n = wr_htab_next(n->next, hash)) {
		s = wr_container(n, struct subject, node);
		if (!strcmp(s->key, key))
			return s;
	}
	s = h->t.n < MAX_SUBJECTS ? wr_alloc(sizeof(*s)) : NULL;
	if (!s || wr_htab_add(&h->t, &s->node, hash)) {
		free(s);
		h->full = true;
		return NULL;
	}
	wr_copy(s->key, sizeof(s->key), wr_str(key));
	return s;
}

static bool on_row(void *ctx, unsigned n, const struct wr_str *v, const bool *number)
{
	struct sheet *h = ctx;
	struct subject *s;
	char key[512];
	size_t at = 0;

	(void)number;
	key[0] = 0;
	for (unsigned i = 0; i < h->n_keys && i < n && at < sizeof(key); i++)
		at += (size_t)snprintf(key + at, sizeof(key) - at, "%s%.*s", i ? " " : "",
			v[i].p ? (int)v[i].n : 1, v[i].p ? v[i].p : "-");
	s = subject_of(h, key);
	if (!s)
		return true;
	s->seen[h->side] = true;
	for (unsigned i = h->n_keys; i < n && i - h->n_keys < MAX_VALUES; i++) {
		char t[40];

		if (!v[i].p || !wr_copy(t, sizeof(t), v[i]))
			continue;
		s->v[h->side][i - h->n_keys] = strtod(t, NULL);
		s->has[h->side][i - h->n_keys] = true;
	}
	return true;
}

static void sheet_free(struct sheet *h)
{
	wr_htab_each (&h->t, i, n)
		free(wr_container(n, struct subject, node));
	wr_htab_free(&h->t);
}

/* "[FOLDER@]FROM..TO" */
static int parse_side(
	const char *text, const char *store, uint64_t now, struct side *s, struct wr_err *e)
{
	const char *at = strrchr(text, '@'), *from = at ? at + 1 : text, *dots = strstr(from, "..");

	s->path = store;
	if (at) {
		wr_copy(s->store, sizeof(s->store), (struct wr_str){text, (size_t)(at - text)});
		s->path = s->store;
	}
	if (!dots || wr_parse_when((struct wr_str){from, (size_t)(dots - from)}, now, &s->from) ||
		wr_parse_when(dots[2] ? wr_str(dots + 2) : WR_STR("now"), now, &s->to) ||
		s->from >= s->to)
		return wr_fail(e, -EINVAL,
			"'%s' is no time from .. to, as 2h..1h, 10:00..10:30 or FOLDER@1d..now",
			text);
	return 0;
}

static unsigned count_words(const char *list)
{
	struct wr_str l = wr_str(list), w;
	unsigned n = 0;

	while (wr_next_word(&l, &w))
		n++;
	return n;
}

static int ask(struct side *s, struct sheet *h, unsigned side, const char *kind, const char *expr,
	const char *by, const char *show, struct wr_err *e)
{
	struct wr_query q = {kind, expr, by, show, NULL, s->from, s->to, 0, 0};
	const struct wr_grid g = {h, on_head, on_row};
	struct wr_history *history;
	int rc = wr_history_open(s->path, &history, e);

	if (rc)
		return rc;
	h->side = side;
	h->n_keys = count_words(by);
	h->n_values = count_words(show);
	rc = wr_query_table(history, &q, &g, &s->whole, e);
	wr_history_close(history);
	return rc;
}

/* What is found. */
struct found {
	struct change *v;
	unsigned n, cap;
};

static void add(struct found *f, const struct change *c)
{
	if (f->n == f->cap) {
		unsigned cap = f->cap ? f->cap * 2 : 64;
		void *p = wr_realloc(f->v, cap * sizeof(*f->v));

		if (!p)
			return;
		f->v = p;
		f->cap = cap;
	}
	f->v[f->n++] = *c;
}

/* traffic: what SHOW asks, in order */
enum { T_COUNT, T_RATE, T_ERRORS, T_P50, T_P99, T_UP, T_DOWN, T_RETR, T_PACKETS };
static const char traffic_show[] =
	"sum(count),rate(count),sum(errors),p50(histogram),p99(histogram),"
	"rate(bytes_to_server),rate(bytes_to_client),sum(retransmits),sum(packets_to_client)";
/* request: stages */
static const char stage_show[] =
	"avg(stages.request),avg(stages.queue),avg(stages.application),avg(stages.response)";
static const char *const stage_name[] = {
	"request arrives", "waits to be read", "application", "response leaves"};

/* The stage of the server that grew most in a subject's time, and by how much. */
static const char *stage_of(const struct sheet *stages, const char *key, double *ret_us)
{
	uint64_t hash = wr_hash(key, strlen(key), 13);
	const char *best = NULL;
	double most = 0;

	for (struct wr_hnode *n = wr_htab_first(&stages->t, hash); n;
		n = wr_htab_next(n->next, hash)) {
		const struct subject *s = wr_container(n, struct subject, node);

		for (unsigned i = 0; !strcmp(s->key, key) && i < WR_N(stage_name); i++) {
			double d = fabs(s->v[1][i] - s->v[0][i]);

			if (!s->has[0][i] || !s->has[1][i] || d <= most)
				continue;
			most = d;
			best = stage_name[i];
			*ret_us = s->v[1][i] - s->v[0][i];
		}
	}
	return best;
}

/* A number that changed by a factor. @weight: how much traffic stands behind it. */
static void ratio(struct found *f, const struct subject *s, const char *what, double a, double b,
	double least, double weight, const char *stage)
{
	struct change c = {.s = s, .what = what, .before = a, .after = b, .stage = stage};
	double r;

	if (a <= 0 || b <= 0)
		return;
	r = b / a;
	if (r < least && r > 1 / least)
		return;
	c.weight = fabs(log2(r)) * weight;
	add(f, &c);
}

static void share(struct found *f, const struct subject *s, const char *what, double a_n,
	double a_of, double b_n, double b_of)
{
	struct change c = {.s = s, .what = what};

	if (a_of < ENOUGH || b_of < ENOUGH || a_n + b_n < 5)
		return;
	c.before = a_n / a_of;
	c.after = b_n / b_of;
	/* three standard errors of the difference of two shares, and a percent */
	if (fabs(c.after - c.before) <
		0.01 + 3 * sqrt(c.before * (1 - c.before) / a_of + c.after * (1 - c.after) / b_of))
		return;
	c.weight = 20 * fabs(c.after - c.before) * log10(a_of + b_of);
	add(f, &c);
}

static void compare_traffic(struct found *f, const struct subject *s, const struct sheet *stages)
{
	const double *a = s->v[0], *b = s->v[1];
	double volume = log10(10 + a[T_COUNT] + b[T_COUNT]), grew = 0;
	const char *stage = stage_of(stages, s->key, &grew);
	struct change c = {.s = s, .before = a[T_RATE], .after = b[T_RATE], .weight = volume};

	if (a[T_COUNT] + b[T_COUNT] >= ENOUGH && (!a[T_COUNT] || !b[T_COUNT])) {
		c.what = a[T_COUNT] ? "gone" : "new";
		add(f, &c);
		return;
	}
	if (a[T_COUNT] >= ENOUGH && b[T_COUNT] >= ENOUGH) {
		ratio(f, s, "p50_us", a[T_P50], b[T_P50], 1.25, 2 * volume, stage);
		ratio(f, s, "p99_us", a[T_P99], b[T_P99], 1.5, volume, stage);
		ratio(f, s, "requests_per_s", a[T_RATE], b[T_RATE], 1.5, volume / 2, NULL);
	}
	share(f, s, "error_share", a[T_ERRORS], a[T_COUNT], b[T_ERRORS], b[T_COUNT]);
	share(f, s, "retransmit_share", a[T_RETR], a[T_PACKETS], b[T_RETR], b[T_PACKETS]);
	ratio(f, s, "bytes_per_s", a[T_UP] + a[T_DOWN], b[T_UP] + b[T_DOWN], 2, volume / 4, NULL);
}

static int by_weight(const void *x, const void *y)
{
	const struct change *a = x, *b = y;

	if (a->weight < b->weight || a->weight > b->weight)
		return a->weight < b->weight ? 1 : -1;
	return strcmp(a->s->key, b->s->key);
}

static void put(struct wr_out_grid *g, const struct change *c)
{
	static const bool number[] = {false, false, true, true, true, false};
	char before[32], after[32], factor[32];
	struct wr_str v[6];

	snprintf(before, sizeof(before), "%.6g", c->before);
	snprintf(after, sizeof(after), "%.6g", c->after);
	snprintf(factor, sizeof(factor), "%.3g", c->before > 0 ? c->after / c->before : 0);
	v[0] = wr_str(c->s->key);
	v[1] = wr_str(c->what);
	v[2] = wr_str(before);
	v[3] = wr_str(after);
	v[4] = c->before > 0 && c->after > 0 ? wr_str(factor) : (struct wr_str){NULL, 0};
	v[5] = c->stage ? wr_str(c->stage) : (struct wr_str){NULL, 0};
	g->grid.row(g->grid.ctx, 6, v, number);
}

static void report(struct wr_view *v, struct found *f, unsigned top)
{
	static const char *const names[] = {
		"subject", "what", "before", "after", "factor", "stage"};
	struct wr_out_grid g;

	if (f->n)
		qsort(f->v, f->n, sizeof(*f->v), by_weight);
	wr_grid_init(&g, v, "change");
	g.grid.head(g.grid.ctx, WR_N(names), names);
	for (unsigned i = 0; i < f->n && i < top; i++)
		put(&g, &f->v[i]);
	wr_grid_end(&g);
	wr_view_flush(v);
	if (!f->n)
		fprintf(stderr, "nothing changed beyond what chance does\n");
	else if (f->n > top)
		fprintf(stderr, "%u more changes (--top)\n", f->n - top);
}

static int run(int argc, char **argv)
{
	struct compare_opts o = {.by = NULL};
	struct sheet traffic = {.side = 0}, stages = {.side = 0}, drops = {.side = 0};
	struct side s[2] = {{.from = 0}, {.from = 0}};
	struct found f = {.v = NULL};
	struct wr_err e = {.text = ""};
	uint64_t now = wr_now() + (uint64_t)wr_utc_offset();
	struct wr_view v;
	int n, rc = wr_view_init(
		       &v, &wr_cmd_compare, WR_KIND_traffic, WR_KIND_traffic, &o, argc, argv, &n);

	if (!rc && n != 2)
		rc = 1 + wr_die("compare", WR_EXIT_USAGE,
				 "two times are compared: weir compare 2h..1h 1h..now");
	for (unsigned i = 0; !rc && i < 2; i++) {
		if (parse_side(argv[i], v.cfg.store, now, &s[i], &e))
			rc = 1 + wr_die("compare", WR_EXIT_USAGE, "%s", e.text);
	}
	if (rc)
		goto out;
	for (unsigned i = 0; i < 2; i++) {
		int got = ask(&s[i], &stages, i, "request", NULL, o.by, stage_show, &e);

		/* keys that requests do not have: no stages then */
		got = got == -EINVAL ? 0 : got;
		got = got ? got
			  : ask(&s[i], &drops, i, "drop", "class != noise", "reason",
				    "rate(count),sum(count)", &e);
		got = got ? got
			  : ask(&s[i], &traffic, i, "traffic", v.cfg.expr, o.by, traffic_show, &e);
		if (!got)
			continue;
		rc = 1 + wr_die("compare", got == -EINVAL ? WR_EXIT_USAGE : WR_EXIT_LACKS, "%s",
				 e.text);
		goto out;
	}
	wr_htab_each (&traffic.t, i, node)
		compare_traffic(&f, wr_container(node, struct subject, node), &stages);
	wr_htab_each (&drops.t, i, node) {
		struct subject *d = wr_container(node, struct subject, node);
		double least = 1.0 / ((double)(s[0].to - s[0].from) /
					     1e9); /* as if one packet had been lost */

		if (d->v[0][1] + d->v[1][1] >= ENOUGH)
			ratio(&f, d, "drops_per_s", wr_max(d->v[0][0], least),
				wr_max(d->v[1][0], least), 2, log10(10 + d->v[0][1] + d->v[1][1]),
				NULL);
	}
	report(&v, &f, (unsigned)o.top);
	for (unsigned i = 0; i < 2; i++) {
		if (s[i].whole.lost || s[i].whole.damaged)
			fprintf(stderr, "%s: %.4g %% of the records were kept\n",
				i ? "after" : "before", s[i].whole.share * 100);
	}
	rc = f.n ? 1 + WR_EXIT_FOUND : 0;
out:
	sheet_free(&traffic);
	sheet_free(&stages);
	sheet_free(&drops);
	free(f.v);
	wr_view_free(&v);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_compare = {
	.name = "compare",
	.args = "A B",
	.help = "two times of history: what changed, and at which stage",
	.more = "A and B are times, FROM..TO, each behind FOLDER@ where it is another host's store (copied here), so that\n"
		"hosts, versions and kernels are compared too. Latency, errors, rates, bytes, retransmissions and drops are\n"
		"compared for each key; what chance explains is left out. The stage is the one of the server's that changed\n"
		"most. The largest change comes first. Status 1: something changed.",
	.examples = "  weir compare 2h..1h 1h..now\n"
		    "  weir compare 25h..24h 1h..now --by server.service\n"
		    "  weir compare /mnt/old/weir@1d..now 1d..now --json",
	.opts = &opts,
	.view = true,
	.run = run,
};
