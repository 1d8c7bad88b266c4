"""What a client can do, through aiokafka: librdkafka.py describes the commands."""

import asyncio
import json
import sys
import time as clock
from contextlib import asynccontextmanager
from itertools import count

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import BrokerResponseError, OffsetOutOfRangeError
from aiokafka.partitioner import DefaultPartitioner

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
DEFAULT_CONFIG = 5


@asynccontextmanager
async def started(client):
    await client.start()
    try:
        yield client
    finally:
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())


def admin_of(bootstrap):
    return started(AIOKafkaAdminClient(bootstrap_servers=bootstrap))


def producer_of(bootstrap, codec="none", **more):
    return started(AIOKafkaProducer(**{
        "bootstrap_servers": bootstrap,
        "enable_idempotence": True,
        "compression_type": None if codec == "none" else codec,
        # What is sent without waiting between is in one batch.
        "linger_ms": 100,
        "max_batch_size": 4 * MIB,
        "max_request_size": 4 * MIB,
        **more,
    }))


@asynccontextmanager
async def consumer_of(bootstrap, partition, **more):
    # What is asked for on the same connection waits for fetches that wait.
    options = {"auto_offset_reset": "none", "fetch_max_wait_ms": 100, **more}
    async with started(AIOKafkaConsumer(bootstrap_servers=bootstrap, **options)) as consumer:
        consumer.assign([partition])
        yield consumer


async def create(admin, name, partitions=1, replicas=1, configs=None):
    """Gives the error."""
    topic = NewTopic(name, partitions, replicas, topic_configs=configs or {})
    response = await admin.create_topics([topic])
    return response.topic_errors[0][1]


async def delete(admin, name):
    """Gives the error."""
    response = await admin.delete_topics([name])
    return response.topic_error_codes[0][1]


async def describe(admin, kind, name):
    """The configs, as value and source of each name."""
    response, = await admin.describe_configs([ConfigResource(kind, name)])
    code, _, _, _, entries = response.resources[0]
    if code:
        raise ValueError(f"{name} cannot be described: {code}")
    return {entry[0]: (entry[1], entry[3]) for entry in entries}


async def send(bootstrap, topic, **record):
    """Sends a record and gives its offset."""
    async with producer_of(bootstrap) as producer:
        return (await producer.send_and_wait(topic, **record)).offset


async def code_of(action):
    """The number of the error that an action ends with, 0 for none."""
    try:
        await action
    except BrokerResponseError as failure:
        return failure.errno
    return 0


async def topics(bootstrap, prefix):
    async with admin_of(bootstrap) as admin:
        name = f"{prefix}-managed"
        other = f"{prefix}-x"
        size = str(MESSAGE_BYTES_MAX)
        created = await create(admin, name, 3, 1, {"max.message.bytes": size})
        if created != 0:
            raise ValueError(f"{name} cannot be created: {created}")
        configs = await describe(admin, ConfigResourceType.TOPIC, name)
        of_broker = await describe(admin, ConfigResourceType.BROKER, "1")
        cluster = await admin.describe_cluster()
        topic, = await admin.describe_topics([name])
        await admin.create_partitions({name: NewPartitions(5)})
        grown, = await admin.describe_topics([name])
        errors = {
            "create again": await create(admin, name),
            "create with a bad name": await create(admin, "no blanks"),
            "create with a bad config": await create(admin, other, configs={"no": "1"}),
            "create with a bad value": await create(
                admin, other, configs={"max.message.bytes": "many"}
            ),
            "create with two copies": await create(admin, other, replicas=2),
            "grow to fewer": await code_of(admin.create_partitions({name: NewPartitions(4)})),
            "grow unknown": await code_of(admin.create_partitions({other: NewPartitions(4)})),
            "delete unknown": await delete(admin, f"{prefix}-unknown"),
            "send too much": await code_of(
                send(bootstrap, name, value=bytes(MESSAGE_BYTES_MAX + 1))
            ),
        }
        response, = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, f"{prefix}-unknown")]
        )
        errors["describe unknown"] = response.resources[0][0]
        made_by_sending = await send(bootstrap, f"{prefix}-made-by-sending", value=b"1")
        deleted = await delete(admin, name)
        if deleted != 0:
            raise ValueError(f"{name} cannot be deleted: {deleted}")
        left = [topic for topic in await admin.list_topics() if topic.startswith(f"{prefix}-")]
    return {
        "brokers": [broker["node_id"] for broker in cluster["brokers"]],
        "controller": cluster["controller_id"],
        "has_cluster_id": bool(cluster["cluster_id"]),
        "partitions": sorted(one["partition"] for one in topic["partitions"]),
        "grown": sorted(one["partition"] for one in grown["partitions"]),
        "configs": {
            key: [configs[key][0], configs[key][1] == DEFAULT_CONFIG]
            for key in ("max.message.bytes", "cleanup.policy")
        },
        "broker_id": of_broker["broker.id"][0],
        "errors": errors,
        "made_by_sending": made_by_sending,
        "left": sorted(left),
    }


async def write(bootstrap, topic):
    async with admin_of(bootstrap) as admin:
        await create(admin, topic, 2, 1, {"max.message.bytes": str(MESSAGE_BYTES_MAX)})
    offsets = []
    time = FIRST_TIME_MS
    for codec in CODECS:
        async with producer_of(bootstrap, codec) as producer:
            # After that nothing is waited for between records.
            await producer.partitions_for(topic)
            sent = []
            for key, value, headers in records_of(codec):
                sent.append(await producer.send(topic, value, key, 0, time, headers))
                time += 1000
            offsets += [(await one).offset for one in sent]
    return {"offsets": offsets}


async def take(consumer, partition, count):
    records = []
    deadline = clock.monotonic() + LIMIT_SECONDS
    while len(records) < count and clock.monotonic() < deadline:
        records += (await consumer.getmany(timeout_ms=100)).get(partition, [])
    return records


def shown_record(record):
    is_create_time = record.timestamp_type == CREATE_TIME
    key, value, headers = record.key, record.value, record.headers
    return shown(record.offset, record.timestamp, is_create_time, key, value, headers)


async def read(bootstrap, topic):
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    async with consumer_of(bootstrap, first) as consumer:
        await consumer.seek_to_beginning(first)
        beginning = (await consumer.beginning_offsets([first]))[first]
        end = (await consumer.end_offsets([first]))[first]
        records = [shown_record(record) for record in await take(consumer, first, end)]

        async def offset_at(offset):
            consumer.seek(first, offset)
            return (await take(consumer, first, 1))[0].offset

        async def offset_of_time(time):
            found = (await consumer.offsets_for_times({first: time}))[first]
            return None if found is None else found.offset

        seeks = {
            "7": await offset_at(7),
            "last": await offset_at(end - 1),
            "time": await offset_at(await offset_of_time(FIRST_TIME_MS + 1500)),
        }
        await consumer.seek_to_beginning(first)
        seeks["beginning"] = (await take(consumer, first, 1))[0].offset
        await consumer.seek_to_end(first)
        is_at_end = await consumer.position(first) == end
        is_at_end = is_at_end and not await consumer.getmany(timeout_ms=200)
        seeks["end"] = None if is_at_end else await consumer.position(first)
        times = {
            "before all": await offset_of_time(1),
            "exactly": await offset_of_time(FIRST_TIME_MS + 1000),
            "between": await offset_of_time(FIRST_TIME_MS + 1500),
            "compressed": await offset_of_time(FIRST_TIME_MS + 9500),
            "after all": await offset_of_time(FIRST_TIME_MS + 1_000_000),
        }
        consumer.seek(first, end + 100)
        try:
            await take(consumer, first, 1)
            past_end = 0
        except OffsetOutOfRangeError as failure:
            past_end = failure.errno
    isolation = {"isolation_level": "read_committed"}
    async with consumer_of(bootstrap, first, **isolation) as committed:
        await committed.seek_to_beginning(first)
        committed_count = len(await take(committed, first, end))
    # One that waits at the end gets what comes next.
    async with consumer_of(bootstrap, second) as waiting:
        await waiting.seek_to_end(second)
        sent = await send(bootstrap, topic, value=b"next", partition=1)
        record = (await take(waiting, second, 1))[0]
    return {
        "records": records,
        "seeks": seeks,
        "times": times,
        "ends": [beginning, end],
        "past_end": past_end,
        "committed": committed_count,
        "next": [record.offset == sent, record.value.decode()],
    }


async def place(bootstrap, partitions):
    turns = count()
    default = DefaultPartitioner()

    def chosen_for_user(key, all_partitions, _available):
        return all_partitions[partition_of_user(key, len(all_partitions))]

    def chosen_by_turns(_key, all_partitions, _available):
        return all_partitions[next(turns) % len(all_partitions)]

    partitioners = {"custom": chosen_for_user, "round-robin": chosen_by_turns, "keyed": default}
    acknowledged = 0
    for wanted, partitioner in partitioners.items():
        async with producer_of(bootstrap, partitioner=partitioner) as producer:
            sent = [await producer.send(choice, value, key)
                    for choice, key, value in placed() if choice == wanted]
            acknowledged += len(await asyncio.gather(*sent))
    return {"acknowledged": acknowledged}


async def load(bootstrap, topic, partitions):
    acknowledgements = Acknowledgements()
    options = {
        "linger_ms": 1,
        "max_batch_size": 1000,
        "retry_backoff_ms": 10,
        # A batch that is older than that is given up.
        "request_timeout_ms": 120_000,
    }
    async with producer_of(bootstrap, **options) as producer:
        waiting = set()

        async def send(number, partition):
            acknowledgements.sent += 1
            value = str(number).encode()
            sent = await producer.send(topic, value, partition=partition)
            waiting.add(sent)

            def delivered(sent):
                waiting.discard(sent)
                if sent.exception() is None:
                    acknowledgements.add(number, sent.result().offset)
                else:
                    acknowledgements.fail(sent.exception())

            sent.add_done_callback(delivered)

        is_over = end_of_input()
        number = 0
        while not is_over.is_set():
            if OUTSTANDING_MAX <= len(waiting):
                await asyncio.sleep(0.001)
                continue
            for partition in range(int(partitions)):
                await send(number, partition)
            number += 1
        if waiting:
            await asyncio.wait(waiting, timeout=SETTLE_LIMIT_SECONDS)
    return acknowledgements.result()


def main():
    commands = [topics, write, read, place, load]
    command, = (command for command in commands if command.__name__ == sys.argv[1])
    print(json.dumps(asyncio.run(command(*sys.argv[2:]))))


main()
