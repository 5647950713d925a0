# SPDX-License-Identifier: BSD-3-Clause
"""test_talking.py - who talks to whom is counted, and placed by.

Goal:   calls of chares on each other are counted exactly, with their bytes,
        whether they stay on the PE or not and whoever makes them (methods,
        coroutines, channels); nothing else is; strategies that partition what
        is counted end with few bytes between PEs and with the load balanced;
        without a library, or without counts, another one decides and says so.
Method: a torus of cells whose neighbours are shuffled over the PEs. They say
        what they cost, so that nothing depends on time, and exchange known
        messages between two sessions.
"""

import csv
import os
import subprocess
import tempfile

import tapunit
from program import LAUNCHER, ProgramCase, need_strategy

# 64 cells; cell i of the array is at place PLACES[i] of a torus of 8 x 8.
PROGRAM = """
import random
from chare import charm, Chare, Array, Channel, Future, Reducer

SIDE = 8
PLACES = list(range(SIDE * SIDE))
random.Random(7).shuffle(PLACES)
CELLS = {place: cell for cell, place in enumerate(PLACES)}

def neighbours(cell):
    y, x = divmod(PLACES[cell], SIDE)
    return [CELLS[(y + dy) % SIDE * SIDE + (x + dx) % SIDE]
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))]

class Cell(Chare):
    def __init__(self, turns, sessions, length):
        self.turns_each, self.sessions, self.length = turns, sessions, length
        self.got = self.turns = 0
        self.going = False

    def go(self, done):
        self.done = done
        self.going = True
        self.turn()
        self.look()

    def turn(self):
        for other in neighbours(self.thisIndex[0]):
            self.thisProxy[other].ghost(bytes(self.length))

    def ghost(self, data):
        assert len(data) == self.length
        self.got += 1
        self.look()

    def look(self):
        # A neighbour may be one turn ahead; then its message counts later.
        if self.going and self.got >= 4 and self.sessions > 0:
            self.got -= 4
            self.turns += 1
            if self.turns % self.turns_each > 0:
                self.turn()
            else:
                charm.lb.set_load(self, 1.0)
                self.AtSync()

    def resumeFromSync(self):
        self.sessions -= 1
        if self.sessions > 0:
            self.turn()
        else:
            self.reduce(self.done, charm.myPe(), Reducer.gather)

def run(turns=3, sessions=1, length=1000):
    cells = Array(Cell, SIDE * SIDE, args=[turns, sessions, length],
                  useAtSync=True)
    done = Future()
    cells.go(done)
    pes = done.get()
    loads = [pes.count(pe) for pe in range(charm.numPes())]
    report = charm.lb.report()
    assert report["sessions"] == sessions, report
    return loads, report
"""


class TalkCase(ProgramCase):
    def good(self, main, pes, options="", env=None):
        return self.run_main(PROGRAM, main, pes, options, env).stderr


class PlaceTest(TalkCase):
    def check(self, name):
        """A quarter of a torus of 64 cells has at least 16 edges to others,
        four of them 32 in all, of 128; by chance three in four are cut."""
        self.good("""
    loads, report = run(sessions=1)
    assert report["talk_messages"] == 64 * 4 * 3, report
    assert 1048 <= report["talk_bytes"] / (64 * 4 * 3) <= 1120, report
    assert report["talk_lost"] == 0, report
    assert report["cut_before"] > 0.6 * report["talk_bytes"], report
    assert report["cut_after"] < 0.5 * report["talk_bytes"], report
    assert report["hops_after"] == report["cut_after"], report
    assert report["moves"] > 0 and max(loads) <= 18, (loads, report)
""", 4, f"charm.options.balancer = {name!r}")
        # What is counted afterwards is what was promised.
        self.good("""
    loads, report = run(sessions=2)
    assert report["talk_messages"] == 64 * 4 * 3, report
    assert report["cut_before"] < 0.5 * report["talk_bytes"], report
    assert max(loads) <= 18, (loads, report)
""", 4, f"charm.options.balancer = {name!r}")

    def test_metis(self):
        need_strategy("graph")
        self.check("graph")

    def test_scotch(self):
        need_strategy("scotch")
        self.check("scotch")


class CountTest(TalkCase):
    def test_one_in_so_many(self):
        main = """
    loads, report = run(turns=25)
    all = 64 * 4 * 25
    assert 0.8 * all < report["talk_messages"] < 1.25 * all, report
    assert report["cut_after"] < 0.6 * report["talk_bytes"], report
"""
        self.good(main, 2, "charm.options.balancer = 'graph'",
                  {"CHARE_LB_COMM": "1/8"})
        self.good(main, 2,
                  "charm.options.balancer = 'graph'",
                  {"CHARE_LB_COMM": "8"})

    def test_it_is_asked_for(self):
        for name in "greedy", "refine":
            self.good("""
    loads, report = run()
    assert report["talk_messages"] == 0 == report["cut_before"], report
""", 2, f"charm.options.balancer = {name!r}")
            self.good("""
    loads, report = run()
    assert report["talk_messages"] == 64 * 4 * 3, report
    assert report["cut_before"] > 0, report
""", 2, f"charm.options.balancer = {name!r}", {"CHARE_LB_COMM": "1"})

    def test_coroutines_channels_and_the_rest(self):
        """What counts is what a chare calls on another, whoever resumes it;
        what is broadcast, answered, reduced, or sent to oneself does not."""
        self.good("""
    both = Array(Talker, 2, useAtSync=True)
    done = Future()
    both.go(done)
    done.get()
    report = charm.lb.report()
    # Each: 5 in go(), 3 after its wait, and what a channel takes to send 2.
    assert report["talk_messages"] in (2 * 10, 2 * 11), report
    assert 2 * 10 * 48 < report["talk_bytes"] < 2 * 11 * 100, report
""", 1, """
class Talker(Chare):
    def __init__(self):
        self.heard = 0

    async def go(self, done):
        me = self.thisIndex[0]
        other = self.thisProxy[1 - me]
        for i in range(5):
            other.hear(i)
        self.thisProxy[me].hear(0)
        await charm.sleep(0.01)
        for i in range(3):
            other.hear(i)
        await self.allreduce(1, Reducer.sum)
        channel = Channel(self, remote=other)
        channel.send(me)
        channel.send(me)
        for i in range(2):
            assert await channel.recv() == 1 - me
        await self.allreduce(1, Reducer.sum)
        self.done = done
        charm.lb.set_load(self, 1.0)
        self.AtSync()

    def hear(self, i):
        self.heard += 1

    def resumeFromSync(self):
        assert self.heard == 9, self.heard
        self.reduce(self.done)
charm.options.balancer = "greedy"
""", {"CHARE_LB_COMM": "1"})

    def test_strategies_in_python(self):
        self.good("""
    loads, report = run()
    assert report["moves"] > 0, report
    try:
        charm.lb.talks()
    except Exception as error:
        assert "strategies" in str(error), error
    else:
        assert False
""", 2, """
def strategy(loads, pes, fixed, speeds, background):
    talks = charm.lb.talks()
    assert len(talks) == 128 and all(a < b for a, b, size in talks)
    assert all(6 * 1048 <= size <= 6 * 1120 for a, b, size in talks), talks
    near = {(a, b) for a, b, size in talks}
    # Objects have numbers by PE; each has four neighbours.
    for i in range(64):
        assert sum(i in pair for pair in near) == 4
    return [1 - pe for pe in pes]
charm.options.balancer = strategy
""", {"CHARE_LB_COMM": "1"})
        self.good("    run()\n", 2, """
def strategy(loads, pes, fixed, speeds, background):
    assert charm.lb.talks() is None
    return pes
charm.options.balancer = strategy
""")

    def test_wrong_numbers(self):
        self.good("""
    for every, error in (-1, ValueError), (-2 ** 70, ValueError), \
                        (2 ** 20 + 1, ValueError), (2 ** 70, ValueError), \
                        ("x", TypeError):
        try:
            charm.lb.count_calls(every)
        except error:
            pass
        else:
            assert False, every
    charm.lb.count_calls(4)
""", 1)


class WhatIfTest(TalkCase):
    def test_dump(self):
        """What was counted is in the dump, and can be tried again."""
        for balancer in "greedy", "graph", "tree":
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "run.load")
                err = self.good("""
    loads, report = run()
    assert report["strategy"] in ("greedy", "graph", "tree"), report
    print(int(report["cut_before"]), file=sys.stderr)
""", 4, f"import sys\ncharm.options.balancer = {balancer!r}",
                                {"CHARE_LB_DUMP": path, "CHARE_LB_COMM": "1"})
                out = subprocess.run(
                    [LAUNCHER, "lb", "--csv", "-s", "none", "-s", "graph",
                     "-s", "scotch", "-s", "rotate", path],
                    capture_output=True, text=True, check=True).stdout
                with open(path, encoding="utf-8") as file:
                    talks = [line for line in file if line[:5] == "talk "]
            rows = {row["strategy"]: row
                    for row in csv.DictReader(out.splitlines())}
            self.assertEqual(len(talks), 128)
            self.assertTrue(all(" messages=6" in line for line in talks))
            cut = float(rows["none"]["cut_bytes"])
            if balancer != "tree":
                self.assertAlmostEqual(cut, float(err), delta=1)
            self.assertEqual(cut, float(rows["none"]["hop_bytes"]))
            self.assertEqual(cut, float(rows["rotate"]["cut_bytes"]))
            for name in "graph", "scotch":
                self.assertLess(float(rows[name]["hop_bytes"]), 0.6 * cut)


class FallbackTest(TalkCase):
    def test_without_counts(self):
        err = self.good("""
    loads, report = run()
    assert report["strategy"] == "greedy-refine", report
    assert max(loads) <= 33, loads
""", 2, "charm.options.balancer = 'scotch'", {"CHARE_LB_COMM": "0"})
        self.assertIn("nobody counts who talks to whom", err)
        self.assertIn("greedy-refine decides instead", err)

    def test_it_is_said_once(self):
        err = self.good("""
    run(sessions=3)
""", 1, "charm.options.balancer = 'graph'", {"CHARE_LB_COMM": "0"})
        self.assertEqual(err.count("nobody counts who talks to whom"), 1)

    def test_a_report_is_of_its_session(self):
        self.good("""
    loads, report = run(sessions=2)
    assert seen == [64 * 4 * 3] * 64, seen
    assert report["strategy"] == "gossip", report
    assert report["talk_messages"] == report["talk_bytes"] == 0, report
""", 1, """
from chare import _core
seen = []
resume = Cell.resumeFromSync
def then_otherwise(self):
    if self.sessions == 2:
        seen.append(charm.lb.report()["talk_messages"])
        _core.lb_use("gossip")
    resume(self)
Cell.resumeFromSync = then_otherwise
charm.options.balancer = "greedy"
""", {"CHARE_LB_COMM": "1"})

    def test_without_talk(self):
        err = self.good("""
    cells = Array(Silent, 8, useAtSync=True)
    done = Future()
    cells.go(done)
    done.get()
    report = charm.lb.report()
    assert report["strategy"] == "greedy-refine", report
    assert report["time_after"] == 4, report
""", 2, """
class Silent(Chare):
    def go(self, done):
        self.done = done
        charm.lb.set_load(self, 2.0 if self.thisIndex[0] == 0 else
                          1.0 if self.thisIndex[0] < 7 else 0.0)
        self.AtSync()

    def resumeFromSync(self):
        self.reduce(self.done)
charm.options.balancer = "graph"
""")
        self.assertEqual(err, "")

    def test_nonsense(self):
        err = self.good("    loads, report = run()\n", 1,
                        "charm.options.balancer = 'greedy'",
                        {"CHARE_LB_COMM": "often"})
        self.assertIn("CHARE_LB_COMM=often", err)


if __name__ == "__main__":
    tapunit.main()
