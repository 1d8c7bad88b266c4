"""What a client can do, through kafka-python: librdkafka.py describes the commands."""

import json
import sys
import time as clock

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import BrokerResponseError
from kafka.partitioner import DefaultPartitioner, Partitioner

from records import (
    CODECS,
    FIRST_TIME_MS,
    LIMIT_SECONDS,
    MESSAGE_BYTES_MAX,
    MIB,
    OUTSTANDING_MAX,
    SETTLE_LIMIT_SECONDS,
    Acknowledgements,
    end_of_input,
    partition_of_user,
    placed,
    records_of,
    shown,
)

CREATE_TIME = 0


class CustomPartitioner(Partitioner):
    """Sends by user, by turns, or as the client does by itself, as the topic's name says.

    Turns are the record's, not the partitioner's: it is asked twice about one that begins a batch.
    """

    def __init__(self):
        self.default = DefaultPartitioner()

    def partition(self, topic, key, serialized_key, value, serialized_value, cluster):
        partitions = len(cluster.partitions_for_topic(topic))
        if topic == "custom":
            return partition_of_user(serialized_key, partitions)
        if topic == "round-robin":
            return int(value) % partitions
        return self.default.partition(
            topic, key, serialized_key, value, serialized_value, cluster
        )


def code_of(action):
    """The number of the error that an action ends with, 0 for none."""
    try:
        action()
    except BrokerResponseError as failure:
        return failure.errno
    return 0


def create(admin, name, partitions=1, replicas=1, configs=None):
    admin.create_topics({
        name: {
            "num_partitions": partitions,
            "replication_factor": replicas,
            "configs": configs or {},
        }
    })


def producer_of(bootstrap, codec="none", **more):
    return KafkaProducer(**{
        "bootstrap_servers": bootstrap,
        "compression_type": None if codec == "none" else codec,
        # What is flushed together is in one batch, however slow the machine is.
        "linger_ms": 10_000,
        "batch_size": 4 * MIB,
        "max_request_size": 4 * MIB,
        **more,
    })


def consumer_of(bootstrap, partition, **more):
    # What is asked for on the same connection waits for fetches that wait.
    options = {"auto_offset_reset": "none", "fetch_max_wait_ms": 100, **more}
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, **options)
    consumer.assign([partition])
    return consumer


def send(producer, topic, **record):
    """Sends a record and gives its offset."""
    sent = producer.send(topic, **record)
    producer.flush(LIMIT_SECONDS)
    return sent.get(LIMIT_SECONDS).offset


def topics(bootstrap, prefix):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    name = f"{prefix}-managed"
    create(admin, name, 3, 1, {"max.message.bytes": str(MESSAGE_BYTES_MAX)})
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name),
        ConfigResource(ConfigResourceType.BROKER, "1"),
    ]
    described = admin.describe_configs(resources, config_filter="all")
    configs = described["topic"][name]
    cluster = admin.describe_cluster()
    topic, = admin.describe_topics([name])
    admin.create_partitions({name: 5})
    grown, = admin.describe_topics([name])
    unknown, = admin.describe_topics([f"{prefix}-unknown"])
    errors = {
        "create again": code_of(lambda: create(admin, name)),
        "create with a bad name": code_of(lambda: create(admin, "no blanks")),
        "create with a bad config": code_of(lambda: create(admin, f"{prefix}-x", configs={"no": "1"})),
        "create with a bad value": code_of(
            lambda: create(admin, f"{prefix}-x", configs={"max.message.bytes": "many"})
        ),
        "create with two copies": code_of(lambda: create(admin, f"{prefix}-x", replicas=2)),
        "grow to fewer": code_of(lambda: admin.create_partitions({name: 4})),
        "grow unknown": code_of(lambda: admin.create_partitions({f"{prefix}-unknown": 4})),
        "delete unknown": code_of(lambda: admin.delete_topics([f"{prefix}-unknown"])),
        "describe unknown": unknown["error_code"],
        "send too much": code_of(
            lambda: send(producer_of(bootstrap), name, value=bytes(MESSAGE_BYTES_MAX + 1))
        ),
    }
    made_by_sending = send(producer_of(bootstrap), f"{prefix}-made-by-sending", value=b"1")
    admin.delete_topics([name])
    left = [topic for topic in admin.list_topics() if topic.startswith(f"{prefix}-")]
    return {
        "brokers": [broker["broker_id"] for broker in cluster["brokers"]],
        "controller": cluster["controller_id"],
        "has_cluster_id": bool(cluster["cluster_id"]),
        "partitions": sorted(one["partition_index"] for one in topic["partitions"]),
        "grown": sorted(one["partition_index"] for one in grown["partitions"]),
        "configs": {
            key: [configs[key]["value"], configs[key]["config_source"] == "DEFAULT_CONFIG"]
            for key in ("max.message.bytes", "cleanup.policy")
        },
        "broker_id": described["broker"]["1"]["broker.id"]["value"],
        "errors": errors,
        "made_by_sending": made_by_sending,
        "left": sorted(left),
    }


def write(bootstrap, topic):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    create(admin, topic, 2, 1, {"max.message.bytes": str(MESSAGE_BYTES_MAX)})
    offsets = []
    time = FIRST_TIME_MS
    for codec in CODECS:
        producer = producer_of(bootstrap, codec)
        sent = []
        for key, value, headers in records_of(codec):
            # This client refuses to send a header without a value.
            headers = [header for header in headers if header[1] is not None]
            sent.append(producer.send(topic, value, key, headers, 0, time))
            time += 1000
        producer.flush(LIMIT_SECONDS)
        offsets += [one.get(LIMIT_SECONDS).offset for one in sent]
    return {"offsets": offsets}


def take(consumer, partition, count):
    records = []
    deadline = clock.monotonic() + LIMIT_SECONDS
    while len(records) < count and clock.monotonic() < deadline:
        records += consumer.poll(100).get(partition, [])
    return records


def shown_record(record):
    is_create_time = record.timestamp_type == CREATE_TIME
    key, value, headers = record.key, record.value, record.headers
    return shown(record.offset, record.timestamp, is_create_time, key, value, headers)


def read(bootstrap, topic):
    first = TopicPartition(topic, 0)
    consumer = consumer_of(bootstrap, first)
    consumer.seek_to_beginning(first)
    beginning = consumer.beginning_offsets([first])[first]
    end = consumer.end_offsets([first])[first]
    records = [shown_record(record) for record in take(consumer, first, end)]

    def offset_at(offset):
        consumer.seek(first, offset)
        return take(consumer, first, 1)[0].offset

    def offset_of_time(time):
        found = consumer.offsets_for_times({first: time})[first]
        return None if found is None else found.offset

    seeks = {
        "7": offset_at(7),
        "last": offset_at(end - 1),
        "time": offset_at(offset_of_time(FIRST_TIME_MS + 1500)),
    }
    consumer.seek_to_beginning(first)
    seeks["beginning"] = take(consumer, first, 1)[0].offset
    consumer.seek_to_end(first)
    is_at_end = consumer.position(first) == end and not consumer.poll(200)
    seeks["end"] = None if is_at_end else consumer.position(first)
    times = {
        "before all": offset_of_time(1),
        "exactly": offset_of_time(FIRST_TIME_MS + 1000),
        "between": offset_of_time(FIRST_TIME_MS + 1500),
        "compressed": offset_of_time(FIRST_TIME_MS + 9500),
        "after all": offset_of_time(FIRST_TIME_MS + 1_000_000),
    }

    def past_end():
        consumer.seek(first, end + 100)
        take(consumer, first, 1)

    committed = consumer_of(bootstrap, first, isolation_level="read_committed")
    committed.seek_to_beginning(first)
    committed_count = len(take(committed, first, end))

    # One that waits at the end gets what comes next.
    second = TopicPartition(topic, 1)
    waiting = consumer_of(bootstrap, second)
    waiting.seek_to_end(second)
    waiting.position(second)
    sent = send(producer_of(bootstrap), topic, value=b"next", partition=1)
    record = take(waiting, second, 1)[0]
    return {
        "records": records,
        "seeks": seeks,
        "times": times,
        "ends": [beginning, end],
        "past_end": code_of(past_end),
        "committed": committed_count,
        "next": [record.offset == sent, record.value.decode()],
    }


def place(bootstrap, partitions):
    producer = producer_of(bootstrap, partitioner=CustomPartitioner())
    sent = [producer.send(choice, value, key) for choice, key, value in placed()]
    producer.flush(LIMIT_SECONDS)
    return {"acknowledged": sum(one.succeeded() for one in sent)}


def load(bootstrap, topic, partitions):
    acknowledgements = Acknowledgements()
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        linger_ms=1,
        batch_size=1000,
        reconnect_backoff_ms=10,
        reconnect_backoff_max_ms=50,
        retry_backoff_ms=10,
    )

    def send(number, partition):
        acknowledgements.sent += 1
        sent = producer.send(topic, str(number).encode(), partition=partition)
        sent.add_callback(lambda metadata: acknowledgements.add(number, metadata.offset))
        sent.add_errback(acknowledgements.fail)

    is_over = end_of_input()
    number = 0
    while not is_over.is_set():
        if OUTSTANDING_MAX <= acknowledgements.sent - acknowledgements.count:
            clock.sleep(0.001)
            continue
        for partition in range(int(partitions)):
            send(number, partition)
        number += 1
    producer.flush(SETTLE_LIMIT_SECONDS)
    return acknowledgements.result()


def main():
    commands = [topics, write, read, place, load]
    command, = (command for command in commands if command.__name__ == sys.argv[1])
    print(json.dumps(command(*sys.argv[2:])))


main()
