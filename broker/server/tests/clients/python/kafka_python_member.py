"""A member of a group, through kafka-python: member.py describes it."""

import sys

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from events import Termination, numbers, tell

ASSIGNORS = {"range": RangePartitionAssignor, "cooperative-sticky": CooperativeStickyAssignor}


class Listener(ConsumerRebalanceListener):
    def __init__(self, consumer):
        self.consumer = consumer

    def tell(self, event, partitions):
        generation = self.consumer.group_metadata().generation_id
        tell(event, partitions=numbers(partitions), generation=generation)

    def on_partitions_assigned(self, assigned):
        self.tell("assigned", assigned)

    def on_partitions_revoked(self, revoked):
        self.tell("revoked", revoked)

    def on_partitions_lost(self, lost):
        self.tell("lost", lost)


def main(bootstrap, group, topic, instance, protocol, commit):
    termination = Termination()
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        group_instance_id=None if instance == "-" else instance,
        partition_assignment_strategy=[ASSIGNORS[protocol]],
        auto_offset_reset="earliest",
        enable_auto_commit=commit == "auto",
        auto_commit_interval_ms=500,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        fetch_max_wait_ms=100,
    )
    consumer.subscribe([topic], listener=Listener(consumer))
    while not termination.has_come:
        # Longer than joining takes. A poll whose time is over at the moment at which the group's answer
        # comes can leave this client with partitions that it does not read, and without heartbeats.
        for records in consumer.poll(timeout_ms=1000).values():
            for record in records:
                tell("record", partition=record.partition, offset=record.offset)
                if commit == "each":
                    next_offset = OffsetAndMetadata(record.offset + 1, "", -1)
                    try:
                        consumer.commit({TopicPartition(topic, record.partition): next_offset})
                    except KafkaError as failure:
                        tell("commit_failed", error=type(failure).__name__)
    consumer.close()
    tell("closed")


main(*sys.argv[1:])
