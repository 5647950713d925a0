# SPDX-License-Identifier: BSD-3-Clause
"""test_balancing_timed.py - balancing by the clock, and when it is worth it.

Goal:   chares that do not say AtSync move between two methods while they are
        called, by a named strategy and by the automatic one, which leaves alone
        what is balanced; what cannot move stays and holds nobody up;
        quiescence and the search for deadlocks see nothing of it.
Method: chares say themselves what they cost; main waits until the report
        counts so many sessions or looks, never for a time.
"""

import unittest

import tapunit
from program import ProgramCase

# 32 chares; the first quarter costs 4, the others 1: 56 in all, and with
# blocks on 2 PEs 40 and 16.
PROGRAM = """
from chare import charm, Chare, Array, Future, Reducer, coro

class Worker(Chare):
    def __init__(self, even):
        self.calls = 0
        self.cost = 4.0 if not even and self.thisIndex[0] < 8 else 1.0
        charm.lb.set_load(self, self.cost)

    def call(self):
        self.calls += 1

    def where(self):
        return self.thisIndex[0], charm.myPe(), self.cost, self.calls

    async def suspend(self, until):
        await until

    def fix(self):
        self.setMigratable(False)

def create(even=False):
    workers = Array(Worker, 32, args=[even])
    charm.awaitCreation(workers)
    return workers

def until(workers, key, count):
    calls = 0
    while charm.lb.report()[key] < count:
        workers.call(awaitable=True).get()
        calls += 1
    return calls

def loads_of(workers, calls):
    loads = [0.0] * charm.numPes()
    found = sorted(workers.where(ret=True).get())
    assert [index for index, *rest in found] == list(range(32)), found
    for index, pe, cost, called in found:
        assert called == calls, (index, called, calls)
        loads[pe] += cost
    return loads, [pe for index, pe, *rest in found]
"""


class TimedCase(ProgramCase):
    def balanced(self, main, pes, options="", env=None):
        return self.run_main(PROGRAM, main, pes, options, env)


class PeriodTest(TimedCase):
    def test_chares_move_while_they_are_called(self):
        for name in "greedy", "GreedyRefineLB":
            self.balanced("""
    workers = create()
    charm.lb.every(0.01)
    calls = until(workers, "sessions", 3)
    charm.lb.every(0)
    loads, pes = loads_of(workers, calls)
    assert max(loads) <= 31, loads
    report = charm.lb.report()
    assert report["moves"] > 0 and report["objects"] == 32, report
    assert report["time_before"] == report["time_after"], report
""", 2, f"charm.options.balancer = {name!r}")

    def test_what_cannot_move_stays(self):
        self.balanced("""
    workers = create()
    hold = Future()
    for index in range(4):
        workers[index].suspend(hold)
        workers[index + 4].fix(awaitable=True).get()
    charm.lb.every(0.01)
    calls = until(workers, "sessions", 4)
    loads, pes = loads_of(workers, calls)
    assert pes[:8] == [0] * 8, pes
    assert pes[8:].count(1) == 24, pes
    hold(None)
    while True:
        before = charm.lb.report()["sessions"]
        calls += until(workers, "sessions", before + 2)
        loads, pes = loads_of(workers, calls)
        if max(loads) <= 30:
            break
    assert pes[4:8] == [0] * 4, pes
""", 2, "charm.options.balancer = 'greedy'")

    def test_it_can_be_set_from_outside(self):
        self.balanced("""
    workers = create()
    loads_of(workers, until(workers, "sessions", 2))
""", 2, env={"CHARE_LB_PERIOD": "0.01", "CHARE_BALANCER": "rotate"})
        self.balanced("""
    workers = create()
    loads_of(workers, until(workers, "sessions", 2))
    for value, kind in (-1, ValueError), (float("nan"), ValueError), (
            "x", TypeError):
        try:
            charm.lb.every(value)
        except kind:
            pass
        else:
            assert False, value
""", 3, """
charm.options.balancer = "rotate"
charm.options.balancer_period = 0.01
""")

    def test_quiescence_does_not_see_it(self):
        self.balanced("""
    workers = create()
    charm.lb.every(0.001)
    for calls in range(1, 21):
        workers.call()
        charm.waitQD()
        loads_of(workers, calls)
    until(workers, "sessions", 10)
""", 2, "charm.options.balancer = 'rotate'")

    def test_deadlocks_are_found(self):
        result = self.run_program(f"""
os.environ.update({{"CHARE_DEADLOCK_S": "0.5", "CHARE_LB_PERIOD": "0.01"}})
{PROGRAM}
charm.options.balancer = "greedy-refine"
def main(args):
    workers = create()
    until(workers, "sessions", 2)
    Future().get()
charm.start(main)
""", 2)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("deadlock", result.stderr)


class AutomaticTest(TimedCase):
    def test_what_is_balanced_is_left_alone(self):
        for pes in 1, 2, 4:
            self.balanced("""
    workers = create(even=True)
    charm.lb.every(0.01)
    calls = until(workers, "looks", 4)
    loads, pes = loads_of(workers, calls)
    assert pes == [index * charm.numPes() // 32 for index in range(32)], pes
    report = charm.lb.report()
    assert report["sessions"] == report["moves"] == 0, report
""", pes, env={"CHARE_BALANCER": "auto"})

    def test_what_is_not_is_mended(self):
        self.balanced("""
    workers = create()
    charm.lb.every(0.01)
    calls = until(workers, "moves", 1)
    calls += until(workers, "looks", charm.lb.report()["looks"] + 3)
    loads, pes = loads_of(workers, calls)
    assert max(loads) <= 29, loads
    report = charm.lb.report()
    assert report["sessions"] == 1 and report["gain"] > report["cost"], report
    assert report["strategy"] in ("refine", "greedy-refine", "hierarchical")
    assert report["moves"] <= 12, report
""", 2)

    def test_at_sync_too(self):
        self.balanced("""
    done = Future()
    workers = Array(Synced, 32, useAtSync=True)
    workers.go(done)
    loads = [0.0, 0.0]
    for pe, cost in done.get():
        loads[pe] += cost
    assert max(loads) <= 29, loads
    report = charm.lb.report()
    assert report["sessions"] == 6 and 0 < report["moves"] <= 12, report
""", 2, """
charm.options.balancer = "auto"

class Synced(Chare):
    def go(self, done):
        self.cost = 4.0 if self.thisIndex[0] < 8 else 1.0
        self.done, self.rounds = done, 0
        self.resumeFromSync()

    def resumeFromSync(self):
        charm.lb.set_load(self, self.cost)
        self.rounds += 1
        if self.rounds <= 6:
            self.AtSync()
        else:
            self.reduce(self.done, (charm.myPe(), self.cost), Reducer.gather)
""")


if __name__ == "__main__":
    tapunit.main()
