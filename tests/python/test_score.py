# SPDX-License-Identifier: BSD-3-Clause
"""The scorecard's arithmetic and its runner: made-up runs must give known
verdicts, and programs that fail must be said to have failed."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import tapunit

BENCH = os.path.abspath(os.path.join(os.environ.get("top_srcdir", "."),
                                     "bench"))
sys.path.insert(0, BENCH)
from harness import report, runner, score  # noqa: E402
from harness.score import (  # noqa: E402
    MET, MISSING, NOT_MET, Case, Goal, Measurement, Program)


def runs_of(*values, what="w"):
    return [[{"what": what, "p50_ns": value, "p99_ns": 2 * value,
              "ns_each": value + 1}] for value in values]


def described(runs, goals=(), failed=None, absolute=None):
    case = Case(17, "one way", {name: (name, "w") for name in runs},
                list(goals))
    return score.describe(case, runs, failed or {}, absolute)


def whole(cases, time="then", cpu="a cpu"):
    return {"machine": {"time": time, "cpu": cpu, "kernel": "k",
                        "versions": ["c 1"], "processors": 2, "load": [0.0],
                        "load_after": [0.0], "missing": {"Ray": "not here"}},
            "rounds": 10, "cases": cases}


class NumbersTest(unittest.TestCase):
    def test_median_and_spread(self):
        self.assertEqual(score.median([3, 1, 2]), 2)
        self.assertEqual(score.median([4, 1, 2, 3]), 2.5)
        self.assertIsNone(score.median([]))
        self.assertEqual(score.spread([1, 2, 3, 4, 5]), 2 / 3)
        self.assertEqual(score.spread([7, 7, 7]), 0)
        self.assertIsNone(score.spread([1]))

    def test_ratio(self):
        self.assertEqual(score.ratio(3, 2), 1.5)
        for ours, peer in ((None, 2), (2, None), (2, 0)):
            self.assertIsNone(score.ratio(ours, peer))

    def test_interval(self):
        low, high = score.interval(score.median, [10.0, 11.0, 12.0, 13.0, 99])
        self.assertTrue(10 <= low < 12 < high <= 99, (low, high))
        self.assertEqual(score.interval(score.median, [5, 5, 5]), [5, 5])
        self.assertIsNone(score.interval(score.median, [5, 6]))
        self.assertEqual(score.ratio_interval([4, 4, 4], [2, 2, 2]), [2, 2])
        again = [score.interval(score.median, [1, 5, 7, 9]) for _ in range(2)]
        self.assertEqual(*again)

    def test_text(self):
        for ns, text in ((None, "-"), (0.5, "0.5 ns"), (34.81, "34.8 ns"),
                         (999.4, "999 ns"), (999.6, "1 us"),
                         (1.5e6, "1.5 ms"), (2e12, "2e+03 s")):
            self.assertEqual(report.text_of(ns), text)
        self.assertEqual(report.text_of(206, "B"), "206 B")


class VerdictTest(unittest.TestCase):
    def verdicts(self, *arguments, **keywords):
        return [goal["verdict"]
                for goal in described(*arguments, **keywords)["goals"]]

    def test_limit(self):
        self.assertEqual(score.verdict(1.5, 1.5), MET)
        self.assertEqual(score.verdict(1.51, 1.5), NOT_MET)
        self.assertEqual(score.verdict(None, 1.5), MISSING)

    def test_ratio_of_medians(self):
        runs = {"a": runs_of(10, 30, 20), "b": runs_of(10, 10, 1000)}
        self.assertEqual(
            self.verdicts(runs, [Goal("a", "b", 2.0), Goal("a", "b", 1.9),
                                 Goal("a", None, 20), Goal("a", None, 19)]),
            [MET, NOT_MET, MET, NOT_MET])

    def test_not_measured_is_missing(self):
        goals = [Goal("a", "b", 1e9), Goal("b", "a", 1e9),
                 Goal("b", None, 1e9), Goal("a", "not even named", 1e9),
                 Goal("b", "not even named", 1e9, "figure")]
        for other in ([], [[{"what": "w", "ns_each": 1}]],
                      runs_of(1, what="something else")):
            runs = {"a": runs_of(1, 2, 3), "b": other}
            self.assertEqual(
                self.verdicts(runs, goals, absolute={"figure": 1}),
                [MISSING] * 5)

    def test_a_figure_stands_in_for_an_absent_peer(self):
        goal = [Goal("a", "b", 2, "figure")]
        said, = described({"a": runs_of(10, 10, 10), "b": []}, goal,
                          absolute={"figure": 8})["goals"]
        self.assertEqual((said["value"], said["verdict"], said["absolute"],
                          said["interval"]),
                         (1.25, MET, "figure", [1.25, 1.25]))
        self.assertIn("another machine", report.goal_text(said, "ns"))
        said, = described({"a": runs_of(10), "b": runs_of(2)}, goal,
                          absolute={"figure": 8})["goals"]
        self.assertEqual((said["value"], said["absolute"]), (5, None))

    def test_a_yardstick_says_how_fast_the_other_machine_was(self):
        """Where b takes 6 here and took 2 there, a figure of 8 counts 24."""
        goal = [Goal("a", "absent", 2, "figure", ("b", "b's"))]
        absolute = {"figure": 8, "b's": 2}
        said, = described({"a": runs_of(60), "b": runs_of(6)}, goal,
                          absolute=absolute)["goals"]
        self.assertEqual((said["value"], said["verdict"], said["scale"]),
                         (2.5, NOT_MET, 3))
        self.assertIn("x 3, as for b", report.goal_text(said, "ns"))
        said, = described({"a": runs_of(60), "b": []}, goal,
                          absolute=absolute)["goals"]
        self.assertEqual((said["value"], said["scale"]), (7.5, 1))
        self.assertNotIn("as for", report.goal_text(said, "ns"))

    def test_what_is_kept(self):
        figure = described({"a": runs_of(1, 2, 9)})["figures"]["a"]
        self.assertEqual((figure["median"], figure["least"], figure["p99"],
                          figure["mean"], figure["runs"]), (2, 1, 4, 3, 3))
        self.assertNotIn("failed", figure)
        self.assertEqual(described({"a": []}, failed={"a": "why"})["figures"]
                         ["a"]["failed"], "why")


class ReportTest(unittest.TestCase):
    def test_table_and_summary(self):
        cases = [described({"a": runs_of(10), "b": runs_of(5)},
                           [Goal("a", "b", 1.5), Goal("a", "c", 1.5),
                            Goal("b", None, 6.0)])]
        text = report.table(whole(cases))
        for part in ("a <= 1.5 x b: 2  not met", "a <= 1.5 x c: -  missing",
                     "b <= 6 ns: 5 ns  met", "not here: Ray", "10 ns"):
            self.assertIn(part, text)
        self.assertEqual(report.summary(whole(cases)),
                         "1 met, 1 not met, 1 missing")

    def test_rows_without_a_program_are_missing(self):
        empty = whole([])
        empty["unmeasured"] = {7: "METG"}
        self.assertEqual(report.summary(empty), "0 met, 0 not met, 1 missing")
        self.assertRegex(report.table(empty), r"7\s+METG\s+missing")

    def test_few_rounds_are_marked(self):
        empty = whole([])
        self.assertNotIn("too few", report.table(empty))
        empty["rounds"] = 3
        self.assertIn("too few", report.table(empty))


class CompareTest(unittest.TestCase):
    BEFORE = {"chare": runs_of(100, 101, 102), "peer": runs_of(10, 11, 12)}

    def compare(self, now):
        """What bench/compare says, and its exit status."""
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name, runs in (("old", self.BEFORE), ("new", now)):
                paths.append(os.path.join(folder, name))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    json.dump(whole([described(runs)], time=name), file)
            done = subprocess.run(
                [sys.executable, os.path.join(BENCH, "compare"), *paths],
                capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    def test_within_the_intervals(self):
        code, said = self.compare({"chare": runs_of(101, 102, 103),
                                   "peer": runs_of(9, 10, 11)})
        self.assertEqual(code, 0)
        self.assertIn("nothing moved", said)

    def test_slower_and_faster(self):
        code, said = self.compare({"chare": runs_of(120, 121, 122),
                                   "peer": runs_of(10, 11, 12)})
        self.assertEqual(code, 1)
        self.assertIn("101 ns ->   121 ns (+20%) slower", said)
        code, said = self.compare({"chare": runs_of(80, 81, 82),
                                   "peer": runs_of(20, 21, 22)})
        self.assertEqual(code, 0)
        self.assertIn("faster", said)
        self.assertIn("the machine changed", said)

    def test_what_is_no_report(self):
        done = subprocess.run(
            [sys.executable, os.path.join(BENCH, "compare"),
             os.devnull, os.devnull], capture_output=True, check=False)
        self.assertEqual(done.returncode, 2)


def program(text, **more):
    return Program([sys.executable, "-c", text], **more)


class RunnerTest(unittest.TestCase):
    GOOD = program('print(\'{"what": "w", "p50_ns": 3}\')')
    BAD = program("import sys; sys.exit('broken')")

    def measure(self, programs, path, rounds=2):
        case = Case(1, "c", {name: (name, "w") for name in programs})
        said = []
        return *runner.measure(Measurement("m", programs, [case]), rounds,
                               os.environ, runner.Memory(path),
                               said.append), said

    def test_rounds_failures_and_memory(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "runs")
            seldom = program(self.GOOD.command[-1], every=3)
            runs, failed, _ = self.measure(
                {"good": self.GOOD, "bad": self.BAD, "none": None,
                 "seldom": seldom}, path)
            self.assertEqual([len(runs[name]) for name in runs], [2, 0, 0, 1])
            self.assertEqual(runs["good"][0][0]["p50_ns"], 3)
            self.assertGreater(runs["good"][0][0]["whole_ns"], 0)
            self.assertEqual(failed["none"], "not here")
            self.assertIn("broken", failed["bad"])
            # What was run is not run again.
            runs, _, said = self.measure({"good": self.BAD}, path, rounds=3)
            self.assertEqual((len(runs["good"]), len(said)), (0, 4))
            runs, _, _ = self.measure({"good": self.BAD}, path)
            self.assertEqual(len(runs["good"]), 2)


if __name__ == "__main__":
    tapunit.main()
