"""What goes into ../java/WordsAndTotals.java, and what comes out.

words_and_totals.py create BOOTSTRAP         makes the topics
words_and_totals.py send BOOTSTRAP FIRST COUNT
    sends so many sentences and payments, and waits until the application has committed them
words_and_totals.py read BOOTSTRAP           prints every count and total of each key, in order
"""

import json
import sys
import time

from confluent_kafka import TopicPartition

from course import LIMIT_SECONDS, consumer_of, create_topics, read, send

APPLICATION = "words-and-totals"
INPUTS = ["payments", "sentences"]
OUTPUTS = ["totals", "word-counts"]
BETWEEN = f"{APPLICATION}-words-repartition"
WORDS = ["log", "topic", "offset", "group", "key"]
USERS = ["ada", "ben", "cem"]


def sentence(number):
    """Three different words."""
    return " ".join(WORDS[(number + step) % len(WORDS)] for step in range(3))


def is_committed(consumer, topic):
    partitions = [TopicPartition(topic, number) for number in
                  consumer.list_topics(timeout=LIMIT_SECONDS).topics[topic].partitions]
    committed = consumer.committed(partitions, LIMIT_SECONDS)
    ends = [consumer.get_watermark_offsets(one, LIMIT_SECONDS)[1] for one in partitions]
    return all(one.offset == end or end == 0 for one, end in zip(committed, ends))


def wait_until_committed(bootstrap):
    """Inputs first: once they are committed, nothing is added to the topic between."""
    consumer = consumer_of(bootstrap, APPLICATION)
    deadline = time.monotonic() + LIMIT_SECONDS
    for topic in [*INPUTS, BETWEEN]:
        while not is_committed(consumer, topic):
            if deadline < time.monotonic():
                raise TimeoutError(f"{topic} is not committed")
            time.sleep(0.1)
    consumer.close()


def send_part(bootstrap, first, count):
    numbers = range(int(first), int(first) + int(count))
    send(bootstrap, "sentences", [{"value": sentence(number)} for number in numbers])
    send(bootstrap, "payments",
         [{"key": USERS[number % len(USERS)], "value": str(number)} for number in numbers])
    wait_until_committed(bootstrap)
    return {}


def read_outputs(bootstrap):
    outputs = {topic: {} for topic in OUTPUTS}
    for message in read(bootstrap, "spectator", *OUTPUTS):
        values = outputs[message.topic()].setdefault(message.key().decode(), [])
        values.append(int(message.value()))
    return outputs


def create(bootstrap):
    create_topics(bootstrap, 2, *INPUTS, *OUTPUTS)
    return {}


commands = {"create": create, "send": send_part, "read": read_outputs}
print(json.dumps(commands[sys.argv[1]](*sys.argv[2:])))
