# SPDX-License-Identifier: BSD-3-Clause
"""chare lb: what strategies would have done with a run's loads.

Goal:   the table is right and can be read by programs, dumps come back as they
        were written, errors say what to do.
Method: made-up loads, dumps small enough to check by hand, and a large one of
        PEs of several kinds where all columns are added up again from what
        --moves says.
"""

import collections
import csv
import json
import pathlib
import random
import re
import struct
import subprocess

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


NAMES = ("none", "rotate", "random", "greedy", "greedy-refine", "refine",
         "hierarchical", "bisect", "graph", "scotch", "gossip", "tree",
         "diffusion")

# What a strategy says whose library is not here.
NOT_HERE = r"is not here|no METIS|METIS: "


def need_strategy(test, name):
    """Skip a test where the library that a strategy needs is not here."""
    _, _, err = test.chare("lb", "--synthetic", "uniform", "-s", name)
    if re.search(NOT_HERE, err):
        test.skipTest(err.strip())
    test.assertEqual(err, "")


def single(value):
    """As a float of C's."""
    return struct.unpack("f", struct.pack("f", value))[0]


class Loads:
    """Made up here, to be added up here."""

    def __init__(self, seed, pes, objects):
        chance = random.Random(seed)
        self.speeds = [single(chance.choice((0.5, 1, 2))) for _ in range(pes)]
        self.background = [single(chance.random()) for _ in range(pes)]
        self.nodes = [pe // 3 for pe in range(pes)]
        self.work = [single(chance.lognormvariate(0, 1))
                     for _ in range(objects)]
        self.source = [chance.randrange(pes) ** 2 // pes
                       for _ in range(objects)]
        self.bytes = [chance.randrange(1, 1000) for _ in range(objects)]
        self.fixed = [chance.random() < 0.1 for _ in range(objects)]
        self.talks = [(*chance.sample(range(objects), 2),
                       chance.randrange(1, 10000))
                      for _ in range(3 * objects)]

    def text(self):
        return "\n".join((
            "chare-load 1", f"pes {len(self.speeds)}",
            *(f"pe {pe} speed={self.speeds[pe]!r} node={self.nodes[pe]} "
              f"background={self.background[pe]!r}"
              for pe in range(len(self.speeds))),
            *(f"object {i} pe={self.source[i]} load={self.work[i]!r} "
              f"bytes={self.bytes[i]} fixed={int(self.fixed[i])} "
              f"at={i % 20},{i // 20}" for i in range(len(self.work))),
            *(f"talk {a} {b} {size}" for a, b, size in self.talks))) + "\n"

    def makespan(self, to):
        times = list(self.background)
        for work, pe in zip(self.work, to):
            times[pe] += work / self.speeds[pe]
        return max(times)

    def bound(self):
        mean = (sum(self.work) + sum(s * b for s, b in zip(
            self.speeds, self.background))) / sum(self.speeds)
        stuck = list(self.background)
        for work, pe, fixed in zip(self.work, self.source, self.fixed):
            stuck[pe] += fixed * work / self.speeds[pe]
        return max(mean, max(stuck), max(self.work) / max(self.speeds))

    def row(self, to):
        """The columns of a table, but for the last."""
        moved = [i for i, pe in enumerate(to) if pe != self.source[i]]
        cut = hop = 0
        for a, b, size in self.talks:
            if to[a] != to[b]:
                cut += size
                near = self.nodes[to[a]] == self.nodes[to[b]]
                hop += size * (1 if near else 5)
        makespan = self.makespan(to)
        return {"makespan": makespan, "ratio": makespan / self.bound(),
                "moves": len(moved), "moved_bytes": sum(
                    self.bytes[i] for i in moved),
                "cut_bytes": cut, "hop_bytes": hop}


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

    def test_every_column_of_every_strategy(self):
        loads = Loads(5, 12, 400)
        moves = pathlib.Path(self.tmp) / "moves"
        rows, err = self.table(self.write(loads.text()), "--moves",
                               str(moves))
        places = collections.defaultdict(lambda: list(loads.source))
        for line in moves.read_text().splitlines():
            name, at, source, target = line.split()
            self.assertEqual(loads.source[int(at)], int(source))
            self.assertFalse(loads.fixed[int(at)], line)
            places[name][int(at)] = int(target)
        missing = {name for name in ("graph", "scotch")
                   if re.search(rf"\b{name}: .*({NOT_HERE})", err)}
        self.assertEqual(set(rows), set(NAMES) - missing)
        for name, row in rows.items():
            for key, value in loads.row(places[name]).items():
                self.assertAlmostEqual(float(row[key]) / (value or 1),
                                       bool(value), places=5,
                                       msg=f"{name} {key}")

    def test_as_json(self):
        loads = self.write(Loads(6, 5, 50).text())
        rows, _ = self.table(loads)
        code, out, err = self.chare("lb", "--json", loads)
        self.assertEqual(code, 0, err)
        told = json.loads(out)
        self.assertEqual((told["objects"], told["pes"]), (50, 5))
        self.assertEqual([row["strategy"] for row in told["strategies"]],
                         list(rows))
        for row in told["strategies"]:
            self.assertAlmostEqual(row["makespan"] / row["ratio"],
                                   told["bound"], places=4)
            for key, value in row.items():
                if key not in ("strategy", "decision_s"):
                    self.assertEqual(
                        float(rows[row["strategy"]][key]), value, key)

    def test_few_and_large_objects_by_who_talks(self):
        """METIS complains on standard output where a part gets nothing."""
        need_strategy(self, "graph")
        for shape, pes, objects in (("uniform", 100, 64), ("onehot", 16, 160),
                                    ("clustered", 2, 64), ("lognormal", 9, 1),
                                    ("clustered", 40, 1000)):
            code, out, err = self.chare(
                "lb", "--json", "-s", "greedy", "-s", "graph", "--synthetic",
                shape, "-n", str(pes), "--objects", str(objects), "--seed",
                "46")
            self.assertEqual((code, err), (0, ""))
            greedy, graph = json.loads(out)["strategies"]
            self.assertLess(graph["ratio"], 1.15 * greedy["ratio"], shape)

    def test_what_is_unknown_is_not_0(self):
        path = self.write("chare-load 1\npes 2\nobject 0 pe=0 load=1\n")
        rows, _ = self.table("-s", "rotate", path)
        keys = "moved_bytes", "cut_bytes", "hop_bytes"
        self.assertEqual([rows["rotate"][key] for key in keys], [""] * 3)
        row, = json.loads(self.chare("lb", "--json", "-s", "rotate", path)[1])[
            "strategies"]
        self.assertEqual([row[key] for key in keys], [None] * 3)
        line = self.chare("lb", "-s", "rotate", path)[1].splitlines()[-1]
        self.assertEqual(line.split()[4:7], ["-"] * 3)

    def test_it_fits_a_terminal(self):
        for text in (self.chare("lb", "--help")[1],
                     self.chare("lb", "--list")[1],
                     self.chare("lb", "--synthetic", "onehot", "--pes",
                                "300", "--objects", "30000")[1],
                     self.chare("lb", self.write(
                         "chare-load 1\npes 100000\n" + "".join(
                             f"object {i} pe=0 load=123456.789 "
                             f"bytes=99999999999999\n"
                             for i in range(1000))))[1]):
            self.assertTrue(text)
            for line in text.splitlines():
                self.assertLessEqual(len(line), 80, line)

    def test_missing_knowledge_is_said(self):
        rows, err = self.table(self.write(SMALL))
        self.assertNotIn("bisect", rows)
        self.assertIn("bisect needs the places", err)
        code, _, err = self.chare("lb", "-s", "bisect", self.write(SMALL))
        self.assertEqual(code, 1)
        self.assertIn("bisect needs the places", err)
        code, out, err = self.chare("lb", "--json", "-s", "bisect", "-s",
                                    "greedy", self.write(SMALL))
        self.assertEqual(code, 1)
        self.assertEqual([row["strategy"] for row in json.loads(out)[
            "strategies"]], ["greedy"])

    def test_fewer_and_more_pes(self):
        rows, _ = self.table("--pes", "1", self.write(SMALL))
        self.assertEqual(float(rows["greedy"]["makespan"]), 10)
        rows, _ = self.table("--pes", "4", "-s", "GreedyLB",
                             self.write(SMALL))
        self.assertEqual(list(rows), ["greedy"])
        self.assertEqual(float(rows["greedy"]["makespan"]), 4)

    def test_more_pes_than_a_real_run_had(self):
        """They differ, as PEs do."""
        path = self.write("""chare-load 1
pes 2
pe 0 speed=1 background=0.5
pe 1 speed=2 background=0.25
object 0 pe=0 load=4
object 1 pe=1 load=4
""")
        rows, _ = self.table("-n", "3", "-s", "none", "-s", "rotate", path)
        self.assertEqual(float(rows["none"]["makespan"]), 4.5)
        # The third is as fast as the first, and has the least background.
        self.assertEqual(float(rows["rotate"]["makespan"]), 4.25)
        told = json.loads(self.chare("lb", "--json", "-n", "4", path)[1])
        self.assertAlmostEqual(
            told["mean"], (8 + 0.5 + 2 * 0.25 + 0.25 + 2 * 0.25) / 6)
        for pes in "1", "1000":
            rows, err = self.table("-n", pes, path)
            self.assertTrue(set(NAMES[:7]) <= set(rows), err)

    def test_new_pes_are_on_nodes_of_their_own(self):
        path = self.write("""chare-load 1
pes 3
pe 0 node=0 package=0 core=0
pe 1 node=0 package=0 core=1
pe 2 node=4
object 0 pe=0 load=4
object 1 pe=1 load=4
object 2 pe=2 load=4
""")
        again = pathlib.Path(self.tmp) / "again.load"
        self.table("-n", "20", "-s", "none", "--write", str(again), path)
        words = [line.split() for line in again.read_text().splitlines()
                 if line.startswith("pe ")]
        nodes = [word for pe in words for word in pe
                 if word.startswith("node=")]
        self.assertEqual(nodes, ["node=0", "node=0", "node=4"]
                         + 16 * ["node=5"] + ["node=6"])
        self.assertIn("core=1", words[1])
        self.assertFalse([pe for pe in words[3:] if "core=" in " ".join(pe)])

    def test_pes_that_cannot_work(self):
        path = self.write("chare-load 1\npes 2\npe 0 speed=0\n"
                          "object 0 pe=1 load=1\n")
        self.assertEqual(list(self.table("-s", "greedy", path)[0]), ["greedy"])
        code, out, err = self.chare("lb", "-n", "1", path)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("no PE has a speed above 0", err)

    def test_what_counts_as_chance(self):
        """As in a job: what keeps what is good enough moves nothing for less.
        """
        text = SMALL.replace("pes 2", "pes 2 noise=0.6")
        rows, _ = self.table(self.write(text))
        for name in NAMES[:7]:
            keeps = name in ("none", "greedy-refine", "refine", "hierarchical")
            self.assertEqual(int(rows[name]["moves"]) == 0, keeps, name)
        self.assertIn("60 %", self.chare("lb", self.write(text))[1])
        for args in (["--noise", "0"], ["--noise", "0.4"], ["--pes", "3"]):
            rows, _ = self.table(*args, self.write(text))
            self.assertGreater(int(rows["greedy-refine"]["moves"]), 0, args)

    def test_chance_is_that_of_the_run(self):
        loads = Loads(7, 6, 60).text()
        moves = {}
        for words in "seed=1", "seed=2", "":
            path = self.write(loads.replace("pes 6", "pes 6 " + words))
            for args in (), ("--seed", "2"):
                to = pathlib.Path(self.tmp) / "moves"
                self.table("-s", "random", "--moves", str(to), *args, path)
                moves[words, args] = to.read_text()
        self.assertEqual(moves["seed=1", ()], moves["", ()])
        self.assertNotEqual(moves["seed=1", ()], moves["seed=2", ()])
        self.assertEqual({moves[words, ("--seed", "2")]
                          for words in ("seed=1", "seed=2", "")},
                         {moves["seed=2", ()]})

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
                (["--pes", "0", "x"], "--pes 0"),
                (["--pes", str(2 ** 32), "x"], "--pes 4294967296"),
                (["--synthetic", "uniform", "--objects", "0"], "--objects 0"),
                (["--objects", "5", "x"], "--objects is for --synthetic"),
                (["--noise", "-1", "x"], "--noise -1"),
                (["--tolerance", "2", "x"], "--tolerance 2"),
                (["--fast", "x"], "unknown option '--fast'")):
            code, out, err = self.chare("lb", *args)
            self.assertEqual((code, out), (2, ""), args)
            self.assertIn(says, err)

    def test_wrong_dumps(self):
        code, _, err = self.chare("lb", "/nowhere/run.load")
        self.assertEqual(code, 1)
        self.assertIn("/nowhere/run.load", err)
        code, out, err = self.chare("lb", "--moves", "/nowhere/moves",
                                    "--synthetic", "uniform")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("/nowhere/moves: No such file", err)
        path = self.write(SMALL + "object 9 pe=0 load=1\n")
        code, _, err = self.chare("lb", path)
        self.assertEqual(code, 1)
        self.assertIn(f"{path}:7: object 9 where 4 comes next", err)

    def test_what_was_cut_off_is_no_dump(self):
        dump = pathlib.Path(self.tmp) / "made.load"
        self.table("--synthetic", "uniform", "--pes", "2", "--write",
                   str(dump))
        whole = dump.read_bytes()
        first = whole.index(b"\n", whole.index(b"\n") + 1) + 1
        for length in {*range(first, first + 150),
                       *range(len(whole) - 150, len(whole))}:
            dump.write_bytes(whole[:length])
            code, out, err = self.chare("lb", "-s", "none", str(dump))
            self.assertEqual((code, out), (1, ""), whole[:length][-40:])
            self.assertIn("made.load:", err)

    def test_pipes(self):
        done = subprocess.run([jobtest.CHARE, "lb", "--csv", "-"],
                              input=SMALL.replace("\n", "\r\n"), text=True,
                              capture_output=True, env=self.env,
                              timeout=jobtest.PATIENCE_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("greedy,5,1.0", done.stdout)
        for form in [], ["--json"]:
            with open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run(
                    [jobtest.CHARE, "lb", *form, "--synthetic", "uniform"],
                    text=True, stdout=full, stderr=subprocess.PIPE,
                    env=self.env, timeout=jobtest.PATIENCE_S)
            self.assertEqual(done.returncode, 1)
            self.assertIn("No space left", done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    tapunit.main()
