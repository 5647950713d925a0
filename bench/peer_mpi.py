# SPDX-License-Identifier: BSD-3-Clause
"""peer_mpi.py - the same in mpi4py, for comparison with calls.py.

    python peer_mpi.py pingpong N [int|tuple|array|buffer]
    python peer_mpi.py roundtrip N [int|tuple|array]    the same, both ways
    python peer_mpi.py flood N [int|tuple|array|buffer]
    python peer_mpi.py reduce N

int, tuple and array go by send() and recv(), pickled; buffer is eight bytes
by Send() and Recv(). Prints one JSON line, as calls.py does.
"""

import sys

from laps import LAP_FLOOD, LAP_ROUNDS, Laps, VALUES
from mpi4py import MPI
import numpy as np


def laps_of(laps, count):
    """For each lap its rounds; when they are over, so is the lap."""
    for _ in range(count // laps.length):
        yield range(laps.length)
        laps.lap()


def pingpong(comm, laps, count, what):
    value = VALUES(np)[what]
    other = 1 - comm.rank
    first = comm.rank == 0
    for lap in laps_of(laps, count):
        for _ in lap:
            if first:
                comm.send(value, other)
                comm.recv(None, other)
            else:
                comm.recv(None, other)
                comm.send(value, other)


def pingpong_buffer(comm, laps, count):
    mine, theirs = np.zeros(1), np.zeros(1)
    other = 1 - comm.rank
    first = comm.rank == 0
    for lap in laps_of(laps, count):
        for _ in lap:
            if first:
                comm.Send(mine, other)
                comm.Recv(theirs, other)
            else:
                comm.Recv(theirs, other)
                comm.Send(mine, other)


def flood(comm, laps, count, what):
    value = VALUES(np)[what]
    for lap in laps_of(laps, count):
        if comm.rank == 0:
            for _ in lap:
                comm.send(value, 1)
        else:
            for _ in lap:
                comm.recv(None, 0)


def flood_buffer(comm, laps, count):
    data = np.zeros(1)
    for lap in laps_of(laps, count):
        if comm.rank == 0:
            for _ in lap:
                comm.Send(data, 1)
        else:
            for _ in lap:
                comm.Recv(data, 0)


def reduce(comm, laps, count):
    for lap in laps_of(laps, count):
        for _ in lap:
            comm.bcast(1.0, 0)
            comm.reduce(1.0, MPI.SUM, 0)


def main():
    mode, count = sys.argv[1], int(sys.argv[2])
    what = sys.argv[3] if len(sys.argv) > 3 else "int"
    comm = MPI.COMM_WORLD
    comm.barrier()
    laps = Laps(LAP_FLOOD if mode == "flood" else LAP_ROUNDS)
    steps = 2 if mode == "pingpong" else 1  # roundtrip: one
    if mode == "reduce":
        reduce(comm, laps, count)
    elif what == "buffer":
        {"pingpong": pingpong_buffer, "flood": flood_buffer}[mode](
            comm, laps, count)
    else:
        {"pingpong": pingpong, "roundtrip": pingpong, "flood": flood}[mode](
            comm, laps, count, what)
    if comm.rank == (1 if mode == "flood" else 0):
        laps.print(f"{mode} {what}", steps * count, steps)


main()
