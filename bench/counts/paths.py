# SPDX-License-Identifier: BSD-3-Clause
"""paths.py - goes each of the hot paths often, between marks for callgrind.

    python paths.py MARKS FOLDER

MARKS is the library made from marks.c, FOLDER a place for two files by which
the PEs wait for each other without messages. On one PE the paths within a PE
are gone, on two those between them. counts.py runs this.

Each path is gone at two lengths, and what it costs is the difference, so that
what begins and ends it does not count. All goes by messages, so that what is
counted is the same in each run.
"""

import ctypes
import gc
import os
import sys
import time

from chare import Array, Chare, Future, Reducer, _core, charm, coro
import numpy

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[1:1] = [os.path.join(BENCH, folder)
                 for folder in ("programs", "taskbench")]
import column  # noqa: E402
from column import Column  # noqa: E402

LENGTHS = (100, 600)
MOVES = (10, 60)  # so many large ones fit into a ring
COLUMNS = 4
LIBRARY = ctypes.CDLL(sys.argv[1])
FOLDER = sys.argv[2]


def start():
    LIBRARY.marks_start()


def stop(path, length):
    LIBRARY.marks_stop(f"{path} {length}".encode())


def touch(name):
    with open(os.path.join(FOLDER, name), "w", encoding="utf-8"):
        pass


def wait_for(name):
    path = os.path.join(FOLDER, name)
    while not os.path.exists(path):
        time.sleep(0.001)
    os.remove(path)


class Path(Chare):
    """One way is from element 0 to itself, another to element 1."""

    def __init__(self):
        self.me = self.thisProxy[self.thisIndex]

    def take(self, value):
        pass

    def answer(self, value):
        return value

    def end(self, path, length, done):
        stop(path, length)
        done(None)

    def plain(self, length, done):
        take = self.take
        start()
        for _ in range(length):
            take(7)
        stop("plain", length)
        done(None)

    def calls(self, path, length, done):
        me = self.me
        start()
        for _ in range(length):
            me.take(7)
        me.end_calls(path, length, done)

    def end_calls(self, path, length, done):
        stop(path, length)
        charm.lb.measure(False)
        charm.lb.count_calls(0)
        done(None)

    def call(self, length, done):
        self.calls("call", length, done)

    def measured(self, length, done):
        charm.lb.measure()
        self.calls("measured", length, done)

    def counted(self, length, done):
        charm.lb.count_calls(1 << 20)  # none of these is sampled
        charm.lb.measure()
        self.calls("counted", length, done)

    def profiled(self, length, done):
        _core.profile(True)
        me = self.me
        start()
        for _ in range(length):
            me.take(7)
        me.end_profiled(length, done)

    def end_profiled(self, length, done):
        stop("profiled", length)
        _core.profile(False)
        done(None)

    def array(self, length, done):
        me, value = self.me, numpy.zeros(1)
        start()
        for _ in range(length):
            me.take(value)
        me.end("array", length, done)

    async def awaits(self, length, done):
        me = self.me
        start()
        for _ in range(length):
            await me.answer(7, ret=True)
        stop("await", length)
        done(None)

    @coro
    def coro(self, length, done):
        me = self.me
        start()
        for _ in range(length):
            me.answer(7, ret=True).get()
        stop("coro", length)
        done(None)

    # Between two PEs: the one that receives is kept busy until all has been
    # sent, so that neither of them ever looks for messages in vain.

    def hold(self, length):
        touch("held")
        wait_for("sent")
        start()

    def send(self, length, done):
        other = self.thisProxy[1]
        other.hold(length)
        wait_for("held")
        start()
        for _ in range(length):
            other.take(7)
        stop("send", length)
        other.end("receive", length, done)
        touch("sent")

    # Chares whose home is here leave; then they arrive on the other PE.

    def leave(self, movers, size, length, done):
        other = self.thisProxy[1]
        other.hold(length)
        wait_for("held")
        start()
        for i in range(length):
            movers[i].go(1)
        self.me.left(size, length, done, True)

    def left(self, size, length, done, again):
        if again:  # once more behind what lets them go
            self.me.left(size, length, done, False)
            return
        stop(f"leave{size}", length)
        self.thisProxy[1].end(f"arrive{size}", length, done)
        touch("sent")


class Mover(Chare):
    """Moves from PE 0 to PE 1, and back when nobody counts."""

    def __init__(self, size):
        self.state = 7 if size <= 8 else numpy.zeros(size // 8)

    def go(self, to):
        self.migrate(to)


class Member(Chare):
    """All of them are called, and contribute."""

    def add(self, future):
        self.reduce(future, 1.0, Reducer.sum)

    def add_in(self, section, inside, future):
        self.reduce(future, 1.0, Reducer.sum, section if inside else None)


class Root(Chare):
    @coro
    def element(self, members, length, done):
        start()
        future = Future()
        members.add(future)
        future.get()
        stop("element", length)
        done(None)

    @coro
    def within(self, path, members, section, length, done):
        start()
        future = Future()
        members.add_in(section, path == "section", future)
        future.get()
        stop(path, length)
        done(None)


def tasks(columns, length, done):
    """Some steps of Task Bench's stencil, with tasks that do nothing."""
    start()
    columns.go(1, length, done)
    done.get()
    stop("tasks", length)


def go(method, *arguments):
    """Once to warm up, then to be counted."""
    for lengths in (LENGTHS[::-1], LENGTHS):
        for length in lengths:
            done = Future()
            method(*arguments, length, done)
            done.get()


def move(path, size):
    """All that go are on PE 0: the first half of an array."""
    movers = Array(Mover, 2 * MOVES[-1], args=[size])
    charm.awaitCreation(movers)
    for lengths in (MOVES[::-1], MOVES):
        for length in lengths:
            done = Future()
            path.leave(movers, size, length, done)
            done.get()
            for i in range(length):
                movers[i].go(0)
            charm.waitQD()


def main(args):
    gc.disable()
    paths = Array(Path, charm.numPes())
    charm.awaitCreation(paths)
    if charm.numPes() > 1:
        go(paths[0].send)
        for size in (8, 8192):
            move(paths[0], size)
        charm.exit()
    for method in (paths[0].plain, paths[0].call, paths[0].measured,
                   paths[0].counted, paths[0].profiled, paths[0].array,
                   paths[0].awaits, paths[0].coro):
        go(method)
    column.kernel = abs
    columns = Array(Column, COLUMNS)
    done = Future()
    columns.set_up(1, 1, COLUMNS, done)
    done.get()
    go(tasks, columns)
    root = Chare(Root)
    for length in LENGTHS:
        members = Array(Member, length)
        charm.awaitCreation(members)
        for _ in range(2):
            done = Future()
            root.element(members, length, done)
            done.get()
        section = charm.combine(members)
        for path, called in ("whole", members), ("section", section):
            for _ in range(2):
                done = Future()
                root.within(path, called, section, length, done)
                done.get()
    charm.exit()


charm.start(main)
