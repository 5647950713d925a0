#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""charm.stats(), charm.printStats() and CHARE_STATS: what methods cost.

Goal: calls, bytes and PEs are exact; times are those of what ran, of all PEs,
coroutines included, and waiting is seen; the tables are printed once, whole.
Method: programs that know how often and how long their methods run; no time is
compared with more than its least possible value, and orders of magnitude.
"""

import os
import re
import unittest
from unittest import mock

import program
import tapunit

WORKER = """
charm.options.profiling = True
import numpy

def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass

class Worker(Chare):
    def __init__(self):
        pass

    def work(self):
        pass

    def long(self):
        spin(0.02)

    def data(self, array):
        pass

    @coro
    def later(self):
        spin(0.01)
        charm.sleep(0.05)
        spin(0.02)
        return 1

    async def native(self):
        await charm.sleep(0.05)
        spin(0.02)

    async def ask(self):
        return len(await charm.stats())

    def plain(self):
        try:
            charm.stats()
        except NotThreadedError:
            return True

def rows():
    return {m["method"]: m for m in charm.stats() if m["type"] == "Worker"}
"""


class StatsTest(program.ProgramCase):
    def test_numbers(self):
        self.check(WORKER + """
def main(args):
    n = charm.numPes()
    group = Group(Worker)
    for i in range(5):
        group.work(awaitable=True).get()
    last = group[n - 1]
    last.data(numpy.zeros(1000), awaitable=True).get()
    group[0].long()
    group[0].long()
    group[0].work(awaitable=True).get()
    group.later(ret=True).get()
    group.native(awaitable=True).get()
    seen = rows()
    assert seen["__init__"]["calls"] == n == seen["__init__"]["pes"], seen
    work = seen["work"]
    assert work["calls"] == 5 * n + 1 and work["pes"] == n, work
    assert 0 < work["longest"] <= work["seconds"], work
    # It has waited for two long ones.
    assert 0.03 < work["longest_wait"] <= work["waited"], work
    long = seen["long"]
    assert long["calls"] == 2 and 0.04 <= long["seconds"], long
    assert long["pes"] == 1 and long["busiest_pe"] == 0, long
    assert abs(long["imbalance"] - n) < 1e-6, long
    assert long["longest"] >= 0.0199, long
    assert 8000 < seen["data"]["bytes"] < 9000, seen["data"]
    # Both parts, and not the sleep.
    later = seen["later"]
    assert later["calls"] == n and later["seconds"] >= 0.0299 * n, later
    assert later["longest"] >= 0.0199, later
    assert seen["native"]["calls"] == n, seen
    assert seen["native"]["seconds"] >= 0.0199 * n, seen
    # Times of one PE do not overlap: all of them fit into the job's.
    assert group[0].ask(ret=True).get() > 5
    assert last.ask(ret=True).get() > 5
    assert last.plain(ret=True).get() is True
    charm.waitQD()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_print(self):
        for pes in (1, 4):
            with self.subTest(pes=pes):
                result = self.run_program(WORKER + """
def main(args):
    Group(Worker).work(awaitable=True).get()
    charm.printStats()
    print("between")
    charm.thisProxy[0].printStats(awaitable=True).get()
    print("end")
    charm.exit()
charm.start(main)
""", pes)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.check_tables(result.stdout, pes)

    def check_tables(self, text, pes):
        before, after = text.split("between\n")
        self.assertIn("end\n", after)
        for table in (before, after):
            lines = table.splitlines()
            s = "s" if pes > 1 else ""
            self.assertRegex(lines[0], f"^chare: {pes} PE{s}: ")
            rows = [line for line in lines if line.startswith("  ")]
            self.assertRegex(rows[0], "^  entry method +calls +time +share")
            self.assertEqual(
                len([row for row in rows if " Worker.work " in row]), 1)
            work = next(row for row in rows if " Worker.work " in row)
            self.assertEqual(work.split()[1], str(pes))
            self.assertRegex(rows[-1], "^  all +[0-9,]+ .* 100.0% ")
            self.assertEqual({len(row) for row in rows}, {len(rows[0])})

    def test_environment(self):
        source = """
class Worker(Chare):
    def work(self):
        pass
def main(args):
    workers = Array(Worker, 8)
    for _ in range(100):
        workers.work()
    charm.waitQD()
    print("done")
    charm.exit(3)
charm.start(main)
"""
        with mock.patch.dict(os.environ, CHARE_STATS="1"):
            for pes in (1, 4):
                with self.subTest(pes=pes):
                    result = self.run_program(source, pes)
                    self.assertEqual(result.returncode, 3, result.stderr)
                    self.assertEqual(result.stdout, "done\n")
                    self.assertRegex(result.stderr,
                                     r"(?m)^  Worker\.work +800 ")
                    self.assertEqual(
                        len(re.findall("entry method", result.stderr)), 1)

    def test_off(self):
        result = self.run_program("""
class Worker(Chare):
    def work(self):
        pass
def main(args):
    Group(Worker).work(awaitable=True).get()
    assert charm.stats() == []
    charm.printStats()
    charm.print_dbg("debug", 1)
    charm.exit()
charm.start(main)
""", 2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("CHARE_STATS=1", result.stdout)
        self.assertIn("PE 0 : debug 1", result.stdout)


if __name__ == "__main__":
    tapunit.main()
