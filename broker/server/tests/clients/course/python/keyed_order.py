"""What happens to one user happens in order: a key is always in the same partition.

keyed_order.py BOOTSTRAP

Prints of each user partition and number of each event, in the order in which they were read.
"""

import json
import sys

from course import create_topics, read, send

USERS = ["ada", "ben", "cem", "dua", "eva"]
EVENTS = 20


def main(bootstrap):
    create_topics(bootstrap, 4, "user-events")
    events = [(user, number) for number in range(EVENTS) for user in USERS]
    send(bootstrap, "user-events", [{"key": user, "value": str(number)} for user, number in events])
    seen = {user: [] for user in USERS}
    for message in read(bootstrap, "order-of-users", "user-events"):
        seen[message.key().decode()].append([message.partition(), int(message.value())])
    print(json.dumps(seen))


main(sys.argv[1])
