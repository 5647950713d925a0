# SPDX-License-Identifier: BSD-3-Clause
"""Waves on a membrane, and a picture of them.

    chare run -n 4 python3 wave2d.py [--size 400] [--blocks 4] [--steps 300]
                                     [--picture wave.png] [--verify]

A square membrane, fixed at its border, is released from three bumps. The wave
equation is solved with central differences on blocks of a 2D array of chares,
which swap their edges in each step. The picture is written without any imaging
package. --verify compares every cell with the same steps done serially.
"""

import argparse
import struct
import zlib
from typing import Any

import numpy

from chare import Array, charm, coro
from ghosts import Progress, Swapper, chunks, finish, positive, verdict

COURANT_SQUARED = 0.25  # (speed * time step / cell)^2; stable below 0.5
BUMPS = ((0.3, 0.35, 1.0), (0.65, 0.6, -0.8), (0.7, 0.2, 0.6))
BUMP_WIDTH = 0.05
# side -> (where the neighbour is, own edge, own border)
SIDES: dict[str, Any] = {
    "down": ((1, 0), (-2, slice(1, -1)), (-1, slice(1, -1))),
    "left": ((0, -1), (slice(1, -1), 1), (slice(1, -1), 0)),
    "right": ((0, 1), (slice(1, -1), -2), (slice(1, -1), -1)),
    "up": ((-1, 0), (1, slice(1, -1)), (0, slice(1, -1))),
}
OPPOSITE = {"up": "down", "down": "up", "left": "right", "right": "left"}


def bumps(size, rows, columns):
    """The first state of some rows and columns of the membrane."""
    y = (rows[:, None] + 0.5) / size
    x = (columns[None, :] + 0.5) / size
    state = numpy.zeros((len(rows), len(columns)))
    for down, right, height in BUMPS:
        distance = (y - down) ** 2 + (x - right) ** 2
        state += height * numpy.exp(-distance / (2 * BUMP_WIDTH**2))
    return state


def advance(now, before):
    """One step; returns the new (now, before)."""
    middle = now[1:-1, 1:-1]
    spread = (
        now[:-2, 1:-1] + now[2:, 1:-1] + now[1:-1, :-2] + now[1:-1, 2:]
        - 4 * middle
    )
    after = numpy.zeros_like(now)
    after[1:-1, 1:-1] = (
        2 * middle - before[1:-1, 1:-1] + COURANT_SQUARED * spread
    )
    return after, now


class Block(Swapper):
    def __init__(self, blocks, size):
        super().__init__()
        side = size // blocks
        row, column = self.thisIndex
        places = numpy.arange(side)
        self.now = numpy.zeros((side + 2, side + 2))
        self.now[1:-1, 1:-1] = bumps(
            size, places + row * side, places + column * side
        )
        self.before = self.now.copy()  # at rest
        self.neighbours = {
            name: self.thisProxy[row + down, column + right]
            for name, ((down, right), _, _) in SIDES.items()
            if 0 <= row + down < blocks and 0 <= column + right < blocks
        }

    @coro
    def run(self, steps):
        for _ in range(steps):
            came = self.swap([
                (proxy, OPPOSITE[side], self.now[SIDES[side][1]])
                for side, proxy in self.neighbours.items()
            ])
            for side, values in came.items():
                self.now[SIDES[side][2]] = values
            self.now, self.before = advance(self.now, self.before)

    def interior(self):
        return self.now[1:-1, 1:-1]


def serial(size, steps):
    """The same without chares."""
    now = numpy.zeros((size + 2, size + 2))
    places = numpy.arange(size)
    now[1:-1, 1:-1] = bumps(size, places, places)
    before = now.copy()
    for _ in range(steps):
        now, before = advance(now, before)
    return now[1:-1, 1:-1]


def colours(state):
    """Heights as 8-bit RGB: blue below, white at rest, red above."""
    most = max(float(numpy.abs(state).max()), 1e-30)
    value = numpy.sign(state) * numpy.sqrt(numpy.abs(state) / most)
    red = numpy.clip(1 + value, 0, 1)
    blue = numpy.clip(1 - value, 0, 1)
    green = numpy.minimum(red, blue)
    return (numpy.stack([red, green, blue], axis=-1) * 255).astype("u1")


def png(pixels):
    """An (h, w, 3) array of bytes as a PNG file (www.w3.org/TR/png)."""
    height, width, _ = pixels.shape

    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", check)

    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")
    )


def run(options):
    side = options.size // options.blocks
    membrane = Array(
        Block, (options.blocks, options.blocks),
        args=[options.blocks, options.size],
    )
    progress = Progress("step")
    done = 0
    for steps in chunks(options.steps):
        membrane.run(steps, awaitable=True).get()
        done += steps
        progress.show(done, options.steps)
    parts = numpy.array(membrane.interior(ret=True).get())
    parts = parts.reshape(options.blocks, options.blocks, side, side)
    whole = parts.swapaxes(1, 2).reshape(options.size, options.size)
    print(
        f"{options.size} x {options.size} cells in {options.blocks ** 2} "
        f"blocks on {charm.numPes()} PEs: highest {whole.max():.6f}, "
        f"lowest {whole.min():.6f}"
    )
    if options.picture:
        with open(options.picture, "wb") as file:
            file.write(png(colours(whole)))
        print(f"the picture is in {options.picture}")
    if not options.verify:
        return 0
    expected = serial(options.size, options.steps)
    return verdict((whole == expected).all(), "every cell, to the last bit")


def main(args):
    parser = argparse.ArgumentParser(
        prog="wave2d.py", description="Waves on a membrane, by chares."
    )
    parser.add_argument("--size", type=positive, default=400,
                        help="cells a side (%(default)s)")
    parser.add_argument("--blocks", type=positive, default=4,
                        help="blocks a side (%(default)s)")
    parser.add_argument("--steps", type=positive, default=300,
                        help="time steps (%(default)s)")
    parser.add_argument("--picture", metavar="FILE",
                        help="write the last state as a PNG file")
    parser.add_argument("--verify", action="store_true",
                        help="compare with the serial program")
    options = parser.parse_args(args[1:])
    if options.size % options.blocks:
        parser.error("--size must be a multiple of --blocks")
    finish("wave2d.py", run, options)


charm.start(main)
