# SPDX-License-Identifier: BSD-3-Clause
"""balanced.py - a stencil whose blocks all cost the same: nothing to balance.

    python balanced.py MODE:ITERATIONS[:SIZE] ...

A ring of 8 blocks for each PE, of SIZE x SIZE numbers (128). In each iteration
a block sends its edges to both neighbours, waits for theirs, and computes.
MODE is "free", or "sync": each 20 iterations the blocks say AtSync. Prints for
each a line of JSON: the time of one iteration of all, of which the mean
("ns_each") counts, for looks at the balance are rare.
"""

import numpy
from laps import Laps, steps_of
from model import Array, Chare, Future, Reducer, charm

BLOCKS = 8
LAP = 20  # iterations


class Block(Chare):
    def __init__(self, count, size):
        self.count = count
        self.cells = numpy.zeros((size, size))
        self.iteration = self.end = 0
        self.came = {}
        self.waits = False
        self.done = None

    def go(self, iterations, done):
        self.end = self.iteration + iterations
        self.done = done
        self.step()

    def step(self):
        me, cells = self.thisIndex[0], self.cells
        left = self.thisProxy[(me - 1) % self.count]
        right = self.thisProxy[(me + 1) % self.count]
        left.edge(self.iteration, True, cells[:, 0].copy())
        right.edge(self.iteration, False, cells[:, -1].copy())
        self.waits = True
        self.look()

    def edge(self, iteration, from_right, values):
        self.came.setdefault(iteration, {})[from_right] = values
        self.look()

    def look(self):
        """Edges may be here before this block begins its iteration."""
        edges = self.came.get(self.iteration, ())
        if self.waits and len(edges) == 2:
            self.waits = False
            self.compute(self.came.pop(self.iteration))

    def compute(self, edges):
        cells = self.cells
        cells[:, 0] = edges[False]
        cells[:, -1] = edges[True]
        cells[1:-1, 1:-1] = 0.25 * (
            cells[:-2, 1:-1] + cells[2:, 1:-1] + cells[1:-1, :-2]
            + cells[1:-1, 2:])
        self.iteration += 1
        if self.iteration == self.end:
            self.reduce(self.done, 1, Reducer.sum)
        else:
            self.step()


class SyncedBlock(Block):
    def go(self, iterations, done):
        self.end = self.iteration + iterations
        self.done = done
        self.AtSync()

    def resumeFromSync(self):
        self.step()


def step(mode, iterations, size):
    count = BLOCKS * charm.numPes()
    blocks = (Array(SyncedBlock, count, args=[count, size], useAtSync=True)
              if mode == "sync" else
              Array(Block, count, args=[count, size]))
    charm.awaitCreation(blocks)
    laps = Laps(LAP)
    for turn in range(iterations // LAP + 2):
        if turn == 2:
            laps.start()
        done = Future()
        blocks.go(LAP, done)
        assert done.get() == count
        if turn >= 2:
            laps.lap()
    laps.print(mode)


def main(args):
    for mode, iterations, rest in steps_of(args[1:]):
        step(mode, iterations, int(rest[0]) if rest else 128)
    charm.exit()


charm.start(main)
