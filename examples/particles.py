# SPDX-License-Identifier: BSD-3-Clause
"""Clusters of particles that drift through the cells of a box.

    chare run -n 2 python3 particles.py [--count 50000] [--cells 12]
                       [--clusters 3] [--steps 100] [--verify]
                       [--balance greedy-refine | --every 0.1]

Each chare of a 2D array holds the particles in one cell. In a step they move
with a flow, and those that leave the cell go to the chare of the neighbour; the
box is periodic. They are in clusters that start in one half of the box and
drift to the other: so most of the work is on some PEs, later on others.
--balance lets the runtime move cells each --period steps, by a strategy that
may be "auto"; --every lets it do so by the clock, without waiting for the cells
to agree. No particle may be lost; --verify also compares the place of each, to
the last bit, with the same steps done serially. It says

    step 100 of 100, ... s, 0 to 3933 particles in a cell
    50000 particles in 12 x 12 cells on 2 PEs: mean x 0.460029968, mean y
    0.524745171, state c46fa57b
    took ... s; ... ms a step, of which computing would take ... ms if spread
    evenly
    balanced 10 times by greedy-refine: 75 moves

with the same means and state on any number of PEs, balanced or not.
CHARE_LB_PICTURE=run.svg draws how busy the PEs were, and what moved.
"""

import argparse
import time

import numpy

import drift
from chare import Array, Chare, Future, Reducer, charm, when
from ghosts import (
    Progress, Stopwatch, balance_options, choose_balancer, chunks, finish,
    positive, state_of, verdict,
)


class Cell(Chare):
    def __init__(self, cells, by_the_clock):
        self.cells = cells
        self.by_the_clock = by_the_clock
        self.rows = numpy.empty((0, 3))
        self.step = self.until = 0
        self.stay = None  # those that stay in this step, when it is computed
        self.came = {}  # side -> those that came from there
        row, column = self.thisIndex
        self.around = {  # side -> the cell there
            (i, j): self.thisProxy[(row + i) % cells, (column + j) % cells]
            for i, j in drift.AROUND
        }

    def fill(self, rows):
        """The particles of this cell, at the start."""
        self.rows = rows

    def run(self, steps, done):
        """Go on for so many steps; then tell (particles, time it took)."""
        self.until = self.step + steps
        self.done = done
        self.seconds = 0.0
        self.move()

    def move(self):
        """Compute a step, and send away what leaves."""
        begin = time.perf_counter()
        self.stay, leaving = drift.step(self.rows, self.thisIndex, self.cells)
        self.seconds += time.perf_counter() - begin
        for (i, j), cell in self.around.items():
            cell.take(self.step, (-i, -j), leaving.get((i, j)))
        self.look()

    @when("self.step == step")  # a neighbour may be a step ahead
    def take(self, step, side, rows):
        """What came from a side; None: nothing."""
        self.came[side] = rows
        self.look()

    def look(self):
        """All have told: the step is over."""
        if self.stay is None or len(self.came) < len(drift.AROUND):
            return
        begin = time.perf_counter()
        self.rows = drift.joined(self.stay, self.came)
        self.seconds += time.perf_counter() - begin
        self.stay, self.came = None, {}
        self.step += 1
        if self.step < self.until:
            self.move()
        elif self.by_the_clock:
            self.resumeFromSync()
        else:
            self.AtSync()  # it may move now

    def resumeFromSync(self):
        self.reduce(self.done, (len(self.rows), self.seconds), Reducer.gather)

    def all_rows(self):
        return self.rows


def run(options):
    cells = options.cells
    rows = drift.start(options.count, options.clusters, options.seed)
    first = rows.copy()
    by_the_clock = options.every > 0
    box = Array(Cell, (cells, cells), args=[cells, by_the_clock],
                useAtSync=not by_the_clock)
    places = drift.cell_of(rows, cells)
    for index in numpy.ndindex(cells, cells):
        box[index].fill(rows[(places == index).all(axis=1)])
    charm.waitQD()  # all are filled
    charm.lb.every(options.every)
    progress, watch = Progress("step"), Stopwatch("particles")
    done = 0
    for steps in chunks(options.steps, options.period):
        told = Future()
        box.run(steps, told)
        counts, seconds = zip(*told.get())
        done += steps
        watch.lap(steps, sum(seconds))
        progress.show(done, options.steps,
                      f", {min(counts)} to {max(counts)} particles in a cell")
    rows = drift.in_order(box.all_rows(ret=True).get())
    print(
        f"{len(rows)} particles in {cells} x {cells} cells on "
        f"{charm.numPes()} PEs: mean x {rows[:, drift.X].mean():.9f}, mean y "
        f"{rows[:, drift.Y].mean():.9f}, state {state_of(rows)}"
    )
    watch.tell(options.json)
    if not numpy.array_equal(rows[:, drift.NUMBER],
                             numpy.arange(options.count)):
        raise ValueError("particles were lost, or are there twice")
    if not options.verify:
        return 0
    good = numpy.array_equal(rows, drift.serial(first, options.steps))
    return verdict(good, "every particle, to the last bit")


def main(args):
    parser = argparse.ArgumentParser(
        prog="particles.py", description="Particles in cells, by chares.",
        allow_abbrev=False,
    )
    parser.add_argument("--count", type=positive, default=50000,
                        help="particles (%(default)s)")
    parser.add_argument("--cells", type=positive, default=12,
                        help="cells a side, at least 3 (%(default)s)")
    parser.add_argument("--clusters", type=int, default=3,
                        help="0: none, but evenly spread (%(default)s)")
    parser.add_argument("--steps", type=positive, default=100,
                        help="time steps (%(default)s)")
    parser.add_argument("--seed", type=int, default=1,
                        help="of the first places (%(default)s)")
    balance_options(parser, 10)
    parser.add_argument("--every", type=float, default=0, metavar="SECONDS",
                        help="balance by the clock instead of in step (by "
                        "--balance NAME, default auto)")
    parser.add_argument("--verify", action="store_true",
                        help="compare with the serial program")
    options = parser.parse_args(args[1:])
    if options.cells < 3:
        parser.error("--cells must be at least 3")
    if options.clusters < 0 or options.every < 0:
        parser.error("--clusters and --every must not be negative")
    finish("particles.py", run, options)


choose_balancer()
charm.start(main)
