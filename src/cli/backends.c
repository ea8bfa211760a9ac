// SPDX-License-Identifier: Apache-2.0
/*
 * Load balancers of the kernel change the destination of a connection: the table of tracked connections has what
 * was asked for and who answers. Events tell what begins; the table at the end what is still there.
 */
#include "backends.h"
#include "../agg/even.h"
#include "../flow/packet.h"
#include "../sys/conntrack.h"
#include "../sys/loop.h"
#include "../sys/netns.h"
#include "view.h"

#include <poll.h>

#define BACKENDS 1024 /* more: not shown, counted */
#define TRACKED                                                                                    \
	131072 /* slots for connections and clients; half of them are used, more: not judged, counted */
#define WINDOW 10000000000ull
#define PATIENCE 1000000000ull /* ns that a backend has to answer */

struct backend {
	uint8_t proto;
	uint16_t port, front_port;
	struct wr_ip ip, front;
	uint64_t connections, failed, moved, live, up, bytes_to_server, bytes_to_client;
};

/* A connection that began in the window, by its id in the table. */
struct tracked {
	uint32_t id, backend; /* backend: + 1; 0: free */
	uint64_t at;
	bool up;
};

/* Where a client of a frontend was sent last. */
struct visitor {
	uint64_t key;
	uint32_t backend; /* + 1; 0: free */
};

struct backends {
	struct wr_view v;
	struct backend b[BACKENDS];
	unsigned n;
	struct tracked *conn;
	struct visitor *client;
	uint32_t n_conn, n_client;
	uint64_t from, unseen, more; /* unseen: events that were lost */
	bool ending;
};

static const struct wr_opts opts = {NULL, 0};

static struct backend *backend_of(struct backends *w, const struct wr_ct *c)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct backend *b = &w->b[i];

		if (b->proto == c->proto && b->port == c->back_port &&
			b->front_port == c->front_port &&
			!memcmp(&b->ip, &c->back, sizeof(b->ip)) &&
			!memcmp(&b->front, &c->front, sizeof(b->front)))
			return b;
	}
	if (w->n == BACKENDS) {
		w->more++;
		return NULL;
	}
	w->b[w->n] = (struct backend){.proto = c->proto,
		.port = c->back_port,
		.front_port = c->front_port,
		.ip = c->back,
		.front = c->front};
	return &w->b[w->n++];
}

static struct tracked *tracked(struct backends *w, uint32_t id)
{
	uint32_t at = (uint32_t)wr_hash64(id) % TRACKED;

	while (w->conn[at].backend && w->conn[at].id != id)
		at = (at + 1) % TRACKED;
	return &w->conn[at];
}

/* Was the client at another one before? */
static void visit(struct backends *w, const struct wr_ct *c, struct backend *b)
{
	uint64_t key = wr_hash(
		&c->client, 16, wr_hash(&c->front, 16, (uint64_t)c->proto << 16 | c->front_port));
	uint32_t at = (uint32_t)key % TRACKED, number = (uint32_t)(b - w->b) + 1;

	while (w->client[at].backend && w->client[at].key != key)
		at = (at + 1) % TRACKED;
	if (!w->client[at].backend) {
		if (w->n_client == TRACKED / 2)
			return;
		w->n_client++;
		w->client[at] = (struct visitor){key, number};
		return;
	}
	b->moved += w->client[at].backend != number;
	w->client[at].backend = number;
}

static void begins(struct backends *w, const struct wr_ct *c)
{
	struct backend *b = backend_of(w, c);
	struct tracked *t;

	if (!b)
		return;
	b->connections++;
	visit(w, c, b);
	t = tracked(w, c->id);
	if (!t->backend && w->n_conn == TRACKED / 2)
		return;
	w->n_conn += !t->backend;
	*t = (struct tracked){c->id, (uint32_t)(b - w->b) + 1, wr_now(), c->up};
}

static void on_event(void *ctx, const struct wr_ct *c)
{
	struct backends *w = ctx;
	struct backend *b;
	struct tracked *t;

	if (!c->balanced)
		return;
	if (c->event == WR_CT_NEW) {
		begins(w, c);
		return;
	}
	t = tracked(w, c->id);
	if (!t->backend)
		return;
	b = &w->b[t->backend - 1];
	t->up |= c->up;
	if (c->event != WR_CT_GONE)
		return;
	b->failed += !t->up;
	b->up += t->up;
	b->bytes_to_server += c->bytes_to_server;
	b->bytes_to_client += c->bytes_to_client;
	t->at = 0; /* judged */
}

static void on_there(void *ctx, const struct wr_ct *c)
{
	struct backends *w = ctx;
	struct backend *b = c->balanced ? backend_of(w, c) : NULL;

	if (!b || !w->ending)
		return;
	b->live++;
	b->bytes_to_server += c->bytes_to_server;
	b->bytes_to_client += c->bytes_to_client;
}

/* Those that neither came up nor went. */
static void judge(struct backends *w)
{
	uint64_t now = wr_now();

	for (unsigned i = 0; i < TRACKED; i++) {
		const struct tracked *t = &w->conn[i];

		if (!t->backend || !t->at)
			continue;
		w->b[t->backend - 1].up += t->up;
		w->b[t->backend - 1].failed += !t->up && t->at + PATIENCE < now;
	}
}

static bool same_front(const struct backend *a, const struct backend *b)
{
	return a->proto == b->proto && a->front_port == b->front_port &&
	       !memcmp(&a->front, &b->front, sizeof(a->front));
}

static int by_front(const void *x, const void *y)
{
	const struct backend *a = x, *b = y;
	int d = memcmp(&a->front, &b->front, sizeof(a->front));

	if (!d)
		d = a->front_port - b->front_port;
	if (!d)
		d = a->proto - b->proto;
	if (!d)
		d = memcmp(&a->ip, &b->ip, sizeof(a->ip));
	return d ? d : a->port - b->port;
}

/* The backends of one frontend. True: one gets connections and answers none. */
static bool put(struct backends *w, const struct backend *b, unsigned k)
{
	uint64_t n[BACKENDS], sum = 0, to = wr_now() + (uint64_t)wr_utc_offset();
	bool found = false;
	unsigned busy = 0;
	double p;

	/* what gets nothing may have been taken out */
	for (unsigned i = 0; i < k; i++) {
		if (b[i].connections)
			sum += n[busy++] = b[i].connections;
	}
	p = wr_even_p(n, busy);
	for (unsigned i = 0; i < k; i++) {
		bool silent = b[i].failed && !b[i].up;
		struct wr_ev_backend r;

		WR_INIT(&r, backend);
		WR_SET(&r, backend, time, to);
		WR_SET(&r, backend, host, wr_str(w->v.host));
		WR_SET(&r, backend, transport, wr_str(wr_proto_name(b[i].proto)));
		WR_SET(&r, backend, front_ip, b[i].front);
		WR_SET(&r, backend, front_port, b[i].front_port);
		WR_SET(&r, backend, back_ip, b[i].ip);
		WR_SET(&r, backend, back_port, b[i].port);
		WR_SET(&r, backend, connections, b[i].connections);
		if (sum)
			WR_SET(&r, backend, share, (double)b[i].connections / (double)sum);
		WR_SET(&r, backend, failed, b[i].failed);
		WR_SET(&r, backend, moved, b[i].moved);
		WR_SET(&r, backend, live, b[i].live);
		if (b[i].bytes_to_server | b[i].bytes_to_client) {
			WR_SET(&r, backend, bytes_to_server, b[i].bytes_to_server);
			WR_SET(&r, backend, bytes_to_client, b[i].bytes_to_client);
		}
		if (p >= 0)
			WR_SET(&r, backend, even_p, p);
		WR_SET(&r, backend, verdict,
			!b[i].connections ? WR_STR("idle")
			: silent	  ? WR_STR("silent")
			: busy < 2	  ? WR_STR("single")
			: p < 0		  ? WR_STR("few")
			: p < 0.001	  ? WR_STR("uneven")
					  : WR_STR("even"));
		WR_SET(&r, backend, from, w->from);
		WR_SET(&r, backend, to, to);
		if (!wr_view_wants(&w->v, &r.ev))
			continue;
		found |= silent;
		wr_view_put(&w->v, &r.ev);
	}
	return found;
}

static void c_front(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_backend *r = (const void *)e;

	wr_buf_printf(b, "%.*s ", (int)r->transport.n, r->transport.p);
	wr_text(b, e, WR_I_backend_front_ip);
	wr_buf_printf(b, ":%" PRIu64, r->front_port);
}
static void c_back(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_backend_back_ip);
	wr_buf_printf(b, ":%" PRIu64, ((const struct wr_ev_backend *)(const void *)e)->back_port);
}
static void c_connections(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_backend_connections);
}
static void c_share(struct wr_buf *b, const struct wr_event *e)
{
	if (wr_ev_has(e, WR_I_backend_share))
		wr_buf_printf(
			b, "%.1f %%", 100 * ((const struct wr_ev_backend *)(const void *)e)->share);
}
static void c_failed(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_backend_failed);
}
static void c_moved(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_backend_moved);
}
static void c_live(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_backend_live);
}
static void c_verdict(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_backend_verdict);
}
static const struct wr_col cols[] = {{"FRONTEND", 22, false, 0, c_front},
	{"BACKEND", 18, false, 0, c_back}, {"NEW", 7, true, 0, c_connections},
	{"SHARE", 8, true, 1, c_share}, {"FAILED", 7, true, 0, c_failed},
	{"MOVED", 7, true, 3, c_moved}, {"LIVE", 7, true, 2, c_live},
	{"VERDICT", 8, false, 0, c_verdict}};

/* In the namespace that is asked for. An exit status + 1. */
static int watch(struct backends *w, int fd)
{
	int sig = wr_loop_signals();
	uint64_t end = wr_now() + (w->v.cfg.duration ? w->v.cfg.duration : WINDOW);
	int rc = wr_ct_dump(on_there, w);

	w->from = wr_now() + (uint64_t)wr_utc_offset();
	while (!rc && wr_now() < end && sig >= 0 && !wr_loop_signal(sig)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		poll(&p, 1, 50);
		rc = wr_ct_read(fd, on_event, w);
		if (rc == -ENOBUFS) {
			w->unseen++;
			rc = 0;
		}
	}
	w->ending = true;
	if (!rc)
		rc = wr_ct_dump(on_there, w);
	if (sig >= 0)
		close(sig);
	return rc ? 1 + wr_die(w->v.cmd, WR_EXIT_LACKS,
				"cannot read the table of tracked connections: %s", strerror(-rc))
		  : 0;
}

static int run(struct backends *w)
{
	int back = -1, in, fd, rc;

	if (w->v.netns) {
		in = wr_netns_open(w->v.netns);
		back = in < 0 ? in : wr_netns_enter(in);
		if (in >= 0)
			close(in);
		if (back < 0)
			return 1 + wr_die(w->v.cmd, WR_EXIT_LACKS,
					   "cannot enter the namespace '%s': %s", w->v.cfg.netns,
					   strerror(-back));
	}
	fd = wr_ct_open();
	rc = fd < 0 ? 1 + wr_die(w->v.cmd, WR_EXIT_LACKS,
				  "cannot ask for tracked connections: %s%s", strerror(-fd),
				  fd == -EPERM ? " (needs root)" : "")
		    : watch(w, fd);
	if (fd >= 0)
		close(fd);
	if (back >= 0)
		wr_netns_leave(back);
	return rc;
}

int wr_map_backends(int argc, char **argv)
{
	static struct backends w; /* large */
	struct wr_cmd cmd = wr_cmd_map;
	bool found = false;
	int n, rc;

	cmd.opts = &opts;
	rc = wr_view_init(&w.v, &cmd, WR_KIND_backend, WR_KIND_backend, NULL, argc, argv, &n);
	if (!rc && n != 1)
		rc = 1 + wr_die(w.v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[1]);
	w.v.cols = cols;
	w.v.n_cols = WR_N(cols);
	w.conn = wr_alloc(TRACKED * sizeof(*w.conn));
	w.client = wr_alloc(TRACKED * sizeof(*w.client));
	if (!rc && (!w.conn || !w.client))
		rc = 1 + wr_die(w.v.cmd, WR_EXIT_LACKS, "no memory");
	if (!rc)
		rc = run(&w);
	if (!rc) {
		judge(&w);
		qsort(w.b, w.n, sizeof(*w.b), by_front);
		w.v.netns = 0; /* the records are of it already */
		for (unsigned i = 0, k; i < w.n; i += k) {
			for (k = 1; i + k < w.n && same_front(&w.b[i], &w.b[i + k]); k++)
				;
			found |= put(&w, &w.b[i], k);
		}
		wr_view_flush(&w.v);
		if (w.unseen || w.more)
			fprintf(stderr,
				"weir map: events were lost %" PRIu64 " times, %" PRIu64
				" connections are of backends beyond the first %d\n",
				w.unseen, w.more, BACKENDS);
		if (!w.n && !w.v.cfg.json && !w.v.cfg.csv)
			fprintf(stderr, "weir map: nothing was sent on to a backend\n");
		rc = 1 + (found ? WR_EXIT_FOUND : WR_EXIT_OK);
	}
	free(w.conn);
	free(w.client);
	wr_view_free(&w.v);
	return rc ? rc - 1 : WR_EXIT_OK;
}
