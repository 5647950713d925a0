# SPDX-License-Identifier: BSD-3-Clause
"""laps.py - times of groups of messages, and the line of JSON about them.

The clock is read once in a lap: see laps.h.
"""

import json
import time

LAP_ROUNDS = 10
LAP_FLOOD = 1000


def VALUES(numpy):
    """What is sent, by name."""
    return {"int": 7, "tuple": (1, 2.5, "abc"), "array": numpy.zeros(1)}


class Laps:
    """Whose lap() is called after each lap of `length` messages."""

    def __init__(self, length=LAP_ROUNDS):
        self.length = length
        self.start()

    def start(self):
        self.took = []
        self.began = self.last = time.perf_counter_ns()

    def lap(self):
        now = time.perf_counter_ns()
        self.took.append(now - self.last)
        self.last = now

    def print(self, what, count, steps=1):
        """One line about `count` messages, of which a round had `steps`."""
        took_ns = time.perf_counter_ns() - self.began
        line = {"what": what, "count": count, "seconds": took_ns * 1e-9,
                "ns_each": took_ns / count}
        if self.took:
            took = sorted(self.took)
            for name, at in (("p50_ns", 0.5), ("p99_ns", 0.99)):
                lap = took[int(at * (len(took) - 1))]
                line[name] = lap / self.length / steps
        print(json.dumps(line), flush=True)
