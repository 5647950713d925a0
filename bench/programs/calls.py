# SPDX-License-Identifier: BSD-3-Clause
"""calls.py - what a call from Python costs: messages to array elements.

    python calls.py STEP...     each of them MODE:COUNT[:WHAT]

    local         calls of a chare to itself
    pingpong      round trips between PE 0 and 1, of WHAT (see laps.py); PE 1
                  sends back what came
    keep          the same; each sends its own array and keeps the last ones
                  that came, so that each is a fresh one
    flood         calls from PE 0 to PE 1
    split         calls of BURST at a time, sending and executing apart: to
                  PE 0 itself, to PE 1 ("away"), and of a plain method
    hand          calls within PE 0 with a read-only array: it is handed over
    moved         round trips between PE 0 and 1 (on one PE: with itself) of an
                  array that each gives up by move()
    get, await    awaited calls from PE 0 to PE 1, @coro or async def
    reduce        broadcast to a group, sum of a float to a future
    barrier       an empty allreduce() of the group
    wide          broadcast and empty reduction of 10,000 chares
    quiet         quiescence
    idle          an awaited call after a second of silence

Prints a line of JSON for each step. Runs on Charm4py too: see model.py.
"""

import sys

from laps import (
    LAP_FLOOD, LAP_ROUNDS, Laps, lap_rounds, repeat, steps_of, value_of)
try:
    import chare
except ImportError:  # Charm4py's, which has no move()
    chare = None
from model import Array, Chare, Future, Group, Reducer, charm, coro

WIDE = 10000
KEPT = 2
BURST = 200  # they fit into the ring
IDLE_S = 1.0


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
            self.laps.print("local")
            self.done(None)

    def pingpong(self, count, done, what):
        self.what = "pingpong " + what
        self.begin(count, done)
        self.other.ping(value_of(what))

    def begin(self, count, done):
        self.done = done
        self.length = self.left = lap_rounds(count)
        self.turns = count // self.length + 1  # the first to warm up
        self.cold = True
        self.laps = Laps(self.length)

    def ping(self, value):
        self.other.pong(value)

    def pong(self, value):
        if not self.is_over():
            self.other.ping(value)

    def is_over(self):
        """After a round: was it the last one?"""
        self.left -= 1
        if self.left:
            return False
        if self.cold:
            self.cold = False
            self.laps.start()
        else:
            self.laps.lap()
        self.left = self.length
        self.turns -= 1
        if self.turns:
            return False
        self.laps.print(self.what, 2)
        self.done(None)
        return True

    # Each sends its own array, and keeps the last ones that came.

    def prepare(self, what, done):
        self.mine = value_of(what)
        self.kept = [None] * KEPT
        self.at = 0
        done(None)

    def keep(self, count, done, what):
        self.what = "keep " + what
        self.begin(count, done)
        self.other.keep_ping(self.mine)

    def keep_ping(self, value):
        self.kept[self.at] = value
        self.at = (self.at + 1) % KEPT
        self.other.keep_pong(self.mine)

    def keep_pong(self, value):
        self.kept[self.at] = value
        self.at = (self.at + 1) % KEPT
        if not self.is_over():
            self.other.keep_ping(self.mine)

    def hand(self, count, done, what):
        value = value_of(what)
        value.flags.writeable = False
        self.what = "hand " + what
        self.begin(count, done)
        self.me.hand_step(value)

    def hand_step(self, value):
        if not self.is_over():
            self.me.hand_step(value)

    def moved(self, count, done, what):
        value = value_of(what)
        block = chare.empty(value.shape, value.dtype)
        block[...] = value
        self.what = "moved " + what
        self.begin(count, done)
        self.other.moved_ping(chare.move(block))

    def moved_ping(self, value):
        self.other.moved_pong(chare.move(value))

    def moved_pong(self, value):
        if not self.is_over():
            self.other.moved_ping(chare.move(value))

    def flood(self, count, done, what):
        length = min(LAP_FLOOD, max(count // 10, 1))
        value = value_of(what)
        other = self.other
        other.expect(what, length, done)
        for left in reversed(range(count // length)):
            for _ in range(length - 1):
                other.take(value)
            other.take_lap(left)

    def expect(self, what, length, done):
        self.what = what
        self.done = done
        self.laps = Laps(length)

    def take(self, value):
        pass

    def take_lap(self, left):
        self.laps.lap()
        if left == 0:
            self.laps.print("flood " + self.what)
            self.done(None)

    def split(self, count, done):
        self.split_laps = {name: Laps(BURST) for name in (
            "send", "execute", "send away", "plain")}
        self.split_left = count // BURST
        self.done = done
        self.me.split_burst()

    def split_burst(self):
        laps = self.split_laps
        for name, target in (("plain", self), ("send away", self.other),
                             ("send", self.me)):
            take = target.take
            laps[name].last = laps[name].now()
            for _ in range(BURST):
                take(7)
            laps[name].lap()
        laps["execute"].last = laps["execute"].now()
        self.me.split_end()

    def split_end(self):
        self.split_laps["execute"].lap()
        # PE 1 has to have taken all before the next burst goes there.
        self.other.split_echo()

    def split_echo(self):
        self.other.split_again()

    def split_again(self):
        self.split_left -= 1
        if self.split_left:
            self.me.split_burst()
            return
        for name, laps in self.split_laps.items():
            laps.print("split " + name)
        self.done(None)

    @coro
    def get(self, count, done):
        other = self.other
        repeat("get", count, lambda: other.answer(7, ret=True).get())
        done(None)

    async def awaits(self, count, done):
        other = self.other
        laps = Laps()
        for _ in range(count // LAP_ROUNDS):
            for i in range(LAP_ROUNDS):
                await other.answer(i, ret=True)
            laps.lap()
        laps.print("await")
        done(None)

    @coro
    def idle(self, count, done):
        other = self.other
        other.answer(7, ret=True).get()
        laps = Laps(1)
        for _ in range(count):
            charm.sleep(IDLE_S)
            laps.last = laps.now()
            other.answer(7, ret=True).get()
            laps.lap()
        laps.print("idle")
        done(None)

    def answer(self, i):
        return i


class Member(Chare):
    """Of a group or an array: contributes when asked."""

    def add(self, future):
        self.reduce(future, 1.0, Reducer.sum)

    def touch(self, future):
        self.reduce(future)

    @coro
    def barrier(self, count, done):
        def once():
            self.allreduce().get()
        if charm.myPe() == 0:
            repeat("barrier", count, once)
            done(None)
        else:
            for _ in range(3 + count):
                once()


def collective(method):
    """Call all, and wait for what their contributions give."""
    def once():
        future = Future()
        method(future)
        future.get()
    return once


def run(callers, mode, count, rest):
    if mode == "reduce":
        repeat(mode, count, collective(Group(Member).add))
    elif mode == "barrier":
        done = Future()
        Group(Member).barrier(count, done)
        done.get()
    elif mode == "wide":
        members = Array(Member, WIDE)
        charm.awaitCreation(members)
        repeat(mode, count, collective(members.touch))
    elif mode == "quiet":
        repeat(mode, count, charm.waitQD)
    else:
        if mode == "keep":
            for caller in (callers[0], callers[1]):
                done = Future()
                caller.prepare(*rest, done)
                done.get()
        done = Future()
        method = "awaits" if mode == "await" else mode
        getattr(callers[0], method)(count, done, *rest)
        done.get()


def main(args):
    callers = Array(Caller, 2)
    charm.awaitCreation(callers)
    for mode, count, rest in steps_of(args[1:]):
        run(callers, mode, count, rest)
    charm.exit()


charm.start(main)
