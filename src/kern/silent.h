/* SPDX-License-Identifier: Apache-2.0 */
/* What the users of libbpf here share: no words of its own, and what 1.1 does not know yet. */
#ifndef WR_KERN_SILENT_H
#define WR_KERN_SILENT_H

#include <bpf/libbpf.h>

#define WR_ATTACH_TCX_INGRESS 46 /* BPF_TCX_INGRESS, Linux 6.6 (e420bed02507) */

/* For libbpf_set_print(): whoever calls says in its own words what failed. */
static inline int wr_silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

#endif
