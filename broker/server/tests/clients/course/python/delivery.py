"""What a crash between processing and commit costs depends on which of them is first.

delivery.py BOOTSTRAP

Prints of both orders what was processed: commit first, and a record is lost (at most once); process
first, and one is processed again (at least once).
"""

import json
import sys

from course import consumer_of, create_topics, send, until_end

PAYMENTS = 20
FATAL = 7


class Crash(Exception):
    """The process would be gone. Nothing that comes after it is done, least of all a commit."""


def at_most_once(consumer, process, crash):
    for message in until_end(consumer):
        consumer.commit(message, asynchronous=False)
        crash(message)
        process(message)


def at_least_once(consumer, process, crash):
    for message in until_end(consumer):
        process(message)
        crash(message)
        consumer.commit(message, asynchronous=False)


def survive(bootstrap, topic, loop):
    """Runs a loop that crashes once, and again, as whoever watches over a process would."""
    processed = []
    crashes = 0

    def process(message):
        processed.append(int(message.value()))

    def crash(message):
        if crashes == 0 and int(message.value()) == FATAL:
            raise Crash

    while True:
        consumer = consumer_of(bootstrap, f"{topic}-bookkeeping")
        consumer.subscribe([topic])
        try:
            loop(consumer, process, crash)
            return {"crashes": crashes, "processed": processed}
        except Crash:
            crashes += 1
        finally:
            # It leaves the group, so that nobody has to wait until it is missed, and commits nothing.
            consumer.close()


def main(bootstrap):
    result = {}
    for loop in [at_most_once, at_least_once]:
        topic = loop.__name__.replace("_", "-")
        create_topics(bootstrap, 1, topic)
        send(bootstrap, topic, [{"value": str(number)} for number in range(PAYMENTS)])
        result[loop.__name__] = survive(bootstrap, topic, loop)
    print(json.dumps(result))


main(sys.argv[1])
