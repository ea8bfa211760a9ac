// SPDX-License-Identifier: Apache-2.0
#include "view.h"
#include "../own/own.h"
#include "../base/log.h"
#include "../sys/netns.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define O(field) offsetof(struct wr_view_config, field)
static const struct wr_opt rows[] = {
	{"json", 0, WR_OPT_BOOL, O(json), NULL, NULL, "one JSON object a line", 0, 0},
	{"csv", 0, WR_OPT_BOOL, O(csv), NULL, NULL, "CSV (RFC 4180) with a head line", 0, 0},
	{"fields", 'f', WR_OPT_TEXT, O(fields), NULL, "LIST", "only these fields, in this order", 0,
		0},
	{"where", 'w', WR_OPT_TEXT, O(expr), NULL, "EXPR", "only records that match the expression",
		0, 0},
	{"for", 0, WR_OPT_DURATION, O(duration), NULL, "TIME", "end after this time", 0, 0},
	{"count", 'n', WR_OPT_U64, O(count), NULL, "N", "end after this many records", 0, 0},
	{"once", '1', WR_OPT_BOOL, O(once), NULL, NULL, "what is there now, then end", 0, 0},
	{"netns", 0, WR_OPT_TEXT, O(netns), NULL, "NAME",
		"only this network namespace (name or pid)", 0, 0},
	{"since", 0, WR_OPT_TEXT, O(since), NULL, "TIME", "from history instead of live", 0, 0},
	{"until", 0, WR_OPT_TEXT, O(until), NULL, "TIME", "from history, up to then", 0, 0},
	{"store", 0, WR_OPT_TEXT, O(store), WR_STORE_PATH, "PATH", "folder of the history", 0, 0},
	{"socket", 0, WR_OPT_TEXT, O(socket), WR_SOCKET, "PATH", "socket of the agent", 0, 0},
	{"protocols", 0, WR_OPT_TEXT, O(protocols), NULL, "PATH",
		"own protocols: a description, a script, or a folder (live: without an agent)", 0,
		0},
	{"interface", 'i', WR_OPT_TEXT, O(interfaces), NULL, "LIST",
		"count traffic without a local socket on these interfaces too", 0, 0},
	{"standalone", 0, WR_OPT_BOOL, O(standalone), NULL, NULL,
		"load sensors even if an agent runs", 0, 0},
};
#undef O
const struct wr_opts wr_view_opts = {rows, WR_N(rows)};

static unsigned terminal_width(void)
{
	struct winsize w;

	return !ioctl(1, TIOCGWINSZ, &w) && w.ws_col ? w.ws_col : 0;
}

/* "1h", "10:30", RFC 3339: what --since and --until say. */
static int past(struct wr_view *v)
{
	uint64_t now = wr_now() + (uint64_t)wr_utc_offset();

	if (!v->cfg.since && !v->cfg.until)
		return 0;
	v->past = true;
	v->to = now;
	if (v->cfg.since && wr_parse_when(wr_str(v->cfg.since), now, &v->from))
		return 1 +
		       wr_die(v->cmd, WR_EXIT_USAGE,
			       "--since: '%s' is no time; write 1h, 10:30, 2026-01-31 or 2026-01-31T10:30:00Z",
			       v->cfg.since);
	if (v->cfg.until && wr_parse_when(wr_str(v->cfg.until), now, &v->to))
		return 1 + wr_die(v->cmd, WR_EXIT_USAGE, "--until: '%s' is no time", v->cfg.until);
	if (v->from > v->to)
		return 1 + wr_die(v->cmd, WR_EXIT_USAGE, "--since is later than --until");
	v->clock = v->from;
	return 0;
}

static int open_past(struct wr_view *v)
{
	struct wr_err e = {.text = ""};
	int rc;

	if (v->packet || v->step || !wr_store_keeps((enum wr_kind_id)(v->kind - wr_kinds)))
		return 1 +
		       wr_die(v->cmd, WR_EXIT_LACKS,
			       "history holds no %s records; without --since and --until the view is live",
			       v->packet ? "packet" : v->kind->name);
	rc = wr_history_open(v->cfg.store, &v->history, &e);
	return rc ? 1 + wr_die(v->cmd, WR_EXIT_LACKS, "%s", e.text) : 0;
}

uint64_t wr_view_utc(const struct wr_view *v)
{
	return v->past ? v->clock : wr_now() + (uint64_t)wr_utc_offset();
}

int wr_view_init(struct wr_view *v, const struct wr_cmd *c, enum wr_kind_id in, enum wr_kind_id out,
	void *own_to, int argc, char **argv, int *ret_args)
{
	static const struct wr_opts none;
	struct wr_opt_set sets[2] = {{wr_view_opts, &v->cfg}, {c->opts ? *c->opts : none, own_to}};
	struct wr_err e = {.text = ""};
	const char *term = getenv("TERM");
	int n;

	*v = (struct wr_view){.cmd = c->name,
		.kind = &wr_kinds[in],
		.shown_kind = &wr_kinds[out],
		.out = WR_BUF(WR_MAX_OUTPUT)};
	wr_opt_defaults(&wr_view_opts, &v->cfg);
	if (c->opts)
		wr_opt_defaults(c->opts, own_to);
	n = c->command ? wr_opt_parse_command(sets, 2, argc, argv, &e)
		       : wr_opt_parse(sets, 2, argc, argv, &e);
	if (n < 0)
		return 1 + wr_die(c->name, WR_EXIT_USAGE, "%s", e.text);
	*ret_args = n;
	if (v->cfg.json && v->cfg.csv)
		return 1 + wr_die(c->name, WR_EXIT_USAGE, "choose --json or --csv");
	n = past(v);
	if (n)
		return n;
	if (v->cfg.protocols && wr_own_load(v->cfg.protocols, &e))
		return 1 + wr_die(c->name, WR_EXIT_USAGE, "--protocols: %s", e.text);
	if (wr_filter_compile(v->kind, v->cfg.expr, &v->filter, &e)) {
		struct wr_buf b = WR_BUF(8192);

		wr_filter_explain(&e, v->cfg.expr, &b);
		fprintf(stderr, "weir %s: %.*s", c->name, (int)b.n, b.p);
		wr_buf_free(&b);
		return 1 + WR_EXIT_USAGE;
	}
	if (v->cfg.fields && wr_pick_parse(v->shown_kind, wr_str(v->cfg.fields), &v->pick, &e))
		return 1 + wr_die(c->name, WR_EXIT_USAGE, "--fields: %s", e.text);
	if (v->cfg.netns && wr_netns_inode(v->cfg.netns, &v->netns))
		return 1 + wr_die(c->name, WR_EXIT_USAGE,
				   "there is no network namespace '%s' (`ip netns` lists names; a "
				   "pid works too)",
				   v->cfg.netns);
	if (gethostname(v->host, sizeof(v->host) - 1))
		wr_copy(v->host, sizeof(v->host), WR_STR("localhost"));
	v->tty = isatty(1);
	v->color = v->tty && !getenv("NO_COLOR") && term && strcmp(term, "dumb");
	v->width = v->tty ? terminal_width() : 0;
	return 0;
}

int wr_view_open(struct wr_view *v, uint32_t sensors, bool live_first)
{
	struct wr_pipe_config pc = {.kern = {.sensors = sensors},
		.host = v->host,
		.requests = v->requests || v->kind == &wr_kinds[WR_KIND_request],
		.unmasked = v->unmasked,
		.raw = v->raw,
		.sign = v->sign,
		.tls_leave = WR_TLS_LEAVE,
		.sink = v->sink,
		.packet = v->packet,
		.step = v->step,
		.ctx = v->sink_ctx};
	const char *deny = getenv("WR_DENY");
	struct wr_err e = {.text = ""};
	char line[WR_MAX_EXPR + 64];
	int fd, rc;

	if (v->past)
		return open_past(v);
	pc.kern.tls = pc.requests;
	pc.kern.calls = v->calls;
	pc.kern.stages = v->stages;
	pc.kern.bursts = v->bursts;
	pc.kern.syscalls = v->syscalls;
	pc.kern.journeys = v->step;
	if (pc.requests && sensors)
		pc.kern.sensors |= WR_NEED_TLS;
	pc.kern.interfaces = v->cfg.interfaces;
	if (!v->cfg.standalone && !v->raw && !v->packet && !v->cfg.interfaces &&
		!v->cfg.protocols) {
		snprintf(line, sizeof(line), "%s %s %016" PRIx64 " %s\n",
			live_first ? "stream" : "watch", v->kind->name, wr_schema_hash(),
			v->cfg.expr ? v->cfg.expr : "");
		fd = wr_client_open(v->cfg.socket, line, &e);
		if (fd >= 0) {
			v->client = wr_alloc(sizeof(*v->client));
			if (!v->client)
				return 1 + wr_die(v->cmd, WR_EXIT_LACKS, "no memory");
			v->client->fd = fd;
			return 0;
		}
		if (fd == -EPROTO)
			return 1 + wr_die(v->cmd, WR_EXIT_LACKS, "%s", e.text);
		if (geteuid())
			return 1 +
			       wr_die(v->cmd, WR_EXIT_LACKS,
				       "%s, and without one loading sensors needs root; start `weir run` as root, or use "
				       "`weir read FILE`",
				       e.text);
	}
	if (deny && wr_feature_parse(wr_str(deny), &pc.kern.deny, &e))
		return 1 + wr_die(v->cmd, WR_EXIT_USAGE, "WR_DENY: %s", e.text);
	if ((v->packet || v->step || pc.requests) && !pc.kern.data_ring)
		pc.kern.data_ring = 16u << 20;
	rc = wr_pipe_open(&pc, &v->pipe, &e);
	if (rc)
		return 1 + wr_die(v->cmd, wr_exit_of(rc), "%s", e.text);
	if (!v->requests && pc.requests && wr_pipe_no_requests(v->pipe))
		return 1 + wr_die(v->cmd, WR_EXIT_LACKS, "%s", wr_pipe_no_requests(v->pipe));
	if (live_first && v->kind == &wr_kinds[WR_KIND_conn])
		wr_conns_each(wr_pipe_conns(v->pipe), v->sink, v->sink_ctx);
	return 0;
}

bool wr_view_wants(const struct wr_view *v, const struct wr_event *e)
{
	if (e->kind != (unsigned)(v->kind - wr_kinds))
		return e->kind == WR_KIND_loss;
	if (v->netns &&
		((const struct wr_ev_conn *)e)->netns != v->netns) /* common fields come first */
		return false;
	return wr_filter_match(v->filter, e);
}

void wr_cell_name(struct wr_buf *b, struct wr_str name, uint64_t port)
{
	wr_buf_str(b, name);
	wr_buf_printf(b, ":%" PRIu64, port);
}

void wr_cell_addr(struct wr_buf *b, const struct wr_ip *ip, uint64_t port)
{
	char t[WR_IP_TEXT];
	size_t n = wr_ip_text(ip, t);
	bool v6 = !wr_ip_is4(ip) && port;

	if (!port) { /* ICMP and others without ports */
		wr_buf_put(b, t, n);
		return;
	}
	if (v6)
		wr_buf_c(b, '[');
	wr_buf_put(b, t, n);
	if (v6)
		wr_buf_c(b, ']');
	wr_buf_c(b, ':');
	wr_buf_u64(b, port);
}

static void pad(struct wr_buf *b, size_t n)
{
	while (n--)
		wr_buf_c(b, ' ');
}

/* Chooses the columns that fit: by rank, the highest goes first. */
static void fit(struct wr_view *v)
{
	unsigned need, worst;

	for (unsigned i = 0; i < v->n_cols; i++)
		v->shown[i] = true;
	while (v->width) {
		need = 0;
		worst = v->n_cols;
		for (unsigned i = 0; i < v->n_cols; i++) {
			if (!v->shown[i])
				continue;
			need += v->cols[i].width + 1;
			if (worst == v->n_cols || v->cols[i].rank > v->cols[worst].rank)
				worst = i;
		}
		if (need <= v->width + 1 || worst == v->n_cols || !v->cols[worst].rank)
			break;
		v->shown[worst] = false;
	}
}

static void row(struct wr_view *v, const struct wr_event *e)
{
	struct wr_buf cell = WR_BUF(4096);
	size_t used = 0;
	unsigned last = 0;

	for (unsigned i = 0; i < v->n_cols; i++) {
		if (v->shown[i])
			last = i;
	}
	for (unsigned i = 0; i < v->n_cols; i++) {
		const struct wr_col *c = &v->cols[i];
		size_t max, cols, start;
		struct wr_buf clean = WR_BUF(8192);

		if (!v->shown[i])
			continue;
		cell.n = 0;
		if (e)
			c->cell(&cell, e);
		else
			wr_buf_str(&cell, wr_str(c->title));
		max = v->width ? (i == last ? (v->width > used ? v->width - used : 1) : c->width)
			       : 4096;
		cols = wr_buf_text(&clean, wr_buf_view(&cell), max);
		start = v->out.n;
		if (c->right && cols < c->width)
			pad(&v->out, c->width - cols);
		wr_buf_str(&v->out, wr_buf_view(&clean));
		if (!c->right && i != last && cols < c->width)
			pad(&v->out, c->width - cols);
		if (i != last)
			wr_buf_c(&v->out, ' ');
		used += wr_max((size_t)c->width, v->width ? (size_t)0 : v->out.n - start) + 1;
		wr_buf_free(&clean);
	}
	wr_buf_c(&v->out, '\n');
	wr_buf_free(&cell);
}

/* --fields in a table: one column a field, tab-separated in a pipe */
static void row_fields(struct wr_view *v, const struct wr_event *e)
{
	struct wr_buf cell = WR_BUF(4096);

	for (unsigned i = 0; i < v->pick.n; i++) {
		const struct wr_field *f = &v->shown_kind->fields[v->pick.f[i]];
		size_t w = f->type == WR_ADDR ? 15 : f->type == WR_TIME ? 12 : 12, cols;

		cell.n = 0;
		if (e)
			wr_text(&cell, e, v->pick.f[i]);
		else
			wr_buf_str(&cell, wr_str(f->name));
		cols = wr_buf_text(&v->out, wr_buf_view(&cell), 512);
		if (i + 1 < v->pick.n) {
			if (v->tty)
				pad(&v->out, cols < w ? w - cols + 1 : 1);
			else
				wr_buf_c(&v->out, '\t');
		}
	}
	wr_buf_c(&v->out, '\n');
	wr_buf_free(&cell);
}

static void drain(struct wr_view *v, bool all);

void wr_view_put(struct wr_view *v, const struct wr_event *e)
{
	const struct wr_pick *pick = v->pick.n ? &v->pick : NULL;

	if (v->done)
		return;
	if (v->out.n + WR_MAX_LINE > WR_MAX_OUTPUT) {
		v->unread++;
		return;
	}
	if (v->unread) {
		struct wr_ev_loss l;

		WR_INIT(&l, loss);
		WR_SET(&l, loss, time, wr_now() + (uint64_t)wr_utc_offset());
		WR_SET(&l, loss, where, WR_STR("output"));
		WR_SET(&l, loss, reason, WR_STR("slow_reader"));
		WR_SET(&l, loss, count, v->unread);
		v->unread = 0;
		wr_view_put(v, &l.ev);
	}
	if (e->kind == WR_KIND_loss && v->shown_kind != &wr_kinds[WR_KIND_loss]) {
		const struct wr_ev_loss *l = (const void *)e;

		if (v->cfg.json)
			wr_json(&v->out, e, NULL);
		else
			fprintf(stderr, "weir %s: lost %" PRIu64 " records: %.*s %.*s\n", v->cmd,
				l->count, (int)l->where.n, l->where.p, (int)l->reason.n,
				l->reason.p);
		return;
	}
	if (v->cfg.json) {
		wr_json(&v->out, e, &wr_kinds[e->kind] == v->shown_kind ? pick : NULL);
	} else if (&wr_kinds[e->kind] != v->shown_kind) {
		return; /* another kind has no place in a table */
	} else if (v->cfg.csv) {
		if (!v->head)
			wr_csv_head(&v->out, v->shown_kind, pick);
		wr_csv(&v->out, e, pick);
	} else if (pick) {
		if (!v->head)
			row_fields(v, NULL);
		row_fields(v, e);
	} else {
		if (!v->head) {
			fit(v);
			row(v, NULL);
		}
		row(v, e);
	}
	v->head = true;
	if (++v->emitted == v->cfg.count)
		v->done = true;
	if (v->out.n > 65536)
		drain(v, v->cmd_waits);
}

/*
 * Writes what the reader takes now; with @all waits for it. A reader that is slower than the traffic must
 * not stop the rings from being drained: up to WR_MAX_OUTPUT waits here, then records are dropped, counted.
 * PIPE_BUF bytes after POLLOUT never block, and the descriptor's flags, which others share, stay as they are.
 */
static void drain(struct wr_view *v, bool all)
{
	struct pollfd p = {1, POLLOUT, 0};
	size_t at = 0;

	while (at < v->out.n && !v->broken) {
		ssize_t n;

		if (poll(&p, 1, all ? 1000 : 0) <= 0 ||
			!(p.revents & (POLLOUT | POLLERR | POLLHUP))) {
			if (all && ++v->stalls < 5)
				continue;
			break;
		}
		n = write(1, v->out.p + at, wr_min(v->out.n - at, (size_t)PIPE_BUF));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0) { /* `| head` is no error; a full disk is */
			if (errno != EPIPE)
				wr_die(v->cmd, 0, "cannot write: %s", strerror(errno));
			v->broken = v->done = true;
			break;
		}
		at += (size_t)n;
	}
	if (v->broken)
		at = v->out.n;
	if (at)
		memmove(v->out.p, v->out.p + at, v->out.n - at);
	v->out.n -= at;
	v->out.cut = false;
}

void wr_view_flush(struct wr_view *v)
{
	drain(v, true);
}

static void nothing(void *ctx, uint32_t events)
{
	(void)ctx;
	(void)events;
}

static void on_pipe_broken(void *ctx, uint32_t events)
{
	struct wr_view *v = ctx;

	if (events & (EPOLLERR | EPOLLHUP))
		v->done = v->broken = true;
}

struct replay {
	struct wr_view *v;
	uint64_t every, next;
	void (*tick)(void *ctx);
	void *ctx;
	int sig;
	unsigned n;
};

/* The windows that ended before this record, then the record. */
static bool on_past(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_conn *common = (const void *)e;
	struct replay *p = ctx;
	struct wr_view *v = p->v;

	while (p->tick && common->time >= p->next && !v->done) {
		v->clock = p->next;
		p->tick(p->ctx);
		p->next += p->every;
	}
	v->clock = wr_max(v->clock, common->time);
	v->sink(v->sink_ctx, e);
	if (!(++p->n & 1023) && wr_loop_signal(p->sig))
		v->done = true;
	return !v->done;
}

int wr_view_with(const struct wr_view *v, const char *option)
{
	return v->cfg.csv || v->cfg.fields
		       ? 1 + wr_die(v->cmd, WR_EXIT_USAGE,
				     "%s has no place in %s; --json has records of its own for it",
				     option, v->cfg.csv ? "CSV" : "chosen fields")
		       : 0;
}

/* Says how complete the answer is, where it is not. */
static void completeness(struct wr_view *v)
{
	struct wr_complete c;

	wr_history_complete(v->history, (enum wr_kind_id)(v->kind - wr_kinds), v->from, v->to, &c);
	if (c.lost || c.damaged)
		wr_die(v->cmd, 0,
			"%.4g %% of the records of this time were kept; %" PRIu64 " were lost%s",
			c.share * 100, c.lost,
			c.damaged ? ", and parts of the store are damaged" : "");
}

static void run_past(struct wr_view *v, uint64_t every, void (*tick)(void *ctx), void *ctx)
{
	struct wr_range r = {(enum wr_kind_id)(v->kind - wr_kinds), 0, v->from, v->to, false};
	struct replay p = {v, every, v->from + every, tick, ctx, wr_loop_signals(), 0};

	v->cmd_waits = true;
	if (tick && !v->from) /* windows begin with the first record */
		p.next = UINT64_MAX;
	if (wr_history_read(v->history, &r, NULL, on_past, &p))
		wr_die(v->cmd, 0, "no memory to read history");
	if (v->to > v->clock && !v->done)
		v->clock = v->to;
	wr_view_flush(v);
	if (p.sig >= 0)
		close(p.sig);
	completeness(v);
}

void wr_view_run(struct wr_view *v, uint64_t every, void (*tick)(void *ctx), void *ctx)
{
	struct wr_loop *l = v->past ? NULL : wr_loop_new();
	int sig = v->past ? -1 : wr_loop_signals(), fd = v->client ? v->client->fd
							 : v->pipe ? wr_pipe_fd(v->pipe)
								   : -1;
	uint64_t now = wr_now(), next = now + every;

	if (v->past)
		run_past(v, every, tick, ctx);
	if (!l || sig < 0)
		return;
	v->started = now;
	v->ends = v->cfg.duration ? now + v->cfg.duration : UINT64_MAX;
	wr_loop_add(l, fd, EPOLLIN, nothing, NULL);
	wr_loop_add(l, sig, EPOLLIN, nothing, NULL);
	wr_loop_add(
		l, 1, 0, on_pipe_broken, v); /* EPERM for files: then there is nothing to watch */
	if (v->cfg.once)
		v->done = true;
	drain(v, false);
	while (!v->done) {
		int wait = v->client ? 1000 : wr_pipe_step(v->pipe);

		drain(v, false);
		if (v->out.n)
			wait = wr_min(wait, 20);
		now = wr_now();
		if (now >= v->ends || wr_loop_signal(sig))
			break;
		if (tick && now >= next) {
			tick(ctx);
			drain(v, false);
			next = now - (now - next) % every + every;
		}
		if (v->ends - now < (uint64_t)wait * 1000000)
			wait = (int)((v->ends - now) / 1000000) + 1;
		if (tick && next - now < (uint64_t)wait * 1000000)
			wait = (int)((next - now) / 1000000) + 1;
		wr_loop_turn(l, wait);
		if (v->client) {
			int rc = wr_client_read(v->client, v->sink, v->sink_ctx);

			if (rc < 0) {
				wr_die(v->cmd, 0,
					rc == -EPIPE ? "the agent ended"
						     : "the agent's stream is broken");
				break;
			}
		}
	}
	if (v->pipe && !v->broken && !v->cfg.once && !(v->cfg.count && v->emitted >= v->cfg.count))
		wr_pipe_flush(v->pipe);
	wr_view_flush(v);
	close(sig);
	wr_loop_free(l);
}

void wr_view_free(struct wr_view *v)
{
	wr_own_free();
	drain(v, true);
	if (v->unread)
		wr_die(v->cmd, 0,
			"%" PRIu64 " records were dropped: the reader of the output was too slow",
			v->unread);
	wr_pipe_close(v->pipe);
	if (v->client)
		close(v->client->fd);
	free(v->client);
	wr_history_close(v->history);
	wr_filter_free(v->filter);
	wr_buf_free(&v->out);
}
