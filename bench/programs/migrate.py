# SPDX-License-Identifier: BSD-3-Clause
"""migrate.py - chares that move from PE to PE, with a state of so many bytes.

    python migrate.py BYTES:COUNT[:ROUNDS] ...

COUNT chares each go to the next PE; a round ends when all have said that
they are there. Prints for each step a line of JSON "move BYTES", the time of
one move. "copy BYTES" is that of pickling such a state and copying it.
"""

import pickle
import time

import numpy
from laps import Laps, tell
from model import Array, Chare, Future, Reducer, charm


class Mover(Chare):
    def __init__(self, size):
        # A few numbers are attributes; what is large is an array.
        self.state = 7 if size <= 8 else numpy.zeros(size // 8)
        self.done = None

    def go(self, done):
        self.done = done
        self.migrate((charm.myPe() + 1) % charm.numPes())

    def migrated(self):
        self.reduce(self.done, 1, Reducer.sum)


def copy_of(size):
    """Nanoseconds for the pickle of such a state, and back."""
    state = {"state": 7 if size <= 8 else numpy.zeros(size // 8)}
    took = []
    for _ in range(100):
        began = time.perf_counter_ns()
        pickle.loads(pickle.dumps(state, 5))
        took.append(time.perf_counter_ns() - began)
    return sorted(took)[len(took) // 2]


def step(size, count, rounds):
    movers = Array(Mover, count, args=[size])
    charm.awaitCreation(movers)
    laps = Laps(count)
    for turn in range(rounds + 2):
        if turn == 2:
            laps.start()
        done = Future()
        movers.go(done)
        assert done.get() == count
        if turn >= 2:
            laps.lap()
    laps.print(f"move {size}")
    tell(f"copy {size}", p50_ns=copy_of(size))


def main(args):
    for argument in args[1:]:
        size, count, *rest = map(int, argument.split(":"))
        step(size, count, rest[0] if rest else 10)
    charm.exit()


charm.start(main)
