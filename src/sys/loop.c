// SPDX-License-Identifier: Apache-2.0
#include "loop.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#define MAX_WATCHES (WR_MAX_CLIENTS + 16)

struct watch {
	int fd; /* -1 = free */
	wr_io_fn fn;
	void *ctx;
};

struct wr_loop {
	int epoll;
	struct watch w[MAX_WATCHES];
};

struct wr_loop *wr_loop_new(void)
{
	struct wr_loop *l = wr_alloc(sizeof(*l));

	if (!l)
		return NULL;
	for (unsigned i = 0; i < MAX_WATCHES; i++)
		l->w[i].fd = -1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		free(l);
		return NULL;
	}
	return l;
}

void wr_loop_free(struct wr_loop *l)
{
	if (!l)
		return;
	close(l->epoll);
	free(l);
}

int wr_loop_add(struct wr_loop *l, int fd, uint32_t events, wr_io_fn fn, void *ctx)
{
	for (unsigned i = 0; i < MAX_WATCHES; i++) {
		struct epoll_event ev = {.events = events, .data.u32 = i};

		if (l->w[i].fd >= 0)
			continue;
		if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev))
			return -errno;
		l->w[i] = (struct watch){fd, fn, ctx};
		return 0;
	}
	return -ENOSPC;
}

int wr_loop_mod(struct wr_loop *l, int fd, uint32_t events)
{
	for (unsigned i = 0; i < MAX_WATCHES; i++) {
		struct epoll_event ev = {.events = events, .data.u32 = i};

		if (l->w[i].fd == fd)
			return epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &ev) ? -errno : 0;
	}
	return -ENOENT;
}

void wr_loop_del(struct wr_loop *l, int fd)
{
	for (unsigned i = 0; i < MAX_WATCHES; i++) {
		if (l->w[i].fd == fd) {
			epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
			l->w[i].fd = -1;
		}
	}
}

void wr_loop_turn(struct wr_loop *l, int ms)
{
	struct epoll_event ev[16];
	int n = epoll_wait(l->epoll, ev, WR_N(ev), ms);

	for (int i = 0; i < n; i++) {
		struct watch *w = &l->w[ev[i].data.u32];

		if (w->fd >= 0) /* an earlier call may have ended it */
			w->fn(w->ctx, ev[i].events);
	}
}

int wr_loop_signals(void)
{
	sigset_t s;
	int fd;

	sigemptyset(&s);
	sigaddset(&s, SIGINT);
	sigaddset(&s, SIGTERM);
	sigaddset(&s, SIGHUP);
	sigprocmask(SIG_BLOCK, &s, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &s, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int wr_loop_signal(int fd)
{
	struct signalfd_siginfo s;

	return read(fd, &s, sizeof(s)) == sizeof(s) ? (int)s.ssi_signo : 0;
}
