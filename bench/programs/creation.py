# SPDX-License-Identifier: BSD-3-Clause
"""creation.py - an array of COUNT chares: time and memory for each.

    python creation.py COUNT

Prints lines of JSON: "time" from the creation until all exist; "bytes" that
this PE's memory grew by, for each of its chares; "plain" the same for plain
objects with the same attribute.
"""

import gc
import os
import sys
import time

from laps import tell
from model import Array, Chare, charm

PAGE = os.sysconf("SC_PAGE_SIZE")


class Member(Chare):
    def __init__(self):
        self.value = 7


class Plain:
    def __init__(self):
        self.value = 7


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE


def main(args):
    count = int(args[1])
    charm.awaitCreation(Array(Member, 10))
    gc.collect()
    before = resident()
    began = time.perf_counter_ns()
    members = Array(Member, count)
    charm.awaitCreation(members)
    took = time.perf_counter_ns() - began
    tell("time", p50_ns=took / count)
    here = count / charm.numPes()
    tell("bytes", bytes=(resident() - before) / here)
    before = resident()
    plain = [Plain() for _ in range(int(here))]
    each = (resident() - before) / len(plain)
    tell("plain", bytes=each)
    tell("allowed", bytes=1.3 * each + 128)
    charm.exit()


charm.start(main)
