"""Sends without pause while the broker is killed, then compares the log with the acknowledgements.

kills.py BOOTSTRAP TOPIC PARTITIONS

Prints the number of acknowledged records at each thousand; a consumer reads along. At the end of
standard input it waits for the last acknowledgements, reads everything and prints one line of JSON.
"""

import json
import sys
import threading
import time
from collections import Counter

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

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


def consumer_of(bootstrap, topic, partitions):
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "none",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "check.crcs": True,
        "reconnect.backoff.ms": 10,
        "reconnect.backoff.max.ms": 50,
        "retry.backoff.ms": 10,
        "fetch.error.backoff.ms": 10,
        # The only broker comes back where it was. Else the client forgets it and what it leads, and
        # learns of that again when its life is nearly over.
        "metadata.recovery.strategy": "none",
        "log_level": 2,
    })
    consumer.assign([TopicPartition(topic, index, 0) for index in range(partitions)])
    return consumer


def record_of(message):
    """Place, key, number."""
    key, number = map(int, message.value().split())
    if message.key() != str(key).encode():
        raise ValueError(f"key {message.key()} of {message.value()}")
    return (message.partition(), message.offset()), key, number


class Follower(threading.Thread):
    """Reads along. What it has been given once must be in the log for ever."""

    def __init__(self, *where):
        super().__init__(daemon=True)
        self.consumer = consumer_of(*where)
        self.seen = {}
        self.failure = None
        self.is_over = threading.Event()

    def run(self):
        try:
            while not self.is_over.is_set():
                for message in self.consumer.consume(1000, 0.1):
                    if message.error() is None:
                        place, key, number = record_of(message)
                        if self.seen.setdefault(place, (key, number)) != (key, number):
                            raise ValueError(f"{place} has changed")
                    elif message.error().code() == KafkaError._AUTO_OFFSET_RESET:
                        raise RuntimeError(message.error())
        except Exception as failure:
            self.failure = repr(failure)

    def end(self):
        self.is_over.set()
        self.join(LIMIT_SECONDS)


def read(*where):
    """All records of the topic in the order of the log."""
    consumer = consumer_of(*where)
    records = []
    ends = set()
    deadline = time.monotonic() + LIMIT_SECONDS
    while len(ends) < where[2]:
        if deadline < time.monotonic():
            raise TimeoutError("records and ends come slowly")
        # It waits for all of these, or so long.
        for message in consumer.consume(1000, 0.1):
            if message.error() is None:
                records.append(record_of(message))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ends.add(message.partition())
            else:
                raise RuntimeError(message.error())
    return records


def main():
    bootstrap, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
    load = Load(bootstrap, topic)
    follower = Follower(bootstrap, topic, partitions)
    follower.start()
    is_over = threading.Event()

    def listen():
        sys.stdin.read()
        is_over.set()

    threading.Thread(target=listen, daemon=True).start()
    unsettled = load.run(is_over)
    follower.end()

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
        "seen": len(follower.seen),
        "seen_and_gone": sum(found.get(place) != what for place, what in follower.seen.items()),
        "follower_failure": follower.failure,
    }))


main()
