# SPDX-License-Identifier: BSD-3-Clause
"""Heat flow in a cube: a seven-point stencil over blocks in a 3D array.

    chare run -n 2 python3 stencil3d.py [--size 96] [--blocks 2 2 4]
                       [--blocks-per-pe 8] [--steps 100] [--verify]
                       [--skew 4] [--balance greedy-refine]

Each chare holds a block with a border of one cell, and has a channel to each of
its neighbours. In a step it sends its faces, receives theirs and averages: a
channel keeps the order, so nobody has to count steps. One face of the cube is
hot, the others are cold. --verify compares every cell with the same steps done
serially.

With --skew 4 half of the blocks compute four times as long as the others, as
in the program of this name that CharmPy was measured by (Galvez, Senthil and
Kale, CLUSTER 2018): one of two PEs then has 1.6 times the mean, until
--balance lets the runtime move blocks, each --period steps. It says

    step 100 of 100, ... s, change 2.416e-03
    96^3 cells in 16 blocks on 2 PEs: heat 34887.200102708, state 5049788a
    took ... s; ... ms a step, of which computing would take ... ms if spread
    evenly
    balanced 4 times by greedy-refine: 9 moves

with the same heat and state on any number of PEs, balanced or not.
CHARE_LB_PICTURE=run.svg draws how busy the PEs were, and what moved.
"""

import argparse
import time

from chare import Array, Channel, Chare, Future, Reducer, charm, coro
from ghosts import (
    Progress, Stopwatch, balance_options, choose_balancer, chunks, finish,
    positive, state_of, verdict,
)
from heat import (
    block, face, neighbours, relax, serial, split, times_of, together,
)


class Block(Chare):
    def __init__(self, blocks, shape, skew):
        self.cells = block(self.thisIndex, shape)
        self.times = times_of(self.thisIndex, blocks, skew)
        self.channels = {  # (axis, direction) -> to the neighbour there
            side: Channel(self, self.thisProxy[other])
            for side, other in neighbours(self.thisIndex, blocks).items()
        }

    @coro
    def run(self, steps, done):
        """Iterate; then this block may move."""
        self.seconds = 0.0
        self.done = done
        for _ in range(steps):
            for (axis, direction), channel in self.channels.items():
                channel.send(self.cells[face(axis, 1 if direction < 0 else -2)])
            for (axis, direction), channel in self.channels.items():
                border = face(axis, 0 if direction < 0 else -1)
                self.cells[border] = channel.recv()
            begin = time.perf_counter()
            self.change = relax(self.cells, self.times)
            self.seconds += time.perf_counter() - begin
        self.AtSync()

    def resumeFromSync(self):
        """All that were to move have: tell (last change, time it took)."""
        self.reduce(self.done, (self.change, self.seconds), Reducer.gather)

    def interior(self):
        return self.cells[1:-1, 1:-1, 1:-1]


def run(options):
    blocks = tuple(options.blocks)
    shape = [options.size // n for n in blocks]
    cube = Array(Block, blocks, args=[blocks, shape, options.skew],
                 useAtSync=True)
    charm.awaitCreation(cube)
    progress, watch = Progress("step"), Stopwatch("stencil3d")
    done = 0
    for steps in chunks(options.steps, options.period):
        told = Future()
        cube.run(steps, told)
        changes, seconds = zip(*told.get())
        done += steps
        watch.lap(steps, sum(seconds))
        progress.show(done, options.steps, f", change {max(changes):.3e}")
    whole = together(cube.interior(ret=True).get(), blocks, shape)
    print(
        f"{options.size}^3 cells in {len(told.get())} blocks on "
        f"{charm.numPes()} PEs: heat {whole.sum():.9f}, state "
        f"{state_of(whole)}"
    )
    watch.tell(options.json)
    if not options.verify:
        return 0
    expected = serial(options.size, options.steps)
    return verdict((whole == expected).all(), "every cell, to the last bit")


def main(args):
    parser = argparse.ArgumentParser(
        prog="stencil3d.py", description="Heat flow in a cube, by chares.",
        allow_abbrev=False,
    )
    parser.add_argument("--size", type=positive, default=96,
                        help="cells a side (%(default)s)")
    parser.add_argument("--blocks", type=positive, nargs=3, default=(2, 2, 4),
                        help="blocks in each direction (2 2 4)")
    parser.add_argument("--blocks-per-pe", type=positive, metavar="N",
                        help="instead of --blocks: so many on each PE")
    parser.add_argument("--steps", type=positive, default=100,
                        help="time steps (%(default)s)")
    parser.add_argument("--skew", type=positive, default=1,
                        help="how much longer than the others half of the "
                        "blocks compute (%(default)s)")
    balance_options(parser, 25)
    parser.add_argument("--verify", action="store_true",
                        help="compare with the serial program")
    options = parser.parse_args(args[1:])
    if options.blocks_per_pe is not None:
        count = options.blocks_per_pe * charm.numPes()
        options.blocks = split(options.size, count)
        if options.blocks is None:
            parser.error(f"--size {options.size} cannot be cut into {count} "
                         "blocks")
    if any(options.size % n for n in options.blocks):
        parser.error("--size must be a multiple of each of --blocks")
    finish("stencil3d.py", run, options)


choose_balancer()
charm.start(main)
