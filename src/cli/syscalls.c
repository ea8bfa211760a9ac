// SPDX-License-Identifier: Apache-2.0
#include "syscalls.h"
#include "../agg/hist.h"
#include "../flow/owner.h"
#include "view.h"

#include <sys/syscall.h>
#include <unistd.h>

#define ROWS 2048
#define ERRNOS 12 /* told of one row */
#define WINDOW 5000000000ull

struct syscalls_config {
	uint64_t every, top;
};
#define O(field) offsetof(struct syscalls_config, field)
static const struct wr_opt rows[] = {
	{"every", 'e', WR_OPT_DURATION, O(every), NULL, "TIME",
		"a table for each such time; else one at the end (5 s, or --for)", 100000000, 0},
	{"top", 't', WR_OPT_U64, O(top), NULL, "N", "only the N rows with the most time", 0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

#define BYTES WR_SYSCALL_BYTES
#define ANY (WR_SYSCALL_BYTES | WR_SYSCALL_ANY_FILE)
static const struct {
	const char *name;
	unsigned nr;
	uint32_t flags;
} calls[] = {{"socket", SYS_socket, 0}, {"bind", SYS_bind, 0}, {"listen", SYS_listen, 0},
	{"connect", SYS_connect, 0}, {"accept", SYS_accept, 0}, {"accept4", SYS_accept4, 0},
	{"sendto", SYS_sendto, BYTES}, {"recvfrom", SYS_recvfrom, BYTES},
	{"sendmsg", SYS_sendmsg, BYTES}, {"recvmsg", SYS_recvmsg, BYTES},
	{"sendmmsg", SYS_sendmmsg, 0}, {"recvmmsg", SYS_recvmmsg, 0}, {"shutdown", SYS_shutdown, 0},
	{"setsockopt", SYS_setsockopt, 0}, {"getsockopt", SYS_getsockopt, 0},
	{"getsockname", SYS_getsockname, 0}, {"getpeername", SYS_getpeername, 0},
	{"socketpair", SYS_socketpair, 0}, {"read", SYS_read, ANY}, {"write", SYS_write, ANY},
	{"readv", SYS_readv, ANY}, {"writev", SYS_writev, ANY}, {"sendfile", SYS_sendfile, ANY},
	{"close", SYS_close, WR_SYSCALL_ANY_FILE}};
#undef BYTES
#undef ANY

struct row {
	struct wr_syscall_key k;
	struct wr_owner owner;
	struct wr_hist h;
	uint64_t errors, bytes;
	struct {
		uint32_t err;
		uint64_t n;
	} errnos[ERRNOS];
	unsigned n_errnos;
};

struct syscalls {
	struct wr_view v;
	struct syscalls_config o;
	struct row *row[ROWS];
	unsigned n;
	uint64_t from, lost;
};

_Static_assert(WR_STAGE_BUCKETS == WR_HIST_BUCKETS, "both halves count in the same buckets");

static struct row *row_of(struct syscalls *s, const struct wr_syscall_key *k, bool make)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct wr_syscall_key *x = &s->row[i]->k;

		if (x->tgid == k->tgid && x->start_ns == k->start_ns && x->call == k->call)
			return s->row[i];
	}
	if (!make || s->n == ROWS || !(s->row[s->n] = wr_alloc(sizeof(struct row))))
		return NULL;
	s->row[s->n]->k = *k;
	return s->row[s->n++];
}

static void on_sum(void *ctx, const struct wr_syscall_key *k, const struct wr_syscall *v)
{
	struct syscalls *s = ctx;
	struct row *r;

	if ((int)k->tgid == getpid() || (s->v.netns && v->owner.netns != s->v.netns))
		return;
	r = row_of(s, k, true);
	if (!r) {
		s->lost += v->n;
		return;
	}
	r->owner = v->owner;
	r->h.n += v->n;
	r->h.sum += v->ns;
	r->h.max = wr_max(r->h.max, v->max);
	r->errors += v->errors;
	r->bytes += v->bytes;
	for (unsigned i = 0; i < WR_HIST_BUCKETS; i++)
		r->h.b[i] += v->b[i];
}

static void on_error(void *ctx, const struct wr_syscall_key *k, uint64_t n)
{
	struct row *r = row_of(ctx, k, false);
	unsigned i = 0;

	if (!r)
		return;
	while (i < r->n_errnos && r->errnos[i].err != k->err)
		i++;
	if (i == ERRNOS)
		return; /* the count of errors has it */
	r->n_errnos = wr_max(r->n_errnos, i + 1);
	r->errnos[i].err = k->err;
	r->errnos[i].n += n;
}

static int by_time(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;

	return x->h.sum < y->h.sum ? 1 : x->h.sum > y->h.sum ? -1 : 0;
}

static void put_row(struct syscalls *s, const struct row *r, uint64_t now)
{
	struct wr_enrich *x = wr_pipe_enrich(s->v.pipe);
	struct wr_proc *p = wr_enrich_proc(x, &r->owner);
	struct wr_buf j = WR_BUF(1024);
	struct wr_ev_syscall e;
	double secs = (double)(now - s->from) / 1e9;

	if (p)
		wr_enrich_look(x, p);
	WR_INIT(&e, syscall);
	WR_SET(&e, syscall, time, now);
	WR_SET(&e, syscall, host, wr_str(s->v.host));
	WR_SET(&e, syscall, netns, r->owner.netns);
	WR_SET(&e, syscall, name, wr_str(calls[(r->k.call - 1) % WR_N(calls)].name));
	WR_SET(&e, syscall, count, r->h.n);
	WR_SET(&e, syscall, rate, secs > 0 ? (double)r->h.n / secs : 0);
	WR_SET(&e, syscall, errors, r->errors);
	if (r->n_errnos) {
		wr_buf_c(&j, '{');
		for (unsigned i = 0; i < r->n_errnos; i++) {
			const char *name = strerrorname_np((int)r->errnos[i].err);

			if (name)
				wr_buf_printf(&j, "%s\"%s\":%" PRIu64, i ? "," : "", name,
					r->errnos[i].n);
			else
				wr_buf_printf(&j, "%s\"%u\":%" PRIu64, i ? "," : "",
					r->errnos[i].err, r->errnos[i].n);
		}
		wr_buf_c(&j, '}');
		WR_SET(&e, syscall, errnos, wr_buf_view(&j));
	}
	WR_SET(&e, syscall, bytes, r->bytes);
	WR_SET(&e, syscall, mean_us, (double)r->h.sum / (double)r->h.n / 1000);
	WR_SET(&e, syscall, p50_us, (double)wr_hist_quantile(&r->h, 0.5) / 1000);
	WR_SET(&e, syscall, p99_us, (double)wr_hist_quantile(&r->h, 0.99) / 1000);
	WR_SET(&e, syscall, max_us, (double)r->h.max / 1000);
	if (p)
		wr_owner_fill(&e.ev, WR_I_syscall_owner_pid, p);
	WR_SET(&e, syscall, from, s->from);
	WR_SET(&e, syscall, to, now);
	if (wr_view_wants(&s->v, &e.ev))
		wr_view_put(&s->v, &e.ev);
	wr_enrich_put(x, p);
	wr_buf_free(&j);
}

static void put(struct syscalls *s)
{
	uint64_t now = wr_now() + (uint64_t)wr_utc_offset();
	uint64_t kc[WR_KC_N];

	wr_kern_read_syscalls(wr_pipe_kern(s->v.pipe), on_sum, on_error, s);
	if (s->n)
		qsort(s->row, s->n, sizeof(s->row[0]), by_time);
	for (unsigned i = 0; i < s->n; i++) {
		if (!s->o.top || i < s->o.top)
			put_row(s, s->row[i], now);
		free(s->row[i]);
	}
	wr_kern_counters(wr_pipe_kern(s->v.pipe), kc);
	if (s->lost + kc[WR_KC_SYSCALL_LOST])
		fprintf(stderr, "weir trace: %" PRIu64 " calls found no room\n",
			s->lost + kc[WR_KC_SYSCALL_LOST]);
	s->n = 0;
	s->from = now;
	wr_view_flush(&s->v);
}

static void on_tick(void *ctx)
{
	struct syscalls *s = ctx;

	s->v.head = false;
	put(s);
}

#define R(e) ((const struct wr_ev_syscall *)(const void *)(e))

static void c_process(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_printf(b, "%.*s/%" PRIu64, (int)R(e)->owner_process.n, R(e)->owner_process.p,
		R(e)->owner_pid);
}
static void c_name(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_str(b, R(e)->name);
}
static void c_count(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_u64(b, R(e)->count);
}
static void c_rate(struct wr_buf *b, const struct wr_event *e)
{
	wr_buf_printf(b, "%.0f", R(e)->rate);
}
static void c_bytes(struct wr_buf *b, const struct wr_event *e)
{
	if (R(e)->bytes)
		wr_human_bytes(b, R(e)->bytes);
}
static void c_mean(struct wr_buf *b, const struct wr_event *e)
{
	wr_human_us(b, R(e)->mean_us);
}
static void c_p99(struct wr_buf *b, const struct wr_event *e)
{
	wr_human_us(b, R(e)->p99_us);
}
static void c_max(struct wr_buf *b, const struct wr_event *e)
{
	wr_human_us(b, R(e)->max_us);
}
static void c_errors(struct wr_buf *b, const struct wr_event *e)
{
	struct wr_str s = R(e)->errnos;

	for (size_t i = 1; i + 1 < s.n; i++) { /* without quotes and braces */
		if (s.p[i] == ',')
			wr_buf_c(b, ' ');
		else if (s.p[i] != '"')
			wr_buf_c(b, s.p[i]);
	}
}

static const struct wr_col cols[] = {
	{"PROCESS", 20, false, 0, c_process},
	{"CALL", 11, false, 0, c_name},
	{"COUNT", 8, true, 0, c_count},
	{"RATE/S", 7, true, 2, c_rate},
	{"BYTES", 8, true, 1, c_bytes},
	{"MEAN", 8, true, 0, c_mean},
	{"P99", 8, true, 3, c_p99},
	{"MAX", 8, true, 4, c_max},
	{"ERRORS", 12, false, 0, c_errors},
};

static void nothing(void *ctx, const struct wr_event *e)
{
	(void)ctx;
	(void)e;
}

int wr_trace_syscalls(int argc, char **argv)
{
	static struct syscalls s; /* large */
	struct wr_cmd cmd = wr_cmd_trace;
	uint32_t table[WR_SYSCALL_NUMBERS] = {0};
	int n, rc;

	cmd.opts = &opts;
	rc = wr_view_init(&s.v, &cmd, WR_KIND_syscall, WR_KIND_syscall, &s.o, argc, argv, &n);
	if (!rc && n != 1)
		rc = 1 + wr_die(s.v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[1]);
	if (rc)
		goto out;
	s.v.cols = cols;
	s.v.n_cols = WR_N(cols);
	s.v.sink = nothing;
	s.v.cfg.once = false;
	/* its kernel half is loaded while somebody looks */
	s.v.cfg.standalone = s.v.syscalls = true;
	if (!s.o.every && !s.v.cfg.duration)
		s.v.cfg.duration = WINDOW;
	rc = wr_view_open(&s.v, WR_NEED_OWNER | WR_NEED_SYSCALL, true);
	if (rc)
		goto out;
	for (unsigned i = 0; i < WR_N(calls); i++) {
		if (calls[i].nr < WR_SYSCALL_NUMBERS)
			table[calls[i].nr] = (i + 1) | calls[i].flags;
	}
	rc = wr_kern_syscalls(wr_pipe_kern(s.v.pipe), table);
	if (rc) {
		rc = 1 + wr_die(s.v.cmd, WR_EXIT_LACKS,
				 "system calls cannot be seen here; `weir doctor` tells why");
		goto out;
	}
	s.from = wr_now() + (uint64_t)wr_utc_offset();
	wr_view_run(&s.v, s.o.every ? s.o.every : UINT64_MAX / 2, s.o.every ? on_tick : NULL, &s);
	put(&s);
out:
	wr_view_free(&s.v);
	return rc ? rc - 1 : WR_EXIT_OK;
}
