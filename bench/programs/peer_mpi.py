# SPDX-License-Identifier: BSD-3-Clause
"""peer_mpi.py - the same in mpi4py, for comparison with calls.py.

    python peer_mpi.py STEP...     each of them MODE:COUNT[:WHAT]

pingpong, roundtrip (the same, counted both ways), keep, flood, reduce, barrier
and idle. int, tuple, list and pickle8 go by send() and recv(), which pickle;
arrays by Send() and Recv(). Prints a line of JSON for each step.
"""

import sys
import time

from laps import (
    ARRAY_BYTES, LAP_FLOOD, Laps, lap_rounds, steps_of, value_of)
from mpi4py import MPI
import numpy as np

KEPT = 2
IDLE_S = 1.0
comm = MPI.COMM_WORLD
other = 1 - comm.rank
first = comm.rank == 0


def laps_of(laps, count):
    """For each lap its rounds; when they are over, so is the lap."""
    for _ in range(count // laps.length):
        yield range(laps.length)
        laps.lap()


def exchange_objects(value):
    def once():
        if first:
            comm.send(value, other)
            comm.recv(None, other)
        else:
            comm.recv(None, other)
            comm.send(value, other)
    return once


def exchange_buffers(what):
    mine, theirs = value_of(what), value_of(what)

    def once():
        if first:
            comm.Send(mine, other)
            comm.Recv(theirs, other)
        else:
            comm.Recv(theirs, other)
            comm.Send(mine, other)
    return once


def exchange_fresh(what):
    mine, kept = value_of(what), [None] * KEPT
    state = {"at": 0}

    def receive():
        theirs = np.empty(len(mine))
        comm.Recv(theirs, other)
        kept[state["at"]] = theirs
        state["at"] = (state["at"] + 1) % KEPT

    def once():
        if first:
            comm.Send(mine, other)
            receive()
        else:
            receive()
            comm.Send(mine, other)
    return once


def repeat(what, count, once, steps=1):
    once()
    laps = Laps(lap_rounds(count))
    for lap in laps_of(laps, count):
        for _ in lap:
            once()
    if first:
        laps.print(what, steps)


def flood(count, what):
    value = value_of(what)
    buffers = what in ARRAY_BYTES
    laps = Laps(min(LAP_FLOOD, max(count // 10, 1)))
    for lap in laps_of(laps, count):
        if first and buffers:
            for _ in lap:
                comm.Send(value, 1)
        elif first:
            for _ in lap:
                comm.send(value, 1)
        elif buffers:
            for _ in lap:
                comm.Recv(value, 0)
        else:
            for _ in lap:
                comm.recv(None, 0)
    if comm.rank == 1:
        laps.print(f"flood {what}")
    comm.barrier()


def idle(count):
    exchange = exchange_objects(7)
    exchange()
    laps = Laps(1)
    for _ in range(count):
        if first:
            time.sleep(IDLE_S)
            laps.last = laps.now()
        exchange()
        laps.lap()
    if first:
        laps.print("idle")


def reduce_once():
    comm.bcast(1.0, 0)
    comm.reduce(1.0, MPI.SUM, 0)


def run(mode, count, rest):
    comm.barrier()
    if mode == "reduce":
        repeat(mode, count, reduce_once)
    elif mode == "barrier":
        repeat(mode, count, comm.barrier)
    elif mode == "idle":
        idle(count)
    elif mode == "flood":
        flood(count, *rest)
    else:
        what, = rest
        if mode == "keep":
            once = exchange_fresh(what)
        elif what in ARRAY_BYTES:
            once = exchange_buffers(what)
        else:
            once = exchange_objects(np.zeros(1) if what == "pickle8"
                                    else value_of(what))
        repeat(f"{mode} {what}", count, once, 2 - (mode == "roundtrip"))


for step in steps_of(sys.argv[1:]):
    run(*step)
