# SPDX-License-Identifier: BSD-3-Clause
"""Heat flow in a cube: a seven-point stencil over blocks in a 3D array.

    chare run -n 4 python3 stencil3d.py [--size 96] [--blocks 2 2 4]
                                        [--steps 100] [--verify]

Each chare holds a block with a border of one cell, and has a channel to each of
its neighbours. In a step it sends its faces, receives theirs and averages: a
channel keeps the order, so nobody has to count steps. One face of the cube is hot, the others
are cold. --verify compares every cell with the same steps done serially.
"""

import argparse

import numpy

from chare import Array, Channel, Chare, Reducer, charm, coro
from ghosts import Progress, chunks, finish, positive, verdict

HOT = 1.0


def relax(cells):
    """One step inside of a border; returns the largest change."""
    old = cells[1:-1, 1:-1, 1:-1]
    new = (
        cells[:-2, 1:-1, 1:-1] + cells[2:, 1:-1, 1:-1]
        + cells[1:-1, :-2, 1:-1] + cells[1:-1, 2:, 1:-1]
        + cells[1:-1, 1:-1, :-2] + cells[1:-1, 1:-1, 2:]
    ) / 6
    change = float(numpy.abs(new - old).max())
    cells[1:-1, 1:-1, 1:-1] = new
    return change


def face(axis, place):
    """The index of one layer of cells inside of the border."""
    index = [slice(1, -1)] * 3
    index[axis] = place
    return tuple(index)


class Block(Chare):
    def __init__(self, blocks, shape):
        self.cells = numpy.zeros([n + 2 for n in shape])
        if self.thisIndex[0] == 0:
            self.cells[0] = HOT
        self.channels = {}  # (axis, direction) -> to the neighbour there
        for axis in range(3):
            for direction in (-1, 1):
                other = list(self.thisIndex)
                other[axis] += direction
                if 0 <= other[axis] < blocks[axis]:
                    self.channels[axis, direction] = Channel(
                        self, self.thisProxy[tuple(other)]
                    )

    @coro
    def run(self, steps):
        """Iterate; returns the largest change of the last step anywhere."""
        change = 0.0
        for _ in range(steps):
            for (axis, direction), channel in self.channels.items():
                channel.send(self.cells[face(axis, 1 if direction < 0 else -2)])
            for (axis, direction), channel in self.channels.items():
                border = face(axis, 0 if direction < 0 else -1)
                self.cells[border] = channel.recv()
            change = relax(self.cells)
        return self.allreduce(change, Reducer.max).get()

    def interior(self):
        return self.cells[1:-1, 1:-1, 1:-1]


def serial(size, steps):
    """The same without chares."""
    cells = numpy.zeros((size + 2,) * 3)
    cells[0] = HOT
    for _ in range(steps):
        relax(cells)
    return cells[1:-1, 1:-1, 1:-1]


def together(parts, blocks, shape):
    """One array of the blocks' interiors, in the order of their indices."""
    whole = numpy.empty([n * b for n, b in zip(shape, blocks)])
    for index, part in zip(numpy.ndindex(*blocks), parts):
        whole[tuple(
            slice(i * n, (i + 1) * n) for i, n in zip(index, shape)
        )] = part
    return whole


def run(options):
    blocks = tuple(options.blocks)
    shape = [options.size // n for n in blocks]
    cube = Array(Block, blocks, args=[blocks, shape])
    progress = Progress("step")
    done = 0
    for steps in chunks(options.steps):
        change = cube.run(steps, ret=True).get()[0]
        done += steps
        progress.show(done, options.steps, f", change {change:.3e}")
    whole = together(cube.interior(ret=True).get(), blocks, shape)
    print(
        f"{options.size}^3 cells in {len(list(numpy.ndindex(*blocks)))} "
        f"blocks on {charm.numPes()} PEs: heat {whole.sum():.9f}"
    )
    if not options.verify:
        return 0
    expected = serial(options.size, options.steps)
    return verdict((whole == expected).all(), "every cell, to the last bit")


def main(args):
    parser = argparse.ArgumentParser(
        prog="stencil3d.py", description="Heat flow in a cube, by chares."
    )
    parser.add_argument("--size", type=positive, default=96,
                        help="cells a side (%(default)s)")
    parser.add_argument("--blocks", type=positive, nargs=3, default=(2, 2, 4),
                        help="blocks in each direction (2 2 4)")
    parser.add_argument("--steps", type=positive, default=100,
                        help="time steps (%(default)s)")
    parser.add_argument("--verify", action="store_true",
                        help="compare with the serial program")
    options = parser.parse_args(args[1:])
    if any(options.size % n for n in options.blocks):
        parser.error("--size must be a multiple of each of --blocks")
    finish("stencil3d.py", run, options)


charm.start(main)
