"""What the members of groups tell, as lines of JSON. ../groups.rs reads them."""

import json
import signal
import time


def tell(event, **more):
    print(json.dumps({"event": event, "at": time.time_ns() // 1000, **more}), flush=True)


def numbers(partitions):
    return sorted(one.partition for one in partitions)


class Termination:
    """Whether SIGTERM has come. The client's own threads are not disturbed by it."""

    def __init__(self):
        self.has_come = False
        signal.signal(signal.SIGTERM, self.note)

    def note(self, _number, _frame):
        self.has_come = True
