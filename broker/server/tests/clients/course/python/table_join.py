"""Joins a stream of clicks with the table of users, which a compacted topic holds.

table_join.py BOOTSTRAP

The last value of each key is the table; a record without a value, a tombstone, takes its key out of
it. Prints each click with the country of its user at that time, and the table at the end, as the
joining program has it and as one has it that reads the topic from its beginning.
"""

import json
import sys

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from course import LIMIT_SECONDS, consumer_of, create_topics, read, send, take

USERS = [("ada", "PT"), ("ben", "FR"), ("cem", "TR"), ("ada", "ES"), ("cem", None), ("dua", "AL")]
LATER_USERS = [("ben", None), ("cem", "DE"), ("eva", "CZ")]
CLICKS = ["ada", "ben", "cem", "dua", "eva"]


def send_users(bootstrap, users):
    send(bootstrap, "users", [{"key": user, "value": country} for user, country in users])


def update(table, message):
    if message.value() is None:
        table.pop(message.key().decode(), None)
    else:
        table[message.key().decode()] = message.value().decode()


class Table:
    """Follows the topic by itself, outside of any group: who joins needs all of it."""

    def __init__(self, bootstrap):
        self.rows = {}
        self.partition = TopicPartition("users", 0, OFFSET_BEGINNING)
        self.consumer = consumer_of(bootstrap, "none")
        self.consumer.assign([self.partition])
        self.position = 0

    def catch_up(self):
        """Up to what is the end now. A row that was deleted is there no longer."""
        _beginning, end = self.consumer.get_watermark_offsets(self.partition, LIMIT_SECONDS)
        while self.position < end:
            message, = take(self.consumer, 1)
            update(self.rows, message)
            # Where compaction has taken records out, offsets are missing; the last stays for ever.
            self.position = message.offset() + 1


def main(bootstrap):
    create_topics(bootstrap, 1, "users", config={"cleanup.policy": "compact"})
    create_topics(bootstrap, 1, "clicks")
    table = Table(bootstrap)
    clicks = consumer_of(bootstrap, "join")
    clicks.subscribe(["clicks"])
    joined = []
    for users in [USERS, LATER_USERS]:
        send_users(bootstrap, users)
        send(bootstrap, "clicks", [{"key": user} for user in CLICKS])
        # The table first, so that a click meets its user.
        table.catch_up()
        for message in take(clicks, len(CLICKS)):
            user = message.key().decode()
            joined.append([user, table.rows.get(user)])
    clicks.close()
    table.consumer.close()
    built_anew = {}
    for message in read(bootstrap, "audit", "users"):
        update(built_anew, message)
    print(json.dumps({"joined": joined, "table": table.rows, "built_anew": built_anew}))


main(sys.argv[1])
