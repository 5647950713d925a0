# SPDX-License-Identifier: BSD-3-Clause
"""test_nodes.py - Python programs on several nodes.

Goal:   large arrays go between nodes whole, each byte once; chares that talk
        are put on one node; loads are evened out within nodes where that
        suffices; a node that is killed
        or cut off while large messages go to and from it ends the job, which
        names a rank of it and its host.
Method: private clusters (slurmbox.py) of three nodes in namespaces of their
        own, two of them below one switch; programs that assert, and say their
        loads themselves, so that nothing depends on time.
"""

import os
import subprocess
import sys
import unittest

import slurmbox
import tapunit
import test_slurm
from program import ENDS, need_strategy

RANKS = 6
EACH = ["--ntasks-per-node", 2]

EXCHANGE = ENDS + """
TURNS = 3

class FarEnd(End):
    def meet(self):
        self.me = self.thisIndex[0]
        self.other = (self.me + charm.numPes() // 2) % charm.numPes()
        self.connect(self.other)

    def turned(self, array):
        return array.flags.f_contiguous and (array[3] == 3).all() and \\
            array.shape == (1000, 300)

    @coro
    def exchange(self):
        self.send(10 * self.me, TURNS)
        return self.receive(10 * self.other, TURNS)

class Meter(Chare):
    def came(self):
        with open("/proc/net/dev", encoding="ascii") as file:
            lines = [line.split() for line in file if "eth0:" in line]
        return charm.myHost(), int(lines[0][1])

def main(args):
    pes = charm.numPes()
    ends, meters = Array(FarEnd, pes), Group(Meter)
    ends.meet(awaitable=True).get()
    check_ends(ends, [pe for pe in range(pes) if pe // 2 != 0])
    turned = np.asfortranarray(
        np.arange(1000)[:, None] * np.ones(300, dtype=np.int64))
    assert ends.turned(turned, ret=True).get() == [True] * pes
    before = dict(meters.came(ret=True).get())
    assert ends.exchange(ret=True).get() == [[True] * (TURNS + 1)] * pes
    for host, bytes in meters.came(ret=True).get():
        # To both PEs of the node; each byte once, with what TCP adds.
        data = 2 * TURNS * COUNT * 8
        bytes -= before[host]
        assert data <= bytes < 1.25 * data, (host, bytes, data)
    print("done")
    charm.exit()
charm.start(main)
"""

# What follows chares from where they are to where a strategy puts them.
BALANCED = """
import os, sys
from chare import Array, ArrayMap, Chare, Future, Group, Reducer, charm

class Balanced(Chare):
    def ready(self):
        charm.lb.set_load(self, 1.0)
        self.AtSync()

    def resumeFromSync(self):
        self.reduce(self.done, (self.thisIndex[0], os.uname().nodename,
                                charm.myPe()), Reducer.gather)

def balanced(cells):
    done = Future()
    cells.go(done)
    places = done.get()
    return ({index: host for index, host, pe in places},
            [sum(pe == at for _, _, at in places)
             for pe in range(charm.numPes())], charm.lb.report())
"""

# 24 chares. Those of one sixth say much to each other, sixths i and i + 3
# (team i) less, teams 0 and 1 little.
TALK = BALANCED + """
COUNT, MUCH, LESS, LITTLE = 24, 10000, 1000, 100

def told(i):
    same = [j for j in range(COUNT) if j != i and j % 6 == i % 6]
    team = [j for j in range(COUNT) if j % 6 == (i + 3) % 6]
    near = [j for j in (i + 1, i - 1) if {i % 3, j % 3} == {0, 1}]
    return [(j, MUCH) for j in same] + [(j, LESS) for j in team] + \\
        [(j, LITTLE) for j in near]

class Cell(Balanced):
    def __init__(self):
        self.got, self.done = 0, None

    def go(self, done):
        self.done = done
        for other, length in told(self.thisIndex[0]):
            self.thisProxy[other].hear(bytes(length))
        self.look()

    def hear(self, data):
        self.got += 1
        self.look()

    def look(self):
        if self.done and self.got == len(told(self.thisIndex[0])):
            self.ready()

def main(args):
    hosts, loads, report = balanced(Array(Cell, COUNT, useAtSync=True))
    assert report["strategy"] == sys.argv[1], report
    assert report["talk_messages"] == sum(len(told(i)) for i in range(COUNT))
    # At first each team is on all nodes: much goes between them.
    assert report["hops_before"] > 4 * report["cut_before"], report
    teams = [{hosts[i] for i in range(COUNT) if i % 3 == team}
             for team in range(3)]
    assert all(len(team) == 1 for team in teams), teams
    assert len(set.union(*teams)) == 3, teams
    assert loads == [4] * 6, loads
    # What still goes between PEs stays in nodes, but for the little.
    between = 2 * 8 * (LITTLE + 100)
    assert report["hops_after"] <= 3 * report["cut_after"] + 6 * between
    assert report["cut_after"] < 0.2 * report["talk_bytes"], report
    print("done")
    charm.exit()
charm.options.balancer = sys.argv[1]
charm.start(main)
"""

# 24 chares, all on the first PE of each node.
SPREAD = BALANCED + """
class First(ArrayMap):
    def procNum(self, index):
        return 2 * (index[0] // 8)

class Cell(Balanced):
    def go(self, done):
        self.done = done
        self.ready()

def main(args):
    cells = Array(Cell, 24, map=Group(First), useAtSync=True)
    hosts, loads, report = balanced(cells)
    assert report["strategy"] == sys.argv[1], report
    assert len(hosts) == 24 and sum(loads) == 24, hosts
    assert max(loads) <= 5, loads
    if sys.argv[1] in ("hierarchical", "tree"):
        assert hosts == {i: f"n{i // 8}" for i in range(24)}, hosts
    print("done")
    charm.exit()
charm.options.balancer = sys.argv[1]
charm.start(main)
"""

# Each PE has arrays under way to and from each other one, without an end.
TRAFFIC = """
import sys
import numpy as np
from chare import Array, Chare, charm, empty, move

class Peer(Chare):
    def __init__(self):
        self.got = 0

    def go(self):
        for other in range(charm.numPes()):
            if other != self.thisIndex[0]:
                for _ in range(2):
                    self.thisProxy[other].take(
                        move(empty(1 << 18)), self.thisIndex[0])

    def take(self, array, sender):
        self.got += 1
        if self.thisIndex[0] == 0 and self.got == 10 * charm.numPes():
            print("running", flush=True)
        self.thisProxy[sender].take(move(array), self.thisIndex[0])

charm.start(lambda args: Array(Peer, charm.numPes()).go())
"""


class Nodes(test_slurm.Slurm, unittest.TestCase):
    nodes = 3
    mode = "netns"
    topology = test_slurm.TOPOLOGY
    extra = ("TopologyPlugin=topology/tree",)

    def python(self, program, *args):
        # PEs are alike, whatever else runs here.
        env = {"CHARE_LB_SPEEDS": "1", "PYTHONUNBUFFERED": "1"}
        out = self.good(test_slurm.PYTHON, "-c", program, *args, ranks=RANKS,
                        options=EACH, env=env)
        self.assertEqual(out.split(), ["done"])

    def test_large_arrays(self):
        self.python(EXCHANGE)

    def test_who_talks_is_near_by_metis(self):
        need_strategy("graph")
        self.python(TALK, "graph")

    def test_who_talks_is_near_by_scotch(self):
        need_strategy("scotch")
        self.python(TALK, "scotch")

    def test_tree_evens_out_within_nodes(self):
        self.python(SPREAD, "tree")

    def test_hierarchical_evens_out_within_nodes(self):
        self.python(SPREAD, "hierarchical")

    def test_others_even_out(self):
        for name in "gossip", "diffusion":
            with self.subTest(strategy=name):
                self.python(SPREAD, name)


class Loss(unittest.TestCase):
    """Node n2, with PEs 4 and 5, is lost while large messages go about."""

    def lose(self, how):
        with slurmbox.Cluster(3, "netns") as box:
            step = box.popen(["srun", "--mpi=pmix", "--no-kill", "-N", 3,
                              "-n", RANKS, *EACH, test_slurm.PYTHON, "-c",
                              TRAFFIC], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
            self.addCleanup(step.communicate)  # it ends with its box
            test_slurm.wait_running(self, step)
            how(box)
            said, _ = step.communicate(timeout=test_slurm.STEP_SECONDS)
        self.assertNotEqual(step.returncode, 0)
        # Those who are left end the job; they do not crash. The words are
        # Slurm's for signals (with core files or without), and base/check.c's.
        self.assertNotRegex(said, r"Segmentation fault|Aborted|Bus error|"
                            r"core dumped|internal error: ")
        return said

    def test_ranks_are_killed(self):
        def kill(box):
            found = box.must(["ps", "-e", "-o", "pid=,comm=,args="], "n2")
            pids = [line.split()[0] for line in found.splitlines()
                    if line.split()[1].startswith("python")]
            self.assertEqual(len(pids), 2, found)
            box.must(["kill", "-9", *pids], "n2")
        said = self.lose(kill)
        self.assertRegex(said, r"PE [45] \(on n2\) is gone")
        self.assertNotRegex(said, r"PE [0-3] \(on")

    def test_node_is_killed(self):
        said = self.lose(lambda box: box.kill_node(2))
        self.assertRegex(said, r"PE [45] \(on n2\) is gone")
        self.assertNotRegex(said, r"PE [0-3] \(on")

    def test_link_is_cut(self):
        # Those on the node itself see the others go.
        said = self.lose(lambda box: box.must(["ip", "link", "set", "v2",
                                               "down"]))
        self.assertRegex(said, r"PE [45] \(on n2\) is gone")


if __name__ == "__main__":
    reason = slurmbox.missing()
    if os.environ.get("CHARE_CHECK") == "quick":
        reason = "CHARE_CHECK=quick"
    if "#define CHI_WITH_PMIX 1" not in \
            (test_slurm.BUILD / "config.h").read_text():
        reason = "built without PMIx"
    if not test_slurm.python_ready():
        reason = "built without Python"
    if reason:
        print(f"1..0 # SKIP {reason}")
        sys.exit(0)
    tapunit.main()
