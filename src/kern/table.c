// SPDX-License-Identifier: Apache-2.0
/* The table of sensors, from sensors.def: each with the BPF object that build/embed.S carries. */
#include "kern.h"
#include "sensor.h"

#include <sys/mman.h>
#include <unistd.h>

#define WR_SENSOR(n) extern struct wr_sensor wr_sensor_##n;
#include "../../sensors/sensors.def"
#undef WR_SENSOR

#define WR_SENSOR(n) &wr_sensor_##n,
struct wr_sensor *const wr_sensors[] = {
#include "../../sensors/sensors.def"
};
#undef WR_SENSOR
const unsigned wr_n_sensors = WR_N(wr_sensors);

#define WR_SENSOR(n) extern const uint8_t wr_obj_##n[], wr_obj_##n##_end[];
#include "../../sensors/sensors.def"
#undef WR_SENSOR

__attribute__((constructor)) static void embed(void)
{
#define WR_SENSOR(n)                                                                               \
	wr_sensor_##n.obj = wr_obj_##n;                                                            \
	wr_sensor_##n.obj_end = wr_obj_##n##_end;
#include "../../sensors/sensors.def"
#undef WR_SENSOR
}

void wr_kern_give_back(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from, to;

	for (unsigned i = 0; i < wr_n_sensors; i++) {
		from = ((uintptr_t)wr_sensors[i]->obj + page - 1) & ~(page - 1);
		to = (uintptr_t)wr_sensors[i]->obj_end & ~(page - 1);
		/* of a file and never written: they come back by themselves */
		if (to > from)
			madvise((void *)from, to - from, MADV_DONTNEED);
	}
}
