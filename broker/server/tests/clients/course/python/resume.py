"""A group goes on where it has committed, whoever reads for it then.

resume.py BOOTSTRAP

Prints what the first consumer has read, what it has committed of that, and what the next has read.
"""

import json
import sys

from confluent_kafka import TopicPartition

from course import LIMIT_SECONDS, consumer_of, create_topics, send, take, until_end

PAGES = 25


def main(bootstrap):
    create_topics(bootstrap, 1, "pages")
    send(bootstrap, "pages", [{"value": str(number)} for number in range(PAGES)])

    first = consumer_of(bootstrap, "reader")
    first.subscribe(["pages"])
    read_first = []
    for message in take(first, 15):
        read_first.append(int(message.value()))
        # The last five are read, but not committed.
        if len(read_first) == 10:
            # A committed offset is that of the next record to read.
            first.commit(message, asynchronous=False)
    first.close()

    second = consumer_of(bootstrap, "reader")
    committed, = second.committed([TopicPartition("pages", 0)], LIMIT_SECONDS)
    second.subscribe(["pages"])
    read_second = [int(message.value()) for message in until_end(second)]
    second.close()
    print(json.dumps({
        "first": read_first,
        "committed": committed.offset,
        "second": read_second,
    }))


main(sys.argv[1])
