// SPDX-License-Identifier: Apache-2.0
#include "../sys/diag.h"
#include "../sys/netns.h"
#include "../sys/netstat.h"
#include "../sys/proc.h"
#include "../sys/rtnl.h"
#include "view.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <sys/stat.h>

#define MAX_QUEUES 65536
#define MAX_LINKS 256
#define MAX_QDISCS 1024
#define WINDOW 1000000000ull /* between two looks: what is refused meanwhile is new */
#define SYN_RECV 12 /* TCP_NEW_SYN_RECV: a request socket */

struct queues_config {
	bool all;
	uint64_t every;
};
#define O(field) offsetof(struct queues_config, field)
static const struct wr_opt rows[] = {
	{"all", 'a', WR_OPT_BOOL, O(all), NULL, NULL, "empty ones too", 0, 0},
	{"every", 0, WR_OPT_DURATION, O(every), NULL, "TIME", "again and again", 0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

enum queue_kind { ACCEPT, HALF_OPEN, RECEIVE, SEND, MEMORY, QDISC, BACKLOG, DEVICE };
static const char *const kind_names[] = {
	"accept", "half_open", "receive", "send", "memory", "qdisc", "backlog", "device"};

struct queue {
	uint8_t kind, proto;
	uint64_t netns, length, limit, bytes, drops, new_drops, squeezed, overlimits, retries;
	uint32_t inode, uid, cpu, pid, sub; /* sub: which of several qdiscs of an interface */
	struct wr_ip ip, peer;
	uint16_t port, peer_port;
	char type[16], ifname[WR_IFNAME + 1], counters[96];
};

struct list {
	struct queue *q;
	unsigned n, cap;
	uint64_t not_kept;
};

/* Counters that tell of a lack of memory. */
struct lack {
	uint64_t pressures, pressed_ms, pruned, aborted, udp, fragments, fragments6;
};

struct queues {
	struct wr_view v;
	struct queues_config o;
	struct list was, now;
	uint64_t netns; /* that is being looked at */
	struct lack lack; /* of all that were looked at */
	uint64_t pressure[2]; /* bytes of TCP, of UDP from which on the kernel is sparing */
};

static void add(struct list *l, const struct queue *q)
{
	if (l->n == l->cap) {
		unsigned cap = l->cap ? l->cap * 2 : 256;
		void *p = cap <= MAX_QUEUES ? wr_realloc(l->q, cap * sizeof(*l->q)) : NULL;

		if (!p) {
			l->not_kept++;
			return;
		}
		l->q = p;
		l->cap = cap;
	}
	l->q[l->n++] = *q;
}

static void on_socket(void *ctx, const struct wr_diag_sock *s)
{
	struct queues *w = ctx;
	struct queue q = {.netns = w->netns,
		.proto = s->proto,
		.ip = s->ip,
		.peer = s->peer,
		.port = s->port,
		.peer_port = s->peer_port,
		.inode = s->inode,
		.uid = s->uid};
	bool tcp = s->proto == IPPROTO_TCP;

	wr_copy(q.type, sizeof(q.type), tcp ? WR_STR("tcp") : WR_STR("udp"));
	if (tcp && s->state == TCP_LISTEN) {
		q.kind = ACCEPT;
		q.length = s->rqueue;
		q.limit = s->wqueue;
		q.drops = s->drops;
		add(&w->now, &q);
		return;
	}
	if (tcp && (s->state == TCP_SYN_RECV || s->state == SYN_RECV)) {
		q.kind = HALF_OPEN;
		q.length = 1;
		q.retries = s->retries;
		add(&w->now, &q);
		return;
	}
	if (!s->memory)
		return;
	q.kind = RECEIVE;
	q.length = s->rmem;
	q.bytes = s->rqueue;
	q.limit = s->rcvbuf;
	q.drops = s->drops;
	add(&w->now, &q);
	q.kind = SEND;
	q.length = s->wmem;
	q.bytes = s->wqueue;
	q.limit = s->sndbuf;
	q.drops = 0;
	add(&w->now, &q);
}

/* What a device lost before there was a packet that the kernel could drop: its rings, its checks. */
static void add_device(struct queues *w, const struct wr_link *l)
{
	const struct wr_link_lost *n = &l->lost;
	struct queue q = {.kind = DEVICE,
		.netns = w->netns,
		.drops = n->rx_errors + n->rx_dropped + n->rx_missed};

	wr_copy(q.ifname, sizeof(q.ifname), wr_str(l->name));
	wr_copy(q.type, sizeof(q.type), WR_STR("receive"));
	snprintf(q.counters, sizeof(q.counters),
		"errors %" PRIu64 " (crc %" PRIu64 "), dropped %" PRIu64 ", missed %" PRIu64,
		n->rx_errors, n->rx_crc, n->rx_dropped, n->rx_missed);
	add(&w->now, &q);
	q.sub = 1;
	q.drops = n->tx_errors + n->tx_dropped;
	wr_copy(q.type, sizeof(q.type), WR_STR("transmit"));
	snprintf(q.counters, sizeof(q.counters), "errors %" PRIu64 ", dropped %" PRIu64,
		n->tx_errors, n->tx_dropped);
	add(&w->now, &q);
}

static void look_devices(struct queues *w)
{
	wr_free_ struct wr_link *links = wr_alloc(MAX_LINKS * sizeof(*links));
	wr_free_ struct wr_qdisc *qdiscs = wr_alloc(MAX_QDISCS * sizeof(*qdiscs));
	int fd = wr_rtnl_open();
	int n_links = fd < 0 || !links ? 0 : wr_rtnl_links(fd, links, MAX_LINKS);
	int n = fd < 0 || !qdiscs ? 0 : wr_rtnl_qdiscs(fd, qdiscs, MAX_QDISCS);

	for (int i = 0; i < n; i++) {
		struct queue q = {.kind = QDISC,
			.netns = w->netns,
			.length = qdiscs[i].qlen,
			.bytes = qdiscs[i].backlog,
			.drops = qdiscs[i].drops,
			.overlimits = qdiscs[i].overlimits,
			.sub = qdiscs[i].handle};

		if (!strcmp(qdiscs[i].kind, "noqueue"))
			continue;
		wr_copy(q.type, sizeof(q.type), wr_str(qdiscs[i].kind));
		for (int k = 0; k < n_links; k++) {
			if (links[k].index == qdiscs[i].ifindex)
				wr_copy(q.ifname, sizeof(q.ifname), wr_str(links[k].name));
		}
		add(&w->now, &q);
	}
	for (int i = 0; i < n_links; i++)
		add_device(w, &links[i]);
	if (fd >= 0)
		close(fd);
}

static void on_counter(void *ctx, struct wr_str prefix, struct wr_str name, uint64_t v)
{
	static const struct {
		const char *prefix, *name;
		size_t to;
	} counters[] = {{"TcpExt", "TCPMemoryPressures", offsetof(struct lack, pressures)},
		{"TcpExt", "TCPMemoryPressuresChrono", offsetof(struct lack, pressed_ms)},
		{"TcpExt", "RcvPruned", offsetof(struct lack, pruned)},
		{"TcpExt", "OfoPruned", offsetof(struct lack, pruned)},
		{"TcpExt", "TCPAbortOnMemory", offsetof(struct lack, aborted)},
		{"Udp", "MemErrors", offsetof(struct lack, udp)},
		{"Ip", "ReasmFails", offsetof(struct lack, fragments)},
		{"", "Ip6ReasmFails", offsetof(struct lack, fragments6)}};

	for (unsigned i = 0; i < WR_N(counters); i++) {
		if (wr_str_eq(prefix, wr_str(counters[i].prefix)) &&
			wr_str_eq(name, wr_str(counters[i].name)))
			*(uint64_t *)(void *)((char *)ctx + counters[i].to) += v;
	}
}

static void add_memory(struct queues *w, const char *type, uint64_t netns, uint64_t length,
	uint64_t limit, uint64_t drops)
{
	struct queue q = {.kind = MEMORY,
		.netns = netns,
		.length = length,
		.limit = limit,
		.drops = drops,
		.sub = (uint32_t)type[0] << 8 | (uint32_t)type[strlen(type) - 1]};

	wr_copy(q.type, sizeof(q.type), wr_str(type));
	if (!strcmp(type, "tcp"))
		snprintf(q.counters, sizeof(q.counters),
			"pressure %" PRIu64 " times, %" PRIu64 " ms; pruned %" PRIu64
			", aborted %" PRIu64,
			w->lack.pressures, w->lack.pressed_ms, w->lack.pruned, w->lack.aborted);
	add(&w->now, &q);
}

/* Fragments have a limit in each namespace. */
static void look_fragments(struct queues *w)
{
	const struct lack before = w->lack;

	wr_netstat_each(on_counter, &w->lack);
	add_memory(w, "fragments", w->netns, wr_sockstat("FRAG", "memory"),
		wr_proc_number("/proc/sys/net/ipv4/ipfrag_high_thresh", 0),
		w->lack.fragments - before.fragments);
	add_memory(w, "fragments6", w->netns, wr_sockstat("FRAG6", "memory"),
		wr_proc_number("/proc/sys/net/ipv6/ip6frag_high_thresh", 0),
		w->lack.fragments6 - before.fragments6);
}

/* TCP and UDP have one for the whole host: "low pressure high", in pages (ip-sysctl.rst). */
static void look_protocol(struct queues *w, const char *type, const char *of, const char *path,
	uint64_t drops, uint64_t *ret_pressure)
{
	const uint64_t page = (uint64_t)getpagesize();
	unsigned long long low = 0, pressure = 0, high = 0;
	FILE *f = fopen(path, "re");

	if (f && fscanf(f, "%llu %llu %llu", &low, &pressure, &high) == 3) {
		*ret_pressure = pressure * page;
		add_memory(w, type, w->v.netns, wr_sockstat(of, "mem") * page, high * page, drops);
	}
	if (f)
		fclose(f);
}

static void on_netns(void *ctx, uint64_t inode, int fd)
{
	struct queues *w = ctx;
	int back;

	if (w->v.netns && w->v.netns != inode)
		return;
	back = wr_netns_enter(fd);
	if (back < 0)
		return;
	w->netns = inode;
	wr_diag_each(on_socket, w);
	look_fragments(w);
	look_devices(w);
	wr_netns_leave(back);
}

/* Documentation/networking/scaling.rst, net/core/net-procfs.c: softnet_seq_show() */
static void look_backlogs(struct queues *w)
{
	FILE *f = fopen("/proc/net/softnet_stat", "re");
	uint64_t max = wr_proc_number("/proc/sys/net/core/netdev_max_backlog", 0);
	unsigned v[13];

	for (uint32_t line = 0; f && fscanf(f, "%x %x %x %x %x %x %x %x %x %x %x %x %x%*[^\n]",
					     &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7],
					     &v[8], &v[9], &v[10], &v[11], &v[12]) == 13;
		line++) {
		struct queue q = {.kind = BACKLOG,
			.length = v[11],
			.limit = max,
			.drops = v[1],
			.squeezed = v[2],
			.cpu = v[12]};

		add(&w->now, &q);
	}
	if (f)
		fclose(f);
}

static bool same(const struct queue *a, const struct queue *b)
{
	return a->kind == b->kind && a->netns == b->netns && a->proto == b->proto &&
	       a->inode == b->inode && a->cpu == b->cpu && a->sub == b->sub && a->port == b->port &&
	       a->peer_port == b->peer_port && !strcmp(a->ifname, b->ifname) &&
	       !memcmp(&a->ip, &b->ip, 16) && !memcmp(&a->peer, &b->peer, 16);
}

/* What the queue had refused at the last look; the lists are in about the same order. */
static uint64_t drops_before(const struct list *was, const struct queue *q, unsigned hint)
{
	for (unsigned i = 0; i < was->n; i++) {
		const struct queue *o = &was->q[(hint + i) % was->n];

		if (same(o, q))
			return o->drops;
	}
	return q->drops; /* it is new: what it refused before it was seen is not new */
}

static void look(struct queues *w)
{
	struct list empty = {NULL, 0, 0, 0};

	free(w->was.q);
	w->was = w->now;
	w->now = empty;
	w->lack = (struct lack){.pressures = 0};
	if (!w->v.netns)
		look_backlogs(w);
	wr_netns_each(on_netns, w);
	look_protocol(w, "tcp", "TCP", "/proc/sys/net/ipv4/tcp_mem",
		w->lack.pruned + w->lack.aborted, &w->pressure[0]);
	look_protocol(w, "udp", "UDP", "/proc/sys/net/ipv4/udp_mem", w->lack.udp, &w->pressure[1]);
	for (unsigned i = 0; i < w->now.n; i++) {
		struct queue *q = &w->now.q[i];

		if (q->drops)
			q->new_drops = q->drops - drops_before(&w->was, q, i);
	}
}

static int by_inode(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

struct owners {
	struct queue **shown;
	uint32_t *wanted; /* inodes, sorted */
	unsigned n, n_wanted;
	uint32_t pid; /* that is looked at */
};

static bool owner_of(void *ctx, int dir, const char *name)
{
	struct owners *o = ctx;
	char to[64];
	ssize_t len = readlinkat(dir, name, to, sizeof(to) - 1);
	uint32_t inode;

	if (len < 9 || memcmp(to, "socket:[", 8) != 0)
		return true;
	to[len] = 0;
	inode = (uint32_t)strtoul(to + 8, NULL, 10);
	if (!bsearch(&inode, o->wanted, o->n_wanted, sizeof(*o->wanted), by_inode))
		return true;
	for (unsigned i = 0; i < o->n; i++) {
		if (o->shown[i]->inode == inode && !o->shown[i]->pid)
			o->shown[i]->pid = o->pid;
	}
	return true;
}

static void owners_of(void *ctx, uint32_t pid)
{
	struct owners *o = ctx;

	o->pid = pid;
	wr_each_fd(pid, owner_of, o);
}

/* Which process has which of these sockets: /proc is walked once. */
static void find_owners(struct queue **shown, unsigned n)
{
	struct owners o = {shown, wr_alloc((n + 1) * sizeof(*o.wanted)), n, 0, 0};

	for (unsigned i = 0; o.wanted && i < n; i++) {
		if (shown[i]->inode)
			o.wanted[o.n_wanted++] = shown[i]->inode;
	}
	if (o.n_wanted) {
		qsort(o.wanted, o.n_wanted, sizeof(*o.wanted), by_inode);
		wr_each_process(owners_of, &o);
	}
	free(o.wanted);
}

static double fill(const struct queue *q)
{
	return q->limit ? (double)q->length / (double)q->limit : 0;
}

/* Which one needs a look first: what refuses now, then what is fullest. */
static int worst_first(const void *a, const void *b)
{
	const struct queue *x = *(struct queue *const *)a, *y = *(struct queue *const *)b;

	if (!x->new_drops != !y->new_drops)
		return x->new_drops ? -1 : 1;
	if (fill(x) != fill(y))
		return fill(x) > fill(y) ? -1 : 1;
	return x->length > y->length ? -1 : x->length < y->length;
}

struct names {
	char process[32], exe[256], where[64];
};

static void read_names(const struct queue *q, struct names *n)
{
	char path[64];
	ssize_t len;
	FILE *f;

	n->process[0] = n->exe[0] = n->where[0] = 0;
	if (q->netns)
		wr_netns_name(q->netns, n->where, sizeof(n->where));
	else if (q->kind == MEMORY)
		snprintf(n->where, sizeof(n->where), "the host");
	else
		snprintf(n->where, sizeof(n->where), "CPU %u", q->cpu);
	if (!q->pid)
		return;
	snprintf(path, sizeof(path), "/proc/%u/comm", q->pid);
	f = fopen(path, "re");
	if (f && fgets(n->process, sizeof(n->process), f))
		n->process[strcspn(n->process, "\n")] = 0;
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/proc/%u/exe", q->pid);
	len = readlink(path, n->exe, sizeof(n->exe) - 1);
	n->exe[len > 0 ? len : 0] = 0;
}

static void put_queue(struct queues *w, const struct queue *q)
{
	const struct passwd *u;
	struct wr_ev_queue r;
	struct names n;

	read_names(q, &n);
	WR_INIT(&r, queue);
	WR_SET(&r, queue, time, wr_now() + (uint64_t)wr_utc_offset());
	WR_SET(&r, queue, host, wr_str(w->v.host));
	if (q->netns)
		WR_SET(&r, queue, netns, q->netns);
	WR_SET(&r, queue, queue, wr_str(kind_names[q->kind]));
	if (q->kind != DEVICE)
		WR_SET(&r, queue, length, q->length);
	if (q->limit) {
		WR_SET(&r, queue, limit, q->limit);
		WR_SET(&r, queue, fill, fill(q));
	}
	WR_SET(&r, queue, unit,
		q->kind <= HALF_OPEN ? WR_STR("connections")
		: q->kind <= MEMORY  ? WR_STR("bytes")
				     : WR_STR("packets"));
	if (q->kind == RECEIVE || q->kind == SEND || q->kind == QDISC)
		WR_SET(&r, queue, bytes, q->bytes);
	if (q->kind != SEND && q->kind != HALF_OPEN) {
		WR_SET(&r, queue, drops, q->drops);
		WR_SET(&r, queue, new_drops, q->new_drops);
	}
	if (q->type[0])
		WR_SET(&r, queue, type, wr_str(q->type));
	WR_SET(&r, queue, where, wr_str(n.where));
	if (q->kind == BACKLOG) {
		WR_SET(&r, queue, squeezed, q->squeezed);
		WR_SET(&r, queue, cpu, q->cpu);
	} else if (q->kind == MEMORY) {
		if (q->counters[0])
			WR_SET(&r, queue, counters, wr_str(q->counters));
	} else if (q->kind == DEVICE) {
		WR_SET(&r, queue, counters, wr_str(q->counters));
		WR_SET(&r, queue, interface, wr_str(q->ifname));
	} else if (q->kind == QDISC) {
		WR_SET(&r, queue, overlimits, q->overlimits);
		WR_SET(&r, queue, interface, wr_str(q->ifname));
	} else {
		WR_SET(&r, queue, ip, q->ip);
		WR_SET(&r, queue, port, q->port);
		if (q->peer_port) {
			WR_SET(&r, queue, peer_ip, q->peer);
			WR_SET(&r, queue, peer_port, q->peer_port);
		}
		u = getpwuid(q->uid);
		if (u && q->inode)
			WR_SET(&r, queue, owner_user, wr_str(u->pw_name));
	}
	if (q->kind == HALF_OPEN)
		WR_SET(&r, queue, retries, q->retries);
	if (q->pid) {
		WR_SET(&r, queue, owner_pid, q->pid);
		WR_SET(&r, queue, owner_process, wr_str(n.process));
		if (n.exe[0])
			WR_SET(&r, queue, owner_exe, wr_str(n.exe));
	}
	if (wr_view_wants(&w->v, &r.ev))
		wr_view_put(&w->v, &r.ev);
}

/* Memory of a protocol is never empty: it is told from the pressure mark on. */
static bool is_empty(const struct queues *w, const struct queue *q)
{
	if (q->kind == MEMORY && !strcmp(q->type, "tcp"))
		return q->length < w->pressure[0];
	if (q->kind == MEMORY && !strcmp(q->type, "udp"))
		return q->length < w->pressure[1];
	return !q->length;
}

static void put(struct queues *w)
{
	struct queue **shown = wr_alloc((w->now.n + 1) * sizeof(*shown));
	unsigned n = 0;

	if (!shown)
		return;
	for (unsigned i = 0; i < w->now.n; i++) {
		struct queue *q = &w->now.q[i];

		if (w->o.all || !is_empty(w, q) || q->new_drops)
			shown[n++] = q;
	}
	if (n)
		qsort(shown, n, sizeof(*shown), worst_first);
	find_owners(shown, n);
	for (unsigned i = 0; i < n; i++)
		put_queue(w, shown[i]);
	if (!n && !w->v.cfg.json && !w->v.cfg.csv)
		fprintf(stderr, "every queue is empty, and none refused anything\n");
	if (w->now.not_kept)
		fprintf(stderr, "weir queues: %" PRIu64 " queues found no room (%d)\n",
			w->now.not_kept, MAX_QUEUES);
	free(shown);
	wr_view_flush(&w->v);
}

static void c_queue(struct wr_buf *b, const struct wr_event *e)
{
	wr_text(b, e, WR_I_queue_queue);
}
static void amount(struct wr_buf *b, const struct wr_ev_queue *r, uint64_t v)
{
	if (wr_str_eq(r->unit, WR_STR("bytes")))
		wr_human_bytes(b, v);
	else
		wr_buf_u64(b, v);
}
static void c_length(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_queue *r = (const void *)e;

	if (wr_ev_has(e, WR_I_queue_length))
		amount(b, r, r->length);
}
static void c_limit(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_queue *r = (const void *)e;

	if (wr_ev_has(e, WR_I_queue_limit))
		amount(b, r, r->limit);
}
static void c_fill(struct wr_buf *b, const struct wr_event *e)
{
	if (wr_ev_has(e, WR_I_queue_fill))
		wr_buf_printf(
			b, "%.0f %%", ((const struct wr_ev_queue *)(const void *)e)->fill * 100);
}
static void c_drops(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_queue *r = (const void *)e;

	if (r->new_drops)
		wr_buf_printf(b, "+%" PRIu64, r->new_drops);
	else if (r->drops)
		wr_buf_u64(b, r->drops);
}
static void c_owner(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_queue *r = (const void *)e;

	if (r->owner_process.n)
		wr_buf_printf(b, "%.*s/%" PRIu64, (int)r->owner_process.n, r->owner_process.p,
			r->owner_pid);
}
static void c_where(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_ev_queue *r = (const void *)e;

	if (wr_ev_has(e, WR_I_queue_ip)) {
		wr_buf_str(b, r->type);
		wr_buf_c(b, ' ');
		wr_cell_addr(b, &r->ip, r->port);
		if (wr_ev_has(e, WR_I_queue_peer_ip)) {
			wr_buf_lit(b, " - ");
			wr_cell_addr(b, &r->peer_ip, r->peer_port);
		}
		wr_buf_lit(b, " in ");
	} else if (wr_str_eq(r->queue, WR_STR("memory"))) {
		wr_buf_printf(b, "%.*s in ", (int)r->type.n, r->type.p);
	} else if (r->interface.n) {
		wr_buf_printf(b, "%.*s of %.*s in ", (int)r->type.n, r->type.p, (int)r->interface.n,
			r->interface.p);
	}
	wr_buf_str(b, r->where);
	if (r->counters.n)
		wr_buf_printf(b, ": %.*s", (int)r->counters.n, r->counters.p);
	if (r->squeezed)
		wr_buf_printf(b, ", squeezed %" PRIu64 " times", r->squeezed);
}

static const struct wr_col cols[] = {
	{"QUEUE", 9, false, 0, c_queue},
	{"LENGTH", 8, true, 0, c_length},
	{"LIMIT", 8, true, 2, c_limit},
	{"FILL", 5, true, 0, c_fill},
	{"DROPS", 7, true, 1, c_drops},
	{"OWNER", 18, false, 3, c_owner},
	{"WHERE", 30, false, 0, c_where},
};

static int run(int argc, char **argv)
{
	static struct queues w;
	uint64_t end;
	int n, sig = -1,
	       rc = wr_view_init(
		       &w.v, &wr_cmd_queues, WR_KIND_queue, WR_KIND_queue, &w.o, argc, argv, &n);

	if (!rc && n)
		rc = 1 + wr_die(w.v.cmd, WR_EXIT_USAGE,
				 "unexpected argument '%s'; a filter goes behind -w", argv[0]);
	if (!rc && geteuid())
		rc = 1 +
		     wr_die(w.v.cmd, WR_EXIT_LACKS,
			     "looking into other namespaces and at other users' sockets needs root");
	if (rc)
		goto out;
	w.v.cols = cols;
	w.v.n_cols = WR_N(cols);
	sig = wr_loop_signals();
	look(&w);
	end = wr_now() + (w.v.cfg.duration   ? w.v.cfg.duration
				 : w.o.every ? UINT64_MAX / 2
					     : WINDOW);
	do {
		uint64_t next = wr_min(end, wr_now() + (w.o.every ? w.o.every : end - wr_now()));

		while (wr_now() < next && !w.v.done && sig >= 0 && !wr_loop_signal(sig))
			usleep((useconds_t)wr_min((next - wr_now()) / 1000 + 1, (uint64_t)50000));
		if (wr_now() < next)
			break; /* Ctrl-C */
		look(&w);
		w.v.head = w.v.head && !w.v.tty;
		put(&w);
	} while (w.o.every && wr_now() < end && !w.v.done);
out:
	if (sig >= 0)
		close(sig);
	free(w.was.q);
	free(w.now.q);
	wr_view_free(&w.v);
	return rc ? rc - 1 : WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_queues = {
	.name = "queues",
	.args = "",
	.help = "every queue: what is in it, how full it is, what it refused, whose it is",
	.more = "Of all namespaces: accept queues of listeners, half-open connections with their peer, receive and send\n"
		"buffers of sockets (with the kernel's overhead, as the limit counts), what TCP, UDP and fragments hold of the\n"
		"memory that they may (tcp_mem, udp_mem: of the whole host), queueing disciplines of interfaces, what\n"
		"devices lost by their own counters (rings, checksums: no drop of the kernel tells of it), backlogs of CPUs.\n"
		"Looks twice, a second apart: what was refused meanwhile comes first, then what is fullest;\n"
		"--all shows the empty ones too. Needs root; no agent and no sensor is needed.",
	.examples = "  weir queues\n"
		    "  weir queues --all -w 'queue = accept'\n"
		    "  weir queues --every 1s -w 'fill > 0.8 or new_drops > 0'\n"
		    "  weir queues --json -w 'queue = half_open'",
	.opts = &opts,
	.view = true,
	.run = run,
};
