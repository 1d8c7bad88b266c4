"""A member of a group, through librdkafka. The other clients' members do the same.

member.py BOOTSTRAP GROUP TOPIC INSTANCE PROTOCOL COMMIT

With an INSTANCE it is a static member; "-" is none. PROTOCOL is range or cooperative-sticky, where one
of the members assigns the partitions, or consumer, where the broker does (KIP-848). COMMIT is "each",
every record once it is processed, or "auto", what the client does by itself.

Tells when it is assigned partitions and when they are revoked, with the generation or epoch if the
client shows it, every record that it has processed, and commits that have failed. Runs until SIGTERM.
"""

import sys

from confluent_kafka import Consumer, KafkaException

from events import Termination, numbers, tell


def consumer_of(bootstrap, group, instance, protocol, commit):
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": commit == "auto",
        "auto.commit.interval.ms": 500,
        # What is asked for on the same connection waits for fetches that wait.
        "fetch.wait.max.ms": 100,
    }
    if instance != "-":
        settings["group.instance.id"] = instance
    if protocol == "consumer":
        # How long members may be silent is the broker's setting then.
        settings["group.protocol"] = "consumer"
    else:
        settings["partition.assignment.strategy"] = protocol
        settings["session.timeout.ms"] = 6000
        settings["heartbeat.interval.ms"] = 500
    return Consumer(settings)


def main(bootstrap, group, topic, instance, protocol, commit):
    termination = Termination()
    consumer = consumer_of(bootstrap, group, instance, protocol, commit)
    # Where these assign nothing themselves, the binding does so afterwards.
    consumer.subscribe(
        [topic],
        on_assign=lambda _consumer, partitions: tell("assigned", partitions=numbers(partitions)),
        on_revoke=lambda _consumer, partitions: tell("revoked", partitions=numbers(partitions)),
        on_lost=lambda _consumer, partitions: tell("lost", partitions=numbers(partitions)),
    )
    while not termination.has_come:
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error() is not None:
            raise KafkaException(message.error())
        tell("record", partition=message.partition(), offset=message.offset())
        if commit == "each":
            try:
                consumer.commit(message, asynchronous=False)
            except KafkaException as failure:
                tell("commit_failed", error=failure.args[0].name())
    consumer.close()
    tell("closed")


main(*sys.argv[1:])
