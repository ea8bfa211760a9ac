// SPDX-License-Identifier: Apache-2.0
#include "../agg/hist.h"
#include "../flow/owner.h"
#include "../sys/netns.h"
#include "view.h"

#include <net/if.h>

#define ROWS 512
#define BUDGET 2000 /* packets a second that are followed: less than a hundredth of a core */
#define CHECK 250000000ull /* ns */

struct latency_config {
	const char *by;
	uint64_t every;
	bool every_packet;
};
#define O(field) offsetof(struct latency_config, field)
static const struct wr_opt rows[] = {
	{"by", 'b', WR_OPT_TEXT, O(by), NULL, "LIST",
		"split by process, user, container, service, interface, netns", 0, 0},
	{"every", 0, WR_OPT_DURATION, O(every), NULL, "TIME",
		"again and again, each over this time", 0, 0},
	{"every-packet", 0, WR_OPT_BOOL, O(every_packet), NULL, NULL,
		"follow every packet, whatever it costs", 0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

enum { BY_PROCESS, BY_USER, BY_CONTAINER, BY_SERVICE, BY_INTERFACE, BY_NETNS, BY_N };
static const char *const by_names[BY_N] = {
	"process", "user", "container", "service", "interface", "netns"};

static const struct {
	const char *name, *direction, *words;
} stages[WR_STAGE_N] = {
	{"backlog", "receive", "driver or other end of a veth to the stack (GRO, CPU backlog)"},
	{"ip", "receive", "IP, netfilter, a locked socket"},
	{"socket", "receive", "in the socket's queue until the application took it"},
	{"receive", "receive", "all three together"},
	{"cpu", "receive", "woken by data, waits for a CPU"},
	{"tcp", "transmit", "segment to the device's queue: IP, netfilter"},
	{"qdisc", "transmit", "in the device's queue until the driver took it"},
};

struct line {
	uint32_t stage;
	char key[160];
	struct wr_hist h;
	uint64_t followed;
	struct wr_proc *proc; /* whose it all is; NULL: not known, or of several */
	uint32_t ifindex, netns; /* 0: of several */
	bool mixed;
};

struct latency {
	struct wr_view v;
	struct latency_config o;
	bool by[BY_N];
	struct line *line[ROWS];
	unsigned n;
	uint64_t not_kept, from, seen, checked, read;
	uint32_t shift, coarsest; /* now; in this window */
};

static void key_of(
	struct latency *l, const struct wr_stage_key *k, const struct wr_proc *p, struct wr_buf *b)
{
	const struct wr_cgroup *g = p ? p->cgroup : NULL;
	char name[IF_NAMESIZE] = "";
	const char *part[BY_N] = {p ? p->comm : "-", p && p->user ? p->user : "-",
		g && g->container ? g->container : "-", p ? wr_owner_service(p) : "-", NULL, NULL};

	for (unsigned i = 0; i < BY_N; i++) {
		if (!l->by[i])
			continue;
		if (b->n)
			wr_buf_lit(b, ", ");
		if (i == BY_INTERFACE && k->netns == l->v.own_netns && k->ifindex &&
			if_indextoname(k->ifindex, name))
			wr_buf_str(b, wr_str(name));
		else if (i == BY_INTERFACE)
			wr_buf_printf(b, "if%u", k->ifindex);
		else if (i == BY_NETNS)
			wr_buf_printf(b, "%u", k->netns);
		else
			wr_buf_str(b, wr_str(part[i]));
	}
}

static struct line *line_of(struct latency *l, uint32_t stage, struct wr_str key)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (l->line[i]->stage == stage && wr_str_eq(wr_str(l->line[i]->key), key))
			return l->line[i];
	}
	if (l->n == ROWS)
		return NULL;
	l->line[l->n] = wr_alloc(sizeof(struct line));
	if (!l->line[l->n])
		return NULL;
	l->line[l->n]->stage = stage;
	wr_copy(l->line[l->n]->key, sizeof(l->line[l->n]->key), key);
	return l->line[l->n++];
}

static void on_stage(void *ctx, const struct wr_stage_key *k, const struct wr_stage *v)
{
	struct latency *l = ctx;
	struct wr_enrich *x = wr_pipe_enrich(l->v.pipe);
	struct wr_proc *p = k->owner.tgid ? wr_enrich_proc(x, &k->owner) : NULL;
	struct wr_buf key = WR_BUF(160);
	struct line *t;

	if (k->stage >= WR_STAGE_N || (l->v.netns && k->netns != l->v.netns)) {
		wr_enrich_put(x, p);
		return;
	}
	if (p)
		wr_enrich_look(x, p);
	key_of(l, k, p, &key);
	t = line_of(l, k->stage, wr_buf_view(&key));
	wr_buf_free(&key);
	if (!t) {
		l->not_kept += v->n;
		wr_enrich_put(x, p);
		return;
	}
	if (!t->h.n) {
		t->ifindex = k->ifindex;
		t->netns = k->netns;
	}
	if (t->ifindex != k->ifindex || t->netns != k->netns)
		t->ifindex = 0;
	if (t->netns != k->netns)
		t->netns = 0;
	if (!t->h.n && !t->mixed && p) {
		t->proc = p; /* with its reference */
	} else {
		if (t->proc != p) {
			wr_enrich_put(x, t->proc);
			t->proc = NULL;
			t->mixed = true;
		}
		wr_enrich_put(x, p);
	}
	/* each stands for as many as passed beside it: else the moment before a flood would outweigh the flood */
	t->followed += v->n;
	t->h.n += v->n << k->shift;
	t->h.sum += v->sum << k->shift;
	t->h.max = wr_max(t->h.max, v->max);
	for (unsigned i = 0; i < WR_STAGE_BUCKETS; i++)
		t->h.b[i] =
			(uint32_t)wr_min(t->h.b[i] + ((uint64_t)v->b[i] << k->shift), UINT32_MAX);
	l->coarsest = wr_max(l->coarsest, k->shift);
}

_Static_assert(WR_STAGE_BUCKETS == WR_HIST_BUCKETS, "both halves count in the same buckets");

static void take(struct latency *l)
{
	l->read = wr_now();
	wr_kern_read_stages(
		wr_pipe_kern(l->v.pipe), l->shift, l->o.every_packet ? 0 : BUDGET / 2, on_stage, l);
}

static int by_stage(const void *a, const void *b)
{
	const struct line *x = *(struct line *const *)a, *y = *(struct line *const *)b;

	if (x->stage != y->stage)
		return x->stage < y->stage ? -1 : 1;
	return x->h.sum < y->h.sum ? 1 : x->h.sum > y->h.sum ? -1 : 0;
}

static void put_line(struct latency *l, struct line *t, uint64_t now)
{
	char name[IF_NAMESIZE];
	struct wr_ev_latency r;

	WR_INIT(&r, latency);
	WR_SET(&r, latency, time, now);
	WR_SET(&r, latency, host, wr_str(l->v.host));
	WR_SET(&r, latency, stage, wr_str(stages[t->stage].name));
	WR_SET(&r, latency, direction, wr_str(stages[t->stage].direction));
	if (t->key[0])
		WR_SET(&r, latency, key, wr_str(t->key));
	WR_SET(&r, latency, count, t->followed);
	WR_SET(&r, latency, mean_us, (double)t->h.sum / (double)t->h.n / 1000);
	WR_SET(&r, latency, p50_us, (double)wr_hist_quantile(&t->h, 0.5) / 1000);
	WR_SET(&r, latency, p90_us, (double)wr_hist_quantile(&t->h, 0.9) / 1000);
	WR_SET(&r, latency, p99_us, (double)wr_hist_quantile(&t->h, 0.99) / 1000);
	WR_SET(&r, latency, max_us, (double)t->h.max / 1000);
	WR_SET(&r, latency, sampled, 1ull << l->coarsest);
	WR_SET(&r, latency, from, l->from);
	WR_SET(&r, latency, to, now);
	if (t->netns)
		WR_SET(&r, latency, netns, t->netns);
	if (t->ifindex && t->netns == l->v.own_netns && if_indextoname(t->ifindex, name))
		WR_SET(&r, latency, interface, wr_str(name));
	if (t->proc)
		wr_owner_fill(&r.ev, WR_I_latency_owner_pid, t->proc);
	if (wr_view_wants(&l->v, &r.ev))
		wr_view_put(&l->v, &r.ev);
}

/* Of the parts of a way (receive is their sum) the one with the most time in it. */
static const struct line *slowest(const struct latency *l)
{
	const struct line *s = NULL;

	for (unsigned i = 0; i < l->n; i++) {
		if (l->line[i]->stage != WR_STAGE_RECEIVE && (!s || l->line[i]->h.sum > s->h.sum))
			s = l->line[i];
	}
	return s;
}

static void put(struct latency *l)
{
	uint64_t now = wr_now() + (uint64_t)wr_utc_offset();
	const struct line *s;

	take(l);
	if (l->n)
		qsort(l->line, l->n, sizeof(*l->line), by_stage);
	for (unsigned i = 0; i < l->n; i++)
		put_line(l, l->line[i], now);
	s = slowest(l);
	if (!l->v.cfg.json && !l->v.cfg.csv) {
		wr_view_flush(&l->v);
		if (s)
			fprintf(stderr,
				"most time: %s%s%s (%s), p99 %.1f us; one packet of %u was followed\n",
				stages[s->stage].name, s->key[0] ? " of " : "", s->key,
				stages[s->stage].words,
				(double)wr_hist_quantile(&s->h, 0.99) / 1000, 1u << l->coarsest);
		else
			fprintf(stderr, "no packet was followed: nothing was sent or received\n");
	}
	if (l->not_kept)
		fprintf(stderr, "weir latency: %" PRIu64 " packets found no room in %d rows\n",
			l->not_kept, ROWS);
	for (unsigned i = 0; i < l->n; i++) {
		wr_enrich_put(wr_pipe_enrich(l->v.pipe), l->line[i]->proc);
		free(l->line[i]);
	}
	l->n = 0;
	l->not_kept = 0;
	l->coarsest = 0;
	l->from = now;
}

/* Holds what is followed near the budget. */
static void govern(struct latency *l)
{
	uint64_t kc[WR_KC_N], now = wr_now(), rate;
	uint32_t shift;

	if (now < l->checked + CHECK)
		return;
	wr_kern_counters(wr_pipe_kern(l->v.pipe), kc);
	rate = (kc[WR_KC_STAGE_SEEN] - l->seen) * 1000000000ull / (now - l->checked);
	l->seen = kc[WR_KC_STAGE_SEEN];
	l->checked = now;
	if (l->o.every_packet)
		return;
	shift = wr_kern_stage_shift(wr_pipe_kern(l->v.pipe));
	if (shift == l->shift) {
		if (rate < BUDGET / 4 && shift)
			shift--;
		for (; rate > BUDGET && shift < WR_STAGE_MAX_SHIFT; rate /= 2)
			shift++;
	} /* else the rate is of two: the kernel was first */
	if (shift != l->shift) {
		l->shift = shift;
		take(l);
	}
}

static void on_tick(void *ctx)
{
	struct latency *l = ctx;
	uint64_t now = wr_now() + (uint64_t)wr_utc_offset();

	govern(l);
	if (wr_now() > l->read + 1000000000ull)
		take(l); /* the table of the kernel half is small */
	if (l->o.every && now >= l->from + l->o.every) {
		l->v.head = false;
		put(l);
	}
}

/* Packets spend little: below 10 us with a digit more. */
static void c_us(struct wr_buf *b, double us)
{
	if (us < 10)
		wr_buf_printf(b, "%.1f us", us);
	else
		wr_human_us(b, us);
}

static void c_stage(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_latency_stage);
}
static void c_direction(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_latency_direction);
}
static void c_count(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_u64(b, ((const struct wr_ev_latency *)(const void *)e)->count);
}
static void c_mean(struct wr_buf *b, const struct wr_event *e)
{
	c_us(b, ((const struct wr_ev_latency *)(const void *)e)->mean_us);
}
static void c_p50(struct wr_buf *b, const struct wr_event *e)
{
	c_us(b, ((const struct wr_ev_latency *)(const void *)e)->p50_us);
}
static void c_p90(struct wr_buf *b, const struct wr_event *e)
{
	c_us(b, ((const struct wr_ev_latency *)(const void *)e)->p90_us);
}
static void c_p99(struct wr_buf *b, const struct wr_event *e)
{
	c_us(b, ((const struct wr_ev_latency *)(const void *)e)->p99_us);
}
static void c_max(struct wr_buf *b, const struct wr_event *e)
{
	c_us(b, ((const struct wr_ev_latency *)(const void *)e)->max_us);
}
static void c_key(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_latency *r = (const void *)e;

	if (r->key.n) {
		wr_buf_str(b, r->key);
		return;
	}
	for (unsigned i = 0; i < WR_STAGE_N; i++) {
		if (wr_str_eq(r->stage, wr_str(stages[i].name)))
			wr_buf_str(b, wr_str(stages[i].words));
	}
}

static const struct wr_col cols[] = {
	{"STAGE", 8, false, 0, c_stage},
	{"DIRECTION", 9, false, 5, c_direction},
	{"COUNT", 8, true, 2, c_count},
	{"MEAN", 8, true, 3, c_mean},
	{"P50", 8, true, 0, c_p50},
	{"P90", 8, true, 4, c_p90},
	{"P99", 8, true, 0, c_p99},
	{"MAX", 8, true, 1, c_max},
	{"WHERE", 20, false, 0, c_key},
};

static int parse_by(struct latency *l)
{
	struct wr_str list = wr_str(l->o.by), w;
	unsigned i;

	while (l->o.by && wr_next_word(&list, &w)) {
		for (i = 0; i < BY_N && !wr_str_eq(w, wr_str(by_names[i])); i++)
			;
		if (i == BY_N)
			return 1 +
			       wr_die(l->v.cmd, WR_EXIT_USAGE,
				       "--by takes process, user, container, service, interface, netns; not '%.*s'",
				       (int)w.n, w.p);
		l->by[i] = true;
	}
	return 0;
}

static void nothing(void *ctx, const struct wr_event *e)
{
	(void)ctx;
	(void)e;
}

static int run(int argc, char **argv)
{
	static struct latency l;
	int n, rc = wr_view_init(&l.v, &wr_cmd_latency, WR_KIND_latency, WR_KIND_latency, &l.o,
		       argc, argv, &n);

	if (!rc && n)
		rc = 1 + wr_die(l.v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[0]);
	if (!rc)
		rc = parse_by(&l);
	if (rc)
		goto out;
	l.v.cols = cols;
	l.v.n_cols = WR_N(cols);
	l.v.sink = nothing;
	l.v.cfg.once = false;
	/* its kernel half is loaded while somebody looks */
	l.v.cfg.standalone = l.v.stages = true;
	if (!l.o.every && !l.v.cfg.duration)
		l.v.cfg.duration = 5000000000ull;
	rc = wr_view_open(&l.v, WR_NEED_OWNER | WR_NEED_STAGE, true);
	if (rc)
		goto out;
	wr_netns_inode("self", &l.v.own_netns);
	l.from = wr_now() + (uint64_t)wr_utc_offset();
	l.checked = wr_now();
	take(&l); /* from here on with a budget */
	wr_view_run(&l.v, CHECK, on_tick, &l);
	put(&l);
out:
	wr_view_free(&l.v);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_latency = {
	.name = "latency",
	.args = "",
	.help = "where packets spend their time, stage by stage",
	.more = "Looks for 5 s (or --for, or again and again with --every). A received packet of TCP is followed from the\n"
		"driver to the application: backlog, ip, socket; receive is their sum. cpu is how long a thread that data woke\n"
		"waits for a CPU. A sent one from TCP to the driver: tcp, qdisc. Of datagrams the socket stage is known. When\n"
		"many packets pass, one of N is followed, about 2,000 a second; --every-packet follows all. What is not\n"
		"followed costs some 50 ns a stage. Needs root, also beside an agent.",
	.examples = "  weir latency\n"
		    "  weir latency --by process --for 10s\n"
		    "  weir latency --by interface --json -w 'stage = qdisc'\n"
		    "  weir latency --every 1s -w 'stage = receive'",
	.opts = &opts,
	.view = true,
	.run = run,
};
