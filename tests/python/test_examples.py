# SPDX-License-Identifier: BSD-3-Clause
"""The examples that verify themselves, and what they say of bad input.

Method: each runs with a small size on 1, 2 and 4 PEs and compares its result
with a serial one; files of atoms are written here, in three formats, and give
the same energies.
"""

import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import unittest
import zlib

import tapunit
from program import command, has_launcher

try:
    import numpy
except ImportError:
    numpy = None

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLES = TOP / "examples"
WATER = pathlib.Path("/usr/share/gromacs/top/spc216.gro")
# A small peptide in 749 waters, equilibrated by OpenMM.
DIPEPTIDE = pathlib.Path(
    os.environ.get("CHARE_CHECK_TOOLS", ""), "openmmtools", "data",
    "alanine-dipeptide-explicit", "alanine-dipeptide.pdb",
)
TIMEOUT_S = 240


@unittest.skipIf(numpy is None, "NumPy is not installed")
class ExampleCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_example(self, pes, name, *args):
        if pes > 1 and not has_launcher():
            self.skipTest("the launcher is not built")
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
        environment.setdefault("CHARE_START_TIMEOUT", "30")
        return subprocess.run(
            command(pes, str(EXAMPLES / name), [str(arg) for arg in args]),
            capture_output=True, text=True, timeout=TIMEOUT_S,
            cwd=self.folder, env=environment,
        )

    def good(self, pes, name, *args):
        done = self.run_example(pes, name, *args)
        said = f"\n{done.stdout}\n{done.stderr}"
        self.assertEqual((done.returncode, done.stderr), (0, ""), said)
        return done.stdout

    def verified(self, name, *args, pes=(1, 2, 4)):
        """Right on each number of PEs; the last output."""
        for count in pes:
            with self.subTest(pes=count):
                out = self.good(count, name, *args, "--verify")
                self.assertIn("verify: ok", out)
        return out

    def balanced(self, name, *args):
        """The same state on any number of PEs, whoever moves."""
        said = re.search(r"state (\w+)", self.good(1, name, *args))[1]
        moves = 0
        for count in 1, 2, 4:
            with self.subTest(pes=count):
                out = self.good(count, name, *args, "--balance", "rotate")
                self.assertIn(f"state {said}", out)
                moves = int((re.search(r"(\d+) moves", out) or [0, 0])[1])
                self.assertEqual(moves > 0, count > 1, out)
        for how in (("--balance", "greedy-refine"), ("--balance", "auto")):
            with self.subTest(how=how):
                self.assertIn(f"state {said}",
                              self.good(2, name, *args, *how, "--verify"))

    def refused(self, name, *args, words=()):
        done = self.run_example(1, name, *args)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertNotIn("Traceback", done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def test_help(self):
        for name in ("stencil3d.py", "wave2d.py", "particles.py", "paths.py",
                     "md.py", "nqueens.py", "parallel_map.py",
                     "parameter_server.py", "samplesort.py", "rod.py"):
            with self.subTest(name=name):
                self.assertIn("--verify", self.good(1, name, "--help"))
                self.refused(name, "--nonsense", words=["--nonsense"])


class PoolTest(ExampleCase):
    def test_nqueens(self):
        self.verified("nqueens.py", "--queens", 7)
        self.verified("nqueens.py", "--queens", 2, "--rows", 5, pes=(2,))
        out = self.good(1, "nqueens.py", "--queens", 6, "--progress")
        self.assertIn("4 ways to put 6 queens", out)
        self.refused("nqueens.py", "--queens", 0, words=["above 0"])

    def test_parallel_map(self):
        self.verified("parallel_map.py", "--tasks", 50)
        out = self.verified("parallel_map.py", "--jobs", 9, "--workers", 3,
                            "--tasks", 10)
        self.assertEqual(len(re.findall(r"job \d is done", out)), 9)
        self.verified("parallel_map.py", "--jobs", 2, "--tasks", 1, pes=(4,))

    def test_parameter_server(self):
        self.verified("parameter_server.py")
        self.verified("parameter_server.py", "--sync", "--steps", 20)
        self.verified("parameter_server.py", "--workers", 1, pes=(1,))

    def test_samplesort(self):
        self.verified("samplesort.py", "--keys", 20000)
        self.verified("samplesort.py", "--keys", 3001, "--skewed",
                      "--chares", 7)
        self.verified("samplesort.py", "--keys", 3, "--chares", 3, pes=(2,))
        self.refused("samplesort.py", "--keys", 3, "--chares", 4,
                     words=["fewer keys"])


class GridTest(ExampleCase):
    def test_stencil3d(self):
        self.verified("stencil3d.py", "--size", 12, "--steps", 20)
        self.verified("stencil3d.py", "--size", 6, "--steps", 9, "--blocks",
                      1, 1, 1, pes=(1,))
        self.refused("stencil3d.py", "--size", 13, words=["multiple"])
        self.refused("stencil3d.py", "--balance", "x", words=["'x'"])
        self.refused("stencil3d.py", "--bal", "greedy", words=["--bal"])
        self.refused("stencil3d.py", "--blocks-per-pe", 17, words=["17"])

    def test_stencil3d_balanced(self):
        self.balanced("stencil3d.py", "--size", 12, "--skew", 3, "--steps", 12,
                      "--period", 4)
        out = self.verified("stencil3d.py", "--size", 12, "--blocks-per-pe", 6,
                            "--skew", 2, "--steps", 6)
        self.assertIn("24 blocks on 4 PEs", out)

    def test_rod(self):
        """Pieces in C, ends in Python."""
        build = pathlib.Path(os.environ.get("top_builddir", ".")).resolve()
        library = ["--library", build / ".libs" / "librod.so"]
        self.verified("rod.py", "--steps", 60, "--length", 30, *library,
                      pes=(1, 2, 3))
        self.verified("rod.py", "--steps", 1, "--pieces", 1, *library,
                      pes=(2,))

    def test_wave2d(self):
        self.verified("wave2d.py", "--size", 40, "--steps", 30)
        self.refused("wave2d.py", "--size", 13, words=["multiple"])
        self.refused("wave2d.py", "--size", 8, "--picture", "/no/where.png",
                     words=["/no/where.png"])

    def test_the_picture(self):
        self.good(1, "wave2d.py", "--size", 40, "--picture", "wave.png")
        data = (self.folder / "wave.png").read_bytes()
        self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
        at, chunks = 8, {}
        while at < len(data):
            length = int.from_bytes(data[at:at + 4], "big")
            kind = data[at + 4:at + 8]
            body = data[at + 8:at + 8 + length]
            check = int.from_bytes(data[at + 8 + length:at + 12 + length],
                                   "big")
            self.assertEqual(zlib.crc32(kind + body), check)
            chunks[kind] = body
            at += 12 + length
        self.assertEqual(chunks[b"IHDR"][:8],
                         (40).to_bytes(4, "big") * 2)
        pixels = zlib.decompress(chunks[b"IDAT"])
        self.assertEqual(len(pixels), 40 * (1 + 40 * 3))
        self.assertGreater(len(set(pixels)), 50)

    def test_particles(self):
        self.verified("particles.py", "--count", 500, "--steps", 30)
        self.verified("particles.py", "--count", 1, "--steps", 60, "--cells",
                      3, pes=(1,))
        self.verified("particles.py", "--count", 300, "--steps", 20,
                      "--clusters", 0, pes=(2,))
        self.refused("particles.py", "--cells", 2, words=["at least 3"])
        self.refused("particles.py", "--every", -1, words=["negative"])

    def test_particles_balanced(self):
        small = ("--count", 1000, "--cells", 5, "--steps", 15, "--period", 5)
        self.balanced("particles.py", *small)
        self.verified("particles.py", *small, "--every", 0.01, "--balance",
                      "rotate", pes=(2,))
        self.verified("particles.py", *small, "--every", 0.01, pes=(2, 4))

    def test_times_for_programs(self):
        for name in "stencil3d", "particles":
            out = self.good(2, f"{name}.py", "--steps", 4, "--period", 2,
                            "--json")
            told = json.loads(out.splitlines()[-1])
            self.assertEqual(told["what"], name)
            self.assertGreater(told["step_ns"], 0)
            self.assertGreater(told["over_perfect"], 0.5)


class PathsTest(ExampleCase):
    def test_random_graph(self):
        chance = random.Random(3)
        lines = [f"{chance.randrange(300)} {chance.randrange(300)}\n"
                 for _ in range(900)]
        path = self.write("graph.txt", "# a comment\n" + "".join(lines))
        for more in ((), ("--weighted", "--chares", 7)):
            out = self.verified("paths.py", path, "--from", 5, *more)
            self.assertGreater(
                int(re.search(r"(\d+) nodes reached", out).group(1)), 100
            )

    def test_other_graphs(self):
        path = self.write("graph.txt", "0 1\n1 2\n2 0\n5 5\n")
        out = self.verified("paths.py", path, pes=(1, 4))
        self.assertIn("3 nodes reached", out)
        out = self.verified("paths.py", path, "--from", 77, pes=(1,))
        self.assertIn("1 nodes reached", out)
        out = self.verified("paths.py", self.write("empty.txt", ""), pes=(1,))
        self.assertIn("0 edges", out)

    def test_bad_input(self):
        path = self.write("graph.txt", "0 1\nx y\n")
        self.refused("paths.py", path, words=["graph.txt:2", "'x'"])
        self.refused("paths.py", "/no/where", words=["/no/where"])
        path = self.write("good.txt", "0 1\n")
        self.refused("paths.py", path, "--from", "q", words=["'q'"])


def lattice(side=6, apart=0.5):
    """Places of atoms on a slightly disturbed cubic grid, nm."""
    chance = random.Random(4)
    return [
        tuple(round((i + 0.5) * apart + chance.uniform(-0.02, 0.02), 3)
              for i in index)
        for index in numpy.ndindex(side, side, side)
    ], side * apart


def gro(places, box, speeds=None):
    lines = ["from a test", f"{len(places)}"]
    for i, place in enumerate(places):
        line = f"{1 + i:5d}AR   {'AR':>5}{1 + i:5d}"
        line += "".join(f"{x:8.3f}" for x in place)
        if speeds is not None:
            line += "".join(f"{v:8.4f}" for v in speeds[i])
        lines.append(line)
    return "\n".join([*lines, f"{box:10.5f}" * 3, ""])


def pdb(places, box):
    lines = [f"CRYST1{10 * box:9.3f}{10 * box:9.3f}{10 * box:9.3f}"
             "  90.00  90.00  90.00 P 1           1"]
    for i, place in enumerate(places):
        lines.append(
            f"ATOM  {1 + i:5d}  AR   AR A{1 + i:4d}    "
            + "".join(f"{10 * x:8.3f}" for x in place) + "  1.00  0.00"
        )
    return "\n".join([*lines, "END", ""])


def xyz(places, box):
    side = 10 * box
    lines = [f"{len(places)}", f'Lattice="{side} 0 0 0 {side} 0 0 0 {side}"']
    lines += ["Ar " + " ".join(f"{10 * x:.3f}" for x in p) for p in places]
    return "\n".join([*lines, ""])


class DynamicsTest(ExampleCase):
    def test_argon(self):
        self.verified("md.py", "--steps", 4)

    def test_formats_give_the_same(self):
        places, box = lattice()
        said = set()
        for name, text in (("a.gro", gro(places, box)),
                           ("a.pdb", pdb(places, box)),
                           ("a.xyz", xyz(places, box))):
            with self.subTest(name=name):
                out = self.verified("md.py", self.write(name, text),
                                    "--steps", 5, pes=(2,))
                said.add(re.search(r"step 5.* s, (energy.*)", out).group(1))
        self.assertEqual(len(said), 1, said)

    def test_velocities_of_the_file(self):
        places, box = lattice()
        speeds = [(0.1, -0.2, 0.3)] * len(places)
        out = self.verified(
            "md.py", self.write("a.gro", gro(places, box, speeds)),
            "--steps", 2, pes=(1,),
        )
        temperature = 39.948 * 0.14 / (3 * 0.00831446)
        self.assertIn(f"temperature {temperature:.1f} K", out)

    @unittest.skipUnless(DIPEPTIDE.exists(), "openmmtools is not installed")
    def test_solution(self):
        out = self.verified(
            "md.py", DIPEPTIDE, "--atoms", "O", "--sigma", 0.3151,
            "--epsilon", 0.6364, "--mass", 18.015, "--cutoff", 0.8, "--steps",
            5, pes=(1, 4),
        )
        self.assertIn("751 atoms in 48 cells", out)

    @unittest.skipUnless(WATER.exists(), "gromacs-data is not installed")
    def test_water(self):
        out = self.verified(
            "md.py", WATER, "--atoms", "OW", "--sigma", 0.3166, "--epsilon",
            0.650, "--mass", 18.015, "--cutoff", 0.6, "--steps", 20,
        )
        self.assertIn("216 atoms", out)

    def test_bad_input(self):
        places, box = lattice()
        good = gro(places, box)
        for name, text, words in (
            ("a.gro", good[:3000], ["a.gro", "ends too early"]),
            ("b.gro", good.replace("0.25", "x.25", 1), ["b.gro:"]),
            ("c.gro", good.replace("216", "many", 1), ["c.gro:2", "many"]),
            ("d.pdb", pdb(places, box).replace("CRYST1", "REMARK"),
             ["d.pdb", "CRYST1"]),
            ("e.pdb", pdb(places, box).replace("90.00", "60.00", 1),
             ["e.pdb:1", "angles"]),
            ("f.xyz", xyz(places, box).replace("Lattice", "Box"),
             ["f.xyz:2", "Lattice"]),
            ("g.xyz", "0\n" + 'Lattice="1 0 0 0 1 0 0 0 1"\n',
             ["g.xyz", "no atoms"]),
            ("h.txt", good, ["h.txt", ".gro"]),
            ("i.xyz", "", ["i.xyz"]),
        ):
            with self.subTest(name=name):
                self.refused("md.py", self.write(name, text), words=words)
        self.refused("md.py", "/no/where.gro", words=["/no/where.gro"])
        self.refused("md.py", self.write("j.gro", good), "--atoms", "XX",
                     words=["XX", "AR"])
        self.refused("md.py", "--cutoff", 1.5, words=["three cells"])
        self.refused("md.py", "--mass", -1, words=["--mass"])


if __name__ == "__main__":
    tapunit.main()
