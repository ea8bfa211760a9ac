# SPDX-License-Identifier: Apache-2.0
"""A broker of Kafka (librdkafka's mock cluster: the wire protocol, without disks) and a consumer of its topic `weir`, run by the system's
python. Prints the port, then `PARTITION KEY VALUE` for each message. Lives for three minutes at most."""
import time
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

p = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": "1", "log_level": 2})
broker = p.list_topics(timeout=10).brokers[1]
print(broker.port, flush=True)
c = Consumer({"bootstrap.servers": f"127.0.0.1:{broker.port}", "group.id": "test", "auto.offset.reset": "earliest", "log_level": 2})
partitions = len(c.list_topics("weir", timeout=10).topics["weir"].partitions) or 4
c.assign([TopicPartition("weir", i, 0) for i in range(partitions)])
end = time.time() + 180
while time.time() < end:
    m = c.poll(0.2)
    if m and not m.error():
        print(m.partition(), (m.key() or b"-").decode(), m.value().decode(), flush=True)
