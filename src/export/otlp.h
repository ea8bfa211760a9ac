/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP (opentelemetry-proto 1.x, collector/{trace,logs,metrics}/v1): requests are spans, metrics gauges, everything
 * else log records; as protobuf, or in its JSON form ("JSON Protobuf Encoding": ids in hex, 64-bit numbers as text).
 */
#ifndef WR_EXPORT_OTLP_H
#define WR_EXPORT_OTLP_H

#include "export.h"

enum wr_otlp_lane { WR_OTLP_TRACES, WR_OTLP_LOGS, WR_OTLP_METRICS };

unsigned wr_otlp_lane(const struct wr_event *e);
/* The record as an element of the request's only field. */
bool wr_otlp_put(struct wr_buf *b, const struct wr_event *e, const struct wr_form *f, bool json);

#endif
