/* SPDX-License-Identifier: Apache-2.0 */
/* What a sensor is: an object with programs, and the ways in which it can be attached, best first. */
#ifndef WR_SENSOR_H
#define WR_SENSOR_H

#include "../base/base.h"
#include "feature.h"

struct wr_kern;
struct bpf_object;

/* One way to attach a sensor. The loader takes the first that loads AND attaches here. */
struct wr_variant {
	const char *name; /* MUST: for doctor: the hook in the kernel's words */
	uint32_t needs; /* MUST: WR_FEAT_* bits; a denied or missing one skips the variant */
	const char *const
		*progs; /* MUST: programs to load, NULL at the end; the others stay unloaded */
};

struct wr_sensor {
	const char *name, *help; /* MUST: what it sees, in one line */
	const char *without; /* MUST: what is missing when it is unavailable */
	const struct wr_variant *variants; /* MUST: best first */
	unsigned n_variants;
	const uint8_t *obj; /* set by the table: the BPF object inside the binary */
	const uint8_t *obj_end;
	bool (*wanted)(struct wr_kern *k); /* MAY: does the configuration ask for it? */
	/* MAY: after load and attach, on the control thread; -errno makes the variant unfit */
	int (*start)(struct wr_kern *k, struct bpf_object *o, struct wr_err *e);
	void (*stop)(struct wr_kern *k); /* MAY: before the links go */
	/* MAY: probes the functions it knows in the ELF file @path; how many (0: none), -errno */
	int (*file)(struct wr_kern *k, struct bpf_object *o, const char *path);
};

extern struct wr_sensor *const wr_sensors[];
extern const unsigned wr_n_sensors;

#endif
