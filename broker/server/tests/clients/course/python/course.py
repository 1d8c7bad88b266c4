"""What the examples share: topics, records, and consumers with the settings of a short demonstration."""

import functools
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

LIMIT_SECONDS = 30


def create_topics(bootstrap, partitions, *names, config=None):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = [NewTopic(name, partitions, 1, config=config or {}) for name in names]
    for done in admin.create_topics(topics).values():
        done.result(LIMIT_SECONDS)


@functools.cache
def producer_at(bootstrap):
    return Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})


def send(bootstrap, topic, records):
    """Sends records, given as what `produce` takes, and returns when all of them are acknowledged."""

    def delivered(error, _message):
        if error is not None:
            raise KafkaException(error)

    producer = producer_at(bootstrap)
    for record in records:
        producer.produce(topic, on_delivery=delivered, **record)
    if producer.flush(LIMIT_SECONDS) != 0:
        raise TimeoutError("not everything was acknowledged")


def consumer_of(bootstrap, group, **more):
    """Somebody who can join a group that reads from the beginning and commits when it is told to."""
    return Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": group,
        # Only where the group has committed nothing.
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        # The shortest that brokers allow: who dies here is missed soon.
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500,
        # What is asked for on the same connection waits for fetches that wait.
        "fetch.wait.max.ms": 100,
        **more,
    })


def poll(consumer, seconds):
    """The next record, if one comes in time. That a partition has ended is none."""
    message = consumer.poll(seconds)
    if message is None or message.error() is None:
        return message
    if message.error().code() == KafkaError._PARTITION_EOF:
        return None
    raise KafkaException(message.error())


def take(consumer, count):
    """The next so many records, one after the other."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while 0 < count:
        if deadline < time.monotonic():
            raise TimeoutError(f"{count} records have not come")
        message = poll(consumer, 0.1)
        if message is not None:
            count -= 1
            yield message


def until_end(consumer):
    """Records, up to the end of every partition that the consumer is assigned."""
    at_end = set()
    while True:
        message = consumer.poll(LIMIT_SECONDS)
        if message is None:
            raise TimeoutError("no record and no end")
        if message.error() is None:
            yield message
            continue
        if message.error().code() != KafkaError._PARTITION_EOF:
            raise KafkaException(message.error())
        at_end.add((message.topic(), message.partition()))
        if len(at_end) == len(consumer.assignment()):
            return


def read(bootstrap, group, *topics):
    """Everything that is in topics, through a group that has not read them before."""
    consumer = consumer_of(bootstrap, group)
    consumer.subscribe(list(topics))
    messages = list(until_end(consumer))
    consumer.close()
    return messages


def wait_until(condition, consumers):
    """Lets consumers take part in their groups until something is so. Nothing may be there to read."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if deadline < time.monotonic():
            raise TimeoutError("it has not come to that")
        for consumer in consumers:
            message = poll(consumer, 0.05)
            if message is not None:
                raise ValueError(f"a record, too early: {message.value()}")


def assigned(consumer):
    return sorted(partition.partition for partition in consumer.assignment())
