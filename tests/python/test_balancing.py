# SPDX-License-Identifier: BSD-3-Clause
"""test_balancing.py - AtSync(), strategies, charm.lb.

Goal:   chares of arrays with useAtSync are balanced by every strategy, by one
        in Python too; PEs of other speeds get work in proportion; each chare
        goes on exactly once; a program without a strategy goes on as it is.
Method: chares say themselves what they cost, so that nothing depends on time.
        Where they are is asked of themselves after each balancing.
"""

import os
import subprocess
import tempfile

import tapunit
from program import LAUNCHER, ProgramCase, program

# 32 chares; the first quarter costs 4, the others 1: 56 in all, and with
# blocks on 2 PEs 40 and 16, on 4 PEs 32, 8, 8, 8.
PROGRAM = """
from chare import charm, Chare, Array, Future, Reducer

class Worker(Chare):
    def __init__(self):
        self.resumed = 0
        self.synced = 0

    def cost(self):
        return 4.0 if self.thisIndex[0] < 8 else 1.0

    def go(self, done, rounds):
        self.done, self.rounds = done, rounds
        self.sync()

    def sync(self):
        self.synced += 1
        charm.lb.set_load(self, self.cost())
        self.AtSync()

    def resumeFromSync(self):
        self.resumed += 1
        assert self.resumed == self.synced
        if self.resumed < self.rounds:
            self.sync()
        else:
            self.reduce(self.done, (self.thisIndex[0], charm.myPe(),
                                    self.cost()), Reducer.gather)

def run(rounds=1, **options):
    workers = Array(Worker, 32, useAtSync=True)
    done = Future()
    workers.go(done, rounds)
    where = done.get()
    assert [index for index, pe, cost in where] == list(range(32))
    loads = [0.0] * charm.numPes()
    for index, pe, cost in where:
        loads[pe] += cost
    return loads, where, charm.lb.report()
"""


class BalanceCase(ProgramCase):
    def balanced(self, main, pes, options="", env=None):
        return self.run_main(PROGRAM, main, pes, options, env)


class StrategiesTest(BalanceCase):
    def check_strategy(self, name):
        for pes, most in (2, 28), (4, 16):
            self.balanced(f"""
    loads, where, report = run(3)
    assert sum(loads) == 56, loads
    assert max(loads) <= {most} * 1.1, loads
    assert report["sessions"] == 3 and report["objects"] == 32, report
    assert report["moves"] > 0, report
    assert report["time_before"] <= 40, report
""", pes, f"charm.options.balancer = {name!r}")

    def test_greedy(self):
        self.check_strategy("greedy")

    def test_greedy_refine(self):
        self.check_strategy("GreedyRefineLB")

    def test_refine(self):
        self.check_strategy("refine")

    def test_hierarchical(self):
        self.check_strategy("hierarchical")

    def test_gossip(self):
        self.check_strategy("gossip")

    def test_tree(self):
        self.check_strategy("tree")

    def test_diffusion(self):
        self.check_strategy("DiffusionLB")

    def test_bisect(self):
        self.check_strategy("bisect")

    def test_rotate_and_random(self):
        self.balanced("""
    loads, where, report = run(2)
    assert report["moves"] == 64, report
    assert [pe for index, pe, cost in where] == [
        (index * charm.numPes() // 32 + 2) % charm.numPes()
        for index in range(32)], where
""", 3, "charm.options.balancer = 'rotate'")
        self.balanced("""
    loads, where, report = run(2)
    assert len({pe for index, pe, cost in where}) == charm.numPes(), where
""", 3, "charm.options.balancer = 'RandCentLB'")

    def test_in_python(self):
        self.balanced("""
    loads, where, report = run(1)
    assert all(pe == index % charm.numPes() for index, pe, cost in where)
""", 2, """
def strategy(loads, pes, fixed, speeds, background):
    assert sum(loads) == 56 and len(pes) == len(fixed) == 32
    assert not any(fixed) and speeds == [1.0] * charm.numPes()
    assert charm.myPe() == 0
    order = iter(range(32))
    return [next(order) % len(speeds) for load in loads]
charm.options.balancer = strategy
""")

    def test_speeds(self):
        """A PE of a third of the speed gets a third of the work."""
        self.balanced("""
    loads, where, report = run(2)
    assert abs(loads[0] - 42) <= 2 and abs(loads[1] - 14) <= 2, loads
""", 2, "charm.options.balancer = 'greedy'", {"CHARE_LB_SPEEDS": "1.5,0.5"})
        self.balanced("""
    loads, where, report = run(2)
    assert loads[1] == 0, loads
""", 2, "charm.options.balancer = 'refine'", {"CHARE_LB_SPEEDS": "1,0"})
        self.balanced("""
    loads, where, report = run(2)
    assert loads[1] == 0, loads
""", 2, """
charm.options.balancer = 'refine'
class Worker(Worker):
    def sync(self):
        self.synced += 1
        sum(range(1000))  # what it costs is measured
        self.AtSync()
""", {"CHARE_LB_SPEEDS": "1,0"})


class StayTest(BalanceCase):
    def test_fixed_chares_stay(self):
        self.balanced("""
    loads, where, report = run(2)
    assert all(pe == 0 for index, pe, cost in where if index < 4), where
    assert max(loads) <= 30, loads
""", 2, """
charm.options.balancer = 'greedy'
class Worker(Worker):
    def __init__(self):
        super().__init__()
        self.setMigratable(self.thisIndex[0] >= 4)
""")


class WithoutMovesTest(BalanceCase):
    def test_without_a_strategy_chares_go_on(self):
        for env in {}, {"CHARE_BALANCER": "none"}:
            self.balanced("""
    loads, where, report = run(3)
    assert report["sessions"] == 3 and report["moves"] == 0, report
""", 2, env=env)
        self.balanced("    assert run(3)[2]['sessions'] == 3\n", 1)

    def test_a_strategy_that_fails_moves_nothing(self):
        for answer in "1 / 0", "[0]", "[9] * 32", "['x'] * 32":
            result = self.balanced("""
    loads, where, report = run(2)
    assert report["moves"] == 0, report
""", 2, f"charm.options.balancer = lambda *asked: {answer}")
            self.assertIn("load balancing by python", result.stderr)
            self.assertIn("nothing moves", result.stderr)

    def test_unknown_names(self):
        result = self.run_program(program(
            PROGRAM, "    pass\n", "charm.options.balancer = 'best'"), 1)
        self.assertEqual(result.returncode, 1)
        self.assertIn("no load balancing strategy 'best'", result.stderr)
        result = self.run_program(
            program(PROGRAM, "    pass\n", env={"CHARE_BALANCER": "best"}), 1)
        self.assertEqual(result.returncode, 1)
        self.assertIn("CHARE_BALANCER=best", result.stderr)

    def test_misuse(self):
        self.balanced("""
    class Plain(Chare):
        pass
    workers = Array(Worker, 1)
    try:
        workers[0].sync(ret=True).get()
    except Exception as error:
        assert "useAtSync=True" in str(error), error
    else:
        assert False
    for value, kind in ("x", TypeError), (float("nan"), ValueError):
        try:
            charm.lb.set_load(workers[0].ckLocal(), value)
        except kind:
            pass
        else:
            assert False, value
""", 1)
        self.balanced("""
    workers = Array(Worker, 2, useAtSync=True)
    workers[0].sync(awaitable=True).get()
    try:
        workers[0].sync(awaitable=True).get()
    except Exception as error:
        assert "before" in str(error), error
    else:
        assert False
""", 1)

    def test_loads_are_dumped_for_what_if(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "run.load")
            self.balanced("    run(1)\n", 2, env={"CHARE_LB_DUMP": path})
            out = subprocess.run(
                [LAUNCHER, "lb", "--csv", "-s", "none", "-s", "greedy", path],
                capture_output=True, text=True, check=True).stdout
        self.assertIn("none,40,", out)


if __name__ == "__main__":
    tapunit.main()
