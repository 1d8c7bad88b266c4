"""A member of a group, through aiokafka: member.py describes it. It knows no cooperative assignor."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from events import Termination, numbers, tell


class Listener(ConsumerRebalanceListener):
    """Holds on to `lock` while partitions are revoked: records are processed by another task."""

    def __init__(self, lock):
        self.lock = lock

    async def on_partitions_revoked(self, revoked):
        async with self.lock:
            tell("revoked", partitions=numbers(revoked))

    async def on_partitions_assigned(self, assigned):
        tell("assigned", partitions=numbers(assigned))


async def process(consumer, record, commit):
    tell("record", partition=record.partition, offset=record.offset)
    if commit == "each":
        try:
            await consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
        except KafkaError as failure:
            tell("commit_failed", error=type(failure).__name__)


async def main(bootstrap, group, topic, instance, protocol, commit):
    assert protocol == "range"
    termination = Termination()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        group_instance_id=None if instance == "-" else instance,
        partition_assignment_strategy=[RangePartitionAssignor],
        auto_offset_reset="earliest",
        enable_auto_commit=commit == "auto",
        auto_commit_interval_ms=500,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        fetch_max_wait_ms=100,
    )
    lock = asyncio.Lock()
    consumer.subscribe([topic], listener=Listener(lock))
    await consumer.start()
    while not termination.has_come:
        # One at a time, so that none waits here while its partition is revoked.
        for records in (await consumer.getmany(timeout_ms=100, max_records=1)).values():
            for record in records:
                async with lock:
                    await process(consumer, record, commit)
    await consumer.stop()
    tell("closed")


asyncio.run(main(*sys.argv[1:]))
