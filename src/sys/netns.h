/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces by name, process and inode. Needs the rights to look into /proc of others. */
#ifndef WR_NETNS_H
#define WR_NETNS_H

#include "../base/base.h"

/* Inode of a namespace by its name under /run/netns or by pid; -ENOENT. */
int wr_netns_inode(const char *name, uint64_t *ret);
/* A descriptor of the namespace with this inode, under /run/netns or of some process; -ENOENT. */
int wr_netns_open(uint64_t inode);
/* "host" for the one that this process began in, else its name under /run/netns, "pid N" or "netns INODE". */
const char *wr_netns_name(uint64_t inode, char *buf, size_t n);
/* Every namespace that has a name or a process: @fn is called once each. */
void wr_netns_each(void (*fn)(void *ctx, uint64_t inode, int fd), void *ctx);

/* Into the namespace @fd; the descriptor that leads back, -errno. */
int wr_netns_enter(int fd);
/* Back to where wr_netns_enter() was called; closes @back. Cannot fail on a descriptor of its own. */
void wr_netns_leave(int back);

#endif
