/* SPDX-License-Identifier: Apache-2.0 */
/* Lines to a topic of Kafka by librdkafka, loaded when needed. A line is a message, its connection the key. */
#ifndef WR_EXPORT_TO_KAFKA_H
#define WR_EXPORT_TO_KAFKA_H

#include "export.h"

struct wr_kafka;
/* @where: "HOST:PORT[,HOST:PORT]/TOPIC". Nothing is connected yet. 0, -EINVAL, -ENOSYS: there is no librdkafka. */
int wr_kafka_open(const char *where, const struct wr_export_config *c, struct wr_kafka **ret,
	struct wr_err *e);
/* As wr_to_send(). What of a batch arrived is not sent again when the rest is tried again. */
int wr_kafka_send(
	struct wr_kafka *k, struct wr_bytes lines, uint64_t *ret_rejected, struct wr_err *e);
void wr_kafka_close(struct wr_kafka *k);

#endif
