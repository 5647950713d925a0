# SPDX-License-Identifier: BSD-3-Clause
"""Clusters that drift: what particles.py computes, without any chares."""

import numpy

TIME_STEP = 0.004
DRIFT = 0.5  # to larger x, everywhere; half the box in 250 steps
VORTICES = 0.05
WIDTH = 0.06  # of a cluster
AROUND = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
NUMBER, X, Y = 0, 1, 2  # columns


def start(count, clusters, seed):
    """Particles as rows of (number, x, y), in a box of side 1.

    They are in so many clusters, all in the first half of the box; with 0,
    anywhere.
    """
    chance = numpy.random.default_rng(seed)
    rows = numpy.empty((count, 3))
    rows[:, NUMBER] = numpy.arange(count)
    if clusters == 0:
        rows[:, X:] = chance.random((count, 2))
        return rows
    centres = numpy.stack(
        [chance.uniform(0.1, 0.4, clusters),
         (numpy.arange(clusters) + chance.random(clusters)) / clusters],
        axis=1,
    )
    rows[:, X:] = centres[numpy.arange(count) % clusters]
    rows[:, X:] += WIDTH * chance.standard_normal((count, 2))
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
    """The velocity at some places: the drift, and four weak vortices."""
    x, y = 2 * numpy.pi * places[:, 0], 2 * numpy.pi * places[:, 1]
    return numpy.stack(
        [VORTICES * numpy.sin(x) * numpy.cos(y) + DRIFT,
         -VORTICES * numpy.cos(x) * numpy.sin(y)], axis=1,
    )


def cell_of(rows, cells):
    """Row and column of the cell of each particle."""
    return (rows[:, X:] * cells).astype(numpy.int64)


def step(rows, index, cells):
    """Move the particles of a cell: (those that stay, {side: those that leave
    to the cell there}).
    """
    rows = move(rows)
    away = cell_of(rows, cells) - index
    gone = away.any(axis=1)
    if not gone.any():
        return rows, {}
    half = cells // 2
    away = (away[gone] + half) % cells - half  # the shortest way around
    if (numpy.abs(away) > 1).any():
        raise ValueError("a particle crossed a whole cell in a step; use "
                         "fewer cells")
    leaving = rows[gone]
    sides = {
        (i, j): leaving[(away[:, 0] == i) & (away[:, 1] == j)]
        for i, j in AROUND
    }
    return rows[~gone], {
        side: some for side, some in sides.items() if len(some) > 0
    }


def joined(stay, came):
    """All of a cell; 'came' is {side: rows}, in any order."""
    some = [came[side] for side in sorted(came) if came[side] is not None]
    return numpy.concatenate([stay, *some]) if some else stay


def in_order(parts):
    """The particles of all cells, by their numbers."""
    rows = numpy.concatenate(parts)
    return rows[numpy.argsort(rows[:, NUMBER])]


def serial(rows, steps):
    """All steps without cells."""
    for _ in range(steps):
        rows = move(rows)
    return rows
