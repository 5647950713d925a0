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
from laps import LAP_FLOOD, Laps, VALUES
import numpy

BURST = 1000
WIDE = 10000


class Caller(Chare):
    """An element that calls itself, or the other one."""

    def __init__(self):
        self.laps = Laps()
        self.me = self.thisProxy[self.thisIndex]
        if self.thisIndex[0] < 2:
            self.other = self.thisProxy[1 - self.thisIndex[0]]

    def local(self, count, done):
        self.count = count
        self.done = done
        self.left = count
        self.more = count - min(BURST, count)
        self.laps = Laps(LAP_FLOOD)
        for i in range(min(BURST, count)):
            self.me.step(i)

    def step(self, i):
        self.laps.round()
        self.left -= 1
        if self.more > 0:
            self.more -= 1
            self.me.step(i)
        elif self.left == 0:
            self.laps.print("local", self.count)
            self.done(None)

    def pingpong(self, what, count, done):
        self.left = self.count = count
        self.what = what
        self.done = done
        self.laps.start()
        self.other.ping(VALUES(numpy)[what])

    def ping(self, value):
        self.other.pong(value)

    def pong(self, value):
        self.laps.round()
        self.left -= 1
        if self.left:
            self.other.ping(value)
        else:
            self.laps.print("pingpong " + self.what, 2 * self.count, 2)
            self.done(None)

    def flood(self, what, count, done):
        value = VALUES(numpy)[what]
        other = self.other
        other.expect(what, count, done)
        for _ in range(count):
            other.take(value)

    def expect(self, what, count, done):
        self.what = what
        self.left = self.count = count
        self.done = done
        self.laps = Laps(LAP_FLOOD)

    def take(self, value):
        self.laps.round()
        self.left -= 1
        if self.left == 0:
            self.laps.print("flood " + self.what, self.count)
            self.done(None)

    @coro
    def ask(self, count, which, what, done):
        target = self.thisProxy[which]
        self.laps.start()
        for i in range(count):
            target.answer(i, ret=True).get()
            self.laps.round()
        self.laps.print(what, count)
        done(None)

    def answer(self, i):
        return i


class Member(Chare):
    """Of a group or an array: contributes when asked."""

    def add(self, future):
        self.reduce(future, 1.0, Reducer.sum)

    def touch(self, future):
        self.reduce(future)


def collective(members, method, what, count):
    laps = Laps()
    for i in range(-10, count):
        if i == 0:
            laps.start()
        future = Future()
        getattr(members, method)(future)
        future.get()
        laps.round()
    laps.print(what, count)


def quiet(count):
    laps = Laps()
    for i in range(-3, count):
        if i == 0:
            laps.start()
        charm.waitQD()
        laps.round()
    laps.print("quiet", count)


def main(args):
    mode, count = args[1], int(args[2])
    what = args[3] if len(args) > 3 else "int"
    if mode == "reduce":
        collective(Group(Member), "add", mode, count)
    elif mode == "wide":
        members = Array(Member, WIDE)
        charm.awaitCreation(members)
        collective(members, "touch", mode, count)
    elif mode == "quiet":
        quiet(count)
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
