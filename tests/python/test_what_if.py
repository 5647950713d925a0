# SPDX-License-Identifier: BSD-3-Clause
"""test_what_if.py - chare lb says what the job has done.

Goal:   from the dump of a session, chare lb decides for the same number of PEs
        what the session did: the same chares to the same PEs, with the same
        time of the fullest, bound, moves and bytes; also where chance decides,
        and where what could be won is less than what was measured differs by.
Method: chares say where they are after sessions of which the last is dumped;
        coordinates in the dump say which they are. Costs are said, and
        measured.
"""

import csv
import json
import os
import subprocess
import tempfile

import tapunit
from program import LAUNCHER, ProgramCase, TIMEOUT_S

PROGRAM = """
import json, time
from chare import charm, Chare, Array, Future, Reducer

class Worker(Chare):
    def go(self, rounds, measured, done):
        self.rounds, self.measured, self.done = rounds, measured, done
        self.state = bytes(100 * self.thisIndex[0])
        self.work()

    def work(self):
        at = self.thisIndex[0]
        cost = 1 + at * 7 % 5 + 3 * (at < 5)
        end = time.perf_counter() + 1e-4 * cost
        if not self.measured:
            charm.lb.set_load(self, 0.1 * cost)
        while self.measured and time.perf_counter() < end:
            pass
        if at > 0:
            self.thisProxy[at - 1].hear(bytes(100 + at))
        self.AtSync()

    def hear(self, text):
        pass

    def resumeFromSync(self):
        self.rounds -= 1
        if self.rounds:
            self.work()
        else:
            self.reduce(self.done, (self.thisIndex[0], charm.myPe()),
                        Reducer.gather)

def run(rounds, measured):
    workers = Array(Worker, 24, useAtSync=True)
    moves = 0
    for turn in range(rounds):
        moves = charm.lb.report().get("moves", 0)
        done = Future()
        workers.go(1, measured, done)
        where = done.get()
    report = charm.lb.report()
    report["moves"] -= moves
    with open(PATH + ".told", "w") as file:
        json.dump([where, report], file, default=str)
"""


class WhatIfTest(ProgramCase):
    def compare(self, strategy, rounds, measured, pes=3, comm="1"):
        """Run it, replay the last session; (report, row)."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "run.load")
            self.run_main(
                f"PATH = {path!r}\n" + PROGRAM,
                f"    run({rounds}, {measured})\n", pes,
                f"charm.options.balancer = {strategy!r}",
                {"CHARE_LB_DUMP": path, "CHARE_LB_COMM": comm})
            out = subprocess.run(
                [LAUNCHER, "lb", "--csv", "-s", strategy, "--moves",
                 path + ".moves", path],
                capture_output=True, text=True, check=True,
                timeout=TIMEOUT_S).stdout
            row, = csv.DictReader(out.splitlines())
            with open(path + ".told", encoding="utf-8") as file:
                where, report = json.load(file)
            places = {}
            with open(path, encoding="utf-8") as file:
                for line in file:
                    words = line.split()
                    if words[0] == "object":
                        values = dict(word.split("=") for word in words[2:])
                        at = int(float(values["at"].split(",")[0]))
                        places[int(words[1])] = [at, int(values["pe"])]
            with open(path + ".moves", encoding="utf-8") as file:
                for line in file:
                    _, number, source, target = line.split()
                    self.assertEqual(places[int(number)][1], int(source))
                    places[int(number)][1] = int(target)
        self.assertEqual(sorted(places.values()), sorted(where), strategy)
        self.assertEqual(int(row["moves"]), report["moves"])
        for mine, theirs in (("makespan", "time_after"),
                             ("cut_bytes", "cut_after"),
                             ("hop_bytes", "hops_after")):
            if comm != "0" or mine == "makespan":
                self.assertAlmostEqual(
                    float(row[mine]), report[theirs],
                    delta=1e-6 * report[theirs], msg=mine)
        self.assertAlmostEqual(
            float(row["makespan"]) / float(row["ratio"]) / report["bound"], 1,
            places=4)
        return report

    def test_costs_that_are_said(self):
        for strategy in ("greedy-refine", "refine", "hierarchical", "greedy",
                         "bisect", "rotate"):
            self.compare(strategy, 1, False)

    def test_chance(self):
        self.compare("random", 3, False)

    def test_costs_that_are_measured(self):
        """In later sessions, what could be won may count as chance."""
        for rounds in 1, 8:
            report = self.compare("greedy-refine", rounds, True)
            self.assertEqual(report["objects"], 24)

    def test_what_it_costs_as_it_is(self):
        """A dump measures, also where nothing is to be balanced."""
        for strategy in "none", "":
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "run.load")
                self.run_main(f"PATH = {path!r}\n" + PROGRAM,
                              "    run(2, True)\n", 2, "",
                              {"CHARE_LB_DUMP": path,
                               "CHARE_BALANCER": strategy})
                with open(path, encoding="utf-8") as file:
                    words = [line.split() for line in file]
            loads = [float(line[3].split("=")[1]) for line in words
                     if line[0] == "object"]
            self.assertEqual(len(loads), 24)
            self.assertTrue(all(load > 1e-4 for load in loads), loads)

    def test_nobody_counts(self):
        self.compare("greedy-refine", 1, False, 2, "0")


if __name__ == "__main__":
    tapunit.main()
