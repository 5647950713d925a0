# SPDX-License-Identifier: BSD-3-Clause
"""Particles that move through cells of a box, from chare to chare.

    chare run -n 4 python3 particles.py [--count 20000] [--cells 6]
                                        [--steps 100] [--verify]

Each chare of a 2D array holds the particles in one cell. In a step they move
with a flow that turns around the middle of the box, and those that leave the
cell go to the chare of the neighbour; the box is periodic. Charges are summed
on the cells to show where the particles are. --verify compares the place of
every particle, to the last bit, with the same steps done serially.
"""

import argparse

import numpy

from chare import Array, Reducer, charm, coro
from ghosts import Progress, Swapper, chunks, finish, positive, verdict

TIME_STEP = 0.002
AROUND = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
NUMBER, X, Y = 0, 1, 2  # columns


def start(count, seed):
    """Particles as rows of (number, x, y), in a box of side 1."""
    chance = numpy.random.default_rng(seed)
    rows = numpy.empty((count, 3))
    rows[:, NUMBER] = numpy.arange(count)
    rows[:, X:] = 0.5 + 0.15 * chance.standard_normal((count, 2))
    return wrapped(rows)


def wrapped(rows):
    """Back into the periodic box: 0 <= x, y < 1."""
    rows[:, X:] %= 1.0
    rows[:, X:][rows[:, X:] >= 1.0] = 0.0  # a tiny negative one rounds to 1
    return rows


def move(rows):
    """One step with the flow, by the midpoint rule."""
    middle = rows[:, X:] + TIME_STEP / 2 * flow(rows[:, X:])
    rows[:, X:] += TIME_STEP * flow(middle)
    return wrapped(rows)


def flow(places):
    """The velocity at some places: four vortices and a drift."""
    x, y = 2 * numpy.pi * places[:, 0], 2 * numpy.pi * places[:, 1]
    return numpy.stack(
        [numpy.sin(x) * numpy.cos(y) + 0.5, -numpy.cos(x) * numpy.sin(y)],
        axis=1,
    )


def cell_of(rows, cells):
    """Row and column of the cell of each particle."""
    return (rows[:, X:] * cells).astype(numpy.int64)


class Cell(Swapper):
    def __init__(self, cells):
        super().__init__()
        self.cells = cells
        self.rows = numpy.empty((0, 3))

    def fill(self, rows):
        """The particles of this cell, at the start."""
        self.rows = rows

    @coro
    def run(self, steps):
        """Move; returns (fewest, most) particles in a cell."""
        row, column = self.thisIndex
        for _ in range(steps):
            self.rows = move(self.rows)
            away = cell_of(self.rows, self.cells) - (row, column)
            # The shortest way around the box.
            half = self.cells // 2
            away = (away + half) % self.cells - half
            if (numpy.abs(away) > 1).any():
                raise ValueError("a particle crossed a whole cell in a step; "
                                 "use fewer cells")
            messages = []
            for i, j in AROUND:
                leaving = (away[:, 0] == i) & (away[:, 1] == j)
                other = (row + i) % self.cells, (column + j) % self.cells
                messages.append(
                    (self.thisProxy[other], (-i, -j), self.rows[leaving])
                )
            stay = self.rows[(away == 0).all(axis=1)]
            came = self.swap(messages)
            self.rows = numpy.concatenate([stay, *came.values()])
        fewest = self.allreduce(len(self.rows), Reducer.min)
        most = self.allreduce(len(self.rows), Reducer.max)
        return fewest.get(), most.get()

    def all_rows(self):
        return self.rows


def run(options):
    cells = options.cells
    rows = start(options.count, options.seed)
    first = rows.copy()
    box = Array(Cell, (cells, cells), args=[cells])
    places = cell_of(rows, cells)
    for index in numpy.ndindex(cells, cells):
        box[index].fill(rows[(places == index).all(axis=1)])
    charm.waitQD()  # all are filled
    progress = Progress("step")
    done = 0
    for steps in chunks(options.steps):
        fewest, most = box.run(steps, ret=True).get()[0]
        done += steps
        progress.show(done, options.steps,
                      f", {fewest} to {most} particles in a cell")
    rows = numpy.concatenate(box.all_rows(ret=True).get())
    rows = rows[numpy.argsort(rows[:, NUMBER])]
    print(
        f"{len(rows)} particles in {cells} x {cells} cells on "
        f"{charm.numPes()} PEs: mean x {rows[:, X].mean():.9f}, "
        f"mean y {rows[:, Y].mean():.9f}"
    )
    if not options.verify:
        return 0
    for _ in range(options.steps):
        first = move(first)
    good = rows.shape == first.shape and (rows == first).all()
    return verdict(good, "every particle, to the last bit")


def main(args):
    parser = argparse.ArgumentParser(
        prog="particles.py", description="Particles in cells, by chares."
    )
    parser.add_argument("--count", type=positive, default=20000,
                        help="particles (%(default)s)")
    parser.add_argument("--cells", type=positive, default=6,
                        help="cells a side, at least 3 (%(default)s)")
    parser.add_argument("--steps", type=positive, default=100,
                        help="time steps (%(default)s)")
    parser.add_argument("--seed", type=int, default=1,
                        help="of the first places (%(default)s)")
    parser.add_argument("--verify", action="store_true",
                        help="compare with the serial program")
    options = parser.parse_args(args[1:])
    if options.cells < 3:
        parser.error("--cells must be at least 3")
    finish("particles.py", run, options)


charm.start(main)
