/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of detectors: what was told last, and of how many incidents. */
#ifndef WR_TEST_ALERTS_H
#define WR_TEST_ALERTS_H

#include "test.h"
#include "../../src/event/event.h"

static struct {
	unsigned n, ids;
	uint64_t count;
	char detector[24], source[64], target[96], summary[256], severity[12], id[20], process[20];
} seen;

static const char *only; /* of what several detectors see, this one; NULL: all */

static void look(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_alert *a = (const void *)e;

	(void)ctx;
	if (only && !wr_str_eq(a->detector, wr_str(only)))
		return;
	seen.n++;
	seen.ids += !wr_str_eq(a->id, wr_str(seen.id));
	seen.count = a->count;
	wr_copy(seen.id, sizeof(seen.id), a->id);
	wr_copy(seen.detector, sizeof(seen.detector), a->detector);
	wr_copy(seen.source, sizeof(seen.source), a->source);
	wr_copy(seen.target, sizeof(seen.target), a->target);
	wr_copy(seen.summary, sizeof(seen.summary), a->summary);
	wr_copy(seen.severity, sizeof(seen.severity), a->severity);
	wr_copy(seen.process, sizeof(seen.process), a->owner_process);
}

static struct wr_ip ip(const char *t)
{
	struct wr_ip a, m;

	assert_int_equal(wr_ip_parse(wr_str(t), &a, &m), 0);
	return a;
}

#endif
