/* SPDX-License-Identifier: Apache-2.0 */
/* Walks through /proc: proc(5). What ends meanwhile is left out. */
#ifndef WR_PROC_H
#define WR_PROC_H

#include "../base/base.h"

/* Every process of this namespace of processes. */
void wr_each_process(void (*fn)(void *ctx, uint32_t pid), void *ctx);
/* Every descriptor of one: @name in the folder @dir, a link to what it is. @fn answers whether to go on. */
void wr_each_fd(uint32_t pid, bool (*fn)(void *ctx, int dir, const char *name), void *ctx);

/* The number that a file of /proc or /sys holds; @none where it cannot be read. */
uint64_t wr_proc_number(const char *path, uint64_t none);

#endif
