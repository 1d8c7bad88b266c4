"""Every group reads everything, each in its own time; the members of one share the partitions.

independent_groups.py BOOTSTRAP

Prints what each member has read, and how far each group has come before and after one of them has
read on.
"""

import json
import sys

from confluent_kafka import TopicPartition

from course import (
    LIMIT_SECONDS,
    assigned,
    consumer_of,
    create_topics,
    poll,
    send,
    take,
    wait_until,
)

PARTITIONS = 4
ORDERS = 40


def send_orders(bootstrap, numbers):
    send(bootstrap, "orders",
         [{"value": str(number), "partition": number % PARTITIONS} for number in numbers])


def share(members, count):
    """What each of a group's members reads of the next records."""
    seen = [[] for _ in members]
    while sum(map(len, seen)) < count:
        for member, read in zip(members, seen):
            message = poll(member, 0.05)
            if message is not None:
                read.append(int(message.value()))
                member.commit(message, asynchronous=False)
    return seen


def committed(consumer):
    """How many records its group has done with."""
    partitions = [TopicPartition("orders", number) for number in range(PARTITIONS)]
    return sum(max(0, one.offset) for one in consumer.committed(partitions, LIMIT_SECONDS))


def main(bootstrap):
    create_topics(bootstrap, PARTITIONS, "orders")
    billing = [consumer_of(bootstrap, "billing") for _ in range(2)]
    shipping = consumer_of(bootstrap, "shipping")
    for consumer in [*billing, shipping]:
        consumer.subscribe(["orders"])
    wait_until(lambda: [len(assigned(member)) for member in billing] == [2, 2], billing)
    send_orders(bootstrap, range(ORDERS))
    of_billing = share(billing, ORDERS)
    before = {"billing": committed(billing[0]), "shipping": committed(shipping)}
    of_shipping = []
    for message in take(shipping, ORDERS):
        of_shipping.append(int(message.value()))
        shipping.commit(message, asynchronous=False)
    after = {"billing": committed(billing[0]), "shipping": committed(shipping)}
    for consumer in [*billing, shipping]:
        consumer.close()
    print(json.dumps({
        "billing": of_billing,
        "shipping": of_shipping,
        "committed": [before, after],
    }))


main(sys.argv[1])
