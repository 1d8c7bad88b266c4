"""Sends records by turns to the partitions of a topic, so many a second, until its input ends.

pace.py BOOTSTRAP TOPIC PARTITIONS PER_SECOND

Prints how many each partition was sent.
"""

import json
import sys
import time

from confluent_kafka import KafkaException, Producer

from records import SETTLE_LIMIT_SECONDS, end_of_input

TICK_SECONDS = 0.01


def delivered(error, _message):
    if error is not None:
        raise KafkaException(error)


def main(bootstrap, topic, partitions, per_second):
    sent = [0] * int(partitions)
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 1})
    is_over = end_of_input()
    turn = 0
    begun = time.monotonic()
    while not is_over.wait(TICK_SECONDS):
        while turn < (time.monotonic() - begun) * int(per_second):
            partition = turn % len(sent)
            producer.produce(topic, str(sent[partition]), partition=partition, on_delivery=delivered)
            sent[partition] += 1
            turn += 1
        producer.poll(0)
    if producer.flush(SETTLE_LIMIT_SECONDS) != 0:
        raise TimeoutError("not everything was acknowledged")
    print(json.dumps(sent))


main(*sys.argv[1:])
