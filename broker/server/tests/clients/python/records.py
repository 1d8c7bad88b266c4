"""What the Python clients write alike, how they show what they read, and when they have sent enough."""

import sys
import threading
import zlib

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
FIRST_TIME_MS = 1_700_000_000_000
MESSAGE_BYTES_MAX = 1_500_000
MIB = 1 << 20
LARGE = bytes((i * 31 + i // 251) & 255 for i in range(MIB))

# How long anything may take, how long what is under way at the end, and how much of that there is.
LIMIT_SECONDS = 30
SETTLE_LIMIT_SECONDS = 60
OUTSTANDING_MAX = 300

ROUND_ROBIN_COUNT = 40
KEYS = 20
OF_EACH_KEY = 10
USERS = ["vip-1", "user-1", "vip-2", "user-2", "user-3", "user-10", "user-25"]
OF_EACH_USER = 5


def records_of(codec):
    """Key, value and headers of the records that are written together."""
    headers = [("first", b"\x00\xff"), ("again", codec.encode()), ("again", b""), ("null", None)]
    return [
        (codec.encode(), codec.encode() * 100, headers),
        (None, b"", []),
        (b"", None, []),
        (b"large", LARGE, []),
    ]


def hexed(data):
    return None if data is None else bytes(data).hex()


def shown(offset, time, is_create_time, key, value, headers):
    return {
        "offset": offset,
        "time": time,
        "is_create_time": is_create_time,
        "key": hexed(key),
        "size": None if value is None else len(value),
        "crc": None if value is None else zlib.crc32(value),
        "headers": [[key, hexed(value)] for key, value in headers or []],
    }


def partition_of_user(user, partitions):
    """Important users have the first partition, the others share the rest."""
    return 0 if user.startswith(b"vip-") else 1 + sum(user) % (partitions - 1)


def placed():
    """Where records are sent to by what choice of a partition: choice, key, value."""
    for number in range(OF_EACH_USER):
        for user in USERS:
            yield "custom", user.encode(), str(number).encode()
    for number in range(ROUND_ROBIN_COUNT):
        yield "round-robin", None, str(number).encode()
    for number in range(OF_EACH_KEY):
        for key in range(KEYS):
            yield "keyed", f"key-{key}".encode(), str(number).encode()


class Acknowledgements:
    """Counts what a load has sent. The record of a number has that number as its offset."""

    def __init__(self):
        self.sent = 0
        self.count = 0
        self.misplaced = 0
        self.errors = []

    def add(self, number, offset):
        self.misplaced += number != offset
        self.count += 1
        if self.count % 1000 == 0:
            print(self.count, flush=True)

    def fail(self, error):
        self.errors.append(repr(error))

    def result(self):
        return {
            "unsettled": self.sent - self.count - len(self.errors),
            "misplaced": self.misplaced,
            "errors": self.errors[:10],
            "sent": self.sent,
        }


def end_of_input():
    """Is set at the end of standard input: what is sent until then is enough."""
    is_over = threading.Event()

    def listen():
        sys.stdin.read()
        is_over.set()

    threading.Thread(target=listen, daemon=True).start()
    return is_over
