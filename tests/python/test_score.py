# SPDX-License-Identifier: BSD-3-Clause
"""The scorecard's arithmetic: made-up runs must give known verdicts."""

import os
import sys
import unittest

import tapunit

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "bench"))
import score  # noqa: E402
from score import MET, MISSING, NOT_MET, Case, Goal  # noqa: E402


def lines(*values):
    return [{"p50_ns": value, "p99_ns": 2 * value, "ns_each": value + 1}
            for value in values]


def row(results, goals, failed=None):
    case = Case(17, "one way", "p50_ns", dict.fromkeys(results, ["true"]),
                goals)
    return score.describe(case, results, failed or {})


def report(rows, time="then", cpu="a cpu"):
    return {"machine": {"time": time, "cpu": cpu, "kernel": "k", "chare": "c",
                        "mpi": "m", "processors": 2, "load": [0.0],
                        "load_after": [0.0], "missing": {"ray": "not here"}},
            "rounds": 10, "rows": rows}


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

    def test_time(self):
        for ns, text in ((None, "-"), (0.5, "0.5 ns"), (34.81, "34.8 ns"),
                         (999.4, "999 ns"), (999.6, "1 us"),
                         (1.5e6, "1.5 ms"), (2e12, "2e+03 s")):
            self.assertEqual(score.time_text(ns), text)


class VerdictTest(unittest.TestCase):
    def verdicts(self, *arguments):
        return [goal["verdict"] for goal in row(*arguments)["goals"]]

    def test_limit(self):
        self.assertEqual(score.verdict(1.5, 1.5), MET)
        self.assertEqual(score.verdict(1.51, 1.5), NOT_MET)
        self.assertEqual(score.verdict(None, 1.5), MISSING)

    def test_ratio_of_medians(self):
        results = {"a": lines(10, 30, 20), "b": lines(10, 10, 1000)}
        self.assertEqual(
            self.verdicts(results, [Goal("a", "b", 2.0), Goal("a", "b", 1.9),
                                    Goal("a", None, 20), Goal("a", None, 19)]),
            [MET, NOT_MET, MET, NOT_MET])

    def test_not_measured_is_missing(self):
        goals = [Goal("a", "b", 1e9), Goal("b", "a", 1e9),
                 Goal("b", None, 1e9), Goal("a", "not even named", 1e9)]
        for other in ([], [{"ns_each": 1}]):
            results = {"a": lines(1, 2, 3), "b": other}
            self.assertEqual(self.verdicts(results, goals, {"b": "why"}),
                             [MISSING] * 4)

    def test_what_is_kept(self):
        program = row({"a": lines(1, 2, 9)}, [])["programs"]["a"]
        self.assertEqual((program["median_ns"], program["least_ns"],
                          program["p99_ns"], program["mean_ns"],
                          program["runs"]), (2, 1, 4, 3, 3))
        self.assertNotIn("failed", program)
        self.assertEqual(row({"a": []}, [], {"a": "why"})["programs"]["a"]
                         ["failed"], "why")


class ReportTest(unittest.TestCase):
    def test_table_and_summary(self):
        rows = [row({"a": lines(10), "b": lines(5)},
                    [Goal("a", "b", 1.5), Goal("a", "c", 1.5),
                     Goal("b", None, 6.0)])]
        text = score.table(report(rows))
        for part in ("a <= 1.5 x b: 2.00  not met",
                     "a <= 1.5 x c: -  missing", "b <= 6 ns: 5 ns  met",
                     "not here: ray", "10 ns"):
            self.assertIn(part, text)
        self.assertEqual(score.summary(report(rows)),
                         "1 met, 1 not met, 1 missing")

    def test_rows_without_a_program_are_missing(self):
        whole = report([])
        whole["unmeasured"] = {7: "METG"}
        self.assertEqual(score.summary(whole), "0 met, 0 not met, 1 missing")
        self.assertRegex(score.table(whole), r"7\s+METG\s+missing")

    def test_few_rounds_are_marked(self):
        whole = report([])
        self.assertNotIn("too few", score.table(whole))
        whole["rounds"] = 3
        self.assertIn("too few", score.table(whole))

    def test_compare(self):
        before = report([row({"a": lines(100), "b": lines(10), "c": []}, [])])
        now = report([row({"a": lines(120), "b": lines(10.5),
                           "c": lines(1), "d": lines(1)}, [])], time="now")
        text = score.compare(before, now)
        self.assertIn("against then", text)
        self.assertIn("100 ns ->   120 ns (+20%)", text)
        self.assertEqual(len(text.splitlines()), 3)
        self.assertIn("nothing moved", score.compare(now, now))
        self.assertIn("another machine",
                      score.compare(report([], cpu="other"), now))


if __name__ == "__main__":
    tapunit.main()
