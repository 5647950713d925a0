# SPDX-License-Identifier: BSD-3-Clause
"""test_slurm.py - real jobs under a real Slurm, wired up by its PMIx.

Goal:   what runs under chare run runs under srun, on one node and on several;
        a job that loses a rank at any time, or is cancelled, ends soon, ends
        non-zero, says who was lost, and leaves nothing behind on its nodes.
Method: private clusters (slurmbox.py): one node on loopback, three nodes in
        namespaces of their own, and three below two switches. Every step runs
        under a time limit far above what it needs: to reach it is to hang.
"""

import os
import pathlib
import pty
import random
import re
import select
import subprocess
import sys
import time
import unittest

import slurmbox
import tapunit

SOURCE = pathlib.Path(os.environ.get("top_srcdir", ".")).resolve()
BUILD = pathlib.Path(os.environ.get("top_builddir", "build")).resolve()
PROBE = BUILD / "tests/job/wireup_probe"
ACTOR = BUILD / "tests/job/actor"
PYTHON = os.environ.get("PYTHON", sys.executable)
EXAMPLES = SOURCE / "examples"
STAGE = BUILD / "python/stage/chare"

# To hang is to take this long; a step takes a second.
STEP_SECONDS = 90
# How long the end of a step may take on other nodes, once srun is done.
END_SECONDS = 20
# What the runtime is told to wait for ranks that never come.
START_TIMEOUT = "4"

NODES = 300  # of the graph
EDGES = 2000

TOPOLOGY = """\
SwitchName=leaf0 Nodes=n0,n1
SwitchName=leaf1 Nodes=n2
SwitchName=spine Switches=leaf0,leaf1
"""

START_FAILS = """\
import os
from chare import charm
if os.environ["SLURM_PROCID"] == "1":
    raise ValueError("rank 1 cannot start")
charm.start(lambda args: charm.exit())
"""

# A program that a rank starts, a forked child, and one that is caught.
CHILD_FAILS = """\
import os, subprocess, sys
from chare import charm
fails = "import chare; raise ValueError('of the child')"
assert subprocess.run([sys.executable, "-c", fails],
                      stderr=subprocess.DEVNULL).returncode == 1
pid = os.fork()
if pid == 0:
    os.close(2)
    raise ValueError("of the child")
assert os.waitpid(pid, 0)[1] != 0
try:
    raise ValueError("which is caught")
except ValueError:
    pass
def main(args):
    print("done")
    charm.exit()
charm.start(main)
"""

LEAVES = """\
import os
from chare import charm, Chare, Group
class Leaver(Chare):
    def leave(self):
        if charm.myPe() == 2:
            os._exit(0)
charm.start(lambda args: Group(Leaver).leave())
"""

# Where the chares of a group of nodes are, and what PEs know of nodes.
NODE_GROUP = """\
import platform
from chare import *
class Node(Chare):
    def where(self):
        return self.thisIndex, charm.myPe(), charm.myHost(), platform.node()
    @coro
    def total(self):
        return self.allreduce(charm.myPe(), Reducer.sum).get()
def main(args):
    hosts = range(charm.numHosts())
    firsts = [charm.getHostFirstPe(host) for host in hosts]
    nodes = NodeGroup(Node)
    found = nodes.where(ret=True).get()
    assert [place[:3] for place in found] == list(
        zip(hosts, firsts, hosts)), found
    assert len({place[3] for place in found}) == len(hosts), found
    assert nodes.total(ret=True).get() == [sum(firsts)] * len(hosts)
    last = nodes[hosts[-1]]
    assert last.where(ret=True).get() == found[-1]
    assert (nodes.ckLocalBranch() is None) == (charm.myPe() not in firsts)
    pes = [charm.getHostPes(host) for host in hosts]
    assert sorted(sum(pes, [])) == list(range(charm.numPes())), pes
    assert [len(some) for some in pes] == [
        charm.getHostNumPes(host) for host in hosts], pes
    for host, some in enumerate(pes):
        assert firsts[host] == some[0] == min(some), pes
        assert all(charm.getPeHost(pe) == host for pe in some), pes
    print("a chare on each of", len(found), "nodes")
    charm.exit()
charm.start(main)
"""

IMPORT_FAILS = """\
import os
if os.environ["SLURM_PROCID"] == "1":
    raise RuntimeError("this rank cannot start")
from chare import charm
charm.start(lambda args: charm.exit())
"""


def python_ready():
    return (STAGE / "__init__.py").exists()


def wait_running(test, step):
    """Until the program of a step says so, first of all."""
    test.assertTrue(select.select([step.stdout], [], [], STEP_SECONDS)[0],
                    "hangs before it runs")
    test.assertEqual(step.stdout.readline(), "running\n")


class Slurm:
    """A cluster for a class of cases, and what they need to use it."""

    nodes = 1
    mode = "ports"
    topology = None
    extra = ()

    @classmethod
    def setUpClass(cls):
        cls.box = slurmbox.Cluster(cls.nodes, cls.mode, cls.extra,
                                   topology=cls.topology)
        cls.box.start()

    @classmethod
    def tearDownClass(cls):
        cls.box.stop()

    def setUp(self):
        self.addCleanup(self.nothing_is_left)

    # -- tools

    def srun(self, *command, ranks=None, options=(), env=None,
             seconds=STEP_SECONDS):
        """Run a step; it is an error to reach the time limit."""
        ranks = ranks or 2 * self.nodes
        begin = time.monotonic()
        result = self.box.run(
            ["srun", "--mpi=pmix", "-N", self.nodes, "-n", ranks, *options,
             *command], env=env, seconds=seconds)
        self.assertLess(time.monotonic() - begin, seconds,
                        f"hangs: {result.stdout}{result.stderr}")
        return result

    def good(self, *command, **options):
        result = self.srun(*command, **options)
        self.assertEqual(result.returncode, 0,
                         result.stdout + result.stderr)
        return result.stdout

    def bad(self, *command, **options):
        result = self.srun(*command, **options)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        return result.stdout + result.stderr

    def places(self):
        if self.mode == "ports":
            return [slurmbox.HEAD]
        return [f"n{index}" for index in range(self.nodes)]

    def nothing_is_left(self):
        """No process of ours and no shared memory on any node."""
        for place in self.places():
            end = time.monotonic() + END_SECONDS
            while found := self.left_on(place):
                self.assertLess(time.monotonic(), end, f"{place}: {found}")

    def left_on(self, place):
        shared = self.box.run(["ls", "/dev/shm"], place).stdout.split()
        found = self.box.run(["ps", "-e", "-o", "args="], place).stdout
        return shared + [line for line in found.splitlines()
                         if str(ACTOR.parent) in line or ".py" in line]

    def check_tree(self):
        """One edge into each node, and one into each switch, but the
        root's."""
        parents, address = self.tree(4 * self.nodes)
        self.assertEqual(parents[0], 0)
        between = {name: 0 for name in ("node", "switch")}
        for pe, parent in parents.items():
            here, there = address[pe], address[parent]
            between["node"] += here != there
            between["switch"] += here[:-1] != there[:-1]
        nodes = set(address.values())
        self.assertEqual(len(nodes), self.nodes)
        self.assertEqual(between["node"], len(nodes) - 1)
        self.assertEqual(between["switch"],
                         len({place[:-1] for place in nodes}) - 1)

    def tree(self, ranks):
        """Each PE's parent, and each PE's place: switches and node."""
        out = self.good(ACTOR, "tree", ranks=ranks)
        found = re.findall(
            r"tree pe (\d+) parent (\d+) children \d+ at (\S+)", out)
        self.assertEqual(len(found), ranks, out)
        return ({int(pe): int(parent) for pe, parent, _ in found},
                {int(pe): tuple(place.split("."))
                 for pe, _, place in found})

    def edges(self):
        """A small random graph, the same each time; the file's name."""
        chance = random.Random(1)
        path = pathlib.Path(self.box.base, "edges")
        path.write_text("# from to\n" + "".join(
            f"{chance.randrange(NODES)} {chance.randrange(NODES)}\n"
            for _ in range(EDGES)))
        return str(path)

    def example(self, name):
        if not python_ready():
            self.skipTest("built without Python")
        return [PYTHON, EXAMPLES / name]


class Jobs(Slurm):
    """Cases that hold on any number of nodes."""

    # The wire-up alone: rank R's blob differs from the others'.

    def test_wireup(self):
        ranks = 4 * self.nodes
        out = self.good(PROBE, "--blob", "3000", ranks=ranks)
        self.assertEqual(out.split().count("ok"), ranks, out)
        for rank in range(ranks):
            self.assertRegex(out, rf"rank {rank} size {ranks} ")

    def test_wireup_names_who_never_comes(self):
        said = self.bad(PROBE, "--leave", "1", "3",
                        env={"CHARE_START_TIMEOUT": START_TIMEOUT})
        self.assertIn("did not come", said)
        self.assertRegex(said, r"rank 1\b")
        self.assertNotIn("ok", said.split())

    def test_wireup_abort_reaches_all(self):
        result = self.srun(PROBE, "--abort", "1", "9")
        self.assertEqual(result.returncode, 9, result.stderr)

    # The runtime.

    def test_hello(self):
        out = self.good(ACTOR, "hello")
        self.assertIn(f"hello from {2 * self.nodes} of {2 * self.nodes} PEs "
                      f"on {self.nodes} nodes", out)

    def test_more_ranks_than_processors(self):
        ranks = 8 * self.nodes
        out = self.good(ACTOR, "hello", ranks=ranks)
        self.assertIn(f"hello from {ranks} of {ranks} PEs", out)

    def test_exit_code(self):
        result = self.srun(ACTOR, "exit", "7")
        self.assertEqual(result.returncode, 7, result.stderr)

    def test_rank_killed_in_mid_run(self):
        for victim in (0, 1):
            with self.subTest(victim=victim):
                said = self.bad(ACTOR, "die", victim)
                self.assertRegex(said, rf"PE {victim}\b")

    def test_rank_that_never_comes(self):
        said = self.bad("sh", "-c",
                        f'test $SLURM_PROCID = 1 && exit 3; exec {ACTOR}',
                        env={"CHARE_START_TIMEOUT": START_TIMEOUT})
        self.assertRegex(said, r"(PE|rank) 1\b|task 1: Exited")

    def test_rank_that_hangs_before_it_opens(self):
        # Nobody would end it, if not the others.
        said = self.bad("sh", "-c", "test $SLURM_PROCID = 1 && "
                        f"exec sleep 1000; exec {ACTOR}",
                        env={"CHARE_START_TIMEOUT": START_TIMEOUT})
        self.assertRegex(said, r"(PE|rank) 1\b")

    def test_scancel(self):
        step = self.box.popen(["srun", "--mpi=pmix", "-J", "tospin", "-N",
                               self.nodes, "-n", 2 * self.nodes, ACTOR,
                               "spin"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        try:
            wait_running(self, step)
            self.box.must(["scancel", "-n", "tospin"])
            step.communicate(timeout=STEP_SECONDS)
            self.assertNotEqual(step.returncode, 0)
        finally:
            step.kill()
            step.communicate()

    def test_tree_keeps_to_nodes(self):
        self.check_tree()

    def test_hello_in_c(self):
        self.check_hello([BUILD / "examples/hello"])

    def test_hello_in_python(self):
        self.check_hello(self.example("hello.py"))

    def test_groups_of_nodes(self):
        python = self.example("hello.py")[0]
        out = self.good(python, "-c", NODE_GROUP)
        self.assertIn(f"a chare on each of {self.nodes} nodes", out)

    def check_hello(self, command):
        out = self.good(*command)
        for pe in range(2 * self.nodes):
            self.assertIn(f"hello from PE {pe} of {2 * self.nodes} ", out)

    def test_pagerank_verifies_itself(self):
        out = self.good(*self.example("pagerank.py"), self.edges(),
                        "--verify")
        self.assertIn("verify: ok", out)

    def test_rank_raises_before_start(self):
        # The others would wait for longer than the step may take.
        python = self.example("hello.py")[0]
        said = self.bad(python, "-c", START_FAILS,
                        env={"CHARE_START_TIMEOUT": str(10 * STEP_SECONDS)})
        self.assertIn("ValueError: rank 1 cannot start", said)
        self.assertIn("chare[1]: error: ValueError before charm.start()",
                      said)

    def test_others_that_raise_end_no_job(self):
        python = self.example("hello.py")[0]
        out = self.good(python, "-c", CHILD_FAILS)
        self.assertEqual(out.split(), ["done"])

    def test_rank_raises_at_import(self):
        command = self.example("hello.py")[:1]
        said = self.bad(*command, "-c", IMPORT_FAILS,
                        env={"CHARE_START_TIMEOUT": START_TIMEOUT})
        self.assertIn("RuntimeError: this rank cannot start", said)
        self.assertRegex(said, r"(PE|rank) 1\b|task 1: Exited")


class OneNode(Jobs, unittest.TestCase):
    def test_rank_leaves_with_code_0(self):
        command = self.example("hello.py")[:1]
        said = self.bad(*command, "-c", LEAVES, ranks=4)
        self.assertRegex(said, r"PE 2 \(on \S+\) is gone")
        self.assertNotRegex(said, r"PE [013] \(on")

    def test_prompt_at_a_terminal(self):
        command = self.example("hello.py")[:1]
        mine, theirs = pty.openpty()
        self.addCleanup(os.close, mine)
        step = self.box.popen(
            ["timeout", "-k", "5", str(STEP_SECONDS), "srun", "--mpi=pmix",
             "-N", "1", "-n", "2", "--pty", *map(str, command), "-m",
             "chare.interactive"],
            env={"TERM": "dumb"}, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True)
        os.close(theirs)
        for typed, answer in (
                (None, "2 PEs; exit() ends the job"),
                ("class A(Chare):\r    def f(self): return charm.myPe()\r\r",
                 "class A is on all PEs"),
                ("Group(A).f(ret=True).get()\r", "[0, 1]"),
                ("print('wait' + 'ing'); Future().get()\r", "waiting"),
                ("\x03", "KeyboardInterrupt"),
                ("6 * 7\r", "42")):
            if typed is not None:
                os.write(mine, typed.encode())
            self.read_until(mine, answer)
        os.write(mine, b"exit()\r")
        self.assertEqual(step.wait(STEP_SECONDS), 0)

    def read_until(self, terminal, text):
        """Read until it was printed, after which nothing is lost: it waits."""
        said = ""
        end = time.monotonic() + STEP_SECONDS
        while text not in said:
            left = max(end - time.monotonic(), 0)
            if not select.select([terminal], [], [], left)[0]:
                self.fail(f"no {text!r} in {said!r}")
            try:
                said += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                self.fail(f"ended before {text!r}: {said!r}")


class ThreeNodes(Jobs, unittest.TestCase):
    nodes = 3
    mode = "netns"

    def test_node_is_lost(self):
        box = slurmbox.Cluster(3, "netns")
        with box:
            step = box.popen(["srun", "--mpi=pmix", "--no-kill", "-N", 3,
                              "-n", 6, ACTOR, "spin"],
                             stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
            self.addCleanup(step.communicate)
            wait_running(self, step)
            box.kill_node(2)
            said, _ = step.communicate(timeout=STEP_SECONDS)
            self.assertNotEqual(step.returncode, 0)
            self.assertRegex(said, r"PE [45]\b")


class TwoSwitches(Slurm, unittest.TestCase):
    nodes = 3
    mode = "netns"
    topology = TOPOLOGY
    extra = ("TopologyPlugin=topology/tree",)

    def test_tree_keeps_to_switches(self):
        self.check_tree()

    def test_info_shows_the_same_tree(self):
        ranks = 4 * self.nodes
        out = self.good(BUILD / "chare", "info", "--tree", ranks=ranks)
        shown = {}
        path = []  # (column, PE) from the root to the line above
        for line in out.splitlines():
            column = line.index("PE ")
            pe = int(line[column:].split()[1])
            path = [above for above in path if above[0] < column]
            shown[pe] = path[-1][1] if path else pe
            path.append((column, pe))
        self.assertEqual(shown, self.tree(ranks)[0])

    def test_batch_examples(self):
        if not python_ready():
            self.skipTest("built without Python")
        for script in sorted((SOURCE / "contrib/slurm").glob("*.batch")):
            with self.subTest(script=script.name):
                self.batch(script)

    def batch(self, script):
        """Submit, wait for the end, and look at what it wrote."""
        out = f"/tmp/chare-{os.getpid()}-{script.stem}.out"
        env = {"CHARE_EDGES": self.edges(),
               "CHARE_SOURCE": str(SOURCE), "PYTHON": PYTHON}
        try:
            result = self.box.run(
                ["sbatch", "--wait", "-o", out, "-t", "5", script],
                env=env, seconds=2 * STEP_SECONDS)
            text = pathlib.Path(out).read_text()
        finally:
            pathlib.Path(out).unlink(missing_ok=True)
        self.assertEqual(result.returncode, 0, text + result.stderr)
        self.assertIn("verify: ok", text)


class Box(unittest.TestCase):
    """The harness itself: what the rest relies on to leave nothing."""

    def test_everything_ends_with_the_test(self):
        script = ("import slurmbox, os, sys\n"
                  "box = slurmbox.Cluster(1)\n"
                  "box.start()\n"
                  "print(box.base, *[p for p, _ in box.pids.values()],"
                  " flush=True)\n"
                  "os.kill(os.getpid(), 9)\n")
        said = subprocess.run([sys.executable, "-c", script], text=True,
                              stdout=subprocess.PIPE, cwd=SOURCE,
                              env=dict(os.environ, PYTHONPATH=os.path.dirname(
                                  os.path.abspath(__file__)))).stdout.split()
        base = pathlib.Path(said[0])
        slurmbox._wait_until(
            lambda: not any(slurmbox._alive(pid) for pid in said[1:]),
            STEP_SECONDS, "the box ends")
        self.assertEqual(list((base / "t").iterdir()), [])
        slurmbox.shutil.rmtree(base)


if __name__ == "__main__":
    reason = slurmbox.missing()
    if os.environ.get("CHARE_CHECK") == "quick":
        reason = "CHARE_CHECK=quick"
    if "#define CHI_WITH_PMIX 1" not in (BUILD / "config.h").read_text():
        reason = "built without PMIx"
    if reason:
        print(f"1..0 # SKIP {reason}")
        sys.exit(0)
    tapunit.main()
