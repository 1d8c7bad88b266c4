"""What has no key can go anywhere; by turns, every partition gets the same share.

round_robin.py BOOTSTRAP

librdkafka chooses by chance where there is no key, so the turns are the program's. Prints the
numbers that are in each partition.
"""

import itertools
import json
import sys

from course import create_topics, read, send

PARTITIONS = 4
READINGS = 40


def main(bootstrap):
    create_topics(bootstrap, PARTITIONS, "readings")
    turns = itertools.cycle(range(PARTITIONS))
    send(bootstrap, "readings",
         [{"value": str(number), "partition": next(turns)} for number in range(READINGS)])
    seen = [[] for _ in range(PARTITIONS)]
    for message in read(bootstrap, "shares", "readings"):
        seen[message.partition()].append(int(message.value()))
    print(json.dumps(seen))


main(sys.argv[1])
