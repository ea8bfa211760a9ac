/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a program in Go shows what its crypto/tls reads and writes. Go moves its stacks, so the kernel's way of
 * probing returns would break it, and stepping over the returns themselves is dear. What is read is seen where
 * (*Conn).Read copies it out (its only call of memmove), what is written where (*Conn).writeRecordLocked begins.
 */
#ifndef WR_TLS_GO_H
#define WR_TLS_GO_H

#include "../../src/sys/elf.h"

#define WR_TLS_GO_SITES 4

/*
 * @ret_at: places in the file; @ret_what: their cookies (WR_TLS_GO_..., abi/wr_abi.h). How many, 0: no program in
 * Go, or one without TLS; -ENOTSUP: its code is not as it should be (older than 1.18, or newer than what is known);
 * -ENOSYS: without libzydis, -ENOMEM.
 */
int wr_tls_go(const struct wr_elf *e, uint64_t ret_at[WR_TLS_GO_SITES], uint64_t ret_what[WR_TLS_GO_SITES]);

#endif
