# SPDX-License-Identifier: BSD-3-Clause
"""calls.py - what a call from Python costs: messages to array elements.

    python calls.py local N              calls of a chare to itself
    python calls.py pingpong N [int|tuple|array]   round trips, PE 0 and 1
    python calls.py flood N [int|tuple|array]      calls from PE 0 to PE 1
    python calls.py ret N                awaited calls from PE 0 to PE 1
    python calls.py coroutine N          awaited calls within PE 0
    python calls.py reduce N             broadcast to a group, sum of a float
    python calls.py wide N               the same, empty, with 10,000 chares
    python calls.py quiet N              quiescence

Prints one JSON line, as calls.c does.
"""

import sys

from chare import Array, Chare, Future, Group, Reducer, charm, coro
from laps import LAP_FLOOD, LAP_ROUNDS, Laps, VALUES
import numpy

WIDE = 10000


class Caller(Chare):
    """An element that calls itself, or the other one."""

    def __init__(self):
        self.me = self.thisProxy[self.thisIndex]
        if self.thisIndex[0] < 2:
            self.other = self.thisProxy[1 - self.thisIndex[0]]

    # LAP_FLOOD chains of calls, each of which makes the next one of its
    # chain. The last one takes the time: a call of it comes in each lap.

    def local(self, count, done):
        self.done = done
        self.laps = Laps(LAP_FLOOD)
        turns = count // LAP_FLOOD
        for _ in range(LAP_FLOOD - 1):
            self.me.step(turns)
        self.me.step_lap(turns)

    def step(self, left):
        if left:
            self.me.step(left - 1)

    def step_lap(self, left):
        self.laps.lap()
        if left:
            self.me.step_lap(left - 1)
        else:
            self.laps.print("local", LAP_FLOOD * len(self.laps.took))
            self.done(None)

    def pingpong(self, what, count, done):
        self.what = what
        self.count = count
        self.done = done
        self.laps = Laps()
        self.turns = count // LAP_ROUNDS
        self.left = LAP_ROUNDS
        self.other.ping(VALUES(numpy)[what])

    def ping(self, value):
        self.other.pong(value)

    def pong(self, value):
        self.left -= 1
        if self.left:
            self.other.ping(value)
        else:
            self.pong_lap(value)

    def pong_lap(self, value):
        self.laps.lap()
        self.left = LAP_ROUNDS
        self.turns -= 1
        if self.turns:
            self.other.ping(value)
        else:
            self.laps.print("pingpong " + self.what, 2 * self.count, 2)
            self.done(None)

    def flood(self, what, count, done):
        value = VALUES(numpy)[what]
        other = self.other
        other.expect(what, done)
        for left in reversed(range(count // LAP_FLOOD)):
            for _ in range(LAP_FLOOD - 1):
                other.take(value)
            other.take_lap(left)

    def expect(self, what, done):
        self.what = what
        self.done = done
        self.laps = Laps(LAP_FLOOD)

    def take(self, value):
        pass

    def take_lap(self, left):
        self.laps.lap()
        if left == 0:
            self.laps.print("flood " + self.what,
                            LAP_FLOOD * len(self.laps.took))
            self.done(None)

    @coro
    def ask(self, count, which, what, done):
        target = self.thisProxy[which]
        laps = Laps()
        for _ in range(count // LAP_ROUNDS):
            for i in range(LAP_ROUNDS):
                target.answer(i, ret=True).get()
            laps.lap()
        laps.print(what, count)
        done(None)

    def answer(self, i):
        return i


class Member(Chare):
    """Of a group or an array: contributes when asked."""

    def add(self, future):
        self.reduce(future, 1.0, Reducer.sum)

    def touch(self, future):
        self.reduce(future)


def repeat(what, count, once):
    """`count` times once(), which ends when it has been answered."""
    for _ in range(3):
        once()
    laps = Laps()
    for _ in range(max(count // LAP_ROUNDS, 1)):
        for _ in range(LAP_ROUNDS):
            once()
        laps.lap()
    laps.print(what, LAP_ROUNDS * len(laps.took))


def collective(method):
    """Call all, and wait for what their contributions give."""
    def once():
        future = Future()
        method(future)
        future.get()
    return once


def main(args):
    mode, count = args[1], int(args[2])
    what = args[3] if len(args) > 3 else "int"
    if mode == "reduce":
        repeat(mode, count, collective(Group(Member).add))
    elif mode == "wide":
        members = Array(Member, WIDE)
        charm.awaitCreation(members)
        repeat(mode, count, collective(members.touch))
    elif mode == "quiet":
        repeat(mode, count, charm.waitQD)
    else:
        callers = Array(Caller, 2)
        charm.awaitCreation(callers)
        done = Future()
        if mode == "local":
            callers[0].local(count, done)
        elif mode in ("ret", "coroutine"):
            callers[0].ask(count, 1 if mode == "ret" else 0, mode, done)
        else:
            getattr(callers[0], mode)(what, count, done)
        done.get()
    charm.exit()


charm.start(main)
