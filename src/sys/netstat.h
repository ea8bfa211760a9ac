/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel counts of the thread's namespace: proc(5), /proc/net/{snmp,netstat,snmp6,sockstat}. */
#ifndef WR_NETSTAT_H
#define WR_NETSTAT_H

#include "../base/base.h"

/* Every counter: "TcpExt" and "ListenDrops"; of IPv6 @prefix is empty: "Ip6InReceives". */
typedef void (*wr_netstat_fn)(void *ctx, struct wr_str prefix, struct wr_str name, uint64_t v);
void wr_netstat_each(wr_netstat_fn fn, void *ctx);
/* What sockets hold: "TCP" and "UDP" their "mem" (pages), "FRAG" and "FRAG6" their "memory" (bytes). */
uint64_t wr_sockstat(const char *of, const char *name);

#endif
