// SPDX-License-Identifier: Apache-2.0
#include "ctl.h"

#include <sys/socket.h>
#include <sys/un.h>

static int send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -errno;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* The answer's first line, a byte at a time, so that nothing of the frames is taken. */
static int answer(int fd, char *line, size_t max)
{
	size_t n = 0;

	while (n + 1 < max) {
		ssize_t k = recv(fd, line + n, 1, 0);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -EPIPE;
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = 0;
	return 0;
}

int wr_client_open(const char *path, const char *line, struct wr_err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = 5};
	char reply[600];
	int fd, rc;

	if (!wr_copy(a.sun_path, sizeof(a.sun_path), wr_str(path)))
		return wr_fail(e, -ENAMETOOLONG, "the socket path '%s' is too long", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(fd, (void *)&a, sizeof(a))) {
		rc = errno == ECONNREFUSED ? -ENOENT : -errno;
		close(fd);
		return wr_fail(e, rc,
			rc == -EACCES ? "the agent on %s lets only root in"
				      : "no agent answers on %s",
			path);
	}
	rc = send_all(fd, line, strlen(line));
	if (!rc)
		rc = answer(fd, reply, sizeof(reply));
	if (rc) {
		close(fd);
		return wr_fail(e, -EPROTO, "the agent on %s does not answer", path);
	}
	if (strcmp(reply, "ok")) {
		close(fd);
		return wr_fail(e, -EPROTO, "%s", !strncmp(reply, "error: ", 7) ? reply + 7 : reply);
	}
	return fd;
}

int wr_client_read(struct wr_client *c, wr_sink_fn fn, void *ctx)
{
	_Alignas(16) char ev[WR_EVENT_MAX];
	size_t at = 0;
	ssize_t n;
	int records = 0;

	n = recv(c->fd, c->buf + c->n, sizeof(c->buf) - c->n, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -EPIPE;
	c->n += (size_t)n;
	for (;;) {
		n = wr_unpack((struct wr_bytes){c->buf + at, c->n - at}, ev, sizeof(ev));
		if (n == -EAGAIN)
			break;
		if (n < 0)
			return -EBADMSG;
		fn(ctx, (const struct wr_event *)(void *)ev);
		at += (size_t)n;
		records++;
	}
	memmove(c->buf, c->buf + at, c->n - at);
	c->n -= at;
	return records;
}

int wr_client_ask(const char *path, const char *line, struct wr_buf *ret, struct wr_err *e)
{
	int fd = wr_client_open(path, line, e);
	char t[4096];
	ssize_t n;

	if (fd < 0)
		return fd;
	while ((n = recv(fd, t, sizeof(t), 0)) > 0)
		wr_buf_put(ret, t, (size_t)n);
	close(fd);
	return 0;
}
