"""Fills partitions with numbered records and says which numbers it finds in them.

log.py create BOOTSTRAP TOPICS PARTITIONS [KEY=VALUE...]
log.py fill BOOTSTRAP TOPICS PARTITIONS FIRST COUNT SIZE CODEC
log.py drain BOOTSTRAP TOPICS PARTITIONS
log.py list BOOTSTRAP TOPICS PARTITIONS
log.py first BOOTSTRAP TOPIC        waits for a line, then sends one record

TOPICS are names with commas between. Each prints one line of JSON.
"""

import json
import sys

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

LIMIT_SECONDS = 60


def create(bootstrap, topics, partitions, *configs):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    config = dict(pair.split("=") for pair in configs)
    new = [NewTopic(name, int(partitions), 1, config=config) for name in topics.split(",")]
    for done in admin.create_topics(new, request_timeout=LIMIT_SECONDS).values():
        done.result(LIMIT_SECONDS)
    return {}


def fill(bootstrap, topics, partitions, first, count, size, codec):
    acknowledged = 0

    def delivered(error, message):
        nonlocal acknowledged
        if error is not None:
            raise KafkaException(error)
        acknowledged += 1

    producer = Producer({
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "compression.type": codec,
        "linger.ms": 5,
        "batch.size": 8192,
        "on_delivery": delivered,
    })
    for number in range(int(first), int(first) + int(count)):
        value = str(number).ljust(int(size), ".")
        for topic in topics.split(","):
            for partition in range(int(partitions)):
                producer.produce(topic, value, partition=partition)
        producer.poll(0)
    left = producer.flush(LIMIT_SECONDS)
    return {"acknowledged": acknowledged, "left": left}


def messages(bootstrap, topics, partitions):
    """All that is in the partitions, with the partition's name before each."""
    assigned = [TopicPartition(topic, partition, OFFSET_BEGINNING)
                for topic in topics.split(",") for partition in range(int(partitions))]
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "none",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
    })
    at_end = set()
    consumer.assign(assigned)
    while len(at_end) < len(assigned):
        message = consumer.poll(LIMIT_SECONDS)
        if message is None:
            raise TimeoutError("no record and no end")
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        name = f"{message.topic()}/{message.partition()}"
        if error is None:
            yield name, message
        else:
            at_end.add(name)


def of_each_partition(topics, partitions):
    return {f"{topic}/{partition}": []
            for topic in topics.split(",") for partition in range(int(partitions))}


def drain(bootstrap, topics, partitions):
    """Of each partition, runs of numbers that follow each other, as first and last."""
    runs = of_each_partition(topics, partitions)
    for name, message in messages(bootstrap, topics, partitions):
        number = int(message.value().rstrip(b"."))
        if runs[name] and runs[name][-1][1] + 1 == number:
            runs[name][-1][1] = number
        else:
            runs[name].append([number, number])
    return runs


def list_records(bootstrap, topics, partitions):
    """Of each partition, key and value of its records."""
    records = of_each_partition(topics, partitions)
    for name, message in messages(bootstrap, topics, partitions):
        key = message.key()
        records[name].append([None if key is None else key.decode(), message.value().decode()])
    return records


def first(bootstrap, topic):
    reports = []
    print("waiting", flush=True)
    sys.stdin.readline()
    # Not idempotent: librdkafka waits half a second before it asks for an id once more, if it has
    # asked before it was connected.
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0})
    producer.produce(topic, b"first", partition=0, on_delivery=lambda *report: reports.append(report))
    producer.flush(LIMIT_SECONDS)
    return {"acknowledged": sum(error is None for error, _ in reports)}


def main():
    commands = {"create": create, "fill": fill, "drain": drain, "list": list_records, "first": first}
    print(json.dumps(commands[sys.argv[1]](*sys.argv[2:])))


main()
