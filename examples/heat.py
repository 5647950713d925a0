# SPDX-License-Identifier: BSD-3-Clause
"""Heat flow in a cube: what stencil3d.py computes, without any chares."""

import numpy

HOT = 1.0


def relax(cells, times=1):
    """One step inside of a border; returns the largest change.

    It is computed so many times over: blocks that cost more than others.
    """
    old = cells[1:-1, 1:-1, 1:-1]
    change = 0.0
    for _ in range(times):
        new = (
            cells[:-2, 1:-1, 1:-1] + cells[2:, 1:-1, 1:-1]
            + cells[1:-1, :-2, 1:-1] + cells[1:-1, 2:, 1:-1]
            + cells[1:-1, 1:-1, :-2] + cells[1:-1, 1:-1, 2:]
        ) / 6
        change = float(numpy.abs(new - old).max())
    cells[1:-1, 1:-1, 1:-1] = new
    return change


def times_of(index, blocks, skew):
    """How often a block computes: the second half of them 'skew' times.

    Blocks are dealt out to processes in this order.
    """
    number = numpy.ravel_multi_index(index, blocks)
    return skew if 2 * number >= numpy.prod(blocks) else 1


def face(axis, place):
    """The index of one layer of cells inside of the border."""
    index = [slice(1, -1)] * 3
    index[axis] = place
    return tuple(index)


def neighbours(index, blocks):
    """{(axis, direction): the index of the block there}."""
    found = {}
    for axis in range(3):
        for direction in (-1, 1):
            other = list(index)
            other[axis] += direction
            if 0 <= other[axis] < blocks[axis]:
                found[axis, direction] = tuple(other)
    return found


def block(index, shape):
    """The cells of a block at the start, with their border."""
    cells = numpy.zeros([n + 2 for n in shape])
    if index[0] == 0:
        cells[0] = HOT
    return cells


def split(size, count):
    """So many blocks in three directions, as even as size allows; or None."""
    blocks = [1, 1, 1]
    factor, rest = 2, count
    factors = []
    while rest > 1:
        while rest % factor == 0:
            factors.append(factor)
            rest //= factor
        factor += 1
    for factor in reversed(factors):
        # From the back, so that the second half of the blocks is one half of
        # the cube.
        for axis in sorted(range(3), key=lambda axis: (blocks[axis], -axis)):
            if size % (blocks[axis] * factor) == 0:
                blocks[axis] *= factor
                break
        else:
            return None
    return tuple(blocks)


def serial(size, steps):
    """All steps without blocks."""
    cells = block((0, 0, 0), (size,) * 3)
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
