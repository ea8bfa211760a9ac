/* SPDX-License-Identifier: Apache-2.0 */
/* The agent: wiring only. Pipeline, socket, signals, configuration. */
#ifndef WR_AGENT_H
#define WR_AGENT_H

#include "../ctl/config.h"
#include "../ctl/ctl.h"
#include "pipeline.h"

/* "owner,tcp" to bits of sensors.def; "" = 0 = all. -EINVAL. */
int wr_sensor_mask(struct wr_str list, uint32_t *ret, struct wr_err *e);
/* Sensor records from what is loaded. */
void wr_agent_sensors(struct wr_pipe *p, const char *host, wr_sink_fn fn, void *ctx);
/* Runs until a signal or `weir ctl stop`. @path: the file for reloads, NULL = none. 0 or -errno. */
int wr_agent_run(
	struct wr_config *c, const char *path, void (*ready)(struct wr_pipe *p, const char *url), struct wr_err *e);

#endif
