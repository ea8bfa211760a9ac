/* SPDX-License-Identifier: Apache-2.0 */
/* A BPF program at a place of a file, in every process that maps it: two ways to attach it. */
#ifndef WR_UPROBE_H
#define WR_UPROBE_H

#include "../base/base.h"

#define WR_TRACE_UPROBE_MULTI 48 /* BPF_TRACE_UPROBE_MULTI, 6.6 (89ae89f53d20); Debian's headers are older */

/* By a link: needs CAP_PERFMON and a program loaded for it. A descriptor, whose end is the probe's; -errno. */
int wr_uprobe_link(int prog, const char *path, uint64_t offset, bool ret);
/* By a perf event: every kernel, but needs CAP_SYS_ADMIN (CVE-2025-38466). */
int wr_uprobe_perf(int prog, const char *path, uint64_t offset, bool ret);

#endif
