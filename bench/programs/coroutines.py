# SPDX-License-Identifier: BSD-3-Clause
"""coroutines.py - suspending and resuming within one PE.

    python coroutines.py STEP...     each of them MODE:COUNT

    async   two async def methods that wake each other by futures: one hop
    coro    the same with @coro methods
    plain, start, task    a call within the PE of a plain method, of a @coro
                          one and of an async def one, none of which waits

Prints a line of JSON for each step; that of start and task is what they take
more than a plain call.
"""

import sys

from laps import LAP_FLOOD, Laps, steps_of, tell
from model import Array, Chare, Future, charm, coro


RUNNERS = {}  # by index; both are on this PE


class Runner(Chare):
    """Element 0 wakes element 1 and waits until it is woken, and so on."""

    @coro
    def set_up(self, done):
        self.future = Future()
        RUNNERS[self.thisIndex[0]] = self
        done(None)

    async def hops(self, count, first, done):
        laps = Laps(LAP_FLOOD)
        other = RUNNERS[1 - self.thisIndex[0]]
        if first:
            other.future.send(None)
        for _ in range(count // LAP_FLOOD // 2):
            for _ in range(LAP_FLOOD // 2):
                await self.future
                self.future = Future()
                other.future.send(None)
            laps.lap()
        if first:
            laps.print("async")
        done(None)

    @coro
    def switches(self, count, first, done):
        laps = Laps(LAP_FLOOD)
        other = RUNNERS[1 - self.thisIndex[0]]
        if first:
            other.future.send(None)
        for _ in range(count // LAP_FLOOD // 2):
            for _ in range(LAP_FLOOD // 2):
                self.future.get()
                self.future = Future()
                other.future.send(None)
            laps.lap()
        if first:
            laps.print("coro")
        done(None)


class Target(Chare):
    def plain(self):
        pass

    @coro
    def start(self):
        pass

    async def task(self):
        pass

    def last(self, done):
        done(None)


def hop(method, count):
    runners = Array(Runner, 2)
    ready = Future(2)
    runners.set_up(ready)
    ready.get()
    done = Future(2)
    getattr(runners[1], method)(count, False, done)
    getattr(runners[0], method)(count, True, done)
    done.get()


def started(target, what, count):
    """Calls of a method, LAP_FLOOD at a time."""
    method = getattr(target, what)
    laps = Laps(LAP_FLOOD)

    def flood():
        done = Future()
        for _ in range(LAP_FLOOD):
            method()
        target.last(done)
        done.get()
    flood()
    laps.start()
    for _ in range(count // LAP_FLOOD):
        flood()
        laps.lap()
    return sorted(laps.took)[len(laps.took) // 2] / LAP_FLOOD


def main(args):
    target = Chare(Target, onPE=0)
    charm.awaitCreation(target)
    for mode, count, _ in steps_of(args[1:]):
        if mode == "async":
            hop("hops", count)
        elif mode == "coro":
            hop("switches", count)
        else:
            plain = started(target, "plain", count)
            tell(mode, p50_ns=started(target, mode, count) - plain)
    charm.exit()


charm.start(main)
