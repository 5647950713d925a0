# SPDX-License-Identifier: BSD-3-Clause
"""How many ways are there to put N queens on a board? With charm.pool.

    python3 nqueens.py [--queens 10] [--rows 3] [--progress] [--verify]
    chare run -n 4 python3 nqueens.py --queens 12

All ways to fill the first rows are found here; each is a task that counts in
how many ways the rest can be filled, a number that varies a lot: the pool
hands out the next one to whichever PE is free.
"""

import argparse
import time

from chare import charm
from ghosts import finish, positive, verdict

# https://oeis.org/A000170
KNOWN = (1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712, 365596)


def places(queens, board):
    """Columns of the next row where no queen of the board can strike.

    ``board`` is (columns taken, diagonals taken, other diagonals taken), as
    bits, seen from that row.
    """
    free = ((1 << queens) - 1) & ~(board[0] | board[1] | board[2])
    while free:
        bit = free & -free
        free ^= bit
        yield bit


def put(board, bit):
    """The board with one more row, a queen in that column."""
    columns, left, right = board
    return columns | bit, (left | bit) << 1, (right | bit) >> 1


def starts(queens, rows, board=(0, 0, 0)):
    """All boards with their first rows filled."""
    if rows == 0:
        yield board
        return
    for bit in places(queens, board):
        yield from starts(queens, rows - 1, put(board, bit))


def count(queens, rows, board=(0, 0, 0)):
    """In how many ways so many rows can be filled: what a task does."""
    if rows == 0:
        return 1
    return sum(
        count(queens, rows - 1, put(board, bit))
        for bit in places(queens, board)
    )


def run(options):
    queens = options.queens
    rows = min(options.rows, queens)
    begin = time.monotonic()
    counts = charm.pool.map(
        lambda board: count(queens, queens - rows, board),
        starts(queens, rows), progress=options.progress,
    )
    print(
        f"{sum(counts)} ways to put {queens} queens, found in {len(counts)} "
        f"tasks on {charm.numPes()} PEs in {time.monotonic() - begin:.2f} s"
    )
    if not options.verify:
        return 0
    if queens < len(KNOWN):
        return verdict(sum(counts) == KNOWN[queens], "the known number")
    return verdict(sum(counts) == count(queens, queens), "a serial count")


def main(args):
    parser = argparse.ArgumentParser(
        prog="nqueens.py", description="Count the ways to put N queens."
    )
    parser.add_argument("--queens", type=positive, default=10,
                        help="queens, and rows of the board (%(default)s)")
    parser.add_argument("--rows", type=positive, default=3,
                        help="rows that are filled to make tasks "
                        "(%(default)s)")
    parser.add_argument("--progress", action="store_true",
                        help="draw a bar, on a terminal")
    parser.add_argument("--verify", action="store_true",
                        help="compare with the known number")
    finish("nqueens.py", run, parser.parse_args(args[1:]))


charm.start(main)
