# SPDX-License-Identifier: BSD-3-Clause
"""rod.py - a rod that conducts heat: pieces in C, its ends in Python.

The rod is one array. Its pieces are chares in C (rod.c); the first and the
last chare are in Python and say how hot the ends are kept, a thing that one
wants to change without compiling. All tell their neighbours what they need to
know of each step, and all take part in the sum that ends the run.

    chare run -n 4 python3 examples/rod.py --steps 1000 --verify

rod.c is compiled by: cc -shared -fPIC rod.c -o librod.so
$(pkg-config --cflags --libs chare); --library says where it is.
"""

import argparse
import math

import numpy

from chare import Array, Chare, Future, Reducer, charm, local

LEFT, RIGHT = 0, 1


def options():
    parser = argparse.ArgumentParser(
        description="Heat in a rod: pieces in C, its ends in Python.")
    parser.add_argument("--pieces", type=int, default=8)
    parser.add_argument("--length", type=int, default=1000,
                        help="cells of a piece")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--library", default="librod.so")
    parser.add_argument("--verify", action="store_true",
                        help="compare with a serial program")
    return parser.parse_args()


wanted = options()


def temperature(side, step):
    """How hot an end of the rod is kept."""
    return 100.0 if side == LEFT else 50 * math.sin(step / 20)


class End(Chare):
    """An end of the rod; it has the methods that the pieces have."""

    def __init__(self, side):
        self.side = side
        self.inner = 1 if side == LEFT else self.thisIndex[0] - 1
        self.steps = 0  # it has not begun
        self.told = 0
        self.heard = -1

    def run(self, steps, done):
        self.steps, self.done = steps, done
        self.go_on()

    def edge(self, step, side, value):
        """A piece has begun a step: it will need the next one's."""
        self.heard = step
        self.go_on()

    @local
    def go_on(self):
        while self.told < min(self.steps, self.heard + 2):
            self.thisProxy[self.inner].edge(
                self.told, self.side, temperature(self.side, self.told)
            )
            self.told += 1
        if self.steps > 0 and self.heard == self.steps - 1:
            self.steps, self.told, self.heard = 0, 0, -1
            self.reduce(self.done, 0.0, Reducer.sum)

    def cells(self):
        return None


def serial(cells, steps):
    """The same in one piece."""
    cells = numpy.concatenate([[0.0], cells, [0.0]])
    for step in range(steps):
        cells[0] = temperature(LEFT, step)
        cells[-1] = temperature(RIGHT, step)
        cells[1:-1] += (cells[:-2] - 2 * cells[1:-1] + cells[2:]) / 4
    return cells[1:-1]


def main(args):
    cells = numpy.zeros((wanted.pieces, wanted.length))
    cells[wanted.pieces // 2] = 75.0
    rod = Array(library.Piece, ndims=1)
    rod.ckInsert(0, args=[LEFT], cls=End)
    for i, piece in enumerate(cells):
        rod.ckInsert(i + 1, args=[piece])
    rod.ckInsert(wanted.pieces + 1, args=[RIGHT], cls=End)
    rod.ckDoneInserting()
    heat = Future()
    rod.run(wanted.steps, heat)
    print(f"heat after {wanted.steps} steps: {heat.get():.6g}")
    if wanted.verify:
        found = numpy.concatenate(rod.cells(ret=True).get()[1:-1])
        expected = serial(cells.ravel(), wanted.steps)
        good = numpy.allclose(found, expected, rtol=1e-12)
        good = good and math.isclose(heat.get(), expected.sum(), rel_tol=1e-9)
        print("verify:", "ok" if good else "WRONG")
        charm.exit(0 if good else 1)
    charm.exit()


library = charm.load(wanted.library)
charm.start(main)
