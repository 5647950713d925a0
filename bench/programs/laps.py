# SPDX-License-Identifier: BSD-3-Clause
"""laps.py - times of groups of messages, and the lines of JSON about them.

The clock is read once in a lap: see laps.h.
"""

import json
import time

LAP_ROUNDS = 10
LAP_FLOOD = 1000
LAP_LEAST = 10  # with fewer laps, each round is one: it takes long enough
KIB, MIB = 1 << 10, 1 << 20
ARRAY_BYTES = {"8": 8, "64K": 64 * KIB, "1M": MIB, "16M": 16 * MIB,
               "128M": 128 * MIB}
LIST_LENGTH = 100000


def lap_rounds(count):
    return LAP_ROUNDS if count >= LAP_ROUNDS * LAP_LEAST else 1


def value_of(what):
    """What is sent, by name: int, tuple, list, or the size of an array."""
    if what == "int":
        return 7
    if what == "tuple":
        return (1, 2.5, "abc")
    if what == "list":
        return list(range(LIST_LENGTH))
    import numpy
    return numpy.zeros(ARRAY_BYTES[what] // 8)


def steps_of(arguments):
    """["pingpong:500:int", ...] as (mode, count, the rest)."""
    for argument in arguments:
        mode, count, *rest = argument.split(":")
        yield mode, int(count), rest


def tell(what, **figures):
    """One line for the runner."""
    print(json.dumps({"what": what, **figures}), flush=True)


class Laps:
    """Whose lap() is called after each lap of `length` messages."""

    def __init__(self, length=LAP_ROUNDS):
        self.length = length
        self.start()

    def start(self):
        self.took = []
        self.began = self.last = time.perf_counter_ns()

    @staticmethod
    def now():
        return time.perf_counter_ns()

    def lap(self):
        now = time.perf_counter_ns()
        self.took.append(now - self.last)
        self.last = now

    def print(self, what, steps=1):
        """One line about them; a round had `steps` messages."""
        took_ns = time.perf_counter_ns() - self.began
        took = sorted(self.took)
        count = len(took) * self.length * steps
        line = {"count": count, "seconds": took_ns * 1e-9}
        if took:
            line["ns_each"] = took_ns / count
            for name, at in (("p50_ns", 0.5), ("p99_ns", 0.99)):
                lap = took[int(at * (len(took) - 1))]
                line[name] = lap / self.length / steps
        tell(what, **line)


def repeat(what, count, once, steps=1, warm_up=3):
    """Call once() `count` times, and print how long it took."""
    for _ in range(warm_up):
        once()
    length = lap_rounds(count)
    laps = Laps(length)
    for _ in range(count // length):
        for _ in range(length):
            once()
        laps.lap()
    laps.print(what, steps)
