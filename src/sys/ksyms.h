/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the kernel's functions. The file has 200,000 lines: it is read once for all addresses that are new. */
#ifndef WR_KSYMS_H
#define WR_KSYMS_H

#include "../base/base.h"

struct wr_ksyms;

/* NULL: no memory, or the kernel does not tell addresses. Opened with rights that may be given up later. */
struct wr_ksyms *wr_ksyms_new(void);
void wr_ksyms_free(struct wr_ksyms *k);

/* Remembers an address to look up; at most 1,024 in all, more are never found. */
void wr_ksyms_want(struct wr_ksyms *k, uint64_t addr);
/* Looks up all that were wanted since the last time; 0 or -errno. */
int wr_ksyms_read(struct wr_ksyms *k);
/* "function+0x1f", NULL where it is not known. Lives as long as @k. */
const char *wr_ksyms_name(const struct wr_ksyms *k, uint64_t addr);

#endif
