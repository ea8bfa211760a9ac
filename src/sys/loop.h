/* SPDX-License-Identifier: Apache-2.0 */
/* An event loop on epoll: descriptors, one timer per loop turn, signals as a descriptor. */
#ifndef WR_LOOP_H
#define WR_LOOP_H

#include "../base/base.h"

struct wr_loop;
typedef void (*wr_io_fn)(void *ctx, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP */

struct wr_loop *wr_loop_new(void);
void wr_loop_free(struct wr_loop *l);
/* Watches @fd; the watch ends with wr_loop_del() before @fd is closed. -errno. */
int wr_loop_add(struct wr_loop *l, int fd, uint32_t events, wr_io_fn fn, void *ctx);
int wr_loop_mod(struct wr_loop *l, int fd, uint32_t events);
void wr_loop_del(struct wr_loop *l, int fd);
/* Waits at most @ms and runs what is ready. */
void wr_loop_turn(struct wr_loop *l, int ms);
/* A descriptor that SIGINT, SIGTERM, SIGHUP are read from; they are blocked otherwise. */
int wr_loop_signals(void);
/* The next signal of that descriptor, 0 = none. */
int wr_loop_signal(int fd);

#endif
