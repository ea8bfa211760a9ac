// SPDX-License-Identifier: Apache-2.0
#include "cut.h"

#include "../../src/enrich/enrich.h"
#include "../../src/kern/kern.h"
#include "../../src/sys/proc.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define MAX_FDS 65536 /* of a process that are looked at */

struct rule {
	struct wr_cut_rule r;
	uint32_t id, slot;
	uint64_t made, until; /* UTC; boottime, 0: never */
	uint64_t start; /* of the process, by its number: another one may get it */
	uint64_t ended;
};

struct wr_cut {
	const char *host;
	struct wr_cut_kern *kern; /* NULL: nothing is blocked */
	struct wr_enrich *enrich; /* names of containers; made when one is asked for */
	struct rule *rule[WR_CUTK_RULES];
	unsigned n;
	bool used[WR_CUTK_RULES];
};

struct wr_cut *wr_cut_new(const char *host)
{
	struct wr_cut *b = wr_alloc(sizeof(*b));

	if (b)
		b->host = host;
	return b;
}

void wr_cut_free(struct wr_cut *b)
{
	if (!b)
		return;
	wr_cut_kern_close(b->kern);
	wr_enrich_free(b->enrich);
	for (unsigned i = 0; i < b->n; i++)
		free(b->rule[i]);
	free(b);
}

/* --- the language */

static int spare(struct wr_cut_rule *r, struct wr_str list)
{
	struct wr_str w;
	uint64_t pid;

	while (wr_next_word(&list, &w)) {
		if (wr_parse_u64(w, &pid) || pid > INT32_MAX)
			return -EINVAL;
		if (r->n_spare < WR_N(r->spare))
			r->spare[r->n_spare++] = (uint32_t)pid;
	}
	return 0;
}

int wr_cut_parse(struct wr_str rest, struct wr_cut_rule *r, struct wr_err *e)
{
	struct wr_str line = rest, w, v;
	uint64_t n;
	int rc = 0;

	*r = (struct wr_cut_rule){.ttl = 600ull * 1000000000u};
	for (;;) {
		w = wr_next_token(&rest);
		if (wr_str_eq(w, WR_STR("ttl"))) {
			v = wr_next_token(&rest);
			rc = wr_str_eq(v, WR_STR("0")) ? (r->ttl = 0, 0)
						       : wr_parse_duration(v, &r->ttl);
		} else if (wr_str_eq(w, WR_STR("spare"))) {
			v = wr_next_token(&rest);
			rc = spare(r, v);
		} else {
			break;
		}
		if (rc) {
			e->at = (size_t)(v.p - line.p);
			return wr_fail(e, -EINVAL, "'%.*s' is not a %s", (int)v.n, v.p,
				w.p[0] == 't' ? "duration (30s, 10m, 1h; 0: without end)"
					      : "list of processes");
		}
	}
	v = wr_next_token(&rest);
	e->at = (size_t)(v.p - line.p);
	if (!v.n || wr_next_token(&rest).n)
		return wr_fail(e, -EINVAL,
			"a block is about one process (a name or a pid), container or port");
	wr_copy(r->name, sizeof(r->name), v);
	if (wr_str_eq(w, WR_STR("process"))) {
		r->what = WR_CUT_PROCESS;
		if (!wr_parse_u64(v, &n)) {
			r->what = WR_CUT_PID;
			r->number = (uint32_t)n;
		}
		if (r->what == WR_CUT_PID && (n < 2 || n > INT32_MAX))
			return wr_fail(e, -EINVAL, "process %" PRIu64 " is not blocked", n);
		if (r->what == WR_CUT_PROCESS && v.n > 15)
			return wr_fail(e, -EINVAL,
				"the kernel's names of processes have at most 15 characters: '%.*s'",
				(int)v.n, v.p);
	} else if (wr_str_eq(w, WR_STR("container"))) {
		r->what = WR_CUT_CONTAINER;
	} else if (wr_str_eq(w, WR_STR("port"))) {
		r->what = WR_CUT_PORT;
		if (wr_parse_u64(v, &n) || !n || n > UINT16_MAX)
			return wr_fail(e, -EINVAL, "'%.*s' is not a port", (int)v.n, v.p);
		r->number = (uint32_t)n;
	} else {
		return wr_fail(e, -EINVAL,
			"a block is about a process, container or port, not '%.*s'", (int)w.n, w.p);
	}
	return 0;
}

/* --- sockets of a process, wherever its namespace is */

/* Which ones: 0 and NULL are any. */
struct which {
	uint16_t port;
	const struct wr_ip *peer;
};

/*
 * Ends it as its owner could: dissolving the association (connect(2), AF_UNSPEC) resets a connection, closes a
 * listener, and lets go of the peer of datagrams. No namespace is entered for that.
 */
static bool end_socket(int fd, const struct which *w)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage a, peer;
	struct tcp_info info;
	socklen_t n = sizeof(int), len = sizeof(a), ti = sizeof(info);
	int domain = 0, type = 0;
	struct wr_ip ip;
	bool has_peer;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) ||
		(domain != AF_INET && domain != AF_INET6))
		return false;
	n = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n))
		return false;
	/* sin_port and sin6_port are at the same place */
	if (w->port && (getsockname(fd, (struct sockaddr *)&a, &len) ||
			       ((const struct sockaddr_in *)&a)->sin_port != htons(w->port)))
		return false;
	len = sizeof(peer);
	has_peer = !getpeername(fd, (struct sockaddr *)&peer, &len) &&
		   wr_ip_of((struct sockaddr *)&peer, &ip);
	if (w->peer && (!has_peer || memcmp(&ip, w->peer, sizeof(ip)) != 0))
		return false;
	if (type == SOCK_STREAM &&
		(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &ti) || info.tcpi_state == TCP_CLOSE))
		return false;
	if (type != SOCK_STREAM && !has_peer)
		return false;
	return !connect(fd, &none, sizeof(none));
}

struct victim {
	int pidfd;
	const struct which *which;
	unsigned ended, looked;
};

static bool end_fd(void *ctx, int dir, const char *name)
{
	struct victim *v = ctx;
	char to[64];
	ssize_t n = readlinkat(dir, name, to, sizeof(to) - 1);
	uint64_t number;
	int fd;

	if (n >= 8 && !memcmp(to, "socket:[", 8) && !wr_parse_u64(wr_str(name), &number)) {
		fd = (int)syscall(SYS_pidfd_getfd, v->pidfd, (int)number, 0);
		if (fd >= 0) {
			v->ended += end_socket(fd, v->which);
			close(fd);
		}
	}
	return ++v->looked < MAX_FDS;
}

static unsigned end_sockets(uint32_t pid, const struct which *w)
{
	wr_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct victim v = {pidfd, w, 0, 0};

	if (pidfd >= 0)
		wr_each_fd(pid, end_fd, &v);
	return v.ended;
}

/* @r NULL: nobody asks. */
static bool is_spared(const struct wr_cut_rule *r, uint32_t pid)
{
	for (unsigned i = 0; r && i < r->n_spare; i++) {
		if (r->spare[i] == pid)
			return true;
	}
	return pid < 2 || pid == (uint32_t)getpid();
}

struct ending {
	struct which which;
	const struct wr_cut_rule *spare;
	unsigned ended;
};

static void end_of(void *ctx, uint32_t pid)
{
	struct ending *x = ctx;

	if (!is_spared(x->spare, pid))
		x->ended += end_sockets(pid, &x->which);
}

unsigned wr_cut_end(uint16_t port, const struct wr_ip *peer, const struct wr_cut_rule *spare)
{
	struct ending x = {{port, peer}, spare, 0};

	wr_each_process(end_of, &x);
	return x.ended;
}

/* --- who a rule is about */

struct sweep {
	struct wr_cut *b;
	struct rule *rule;
	struct wr_cut_entry entry;
	uint32_t n; /* processes that it is about */
	int rc;
};

static bool is_about(void *ctx, uint32_t pid)
{
	struct sweep *s = ctx;
	const struct wr_cut_rule *r = &s->rule->r;
	const struct wr_cgroup *c;
	struct wr_proc_stat p;
	uint64_t id;

	if (r->what == WR_CUT_PID)
		return pid == r->number && wr_proc_stat(pid, &p) && p.start == s->rule->start;
	if (r->what == WR_CUT_PROCESS)
		return wr_proc_stat(pid, &p) && !strcmp(p.comm, r->name);
	id = wr_enrich_group_of(s->b->enrich, pid);
	c = id ? wr_enrich_group(s->b->enrich, id) : NULL;
	if (!c || !c->container || strcmp(c->container, r->name) != 0)
		return false;
	/* also of what it starts from now on */
	s->rc = s->rc ? s->rc : wr_cut_kern_put(s->b->kern, WR_CUTK_GROUP, &id, &s->entry);
	return true;
}

/* First it gets nothing new, then what it has ends. */
static void sweep_one(void *ctx, uint32_t pid)
{
	struct sweep *s = ctx;

	if (is_spared(&s->rule->r, pid) || !is_about(s, pid))
		return;
	s->n++;
	s->rc = s->rc ? s->rc : wr_cut_kern_put(s->b->kern, WR_CUTK_PID, &pid, &s->entry);
	s->rule->ended += end_sockets(pid, &(struct which){0, NULL});
}

static int sweep(struct wr_cut *b, struct rule *rule, uint32_t *ret_n)
{
	struct sweep s = {b, rule, {.until = rule->until, .rule = rule->slot}, 0, 0};
	char name[16] = "";

	for (unsigned i = 0; i < rule->r.n_spare; i++)
		wr_cut_kern_put(b->kern, WR_CUTK_SPARE, &rule->r.spare[i], &s.entry);
	wr_cut_kern_put(b->kern, WR_CUTK_SPARE, &(uint32_t){(uint32_t)getpid()}, &s.entry);
	if (rule->r.what == WR_CUT_PROCESS) {
		wr_copy(name, sizeof(name), wr_str(rule->r.name));
		s.rc = wr_cut_kern_put(b->kern, WR_CUTK_NAME, name, &s.entry);
	}
	/* a number that another process has by now is not blocked any more */
	wr_cut_kern_prune(b->kern, rule->slot, is_about, &s);
	if (rule->r.what == WR_CUT_PID)
		sweep_one(&s, rule->r.number);
	else
		wr_each_process(sweep_one, &s);
	*ret_n = s.n;
	return s.rc;
}

static const char *what_of(const struct wr_cut_rule *r)
{
	return r->what == WR_CUT_CONTAINER ? "container"
	       : r->what == WR_CUT_PID	   ? "pid"
					   : "process";
}

static void take_out(struct wr_cut *b, unsigned i)
{
	struct rule *r = b->rule[i];

	wr_cut_kern_forget(b->kern, r->slot);
	b->used[r->slot] = false;
	b->rule[i] = b->rule[--b->n];
	free(r);
	if (!b->n) {
		wr_cut_kern_close(b->kern);
		b->kern = NULL;
		return;
	}
	/* what two rules are about, or spare, is still the other's */
	for (unsigned k = 0; k < b->n; k++) {
		uint32_t n;

		sweep(b, b->rule[k], &n);
	}
}

int wr_cut_add(struct wr_cut *b, const struct wr_cut_rule *r, uint32_t id, unsigned *ret_ended,
	struct wr_err *e)
{
	struct wr_proc_stat p = {.start = 0};
	char root[4096];
	struct rule *rule;
	uint32_t n = 0;
	int rc;

	if (b->n == WR_CUTK_RULES)
		return wr_fail(e, -E2BIG, "more than %d blocks", WR_CUTK_RULES);
	if (r->what == WR_CUT_PID && !wr_proc_stat(r->number, &p))
		return wr_fail(e, -ENOENT, "there is no process %u", r->number);
	if (r->what == WR_CUT_PID && is_spared(r, r->number))
		return wr_fail(e, -EINVAL, "process %u asks for this itself", r->number);
	if (!b->enrich && r->what == WR_CUT_CONTAINER) {
		wr_kern_find_cgroup2(root, sizeof(root));
		b->enrich = wr_enrich_new(root);
		if (!b->enrich)
			return wr_fail(e, -ENOMEM, "no memory");
	}
	if (!b->kern) {
		rc = wr_cut_kern_open(&b->kern, e);
		if (rc)
			return rc;
	}
	rule = wr_alloc(sizeof(*rule));
	if (!rule)
		return wr_fail(e, -ENOMEM, "no memory");
	rule->r = *r;
	rule->id = id;
	rule->made = wr_now() + (uint64_t)wr_utc_offset();
	rule->until = r->ttl ? wr_now() + r->ttl : 0;
	rule->start = p.start;
	while (b->used[rule->slot])
		rule->slot++;
	b->used[rule->slot] = true;
	b->rule[b->n++] = rule;
	rc = sweep(b, rule, &n);
	if (!rc && !n && r->what == WR_CUT_CONTAINER)
		rc = wr_fail(e, -ENOENT, "no process runs in a container '%s' here (`weir top`)",
			r->name);
	else if (rc)
		wr_fail(e, rc, "too many processes of it: %s", strerror(-rc));
	if (rc) {
		take_out(b, b->n - 1);
		return rc;
	}
	*ret_ended = (unsigned)rule->ended;
	return 0;
}

static void tell(const struct wr_cut *b, const struct rule *r, wr_sink_fn fn, void *ctx)
{
	struct wr_cut_hits c = {.hits = 0};
	uint64_t utc = (uint64_t)wr_utc_offset();
	struct wr_ev_rule ev;
	char text[300];

	if (b->kern)
		wr_cut_kern_count(b->kern, r->slot, &c);
	snprintf(text, sizeof(text), "%s = %s", what_of(&r->r), r->r.name);
	WR_INIT(&ev, rule);
	WR_SET(&ev, rule, time, wr_now() + utc);
	WR_SET(&ev, rule, host, wr_str(b->host));
	WR_SET(&ev, rule, id, r->id);
	WR_SET(&ev, rule, text, wr_str(text));
	WR_SET(&ev, rule, action, WR_STR("block"));
	WR_SET(&ev, rule, hits, c.hits);
	WR_SET(&ev, rule, ended, r->ended);
	if (c.last)
		WR_SET(&ev, rule, last, c.last + utc);
	WR_SET(&ev, rule, since, r->made);
	if (r->until)
		WR_SET(&ev, rule, expires, r->until + utc);
	fn(ctx, &ev.ev);
}

static void end_rule(struct wr_cut *b, unsigned i, wr_sink_fn ended, void *ctx)
{
	if (ended)
		tell(b, b->rule[i], ended, ctx);
	take_out(b, i);
}

bool wr_cut_clear(struct wr_cut *b, uint32_t id, wr_sink_fn ended, void *ctx)
{
	for (unsigned i = 0; i < b->n; i++) {
		if (b->rule[i]->id != id)
			continue;
		end_rule(b, i, ended, ctx);
		return true;
	}
	return false;
}

unsigned wr_cut_clear_all(struct wr_cut *b, wr_sink_fn ended, void *ctx)
{
	unsigned n = b->n;

	while (b->n)
		end_rule(b, b->n - 1, ended, ctx);
	return n;
}

unsigned wr_cut_count(const struct wr_cut *b)
{
	return b->n;
}

bool wr_cut_has(const struct wr_cut *b, uint32_t id)
{
	for (unsigned i = 0; i < b->n; i++) {
		if (b->rule[i]->id == id)
			return true;
	}
	return false;
}

void wr_cut_turn(struct wr_cut *b, wr_sink_fn ended, void *ctx)
{
	uint64_t now = wr_now();

	for (unsigned i = b->n; i-- > 0;) {
		if (b->rule[i]->until && b->rule[i]->until <= now)
			end_rule(b, i, ended, ctx);
	}
	for (unsigned i = 0; i < b->n; i++) {
		uint32_t n;

		sweep(b, b->rule[i], &n);
	}
}

void wr_cut_rules(struct wr_cut *b, wr_sink_fn fn, void *ctx)
{
	for (unsigned i = 0; i < b->n; i++)
		tell(b, b->rule[i], fn, ctx);
}
