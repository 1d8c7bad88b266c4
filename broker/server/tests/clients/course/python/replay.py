"""The last minutes are read again, found by their time.

replay.py BOOTSTRAP

A group that has read everything goes back to where a time begins in each partition. Prints how many
minutes ago what it reads then was measured, by partition.
"""

import json
import sys
import time

from confluent_kafka import TopicPartition

from course import LIMIT_SECONDS, consumer_of, create_topics, send, until_end

PARTITIONS = 2
MINUTE_MS = 60_000
AGES = range(60, 0, -1)


def main(bootstrap):
    create_topics(bootstrap, PARTITIONS, "measurements")
    now = int(time.time() * 1000)
    send(bootstrap, "measurements",
         [{"value": str(age), "partition": age % PARTITIONS, "timestamp": now - age * MINUTE_MS}
          for age in AGES])
    consumer = consumer_of(bootstrap, "dashboard")
    consumer.subscribe(["measurements"])
    count = sum(1 for _ in until_end(consumer))
    consumer.commit(asynchronous=False)
    consumer.close()

    def go_back(consumer, partitions):
        # Times are asked for in the place of offsets.
        times = [TopicPartition(one.topic, one.partition, now - 10 * MINUTE_MS) for one in partitions]
        consumer.assign(consumer.offsets_for_times(times, LIMIT_SECONDS))

    consumer = consumer_of(bootstrap, "dashboard")
    consumer.subscribe(["measurements"], on_assign=go_back)
    replayed = [[] for _ in range(PARTITIONS)]
    for message in until_end(consumer):
        replayed[message.partition()].append(int(message.value()))
    consumer.close()
    print(json.dumps({"read": count, "replayed": replayed}))


main(sys.argv[1])
