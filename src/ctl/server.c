// SPDX-License-Identifier: Apache-2.0
#include "ctl.h"
#include "../base/log.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define MAX_REQUEST (WR_MAX_EXPR + 256)

struct client {
	struct wr_server *s;
	int fd; /* -1 = free */
	bool closing, trusted;
	struct wr_peer who;
	int kind; /* of a stream, -1 = none */
	struct wr_filter *filter;
	char request[MAX_REQUEST];
	size_t n_request;
	struct wr_buf out;
	size_t sent;
	uint64_t dropped;
};

struct wr_server {
	struct wr_loop *loop;
	struct wr_server_hooks h;
	int fd;
	struct client c[WR_MAX_CLIENTS];
	struct wr_server_stats stats;
	char path[108];
	bool owns;
};

static void client_close(struct client *c)
{
	wr_loop_del(c->s->loop, c->fd);
	close(c->fd);
	c->fd = -1;
	wr_filter_free(c->filter);
	c->filter = NULL;
	wr_buf_free(&c->out);
	c->s->stats.clients--;
}

static void flush(struct client *c)
{
	while (c->sent < c->out.n) {
		ssize_t n = send(
			c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			wr_loop_mod(c->s->loop, c->fd, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n <= 0) {
			client_close(c);
			return;
		}
		c->sent += (size_t)n;
	}
	c->out.n = c->sent = 0;
	if (c->closing)
		client_close(c);
	else
		wr_loop_mod(c->s->loop, c->fd, EPOLLIN);
}

static void queue(void *ctx, const struct wr_event *e)
{
	struct client *c = ctx;

	if ((int)e->kind != c->kind && c->kind >= 0 && e->kind != WR_KIND_loss)
		return;
	if (e->kind == (unsigned)c->kind && !wr_filter_match(c->filter, e))
		return;
	if (c->sent && c->sent == c->out.n)
		c->sent = c->out.n = 0;
	if (c->out.n > WR_MAX_CLIENT_QUEUE - WR_MAX_FRAME) {
		c->dropped++;
		c->s->stats.dropped++;
		return;
	}
	if (c->dropped) { /* say it as soon as there is room again */
		struct wr_ev_loss l;

		WR_INIT(&l, loss);
		WR_SET(&l, loss, time, wr_now() + (uint64_t)wr_utc_offset());
		WR_SET(&l, loss, where, WR_STR("client_queue"));
		WR_SET(&l, loss, reason, WR_STR("slow_client"));
		WR_SET(&l, loss, count, c->dropped);
		c->dropped = 0;
		wr_pack(&c->out, &l.ev);
	}
	wr_pack(&c->out, e);
	c->s->stats.sent++;
}

static struct wr_str word(struct wr_str *rest)
{
	struct wr_str w = {rest->p, 0};

	while (w.n < rest->n && rest->p[w.n] != ' ')
		w.n++;
	rest->p += w.n;
	rest->n -= w.n;
	while (rest->n && rest->p[0] == ' ') {
		rest->p++;
		rest->n--;
	}
	return w;
}

static void refuse(struct client *c, const char *why)
{
	wr_buf_printf(&c->out, "error: %s\n", why);
	c->closing = true;
}

static void stream(struct client *c, struct wr_str rest, bool live_first)
{
	struct wr_str kind = word(&rest), hash = word(&rest);
	char expr[WR_MAX_EXPR + 1];
	char want[20];
	struct wr_err e = {.text = ""};
	const char *why;
	int k;

	snprintf(want, sizeof(want), "%016" PRIx64, wr_schema_hash());
	if (!wr_str_eq(hash, wr_str(want))) {
		refuse(c, "the agent is another version (" WR_VERSION
			  "); restart it or use --standalone");
		return;
	}
	for (k = 0; k < WR_KINDS; k++) {
		if (wr_str_eq(kind, wr_str(wr_kinds[k].name)))
			break;
	}
	if (k == WR_KINDS) {
		refuse(c, "no such kind of record");
		return;
	}
	why = c->s->h.missing(c->s->h.ctx, (enum wr_kind_id)k);
	if (why) {
		refuse(c, why);
		return;
	}
	wr_copy(expr, sizeof(expr), rest);
	if (wr_filter_compile(&wr_kinds[k], expr, &c->filter, &e)) {
		refuse(c, e.text);
		return;
	}
	wr_buf_lit(&c->out, "ok\n");
	c->kind = k;
	if (live_first)
		c->s->h.snapshot(c->s->h.ctx, wr_str(wr_kinds[k].name), queue, c);
}

static void get(struct client *c, struct wr_str name)
{
	struct wr_buf t = WR_BUF(1 << 20);

	c->closing = true;
	if (wr_str_eq(name, WR_STR("sensors")) || wr_str_eq(name, WR_STR("counters")) ||
		wr_str_eq(name, WR_STR("rules"))) {
		wr_buf_lit(&c->out, "ok\n");
		c->kind = -1;
		c->s->h.snapshot(c->s->h.ctx, name, queue, c);
		return;
	}
	if (c->s->h.text(c->s->h.ctx, name, &t))
		refuse(c, "there is no such thing to get");
	else {
		wr_buf_lit(&c->out, "ok\n");
		wr_buf_str(&c->out, wr_buf_view(&t));
	}
	wr_buf_free(&t);
}

static void set(struct client *c, struct wr_str rest)
{
	struct wr_buf t = WR_BUF(1 << 20);
	struct wr_err e = {.text = "refused"};

	c->closing = true;
	if (!c->trusted) {
		refuse(c, "only root and the agent's user may change a running agent");
		return;
	}
	if (c->s->h.set(c->s->h.ctx, &c->who, rest, &t, &e)) {
		refuse(c, e.text);
	} else {
		wr_buf_lit(&c->out, "ok\n");
		wr_buf_str(&c->out, wr_buf_view(&t));
	}
	wr_buf_free(&t);
}

static void request(struct client *c)
{
	struct wr_str rest = {c->request, c->n_request}, verb = word(&rest);

	if (wr_str_eq(verb, WR_STR("stream")))
		stream(c, rest, true);
	else if (wr_str_eq(verb, WR_STR("watch")))
		stream(c, rest, false);
	else if (wr_str_eq(verb, WR_STR("get")))
		get(c, rest);
	else if (wr_str_eq(verb, WR_STR("set")))
		set(c, rest);
	else if (wr_str_eq(verb, WR_STR("hello"))) {
		wr_buf_printf(&c->out, "ok\nversion %s\nschema %016" PRIx64 "\npid %d\n",
			WR_VERSION, wr_schema_hash(), (int)getpid());
		c->closing = true;
	} else {
		refuse(c, "unknown request");
	}
}

static void on_client(void *ctx, uint32_t events)
{
	struct client *c = ctx;
	char *nl;
	ssize_t n;

	if (events & EPOLLIN) {
		if (c->kind >= 0 || c->closing) { /* a stream: anything but the end is noise */
			char junk[256];

			n = recv(c->fd, junk, sizeof(junk), MSG_DONTWAIT);
			if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
				client_close(c);
				return;
			}
		} else {
			n = recv(c->fd, c->request + c->n_request,
				sizeof(c->request) - c->n_request, MSG_DONTWAIT);
			if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
				client_close(c);
				return;
			}
			if (n > 0)
				c->n_request += (size_t)n;
			nl = memchr(c->request, '\n', c->n_request);
			if (nl) {
				c->n_request = (size_t)(nl - c->request);
				request(c);
			} else if (c->n_request == sizeof(c->request)) {
				refuse(c, "the request is too long");
			}
		}
	} else if (events & (EPOLLHUP | EPOLLERR)) {
		client_close(c);
		return;
	}
	flush(c);
}

static void on_accept(void *ctx, uint32_t events)
{
	struct wr_server *s = ctx;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct client *c = NULL;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	for (unsigned i = 0; i < WR_MAX_CLIENTS && !c; i++) {
		if (s->c[i].fd < 0)
			c = &s->c[i];
	}
	if (!c || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len)) {
		static const char full[] = "error: the agent has too many clients\n";

		s->stats.refused++;
		if (send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			wr_log(ctl, WR_DEBUG, "cannot tell a client that it is refused");
		close(fd);
		return;
	}
	*c = (struct client){.s = s, .fd = fd, .kind = -1, .out = WR_BUF(WR_MAX_CLIENT_QUEUE)};
	c->who = (struct wr_peer){cred.uid, (uint32_t)cred.pid};
	c->trusted = cred.uid == 0 || cred.uid == geteuid();
	s->stats.clients++;
	if (wr_loop_add(s->loop, fd, EPOLLIN, on_client, c)) {
		s->stats.clients--;
		close(fd);
		c->fd = -1;
	}
}

int wr_server_open(const char *path, struct wr_loop *l, const struct wr_server_hooks *h,
	struct wr_server **ret, struct wr_err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct wr_server *s;
	int fd, rc;

	if (strlen(path) >= sizeof(a.sun_path))
		return wr_fail(e, -ENAMETOOLONG, "the socket path '%s' is too long", path);
	wr_copy(a.sun_path, sizeof(a.sun_path), wr_str(path));
	fd = wr_client_open(path, "hello\n", NULL);
	if (fd >= 0) {
		close(fd);
		return wr_fail(e, -EADDRINUSE,
			"an agent already answers on %s; `weir ctl stop` ends it, --socket gives this one another place",
			path);
	}
	rc = wr_make_folder_of(path);
	if (rc)
		return wr_fail(e, rc, "cannot make the folder of %s: %s", path, strerror(-rc));
	s = wr_alloc(sizeof(*s));
	if (!s)
		return wr_fail(e, -ENOMEM, "no memory");
	for (unsigned i = 0; i < WR_MAX_CLIENTS; i++)
		s->c[i].fd = -1;
	s->loop = l;
	s->h = *h;
	wr_copy(s->path, sizeof(s->path), wr_str(path));
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path); /* of an agent that was killed */
	if (s->fd < 0 || bind(s->fd, (void *)&a, sizeof(a)) || chmod(path, 0660) ||
		listen(s->fd, 16)) {
		rc = -errno;
		wr_fail(e, rc, "cannot listen on %s: %s", path, strerror(errno));
		wr_server_close(s);
		return rc;
	}
	s->owns = true;
	rc = wr_loop_add(l, s->fd, EPOLLIN, on_accept, s);
	if (rc) {
		wr_server_close(s);
		return wr_fail(e, rc, "cannot watch %s", path);
	}
	*ret = s;
	return 0;
}

void wr_server_close(struct wr_server *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < WR_MAX_CLIENTS; i++) {
		if (s->c[i].fd >= 0) {
			flush(&s->c[i]);
			if (s->c[i].fd >= 0)
				client_close(&s->c[i]);
		}
	}
	if (s->fd >= 0) {
		wr_loop_del(s->loop, s->fd);
		close(s->fd);
	}
	if (s->owns)
		unlink(s->path);
	free(s);
}

void wr_server_publish(struct wr_server *s, const struct wr_event *e)
{
	if (!s || !s->stats.clients)
		return;
	for (unsigned i = 0; i < WR_MAX_CLIENTS; i++) {
		struct client *c = &s->c[i];

		if (c->fd < 0 || c->kind < 0 || c->closing)
			continue;
		queue(c, e);
		if (c->out.n - c->sent > 65536)
			flush(c);
		else if (c->out.n && !c->sent)
			wr_loop_mod(s->loop, c->fd,
				EPOLLIN | EPOLLOUT); /* at the next turn, together */
	}
}

void wr_server_stats(const struct wr_server *s, struct wr_server_stats *ret)
{
	*ret = s->stats;
}
