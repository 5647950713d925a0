# SPDX-License-Identifier: BSD-3-Clause
"""pool.py - trivial tasks, one at a time: what each takes.

    python pool.py COUNT
"""

import sys
import time

from laps import tell
from model import charm

ROUNDS = 3


def task(x):
    return x


def main(args):
    count = int(args[1])
    charm.pool.map(task, range(100), chunksize=1)
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        charm.pool.map(task, range(count), chunksize=1)
        took.append((time.perf_counter_ns() - began) / count)
    tell("pool", p50_ns=sorted(took)[ROUNDS // 2])
    charm.exit()


charm.start(main)
