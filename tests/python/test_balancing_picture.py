# SPDX-License-Identifier: BSD-3-Clause
"""test_balancing_picture.py - what is kept of a run, and drawn from it.

Goal:   with CHARE_LB_PICTURE, or the option, each PE's utilisation, each move
        and each session of balancing is in the file that the job leaves, and
        in a picture; nothing is kept of what was not asked for; what cannot be
        is said.
Method: programs on 1, 2 and 4 PEs that know what moved; a stand-in for
        Matplotlib, which draws nothing, and the real one where there is one:
        in this Python, in $CHARE_CHECK_TOOLS/plot, or in the benchmarks'.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import tapunit
from program import BUILD, LAUNCHER, TIMEOUT_S, command, has_launcher

from chare import lbplot

SOURCE = pathlib.Path(lbplot.__file__).resolve()
TOOLS = os.path.join(os.environ.get("CHARE_CHECK_TOOLS", ""), "plot")

PROGRAM = """
import sys
from chare import Array, Chare, Future, Reducer, charm

class Block(Chare):
    def go(self, rounds, done):
        self.rounds, self.done = rounds, done
        charm.lb.set_load(self, 1.0)
        self.AtSync()

    def resumeFromSync(self):
        self.rounds -= 1
        if self.rounds:
            self.AtSync()
        else:
            self.reduce(self.done)

    def walk(self, to):
        self.migrate(to)

def main(args):
    if args[1] == "walk":
        walkers = Array(Block, 3)
        for at in range(3):
            walkers[at].walk(charm.numPes() - 1)
        charm.waitQD()
    else:
        blocks = Array(Block, (4, 2), useAtSync=True)
        done = Future()
        blocks.go(3, done)
        done.get()
    if args[1] == "abort":
        charm.abort("so be it")
    charm.exit(3 if args[1] == "three" else 0)

charm.options.balancer = sys.argv[2] if len(sys.argv) > 2 else ""
charm.start(main)
"""

# Its figures are files that tell what was drawn.
STAND_IN = """
import re
import numpy
from unittest import mock

class Figure:
    def __init__(self, **how):
        self.axes = []

    def subplots(self, rows, columns, *, squeeze, gridspec_kw=None,
                 sharey=False):
        self.axes = [mock.MagicMock() for _ in range(rows * columns)]
        panels = numpy.empty((rows, columns), dtype=object)
        for at, axes in enumerate(self.axes):
            panels.flat[at] = axes
        return panels

    def suptitle(self, text, **how):
        self.axes[0].suptitle(text)

    def colorbar(self, *image, **how):
        pass

    def savefig(self, path, **how):
        with open(path, "w") as file:
            for axes in self.axes:
                for call in axes.mock_calls:
                    file.write(re.sub(r" id='\\d+'", "", f"{call}\\n"))
"""


class PictureCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "program.py").write_text(PROGRAM)
        self.environment = dict(os.environ, CHARE_LB_SPEEDS="1")
        self.environment.setdefault("CHARE_START_TIMEOUT", "30")

    def stand_in(self):
        there = self.folder / "modules" / "matplotlib"
        (there / "backends").mkdir(parents=True)
        (there / "__init__.py").touch()
        (there / "backends" / "__init__.py").touch()
        (there / "backends" / "backend_agg.py").write_text(
            "FigureCanvasAgg = id")
        (there / "figure.py").write_text(STAND_IN)
        self.environment["PYTHONPATH"] = os.pathsep.join(
            [str(there.parent), os.environ.get("PYTHONPATH", "")])

    def run_job(self, pes, *args, code=0, picture="run.svg"):
        if pes > 1 and not has_launcher():
            self.skipTest("the launcher is not built")
        if picture:
            self.environment["CHARE_LB_PICTURE"] = picture
        done = subprocess.run(
            command(pes, "program.py", args), capture_output=True, text=True,
            timeout=TIMEOUT_S, cwd=self.folder, env=self.environment)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def history(self):
        return lbplot.read(self.folder / "run.svg.history")


class HistoryTest(PictureCase):
    def check_busy(self, history, pes):
        self.assertEqual(history.pes, pes)
        self.assertEqual(sorted(history.busy), list(range(pes)))
        for width, until, parts in history.busy.values():
            self.assertGreater(until, 0)
            self.assertLessEqual(width * (len(parts) - 1), until)
            self.assertGreaterEqual(width * len(parts), until - 1e-5)
            self.assertTrue(all(0 <= part <= 1 for part in parts), parts)

    def check_moves(self, history):
        """Each leaves from where it was."""
        pes = history.pes
        places = {f"Block[{i},{j}]": (2 * i + j) * pes // 8
                  for i in range(4) for j in range(2)}
        for name in places:
            chain = [(move.source, move.target) for move in history.moves
                     if move.name == name]
            self.assertEqual(
                chain, [((places[name] + i) % pes,
                         (places[name] + i + 1) % pes)
                        for i in range(len(chain))])

    def test_sessions_moves_and_loads(self):
        for pes in 1, 2, 4:
            with self.subTest(pes=pes):
                self.run_job(pes, "sync", "rotate")
                history = self.history()
                self.check_busy(history, pes)
                self.check_moves(history)
                self.assertEqual([s.number for s in history.sessions],
                                 [0, 1, 2])
                moves = 0 if pes == 1 else 8
                for session in history.sessions:
                    self.assertEqual(
                        (session.strategy, session.objects, session.moves),
                        ("rotate", 8, moves))
                    self.assertLessEqual(session.begin, session.end)
                    for when in "before", "after":
                        self.assertEqual(
                            history.loads[session.number, when],
                            [8 / pes] * pes)
                self.assertEqual(len(history.moves), 3 * moves)

    def test_without_a_central_step(self):
        self.run_job(4, "sync", "gossip")
        history = self.history()
        self.check_busy(history, 4)
        self.assertEqual([s.strategy for s in history.sessions],
                         ["gossip"] * 3)
        self.assertEqual(history.loads, {})

    def test_what_the_user_moves(self):
        for pes in 1, 2:
            with self.subTest(pes=pes):
                self.run_job(pes, "walk")
                history = self.history()
                self.check_busy(history, pes)
                self.assertEqual(history.sessions, [])
                moved = {(move.source, move.target, move.name)
                         for move in history.moves}
                self.assertLessEqual(moved, {(0, 1, "Block[0]"),
                                             (0, 1, "Block[1]")})
                self.assertEqual(bool(moved), pes == 2)

    def test_nothing_is_kept_unasked(self):
        self.run_job(2, "sync", "rotate", picture="")
        self.assertEqual([path.name for path in self.folder.iterdir()],
                         ["program.py"])

    def test_ends_of_jobs(self):
        self.run_job(2, "three", "rotate", code=3)
        self.assertEqual(len(self.history().sessions), 3)
        # What an earlier run has left is not taken for this one's.
        self.run_job(2, "abort", "rotate", code=1)
        self.assertFalse((self.folder / "run.svg.history").exists())


class DrawingTest(PictureCase):
    def test_it_is_drawn_at_the_end(self):
        self.stand_in()
        said = self.run_job(2, "sync", "rotate")
        self.assertIn(f"the picture of balancing is in {self.folder.resolve()}"
                      "/run.svg", said)
        drawn = (self.folder / "run.svg").read_text()
        for text in ("2 PEs", "balanced 3 times by rotate, 24 moves",
                     "PE 0 to 1: Block[0,0], Block[0,1]"):
            self.assertIn(text, drawn)

    def test_the_option(self):
        self.stand_in()
        path = self.folder / "program.py"
        path.write_text(PROGRAM.replace(
            "charm.start", "charm.options.balancer_picture = 'run.svg'\n"
            "charm.start"))
        self.run_job(1, "walk", picture="other.svg")
        self.assertIn("not balanced, 0 moves",
                      (self.folder / "run.svg").read_text())
        self.assertFalse((self.folder / "other.svg").exists())

    def test_what_is_missing_is_said(self):
        self.environment["PYTHONPATH"] = os.pathsep.join(
            [str(self.folder / "none"), os.environ.get("PYTHONPATH", "")])
        there = self.folder / "none" / "sitecustomize.py"
        there.parent.mkdir()
        there.write_text(
            "import importlib.util as u\nfind = u.find_spec\nu.find_spec = "
            "lambda name, *a: None if name == 'matplotlib' else find(name, *a)"
        )
        said = self.run_job(1, "walk")
        self.assertIn("Matplotlib is not installed", said)
        self.assertIn("python3 -m chare.lbplot", said)
        self.assertTrue((self.folder / "run.svg.history").exists())

    def test_bad_names(self):
        said = self.run_job(1, "walk", picture="run.txt", code=1)
        self.assertIn("should end in .svg, .png, .pdf", said)
        said = self.run_job(1, "walk", picture="no/where.svg")
        self.assertIn("where.svg.history", said)
        self.assertIn("No such file", said)
        (self.folder / "run.svg.history").mkdir()
        said = self.run_job(1, "walk")
        self.assertIn("run.svg.history: Is a directory", said)

    def test_what_cannot_be_written_is_said_at_the_start(self):
        path = self.folder / "program.py"
        path.write_text(PROGRAM.replace(
            "def main(args):", "def main(args):\n    print('it goes on', "
            "file=sys.stderr, flush=True)"))
        said = self.run_job(1, "walk", picture="no/where.svg")
        self.assertLess(said.index("No such file"), said.index("it goes on"))

    def test_a_library_that_fails(self):
        """The job has its exit code whatever Matplotlib says."""
        self.stand_in()
        there = self.folder / "modules" / "matplotlib" / "figure.py"
        there.write_text("raise AttributeError('of another release')")
        said = self.run_job(1, "three", "rotate", code=3)
        self.assertIn("no picture of balancing: AttributeError: of another",
                      said)
        self.assertNotIn("Traceback", said)

    def test_the_command(self):
        def plot(*args):
            return subprocess.run(
                [sys.executable, "-m", "chare.lbplot", *args], text=True,
                capture_output=True, cwd=self.folder, env=self.environment,
                timeout=TIMEOUT_S)

        self.stand_in()
        self.run_job(2, "sync", "rotate")
        done = plot("run.svg.history", "again.png")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("again.png", done.stdout)
        self.assertEqual((self.folder / "again.png").read_text(),
                         (self.folder / "run.svg").read_text())
        for words, text in (("nothing to read", ""),
                            ("no history", "hello\n"), ("x:2", "chare-history "
                            "1\nmove x\n"), ("empty", "chare-history 1\n"),
                            ("empty", "chare-history 1\npes 1\n"
                             "busy 0 0.01 0.0\n")):
            (self.folder / "x").write_text(text)
            done = plot("x", "y.svg")
            self.assertEqual(done.returncode, 1)
            self.assertIn(words, done.stderr)
        self.assertEqual(plot("x").returncode, 2)
        # PE 0 has told nothing: the others are drawn.
        (self.folder / "x").write_text(
            "chare-history 1\npes 2\nbusy 1 0.5 1.0 1 0.5\n")
        self.assertEqual(plot("x", "y.svg").returncode, 0)
        self.assertIn("array([100.,  50.])",
                      (self.folder / "y.svg").read_text())
        self.assertIn("No such file", plot("no", "y.svg").stderr)

    def test_what_strategies_would_have_done(self):
        self.stand_in()
        table = {"objects": 9, "pes": 2, "bound": 1.5, "strategies": [
            {"strategy": "none", "makespan": 3.0, "ratio": 2.0, "moves": 0,
             "hop_bytes": None},
            {"strategy": "greedy", "makespan": 1.5, "ratio": 1.0, "moves": 4,
             "hop_bytes": None}]}

        def plot(text):
            done = subprocess.run(
                [sys.executable, "-m", "chare.lbplot", "-", "what.svg"],
                text=True, capture_output=True, cwd=self.folder,
                env=self.environment, timeout=TIMEOUT_S, input=text)
            return done.returncode, done.stderr

        self.assertEqual(plot(json.dumps(table)), (0, ""))
        drawn = (self.folder / "what.svg").read_text()
        for text in ("9 chares on 2 PEs", "['none', 'greedy'], [3.0, 1.5]",
                     "['none', 'greedy'], [0, 4]", "'2.00 x'", "'1.00 x'"):
            self.assertIn(text, drawn)
        self.assertNotIn("hops", drawn)
        for row, hops in zip(table["strategies"], (3e6, 1500)):
            row["hop_bytes"] = hops
        self.assertEqual(plot(json.dumps(table)), (0, ""))
        drawn = (self.folder / "what.svg").read_text()
        self.assertIn("bytes x hops between PEs, MB", drawn)
        self.assertIn("[3.0, 0.0015]", drawn)
        for text in ("", "{", "{}", "[]", '{"strategies": []}',
                     '{"strategies": 3}'):
            code, said = plot(text)
            self.assertEqual(code, 1, text)
            self.assertIn("lbplot: ", said)
            self.assertNotIn("Traceback", said)
        if has_launcher():
            told = subprocess.run(
                [LAUNCHER, "lb", "--json", "--synthetic", "onehot"],
                capture_output=True, text=True, check=True,
                timeout=TIMEOUT_S).stdout
            self.assertEqual(plot(told), (0, ""))

    def with_matplotlib(self):
        """A command line of a Python that has it."""
        for python, path in ((sys.executable, ""), (sys.executable, TOOLS), (
                os.path.join(BUILD, "bench-venv", "bin", "python3"), "")):
            environment = dict(os.environ, PYTHONPATH=path)
            if os.path.exists(python) and subprocess.run(
                    [python, "-c", "import matplotlib"], env=environment,
                    capture_output=True).returncode == 0:
                return python, environment
        self.skipTest("Matplotlib is not here")

    def test_real_pictures(self):
        python, environment = self.with_matplotlib()
        self.run_job(4, "sync", "rotate")
        (self.folder / "table.json").write_bytes(subprocess.run(
            [LAUNCHER, "lb", "--json", "--synthetic", "onehot"], check=True,
            capture_output=True, timeout=TIMEOUT_S).stdout)
        for name, begin in (("a.svg", b"<?xml"), ("a.png", b"\x89PNG"),
                            ("a.pdf", b"%PDF")):
            for data in "run.svg.history", "table.json":
                done = subprocess.run(
                    [python, str(SOURCE), data, name], check=True, text=True,
                    cwd=self.folder, env=environment, timeout=TIMEOUT_S,
                    capture_output=True)
                self.assertEqual(done.stderr, "")
                self.assertEqual(
                    (self.folder / name).read_bytes()[:len(begin)], begin)


if __name__ == "__main__":
    tapunit.main()
