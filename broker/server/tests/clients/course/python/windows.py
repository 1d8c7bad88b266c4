"""Counts clicks of each user in windows of the time at which they happened, not of when they came.

windows.py tumbling BOOTSTRAP   a window for each minute
windows.py sliding BOOTSTRAP    a minute as well, but one begins every 20 seconds
windows.py session BOOTSTRAP    from a user's first click until there was none for 30 seconds

The watermark is the time up to which everything has probably come: OUT_OF_ORDER behind the latest click.
A window that ends there is closed, and its counts are sent on. A click that comes when all its
windows are closed is late, and sent elsewhere, as the counts cannot be changed any more. Prints what
was sent on, in that order, what is still open, and what was late.
"""

import json
import sys

from course import consumer_of, create_topics, read, send, until_end

OUT_OF_ORDER = 10
MINUTE = 60
SLIDE = 20
GAP = 30

# Second and user, in the order in which they come. 48 comes after 55, but in time; 5 does not; for
# 110 it depends on the windows.
CLICKS = [
    (0, "ada"), (12, "ben"), (25, "ada"), (55, "ben"), (48, "ada"), (65, "ada"), (72, "ben"),
    (5, "ben"), (100, "ada"), (95, "ben"), (135, "ada"), (110, "ben"), (128, "ben"), (215, "ada"),
]
# Any time will do; this is one at which a minute begins.
EPOCH_MS = 1_700_000_040_000


class AlignedWindows:
    """Windows of a minute that begin at every multiple of a slide, and so may overlap."""

    def __init__(self, slide):
        self.slide = slide
        # By start and user.
        self.counts = {}

    def add(self, time, user, watermark):
        """Whether there is an open window for the click."""
        last = time // self.slide * self.slide
        starts = [start for start in range(last, time - MINUTE, -self.slide)
                  if watermark < start + MINUTE]
        for start in starts:
            self.counts[start, user] = self.counts.get((start, user), 0) + 1
        return bool(starts)

    def open(self):
        """Start, end, user and count, the first to end at first."""
        return [(start, start + MINUTE, user, count)
                for (start, user), count in sorted(self.counts.items())]

    def close(self, window):
        start, _end, user, _count = window
        del self.counts[start, user]


class SessionWindows:
    """Each click has a session of its own, until it turns out to overlap others of its user."""

    def __init__(self):
        self.sessions = []

    def add(self, time, user, watermark):
        if time + GAP <= watermark:
            return False
        merged = (time, time + GAP, user, 1)
        apart = []
        for session in self.sessions:
            start, end, whose, count = session
            if whose == user and start < merged[1] and merged[0] < end:
                merged = (min(start, merged[0]), max(end, merged[1]), user, count + merged[3])
            else:
                apart.append(session)
        self.sessions = [*apart, merged]
        return True

    def open(self):
        return sorted(self.sessions, key=lambda session: (session[1], session[2]))

    def close(self, window):
        self.sessions.remove(window)


def run(messages, windows):
    """What becomes of each click: windows that are closed because of it, or that it is late."""
    watermark = -1
    for message in messages:
        time = (message.timestamp()[1] - EPOCH_MS) // 1000
        user = message.key().decode()
        if not windows.add(time, user, watermark):
            yield "late-clicks", (time, user)
        watermark = max(watermark, time - OUT_OF_ORDER)
        for window in windows.open():
            if window[1] <= watermark:
                windows.close(window)
                yield "click-counts", window


def main(kind, bootstrap):
    # One partition: with more of them, the watermark is the lowest of theirs.
    create_topics(bootstrap, 1, "clicks", "click-counts", "late-clicks")
    send(bootstrap, "clicks",
         [{"key": user, "timestamp": EPOCH_MS + time * 1000} for time, user in CLICKS])
    windows = {
        "tumbling": lambda: AlignedWindows(MINUTE),
        "sliding": lambda: AlignedWindows(SLIDE),
        "session": SessionWindows,
    }[kind]()
    consumer = consumer_of(bootstrap, "counters")
    consumer.subscribe(["clicks"])
    for topic, outcome in run(until_end(consumer), windows):
        send(bootstrap, topic, [{"value": json.dumps(outcome)}])
    consumer.commit(asynchronous=False)
    consumer.close()
    outcomes = {topic: [json.loads(message.value()) for message in read(bootstrap, topic, topic)]
                for topic in ["click-counts", "late-clicks"]}
    print(json.dumps({
        "closed": outcomes["click-counts"],
        "open": windows.open(),
        "late": outcomes["late-clicks"],
    }))


main(*sys.argv[1:])
