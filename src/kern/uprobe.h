/* SPDX-License-Identifier: Apache-2.0 */
/* A BPF program at a place of a file, in every process that maps it: two ways to attach it. */
#ifndef WR_UPROBE_H
#define WR_UPROBE_H

#include "../base/base.h"

#define WR_TRACE_UPROBE_MULTI 48 /* BPF_TRACE_UPROBE_MULTI, 6.6 (89ae89f53d20); Debian's headers are older */

/*
 * At @n places of the file, each with its cookie (NULL: none), by one link: needs CAP_PERFMON and a program
 * loaded for it. One, since taking it away costs some 50 ms whatever it holds. A descriptor, whose end is the
 * probes'; -errno.
 */
int wr_uprobe_link(int prog, const char *path, const uint64_t *offset, const uint64_t *cookie,
	unsigned n, bool ret);
/* At one place by a perf event: kernels before 6.6, but needs CAP_SYS_ADMIN (CVE-2025-38466). Two descriptors. */
int wr_uprobe_perf(int prog, const char *path, uint64_t offset, uint64_t cookie, bool ret,
	int ret_fd[2]);

#endif
