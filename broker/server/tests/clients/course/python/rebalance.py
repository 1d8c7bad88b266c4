"""Partitions are shared anew when a consumer joins, and when one dies.

rebalance.py BOOTSTRAP          the whole story
rebalance.py BOOTSTRAP member   the consumer that dies

Prints who had which partitions, what was read by whom, and after how long the dead one was missed.
"""

import json
import signal
import subprocess
import sys
import time

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
TASKS = 40


def consumer_of_tasks(bootstrap):
    consumer = consumer_of(bootstrap, "workers")
    consumer.subscribe(["tasks"])
    return consumer


def send_tasks(bootstrap, numbers):
    send(bootstrap, "tasks",
         [{"value": str(number), "partition": number % PARTITIONS} for number in numbers])


def done(consumer, message):
    """What is committed is not done again by whoever gets the partition."""
    consumer.commit(message, asynchronous=False)
    return int(message.value())


def member(bootstrap):
    """Says what it is assigned, then each task that it has done, until it is killed, or forgotten."""
    consumer = consumer_of_tasks(bootstrap)
    wait_until(lambda: len(assigned(consumer)) == PARTITIONS // 2, [consumer])
    print(json.dumps(assigned(consumer)), flush=True)
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        message = poll(consumer, 1)
        if message is not None:
            print(done(consumer, message), flush=True)


def story(bootstrap):
    create_topics(bootstrap, PARTITIONS, "tasks")
    first = consumer_of_tasks(bootstrap)
    wait_until(lambda: len(assigned(first)) == PARTITIONS, [first])
    alone = assigned(first)

    command = [sys.executable, "-B", __file__, bootstrap, "member"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second:
        try:
            wait_until(lambda: len(assigned(first)) == PARTITIONS // 2, [first])
            together = [assigned(first), json.loads(second.stdout.readline())]
            send_tasks(bootstrap, range(TASKS))
            by_first = [done(first, message) for message in take(first, TASKS // 2)]
            by_second = [int(second.stdout.readline()) for _ in range(TASKS // 2)]
        finally:
            second.send_signal(signal.SIGKILL)

    death = time.monotonic()
    wait_until(lambda: len(assigned(first)) == PARTITIONS, [first])
    missed_after = time.monotonic() - death
    send_tasks(bootstrap, range(TASKS, 2 * TASKS))
    by_first += [done(first, message) for message in take(first, TASKS)]
    first.close()
    return {
        "alone": alone,
        "together": together,
        "missed_after_seconds": missed_after,
        "by_first": by_first,
        "by_second": by_second,
    }


if sys.argv[2:] == ["member"]:
    member(sys.argv[1])
else:
    print(json.dumps(story(sys.argv[1])))
