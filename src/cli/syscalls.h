/* SPDX-License-Identifier: Apache-2.0 */
/* `weir trace syscalls`: system calls of the network by process. An exit status. */
#ifndef WR_SYSCALLS_H
#define WR_SYSCALLS_H

int wr_trace_syscalls(int argc, char **argv);

#endif
