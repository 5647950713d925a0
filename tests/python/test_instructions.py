# SPDX-License-Identifier: BSD-3-Clause
"""The hot paths take no more instructions than bench/instructions.json says.

Callgrind counts them, so a busy machine makes no difference. A path that got
more expensive by more than MARGIN fails here, with the functions that grew
most; docs/decisions/007-instruction-counts.md says what to do then. Where the
record is from another compiler or CPython there is nothing to compare with.
"""

import os
import shutil
import sys
import tempfile
import unittest

import tapunit

BENCH = os.path.join(os.environ.get("top_srcdir", "."), "bench")
sys.path.insert(0, os.path.join(BENCH, "counts"))
import counts  # noqa: E402

BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
MARKS = os.path.join(BUILD, "bench", "counts", ".libs", "marks.so")
MARGIN = 0.05
# The first of two paths takes at most so many times the second.
RATIOS = (("section", "whole", 1.1),)
COUNTED_MORE_MAX = 11  # for a call that is not sampled while some are

# As callgrind writes it: what a callee took stands after calls=, and a name
# is given once.
PART = """\
# callgrind format
version: 1
desc: Trigger: Client Request: call 100
positions: line
events: Ir
ob=(1) /lib/one.so
fl=(1) one.c
fn=(1) first
1 100
+3 20
cfn=(2) second.part.0
calls=7 +40
* 5000
-1 1
fn=(2)
9 300
fn=(3) second
* 6
ob=(2) /lib/two.so
fn=(4) 0x0000000004e17a80
5 11
fn=(5) 0x0000000004e18000
5 2
"""


def total(costs):
    """What a path takes, without what depends on how the heap lies."""
    return counts.steady(sum(costs.values()), costs)


class ArithmeticTest(unittest.TestCase):
    def test_reading(self):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(PART)
            file.flush()
            read = counts.read_part(file.name)
        self.assertEqual(read, ("call 100", {
            "first (one.so)": 121, "second (one.so)": 306, "? (two.so)": 13}))

    def test_difference_of_two_lengths(self):
        found = {("call", 10): {"a": 150, "b": 7},
                 ("call", 30): {"a": 350, "b": 7, "c": 20}}
        self.assertEqual(counts.per_step(found),
                         {"call": {"a": 10, "b": 0, "c": 1}})

    def test_what_exceeds(self):
        search = "_int_malloc (libc.so.6)"  # depends on what is free
        record = counts.as_record({"call": {"a": 60.0, "b": 40.0,
                                            search: 20.0}})
        for costs, exceeds in (({"a": 60, "b": 40}, False),
                               ({"a": 65, "b": 40}, False),
                               ({"a": 66, "b": 40}, True),
                               ({"a": 66, "b": 40, search: 3}, True),
                               ({"a": 60, "b": 40, search: 99}, False),
                               ({"a": 1, "b": 1}, False)):
            said = list(counts.exceeded(record, {"call": costs}, MARGIN))
            self.assertEqual(bool(said), exceeds, said)
        said, = counts.exceeded(record, {"call": {"a": 61, "b": 40, "c": 9}},
                                MARGIN)
        self.assertIn("110 instructions, recorded 100 (+10.0%)", said)
        self.assertIn("grew most: c +9; a +1;", said)
        self.assertEqual(list(counts.exceeded(record, {}, MARGIN)),
                         ["call: was not counted"])

    def test_what_is_recorded(self):
        """What became cheaper, wherever the heap lies."""
        search = counts.HEAP[0]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "record.json")
            for costs, kept in (({"a": 60.0, search: 20.0}, 60),
                                ({"a": 70.0, search: 3.0}, 60),
                                ({"a": 50.0, search: 90.0}, 50)):
                counts.write_record("key", {"call": costs}, path=path)
                record = counts.read_records(path)["builds"]["key"]["call"]
                self.assertEqual(record["functions"]["a"], kept)
        self.assertEqual(total({"a": 60, search: 20}), 60)


class InstructionsTest(unittest.TestCase):
    def record(self):
        """What the paths may take with this build, or a skip that says why
        nothing is known."""
        if os.environ.get("CHARE_CHECK") == "quick":
            self.skipTest("a quick check; counted in the full one")
        if shutil.which("valgrind") is None:
            self.skipTest("there is no valgrind")
        if not os.access(os.path.join(BUILD, "chare"), os.X_OK):
            self.skipTest("the launcher is not built")
        key = counts.build_key(BUILD, sys.executable)
        record = counts.read_records()["builds"].get(key)
        if record is None:
            self.skipTest("bench/instructions.json has no record for this "
                          f"build ({key}); bench/counts/counts.py --record "
                          "makes one")
        return record

    def test_recorded_paths(self):
        record = self.record()
        paths = counts.count(BUILD, sys.executable, MARKS)
        if not paths:
            self.skipTest("valgrind's headers were not there for marks.c")
        for line in counts.table(paths, 0):
            print(f"# {line}")
        too_many = list(counts.exceeded(record, paths, MARGIN))
        self.assertFalse(too_many, "\n" + "\n".join(
            [*too_many, "see docs/decisions/007-instruction-counts.md"]))
        self.assertLess(total(paths["counted"]) - total(paths["measured"]),
                        COUNTED_MORE_MAX, "a call that is not sampled")
        for path, other, most in RATIOS:
            ratio = total(paths[path]) / total(paths[other])
            self.assertLessEqual(ratio, most, f"{path} beside {other}")


if __name__ == "__main__":
    tapunit.main()
