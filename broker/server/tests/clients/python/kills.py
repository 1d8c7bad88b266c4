"""Sends without pause while the broker is killed, then compares the log with the acknowledgements.

kills.py BOOTSTRAP TOPIC PARTITIONS

Prints the number of acknowledged records at each thousand. At the end of standard input it waits
for the last acknowledgements, reads everything and prints one line of JSON.
"""

import json
import sys
import threading
import time
from collections import Counter

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

KEYS = 50
OUTSTANDING_MAX = 2000
LIMIT_SECONDS = 60


class Load:
    def __init__(self, bootstrap, topic):
        self.topic = topic
        self.acknowledged = {}
        self.acknowledged_twice = 0
        self.sent = Counter()
        self.errors = Counter()
        self.producer = Producer({
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 1,
            "batch.num.messages": 200,
            "message.timeout.ms": 300_000,
            "socket.timeout.ms": 10_000,
            "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 50,
            "retry.backoff.ms": 10,
            # Brokers that go away are what this is about.
            "log_level": 2,
        })

    def send(self, key):
        number = self.sent[key]
        self.sent[key] += 1

        def delivered(error, message):
            if error is not None:
                self.errors[error.name()] += 1
                return
            place = (message.partition(), message.offset())
            if place in self.acknowledged:
                self.acknowledged_twice += 1
            self.acknowledged[place] = (key, number)
            if len(self.acknowledged) % 1000 == 0:
                print(len(self.acknowledged), flush=True)

        text = f"{key} {number}".ljust(100)
        self.producer.produce(self.topic, text, key=str(key), on_delivery=delivered)

    def run(self, is_over):
        key = 0
        while not is_over.is_set():
            if len(self.producer) < OUTSTANDING_MAX:
                for _ in range(100):
                    self.send(key % KEYS)
                    key += 1
                self.producer.poll(0)
            else:
                self.producer.poll(0.01)
        return self.producer.flush(LIMIT_SECONDS)


def read(bootstrap, topic, partitions):
    """All records of the topic: place, key, number, in the order of the log."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "none",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "check.crcs": True,
    })
    consumer.assign([TopicPartition(topic, index, OFFSET_BEGINNING) for index in range(partitions)])
    records = []
    ends = 0
    deadline = time.monotonic() + LIMIT_SECONDS
    while ends < partitions:
        if deadline < time.monotonic():
            raise TimeoutError("records and ends come slowly")
        # It waits for all of these, or so long.
        for message in consumer.consume(1000, 0.1):
            if message.error() is None:
                key, number = map(int, message.value().split())
                if message.key() != str(key).encode():
                    raise ValueError(f"key {message.key()} of {message.value()}")
                records.append(((message.partition(), message.offset()), key, number))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ends += 1
            else:
                raise RuntimeError(message.error())
    return records


def main():
    bootstrap, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
    load = Load(bootstrap, topic)
    is_over = threading.Event()

    def listen():
        sys.stdin.read()
        is_over.set()

    threading.Thread(target=listen, daemon=True).start()
    unsettled = load.run(is_over)

    records = read(bootstrap, topic, partitions)
    found = {place: (key, number) for place, key, number in records}
    copies = Counter((key, number) for _, key, number in records)
    last = {}
    disordered = 0
    for _, key, number in records:
        disordered += number <= last.get(key, -1)
        last[key] = number
    print(json.dumps({
        "sent": sum(load.sent.values()),
        "acknowledged": len(load.acknowledged),
        "acknowledged_twice": load.acknowledged_twice,
        "unsettled": unsettled,
        "errors": load.errors,
        "consumed": len(records),
        "lost": sum(found.get(place) != what for place, what in load.acknowledged.items()),
        "duplicated": sum(1 < count for count in copies.values()),
        "disordered": disordered,
    }))


main()
