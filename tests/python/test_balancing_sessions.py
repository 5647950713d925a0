# SPDX-License-Identifier: BSD-3-Clause
"""test_balancing_sessions.py - balancing, and what else goes on meanwhile.

Goal:   a session of AtSync() is under way for quiescence, one by the clock is
        not, and both together harm nobody; every(0) ends those by the clock
        and they can begin again; chares come and go while sessions are under
        way; a session of chares that are all on one PE ends everywhere.
Method: chares say what they cost, and count how often they were called and
        resumed; main waits for results and for quiescence.
"""

import tapunit
from program import ProgramCase

CLASSES = """
class Free(Chare):
    def __init__(self):
        self.calls = 0
        charm.lb.set_load(self, 4.0 if self.thisIndex[0] % 4 == 0 else 1.0)

    def call(self):
        self.calls += 1

    def count(self):
        return self.calls

class Synced(Chare):
    def __init__(self):
        self.resumed = 0
        charm.lb.set_load(self, 1.0 + self.thisIndex[0])

    def sync(self):
        self.AtSync()

    def resumeFromSync(self):
        self.resumed += 1

    def state(self):
        return self.resumed, charm.myPe()

    def end(self):
        self.thisProxy[self.thisIndex].ckDestroy()

class First(ArrayMap):
    def procNum(self, index):
        return 0

def sessions():
    return charm.lb.report()["sessions"]
"""


class SessionsTest(ProgramCase):
    def balanced(self, main, pes, strategy="rotate"):
        for count in pes:
            self.run_main(CLASSES, main, count,
                          f"charm.options.balancer = {strategy!r}")

    def test_quiescence_between_both_kinds(self):
        """When all is quiet, all who said AtSync() have been resumed."""
        self.balanced("""
    P = charm.numPes()
    free, synced = Array(Free, 4 * P), Array(Synced, 4 * P, useAtSync=True)
    charm.awaitCreation(free, synced)
    charm.lb.every(0.001)
    for turn in range(1, 16):
        synced.sync()
        free.call()
        charm.waitQD()
        found = synced.state(ret=True).get()
        assert [resumed for resumed, pe in found] == [turn] * 4 * P, found
    assert free.count(ret=True).get() == [15] * 4 * P
    assert sessions() >= 15
""", (2, 3))

    def test_some_wait_and_the_clock_waits(self):
        """Sessions by the clock wait for one of AtSync(), and go on then."""
        self.balanced("""
    P = charm.numPes()
    free, synced = Array(Free, 4 * P), Array(Synced, 2 * P, useAtSync=True)
    charm.awaitCreation(free, synced)
    charm.lb.every(0.001)
    for i in range(1, 2 * P):
        synced[i].sync()
    charm.waitQD()
    for _ in range(10):
        free.call(awaitable=True).get()
    assert all(r == 0 for r, pe in synced.state(ret=True).get())
    synced[0].sync()
    charm.waitQD()
    assert all(r == 1 for r, pe in synced.state(ret=True).get())
    calls, before = 10, sessions()
    while sessions() < before + 3:
        free.call(awaitable=True).get()
        calls += 1
    assert free.count(ret=True).get() == [calls] * 4 * P
""", (2, 3))

    def test_the_clock_stops_and_begins_again(self):
        self.balanced("""
    free = Array(Free, 8)
    charm.awaitCreation(free)
    for turn in range(3):
        charm.lb.every(0.001)
        before = sessions()
        while sessions() < before + 3:
            free.call(awaitable=True).get()
        charm.lb.every(0)
        free.call(awaitable=True).get()
        charm.sleep(0.01)   # one that was under way then has ended
        before = sessions()
        for _ in range(20):
            free.call(awaitable=True).get()
            charm.sleep(0.001)
        assert sessions() == before, (sessions(), before)
""", (2,))

    def test_chares_come_and_go(self):
        """By the clock: each call is executed once, by who is there."""
        self.balanced("""
    P = charm.numPes()
    free = Array(Free, ndims=1)
    for i in range(12):
        free.ckInsert(i, onPE=i % P)
    charm.lb.every(0.001)
    begun = sessions()
    for turn in range(30):
        free.ckInsert(12 + turn, onPE=turn % P)
        for i in range(turn, turn + 13):
            free[i].call()
        charm.waitQD()
        free[turn].ckDestroy(awaitable=True).get()
    free.ckDoneInserting()
    for i in range(30, 42):
        found = free[i].count(ret=True).get()
        assert found == 42 - i, (i, found)
    while sessions() < begun + 5:
        free.call(awaitable=True).get()
""", (2, 3))

    def test_one_ends_while_others_wait(self):
        """The others are resumed when it is gone, and not before; and when
        one ends that waits."""
        self.balanced("""
    P = charm.numPes()
    synced = Array(Synced, 4 * P, useAtSync=True)
    charm.awaitCreation(synced)
    for turn in range(1, 4):
        alive = range(turn, 4 * P)
        for i in alive:
            synced[i].sync()
        assert all(synced[i].state(ret=True).get()[0] == turn - 1
                   for i in alive)
        synced[turn - 1].end()
        charm.waitQD()
        found = [synced[i].state(ret=True).get()[0] for i in alive]
        assert found == [turn] * len(alive), found
    synced[3].sync()
    synced[3].end()
    charm.waitQD()
    for i in range(4, 4 * P):
        synced[i].sync()
    charm.waitQD()
    assert all(synced[i].state(ret=True).get()[0] == 4
               for i in range(4, 4 * P))
""", (1, 2, 3))

    def test_all_on_one_pe(self):
        """The others have nothing to say, and get their part."""
        self.balanced("""
    P = charm.numPes()
    synced = Array(Synced, 4 * P, map=Group(First), useAtSync=True)
    charm.awaitCreation(synced)
    for turn in range(1, 4):
        assert turn > 1 or all(
            pe == 0 for r, pe in synced.state(ret=True).get())
        synced.sync()
        charm.waitQD()
        found = synced.state(ret=True).get()
        assert [r for r, pe in found] == [turn] * 4 * P, found
        assert {pe for r, pe in found} == set(range(P)), found
""", (1, 2, 3), "greedy")
        for strategy in "gossip", "tree", "diffusion":
            self.balanced("""
    P = charm.numPes()
    synced = Array(Synced, 4 * P, map=Group(First), useAtSync=True)
    charm.awaitCreation(synced)
    for turn in range(1, 3):
        synced.sync()
        charm.waitQD()
        found = synced.state(ret=True).get()
        assert [r for r, pe in found] == [turn] * 4 * P, found
    assert len({pe for r, pe in found}) > 1, found
""", (3,), strategy)


if __name__ == "__main__":
    tapunit.main()
