// SPDX-License-Identifier: Apache-2.0
/* The table of sensors, from sensors.def: each with the BPF object that build/embed.S carries. */
#include "sensor.h"

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
