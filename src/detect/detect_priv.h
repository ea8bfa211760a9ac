/* SPDX-License-Identifier: Apache-2.0 */
/* What detect.c and learned.c share. */
#ifndef WR_DETECT_PRIV_H
#define WR_DETECT_PRIV_H

#include "detect.h"

enum {
#define WR_DETECTOR(n) WR_DETECTOR_##n,
#include "detectors.def"
#undef WR_DETECTOR
	WR_DETECTORS
};

struct wr_detect {
	const char *host;
	bool capture;
	wr_sink_fn sink;
	void *ctx;
	struct wr_entries table[WR_DETECTORS], kept[WR_DETECTORS], told;
	struct wr_limits limits;
	void *state[WR_DETECTORS];
	struct wr_moved moved;
	struct wr_pair pair;
	bool has_pair;
	unsigned room; /* percent of the usual places */
	unsigned at; /* the row that is asked now */
	struct wr_incident *incident;
	unsigned n;
	uint64_t refused, began, latest, turned; /* latest: time of a record */
	uint64_t seed; /* of wr_detect_key() */
};

/* What the entries are that it keeps. */
struct wr_entries_shape wr_detect_kept_shape(
	const struct wr_detect *d, const struct wr_detector *self);

#endif
