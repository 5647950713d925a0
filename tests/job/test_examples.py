# SPDX-License-Identifier: BSD-3-Clause
"""The examples, as a user starts them.

Goal: hello, stencil2d and pagerank run on one PE, on several and on more than
there are processors; pagerank agrees with NumPy on every kind of input, and
names file and line of bad input.
Method: small graphs in a temporary folder; the exit code and what is printed.
"""

import gzip
import os
import pathlib
import random
import subprocess
import sys
import unittest

import jobtest
import tapunit

TOP = pathlib.Path(os.environ.get("top_srcdir", ".")).resolve()
EXAMPLES = TOP / "examples"
NODES = 300
EDGES = 2000


def random_edges(seed=7):
    chance = random.Random(seed)
    return [
        (chance.randrange(NODES) * 3, chance.randrange(NODES) * 3)
        for _ in range(EDGES)
    ]


class ExampleTest(jobtest.JobTest):
    def setUp(self):
        super().setUp()
        # The examples import the package, which may be sanitized.
        for name in ("LD_PRELOAD", "LSAN_OPTIONS", "ASAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.files = pathlib.Path(self.tmp) / "files"
        self.files.mkdir()

    def write(self, name, text):
        path = self.files / name
        path.write_text(text)
        return path

    def example(self, pes, name, *args):
        """(code, stdout, stderr); pes 0: without any launcher."""
        command = [sys.executable, EXAMPLES / name, *args]
        if pes > 0:
            return self.chare("run", "-n", pes, *command)
        done = subprocess.run(
            [str(word) for word in command],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=jobtest.PATIENCE_S,
        )
        return done.returncode, done.stdout, done.stderr

    def good(self, pes, name, *args):
        code, out, err = self.example(pes, name, *args)
        self.assertEqual((code, err), (0, ""), out)
        return out

    def verified(self, pes, *args):
        out = self.good(pes, "pagerank.py", *args, "--verify")
        self.assertIn("verify: ok", out)
        return out

    def refused(self, *args):
        code, out, err = self.example(0, "pagerank.py", *args)
        self.assertNotEqual(code, 0, out)
        self.assertNotIn("Traceback", err)
        return err

    # -- they run

    def test_hello_alone(self):
        self.assertIn("1 chares said hello", self.good(0, "hello.py"))

    @jobtest.needs_pmix
    def test_hello_on_four(self):
        out = self.good(4, "hello.py")
        for pe in range(4):
            self.assertIn(f"from PE {pe} of 4", out)
        self.assertIn("4 chares said hello", out)

    @jobtest.needs_pmix
    def test_stencil_is_the_same_on_any_number_of_pes(self):
        args = ("--size", "64", "--blocks", "4", "--steps", "20")
        results = {
            self.good(pes, "stencil2d.py", *args).splitlines()[-1]
            for pes in (0, 1, 3)
        }
        self.assertEqual(len(results), 1, results)

    # -- pagerank is right

    def edge_list(self):
        lines = "".join(f"{a}\t{b}\n" for a, b in random_edges())
        return self.write("graph.txt", "# a comment\n\n" + lines)

    def test_edge_list_alone(self):
        out = self.verified(0, self.edge_list())
        self.assertIn(f"{EDGES} edges", out)

    @jobtest.needs_pmix
    def test_edge_list_on_several(self):
        path = self.edge_list()
        best = {
            tuple(self.verified(pes, path).splitlines()[2:12])
            for pes in (1, 2, 5)
        }
        self.assertEqual(len(best), 1, best)

    @jobtest.needs_pmix
    def test_more_chares_than_nodes(self):
        path = self.write("tiny.txt", "0 1\n1 2\n2 0\n2 3\n")
        self.assertIn("4 nodes, 4 edges", self.verified(2, path, "--chares",
                                                        "9"))

    def test_compressed(self):
        path = self.files / "graph.txt.gz"
        with gzip.open(path, "wt") as file:
            file.writelines(f"{a} {b}\n" for a, b in random_edges())
        self.verified(0, path)

    def test_matrix_market(self):
        for symmetry, edges in (("general", 4), ("symmetric", 7)):
            path = self.write(
                "graph.mtx",
                f"%%MatrixMarket matrix coordinate real {symmetry}\n% say\n"
                "4 4 4\n1 1 0.5\n2 1 1\n3 2 1e3\n4 1 -1\n",
            )
            self.assertIn(f"4 nodes, {edges} edges", self.verified(0, path))

    # -- and says what is wrong with its input

    def test_bad_files(self):
        for text, complaint in (
            ("1 2\n2 x\n", ":2: 'x' is no node"),
            ("1 2\n# fine\n3\n", ":3: 2 columns were expected"),
            ("1 2\n4 -7\n", ":2: a node is negative"),
            ("1 2\n1 99999999999999999999\n", ":2: '99999999999999999999'"),
            ("# nothing\n", "there are no edges"),
            ("%%MatrixMarket matrix array real general\n", ":1: only coord"),
            ("%%MatrixMarket matrix coordinate real general\n", ":1: the line"),
            (
                "%%MatrixMarket matrix coordinate pattern general\n2 2 1\n"
                "1 3\n",
                ":3: outside of the 2 x 2",
            ),
            (
                "%%MatrixMarket matrix coordinate pattern general\n2 2 3\n"
                "1 2\n",
                "3 entries were promised",
            ),
        ):
            with self.subTest(text=text):
                path = self.write("bad.txt", text)
                err = self.refused(path)
                self.assertIn("bad.txt", err)
                self.assertIn(complaint, err)

    def test_missing_file(self):
        path = self.files / "nowhere.txt"
        self.assertIn(f"{path}: No such file", self.refused(path))

    def test_bad_options(self):
        path = self.edge_list()
        for option in ("--chares", "--iterations"):
            self.assertIn("0 is less than 1", self.refused(path, option, "0"))

    @jobtest.needs_pmix
    def test_bad_input_ends_the_job(self):
        path = self.write("bad.txt", "1 2\noops\n")
        code, _, err = self.example(3, "pagerank.py", path)
        self.assertNotEqual(code, 0)
        self.assertIn("bad.txt:2:", err)


if __name__ == "__main__":
    tapunit.main()
