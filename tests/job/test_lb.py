# SPDX-License-Identifier: BSD-3-Clause
"""chare lb: what strategies would have done with a run's loads.

Goal:   the table is right and can be read by programs, dumps come back as they
        were written, errors say what to do.
Method: made-up loads, and dumps small enough to check by hand.
"""

import csv
import pathlib

import jobtest
import tapunit

# Two PEs; PE 0 has 4 + 3 + 2 + 1, PE 1 nothing: 5 and 5 is best.
SMALL = """chare-load 1
pes 2
object 0 pe=0 load=4 bytes=10
object 1 pe=0 load=3 bytes=20
object 2 pe=0 load=2 bytes=30
object 3 pe=0 load=1 bytes=40
"""


class LbTest(jobtest.JobTest):
    def write(self, text):
        path = pathlib.Path(self.tmp) / "run.load"
        path.write_text(text)
        return str(path)

    def table(self, *args):
        code, out, err = self.chare("lb", "--csv", *args)
        self.assertEqual(code, 0, err)
        return {row["strategy"]: row for row in csv.DictReader(
            out.splitlines())}, err

    def test_small_dump(self):
        rows, _ = self.table(self.write(SMALL))
        self.assertEqual(float(rows["none"]["makespan"]), 10)
        self.assertEqual(float(rows["none"]["ratio"]), 2)
        self.assertEqual(int(rows["none"]["moves"]), 0)
        for name in "greedy", "greedy-refine", "refine", "hierarchical":
            self.assertEqual(float(rows[name]["makespan"]), 5, name)
        self.assertEqual(int(rows["rotate"]["moves"]), 4)
        self.assertEqual(int(rows["rotate"]["moved_bytes"]), 100)

    def test_missing_knowledge_is_said(self):
        rows, err = self.table(self.write(SMALL))
        self.assertNotIn("bisect", rows)
        self.assertIn("bisect needs the places", err)
        code, _, err = self.chare("lb", "-s", "bisect", self.write(SMALL))
        self.assertEqual(code, 1)
        self.assertIn("bisect needs the places", err)

    def test_fewer_and_more_pes(self):
        rows, _ = self.table("--pes", "1", self.write(SMALL))
        self.assertEqual(float(rows["greedy"]["makespan"]), 10)
        rows, _ = self.table("--pes", "4", "-s", "GreedyLB",
                             self.write(SMALL))
        self.assertEqual(list(rows), ["greedy"])
        self.assertEqual(float(rows["greedy"]["makespan"]), 4)

    def test_made_up_loads_and_back(self):
        dump = str(pathlib.Path(self.tmp) / "made.load")
        moves = str(pathlib.Path(self.tmp) / "moves")
        args = ["-s", "none", "-s", "greedy-refine", "--synthetic",
                "clustered", "--pes", "20", "--objects", "500", "--write",
                dump, "--moves", moves]
        first, _ = self.table(*args)
        self.assertGreater(float(first["none"]["ratio"]), 1.5)
        self.assertLess(float(first["greedy-refine"]["ratio"]), 1.05)
        again, _ = self.table("-s", "none", "-s", "greedy-refine", dump)
        for name, row in first.items():
            for key in "makespan", "ratio", "moves", "moved_bytes":
                self.assertAlmostEqual(float(row[key]),
                                       float(again[name][key]), places=4)
        lines = pathlib.Path(moves).read_text().splitlines()
        self.assertEqual(len(lines), int(first["greedy-refine"]["moves"]))
        name, at, source, target = lines[0].split()
        self.assertEqual(name, "greedy-refine")
        self.assertTrue(int(at) < 500 and source != target)

    def test_people_can_read_it(self):
        code, out, err = self.chare("lb", "--synthetic", "uniform")
        self.assertEqual(code, 0, err)
        self.assertIn("160 objects on 16 PEs", out)
        self.assertIn("greedy-refine", out)
        for option in "--help", "--list":
            code, out, err = self.chare("lb", option)
            self.assertEqual((code, err), (0, ""))
            self.assertIn("greedy" if option == "--list" else "Usage", out)

    def test_wrong_command_lines(self):
        for args, says in (
                ([], "which DUMP"),
                (["--synthetic", "odd"], "should be uniform"),
                (["-s", "best", "x"], "no strategy 'best'"),
                (["--pes", "many", "x"], "--pes many"),
                (["--tolerance", "2", "x"], "--tolerance 2"),
                (["--fast", "x"], "unknown option '--fast'")):
            code, out, err = self.chare("lb", *args)
            self.assertEqual((code, out), (2, ""), args)
            self.assertIn(says, err)

    def test_wrong_dumps(self):
        code, _, err = self.chare("lb", "/nowhere/run.load")
        self.assertEqual(code, 1)
        self.assertIn("/nowhere/run.load", err)
        path = self.write(SMALL + "object 9 pe=0 load=1\n")
        code, _, err = self.chare("lb", path)
        self.assertEqual(code, 1)
        self.assertIn(f"{path}:7: object 9 where 4 comes next", err)


if __name__ == "__main__":
    tapunit.main()
