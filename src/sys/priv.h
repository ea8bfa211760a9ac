/* SPDX-License-Identifier: Apache-2.0 */
/* Least privilege once everything is loaded: what the agent may still do, and what it never needs again. */
#ifndef WR_PRIV_H
#define WR_PRIV_H

#include "../base/base.h"

/*
 * Keeps CAP_BPF, CAP_PERFMON (maps and iterators), CAP_NET_ADMIN (interfaces), CAP_SYS_PTRACE
 * (/proc/PID/exe of every user) and CAP_DAC_READ_SEARCH (state of container engines); drops all others, for good
 * (bounding set, no_new_privs). Programs, namespaces, mounts, modules, clocks and other processes' memory
 * are out of reach then (seccomp, EPERM). Without effect for who never had the rights. 0, or -errno
 * with the reason: then what was dropped so far stays dropped. @admin: CAP_SYS_ADMIN too,
 * which probes of applications need before 6.6.
 */
int wr_priv_drop(bool admin, struct wr_err *e);

/* Gives up every capability and the same calls, for good: for who only talks to others. 0 or -errno with why. */
int wr_priv_none(struct wr_err *e);

/*
 * For who only reads what somebody else made, from what is open already: from now on this thread opens and makes
 * no file, no socket, no process, and calls nothing but what reading, memory, clocks and writing need (seccomp,
 * EPERM). @file: MAY be NULL; this one can still be read and replaced, and what is in its folder (Landlock, Linux
 * 5.13; before that any file can be opened). Needs no rights. 0 or -errno with the reason: then it is not confined,
 * or half.
 */
int wr_priv_confine(const char *file, struct wr_err *e);

#endif
