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

WARM_UP = 100


def pingpong(comm, laps, count, what):
    value = VALUES(np)[what]
    other = 1 - comm.rank
    for i in range(-WARM_UP, count):
        if i == 0:
            laps.start()
        if comm.rank == 0:
            comm.send(value, other)
            comm.recv(None, other)
            laps.round()
        else:
            comm.recv(None, other)
            comm.send(value, other)


def pingpong_buffer(comm, laps, count):
    mine, theirs = np.zeros(1), np.zeros(1)
    other = 1 - comm.rank
    for i in range(-WARM_UP, count):
        if i == 0:
            laps.start()
        if comm.rank == 0:
            comm.Send(mine, other)
            comm.Recv(theirs, other)
            laps.round()
        else:
            comm.Recv(theirs, other)
            comm.Send(mine, other)


def flood(comm, laps, count, what):
    value = VALUES(np)[what]
    comm.barrier()
    laps.start()
    if comm.rank == 0:
        for _ in range(count):
            comm.send(value, 1)
    else:
        for _ in range(count):
            comm.recv(None, 0)
            laps.round()


def flood_buffer(comm, laps, count):
    data = np.zeros(1)
    comm.barrier()
    laps.start()
    if comm.rank == 0:
        for _ in range(count):
            comm.Send(data, 1)
    else:
        for _ in range(count):
            comm.Recv(data, 0)
            laps.round()


def reduce(comm, laps, count):
    for i in range(-WARM_UP, count):
        if i == 0:
            laps.start()
        comm.bcast(1.0, 0)
        comm.reduce(1.0, MPI.SUM, 0)
        laps.round()


def main():
    mode, count = sys.argv[1], int(sys.argv[2])
    what = sys.argv[3] if len(sys.argv) > 3 else "int"
    comm = MPI.COMM_WORLD
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
