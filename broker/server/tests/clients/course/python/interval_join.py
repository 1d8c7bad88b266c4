"""Joins orders with payments that come within 15 minutes before or after them.

interval_join.py BOOTSTRAP

Each stream waits for the other in a buffer. What happened so long ago that nothing can match it any
more, by the watermarks of both streams, leaves its buffer unmatched. So the result does not depend
on which stream is read faster. Prints pairs, orders without a payment, and payments without an order.
"""

import json
import sys

from course import consumer_of, create_topics, send, until_end

MINUTE_MS = 60_000
WITHIN = 15
EPOCH_MS = 1_700_000_040_000
PARTITIONS = 2

# Minute and order, in order of time. The last of each moves the watermarks on.
ORDERS = [
    (0, "a"), (2, "b"), (5, "c"), (10, "d"), (20, "e"), (40, "f"), (90, "end-0"), (90, "end-1"),
]
# b is paid exactly in time, c too late, e in advance, d never, g was never ordered, and f is paid in
# two parts.
PAYMENTS = [
    (3, "a"), (12, "e"), (17, "b"), (21, "c"), (30, "g"), (41, "f"), (44, "f"), (90, "end-0"),
    (90, "end-1"),
]


class Joined:
    """The join within one partition of both topics."""

    def __init__(self):
        # By topic: minute, order, and whether it has been matched.
        self.waiting = {"orders": [], "payments": []}
        self.watermarks = {"orders": -1, "payments": -1}
        self.pairs = []
        self.unmatched = {"orders": [], "payments": []}

    def add(self, topic, minute, order):
        other = "payments" if topic == "orders" else "orders"
        event = [minute, order, False]
        for candidate in self.waiting[other]:
            if candidate[1] == order and abs(candidate[0] - minute) <= WITHIN:
                candidate[2] = event[2] = True
                minutes = {topic: minute, other: candidate[0]}
                self.pairs.append([order, minutes["orders"], minutes["payments"]])
        self.waiting[topic].append(event)
        self.watermarks[topic] = minute
        self.forget()

    def forget(self):
        for topic, other in [("orders", "payments"), ("payments", "orders")]:
            horizon = self.watermarks[other] - WITHIN
            self.unmatched[topic] += [[minute, order] for minute, order, is_matched in self.waiting[topic]
                                      if minute < horizon and not is_matched]
            self.waiting[topic] = [event for event in self.waiting[topic] if horizon <= event[0]]


def partition_of(order):
    """Both streams have to be split alike, or what belongs together never meets."""
    return sum(order.encode()) % PARTITIONS


def main(bootstrap):
    create_topics(bootstrap, PARTITIONS, "orders", "payments")
    for topic, events in [("orders", ORDERS), ("payments", PAYMENTS)]:
        send(bootstrap, topic,
             [{"key": order, "partition": partition_of(order), "timestamp": EPOCH_MS + minute * MINUTE_MS}
              for minute, order in events])
    joins = [Joined() for _ in range(PARTITIONS)]
    consumer = consumer_of(bootstrap, "accounting")
    consumer.subscribe(["orders", "payments"])
    for message in until_end(consumer):
        minute = (message.timestamp()[1] - EPOCH_MS) // MINUTE_MS
        joins[message.partition()].add(message.topic(), minute, message.key().decode())
    consumer.commit(asynchronous=False)
    consumer.close()
    print(json.dumps({
        "pairs": sorted(pair for join in joins for pair in join.pairs),
        "unpaid": sorted(event for join in joins for event in join.unmatched["orders"]),
        "unordered": sorted(event for join in joins for event in join.unmatched["payments"]),
        # The ends have found each other, and nothing else is left.
        "waiting": sorted(event[1] for join in joins for events in join.waiting.values()
                          for event in events),
    }))


main(sys.argv[1])
