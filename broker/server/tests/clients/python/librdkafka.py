"""What a client can do, through librdkafka. The other clients' programs do the same.

librdkafka.py topics BOOTSTRAP PREFIX   topics, configs, errors
librdkafka.py write BOOTSTRAP TOPIC     makes a topic and writes to it with every codec
librdkafka.py read BOOTSTRAP TOPIC      reads that topic from many places
librdkafka.py place BOOTSTRAP PARTITIONS
    sends to the topics custom, round-robin and keyed, with the choice of a partition that the topic
    is named after
librdkafka.py load BOOTSTRAP TOPIC PARTITIONS
    sends numbers to each partition as an idempotent producer, prints the number of acknowledged
    records at each thousand, and settles at the end of standard input
librdkafka.py transact BOOTSTRAP        asks for transactions

Each prints one line of JSON at last. Errors are Kafka's numbers.
"""

import json
import sys

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    TIMESTAMP_CREATE_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

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


def code_of(action):
    """The number of the error that an action ends with, 0 for none."""
    try:
        action()
    except KafkaException as failure:
        return failure.args[0].code()
    return 0


def create(admin, name, partitions=1, replicas=1, configs=None):
    topic = NewTopic(name, partitions, replicas, config=configs or {})
    admin.create_topics([topic], request_timeout=LIMIT_SECONDS)[name].result(LIMIT_SECONDS)


def delete(admin, name):
    admin.delete_topics([name], request_timeout=LIMIT_SECONDS)[name].result(LIMIT_SECONDS)


def grow(admin, name, partitions):
    more = [NewPartitions(name, partitions)]
    admin.create_partitions(more, request_timeout=LIMIT_SECONDS)[name].result(LIMIT_SECONDS)


def producer_of(bootstrap, codec="none"):
    return Producer({
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "compression.type": codec,
        # What is flushed together is in one batch, however slow the machine is.
        "linger.ms": 10_000,
        "message.max.bytes": 4 * MIB,
    })


def consumer_of(bootstrap, **more):
    return Consumer({
        "bootstrap.servers": bootstrap,
        # librdkafka wants one; nothing is asked of it where partitions are assigned by hand.
        "group.id": "none",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        # What is asked for on the same connection waits for fetches that wait.
        "fetch.wait.max.ms": 100,
        **more,
    })


def send(producer, topic, **record):
    """Sends a record and gives its offset."""
    reports = []
    producer.produce(topic, on_delivery=lambda *report: reports.append(report), **record)
    producer.flush(LIMIT_SECONDS)
    (error, message), = reports
    if error is not None:
        raise KafkaException(error)
    return message.offset()


def topics(bootstrap, prefix):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    name = f"{prefix}-managed"
    create(admin, name, 3, 1, {"max.message.bytes": str(MESSAGE_BYTES_MAX)})
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    unknown = ConfigResource(ConfigResource.Type.TOPIC, f"{prefix}-unknown")
    broker = ConfigResource(ConfigResource.Type.BROKER, "1")
    described = admin.describe_configs([resource, broker])
    configs = described[resource].result(LIMIT_SECONDS)
    of_broker = described[broker].result(LIMIT_SECONDS)
    cluster = admin.describe_cluster().result(LIMIT_SECONDS)
    listed = admin.list_topics(timeout=LIMIT_SECONDS)
    grow(admin, name, 5)
    grown = admin.list_topics(timeout=LIMIT_SECONDS).topics[name].partitions
    errors = {
        "create again": code_of(lambda: create(admin, name)),
        "create with a bad name": code_of(lambda: create(admin, "no blanks")),
        "create with a bad config": code_of(lambda: create(admin, f"{prefix}-x", configs={"no": "1"})),
        "create with a bad value": code_of(
            lambda: create(admin, f"{prefix}-x", configs={"max.message.bytes": "many"})
        ),
        "create with two copies": code_of(lambda: create(admin, f"{prefix}-x", replicas=2)),
        "grow to fewer": code_of(lambda: grow(admin, name, 4)),
        "grow unknown": code_of(lambda: grow(admin, f"{prefix}-unknown", 4)),
        "delete unknown": code_of(lambda: delete(admin, f"{prefix}-unknown")),
        "describe unknown": code_of(
            lambda: admin.describe_configs([unknown])[unknown].result(LIMIT_SECONDS)
        ),
        "send too much": code_of(
            lambda: send(producer_of(bootstrap), name, value=bytes(MESSAGE_BYTES_MAX + 1))
        ),
    }
    made_by_sending = send(producer_of(bootstrap), f"{prefix}-made-by-sending", value=b"1")
    delete(admin, name)
    left = [topic for topic in admin.list_topics(timeout=LIMIT_SECONDS).topics
            if topic.startswith(f"{prefix}-")]
    return {
        "brokers": [node.id for node in cluster.nodes],
        "controller": cluster.controller.id,
        "has_cluster_id": bool(cluster.cluster_id),
        "partitions": sorted(listed.topics[name].partitions),
        "grown": sorted(grown),
        "configs": {
            key: [configs[key].value, bool(configs[key].is_default)]
            for key in ("max.message.bytes", "cleanup.policy")
        },
        "broker_id": of_broker["broker.id"].value,
        "errors": errors,
        "made_by_sending": made_by_sending,
        "left": sorted(left),
    }


def write(bootstrap, topic):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    create(admin, topic, 2, 1, {"max.message.bytes": str(MESSAGE_BYTES_MAX)})
    offsets = []

    def delivered(error, message):
        offsets.append(-1 if error else message.offset())

    time = FIRST_TIME_MS
    for codec in CODECS:
        producer = producer_of(bootstrap, codec)
        for key, value, headers in records_of(codec):
            producer.produce(
                topic, value, key, 0, timestamp=time, headers=headers, on_delivery=delivered
            )
            time += 1000
        producer.flush(LIMIT_SECONDS)
    return {"offsets": offsets}


def poll(consumer):
    """The next record; none at the end of a partition."""
    message = consumer.poll(LIMIT_SECONDS)
    if message is None:
        raise TimeoutError("no record and no end")
    error = message.error()
    if error is None:
        return message
    if error.code() == KafkaError._PARTITION_EOF:
        return None
    raise KafkaException(error)


def until_end(consumer):
    records = []
    while (message := poll(consumer)) is not None:
        records.append(message)
    return records


def shown_message(message):
    kind, time = message.timestamp()
    is_create_time = kind == TIMESTAMP_CREATE_TIME
    key, value, headers = message.key(), message.value(), message.headers()
    return shown(message.offset(), time, is_create_time, key, value, headers)


def read(bootstrap, topic):
    first = lambda offset: TopicPartition(topic, 0, offset)
    consumer = consumer_of(bootstrap)
    consumer.assign([first(OFFSET_BEGINNING)])
    records = [shown_message(message) for message in until_end(consumer)]
    count = len(records)

    def offset_at(offset):
        consumer.seek(first(offset))
        message = poll(consumer)
        return None if message is None else message.offset()

    def offset_of_time(time):
        return consumer.offsets_for_times([first(time)], LIMIT_SECONDS)[0].offset

    seeks = {
        "7": offset_at(7),
        "beginning": offset_at(OFFSET_BEGINNING),
        "end": offset_at(OFFSET_END),
        "last": offset_at(count - 1),
        "time": offset_at(offset_of_time(FIRST_TIME_MS + 1500)),
    }
    times = {
        "before all": offset_of_time(1),
        "exactly": offset_of_time(FIRST_TIME_MS + 1000),
        "between": offset_of_time(FIRST_TIME_MS + 1500),
        "compressed": offset_of_time(FIRST_TIME_MS + 9500),
        "after all": offset_of_time(FIRST_TIME_MS + 1_000_000),
    }
    beginning, end = consumer.get_watermark_offsets(first(0), LIMIT_SECONDS)

    def past_end():
        strict = consumer_of(bootstrap)
        strict.assign([first(count + 100)])
        poll(strict)

    committed = consumer_of(bootstrap, **{"isolation.level": "read_committed"})
    committed.assign([first(OFFSET_BEGINNING)])
    committed_count = len(until_end(committed))

    # One that waits at the end gets what comes next.
    waiting = consumer_of(bootstrap)
    waiting.assign([TopicPartition(topic, 1, OFFSET_END)])
    until_end(waiting)
    sent = send(producer_of(bootstrap), topic, value=b"next", partition=1)
    message = poll(waiting)
    return {
        "records": records,
        "seeks": seeks,
        "times": {name: None if at in (-1, OFFSET_END) else at for name, at in times.items()},
        "ends": [beginning, end],
        "past_end": code_of_reset(past_end),
        "committed": committed_count,
        "next": [message.offset() == sent, message.value().decode()],
    }


def code_of_reset(action):
    """librdkafka says that it will not choose another offset; the broker's error is the reason."""
    code = code_of(action)
    return KafkaError.OFFSET_OUT_OF_RANGE if code == KafkaError._AUTO_OFFSET_RESET else code


def place(bootstrap, partitions):
    """The binding takes no function that chooses: whoever wants one chooses before."""
    acknowledged = 0

    def delivered(error, _message):
        nonlocal acknowledged
        acknowledged += error is None

    partitions = int(partitions)
    producer = producer_of(bootstrap)
    for choice, key, value in placed():
        partition = {}
        if choice == "custom":
            partition = {"partition": partition_of_user(key, partitions)}
        elif choice == "round-robin":
            partition = {"partition": int(value) % partitions}
        producer.produce(choice, value, key, on_delivery=delivered, **partition)
    producer.flush(LIMIT_SECONDS)
    return {"acknowledged": acknowledged}


def load(bootstrap, topic, partitions):
    acknowledgements = Acknowledgements()
    producer = Producer({
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "linger.ms": 1,
        "batch.num.messages": 50,
        "reconnect.backoff.ms": 10,
        "reconnect.backoff.max.ms": 50,
        "retry.backoff.ms": 10,
        # Brokers that go away are what this is about.
        "log_level": 2,
    })

    def send(number, partition):
        def delivered(error, message):
            if error is None:
                acknowledgements.add(number, message.offset())
            else:
                acknowledgements.fail(error.name())

        acknowledgements.sent += 1
        producer.produce(topic, str(number), partition=partition, on_delivery=delivered)

    is_over = end_of_input()
    number = 0
    while not is_over.is_set():
        if OUTSTANDING_MAX <= len(producer):
            producer.poll(0.01)
            continue
        for partition in range(int(partitions)):
            send(number, partition)
        number += 1
        producer.poll(0)
    producer.flush(SETTLE_LIMIT_SECONDS)
    return acknowledgements.result()


def transact(bootstrap):
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "one"})
    return {"error": code_of(lambda: producer.init_transactions(LIMIT_SECONDS))}


def main():
    commands = [topics, write, read, place, load, transact]
    command, = (command for command in commands if command.__name__ == sys.argv[1])
    print(json.dumps(command(*sys.argv[2:])))


main()
