# SPDX-License-Identifier: BSD-3-Clause
"""Heat flow on a plate: a five-point stencil over blocks in a 2D array.

    chare run -n 4 python3 stencil2d.py [--size 512] [--blocks 4] [--steps 200]

Each chare holds a square block with a border of one cell. In a step it sends
its four edges to its neighbours, waits for theirs, and averages. The left side
of the plate is hot, the others are cold.
"""

import argparse
import time
from typing import Any

import numpy

from chare import Array, Chare, Future, Reducer, charm, coro

# Where the neighbour is, what it gets, where its edge is put.
SIDES: dict[str, Any] = {
    "up": ((-1, 0), (1, slice(1, -1)), (0, slice(1, -1))),
    "down": ((1, 0), (-2, slice(1, -1)), (-1, slice(1, -1))),
    "left": ((0, -1), (slice(1, -1), 1), (slice(1, -1), 0)),
    "right": ((0, 1), (slice(1, -1), -2), (slice(1, -1), -1)),
}
OPPOSITE = {"up": "down", "down": "up", "left": "right", "right": "left"}


class Block(Chare):
    def __init__(self, blocks, size):
        self.cells = numpy.zeros((size + 2, size + 2))
        row, column = self.thisIndex
        if column == 0:
            self.cells[:, 0] = 1.0
        self.neighbours = {}
        for side, ((down, right), _, _) in SIDES.items():
            other = (row + down, column + right)
            if 0 <= other[0] < blocks and 0 <= other[1] < blocks:
                self.neighbours[side] = self.thisProxy[other]
        self.edges = {}  # step -> [(side, values)]
        self.waiting = None

    def edge(self, step, side, values):
        """A neighbour's edge; it lies at our 'side'."""
        self.edges.setdefault(step, []).append((side, values))
        self._check()

    def _check(self):
        if self.waiting is not None:
            step, future = self.waiting
            if len(self.edges.get(step, ())) == len(self.neighbours):
                self.waiting = None
                future.send()

    @coro
    def run(self, steps):
        """Iterate; returns the largest change of the last step anywhere."""
        change = 0.0
        for step in range(steps):
            for side, neighbour in self.neighbours.items():
                values = self.cells[SIDES[side][1]]
                neighbour.edge(step, OPPOSITE[side], values)
            future = Future()
            self.waiting = (step, future)
            self._check()
            future.get()
            for side, values in self.edges.pop(step, ()):
                self.cells[SIDES[side][2]] = values
            old = self.cells[1:-1, 1:-1]
            new = 0.25 * (
                self.cells[:-2, 1:-1]
                + self.cells[2:, 1:-1]
                + self.cells[1:-1, :-2]
                + self.cells[1:-1, 2:]
            )
            change = float(numpy.abs(new - old).max())
            self.cells[1:-1, 1:-1] = new
        return self.allreduce(change, Reducer.max).get()

    def heat(self):
        return float(self.cells[1:-1, 1:-1].sum())


def main(args):
    parser = argparse.ArgumentParser(prog="stencil2d.py")
    parser.add_argument("--size", type=int, default=512, help="cells a side")
    parser.add_argument("--blocks", type=int, default=4, help="blocks a side")
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args(args[1:])
    if options.blocks < 1 or options.size % options.blocks != 0:
        parser.error("--size must be a multiple of --blocks")
    start = time.monotonic()
    plate = Array(
        Block,
        (options.blocks, options.blocks),
        args=[options.blocks, options.size // options.blocks],
    )
    change = plate.run(options.steps, ret=True).get()[0]
    heat = sum(plate.heat(ret=True).get())
    print(
        f"{options.steps} steps of {options.size} x {options.size} cells in "
        f"{options.blocks ** 2} blocks on {charm.numPes()} PEs: "
        f"{time.monotonic() - start:.2f} s"
    )
    print(f"last change {change:.3e}, heat {heat:.6f}")
    charm.exit()


charm.start(main)
