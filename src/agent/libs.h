/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files hold a TLS library: shared ones that processes map, and programs that have one inside. Each file
 * (by device and inode) is looked at once and probed once, however many processes use it. A probed file keeps its
 * file system from being unmounted (that of a container, of an image), so probes end some seconds after the last
 * process that has the file; those of the system's own libraries stay.
 */
#ifndef WR_LIBS_H
#define WR_LIBS_H

#include "../base/base.h"
#include "../kern/kern.h"

struct wr_libs;

/* @leave: words, with commas; a file whose path holds one of them is left alone. NULL: no memory. */
struct wr_libs *wr_libs_new(struct wr_kern *k, const char *leave);
void wr_libs_free(struct wr_libs *l);
/* The libraries of the system, now; those of every process that runs, in the steps that follow. */
void wr_libs_scan(struct wr_libs *l);
/*
 * This process began, or (@speaks) speaks TLS: looked at a little later, when its libraries are mapped. Of
 * those that only began with a known program some a second: hosts that build software start thousands.
 */
void wr_libs_process(struct wr_libs *l, uint32_t pid, bool speaks, uint64_t now);
/* Does what is due, a bounded part of it: looks at processes, ends probes that nobody needs. */
void wr_libs_step(struct wr_libs *l, uint64_t now);

struct wr_libs_stats {
	uint32_t files, functions; /* probed */
	uint32_t refused, left; /* files: not probed because of an error, or by choice */
};
void wr_libs_stats(const struct wr_libs *l, struct wr_libs_stats *ret);

#endif
