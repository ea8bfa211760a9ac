/* SPDX-License-Identifier: Apache-2.0 */
/* What the detectors learned stays over restarts: it is written now and then, by a thread, and at the end. */
#ifndef WR_AGENT_MEMORY_H
#define WR_AGENT_MEMORY_H

#include "../detect/detect.h"

struct wr_memory;

/*
 * Gives @d what is in the file "learned" of the folder @dir; "": *ret_m is NULL, and the others do nothing. A
 * damaged file is put aside as learned.damaged, which is told.
 */
int wr_memory_open(
	const char *dir, struct wr_detect *d, struct wr_memory **ret_m, struct wr_err *e);
void wr_memory_turn(struct wr_memory *m, uint64_t now);
void wr_memory_close(struct wr_memory *m);

#endif
