# SPDX-License-Identifier: BSD-3-Clause
"""mypy and pyright find nothing wrong in the package and the examples.

They read the stubs, the Python files of the package, and the examples as a
user's editor would. A small program with mistakes shows that they see through
proxies and futures. pyright is looked for as `pyright` or `basedpyright`, also
in $CHARE_CHECK_TOOLS, a folder of Python packages.
"""

import glob
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

import tapunit

SOURCE = os.path.abspath(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
)
PACKAGE = os.path.join(SOURCE, "python", "chare")
EXAMPLES = sorted(glob.glob(os.path.join(SOURCE, "examples", "*.py")))
TOOLS = os.environ.get("CHARE_CHECK_TOOLS", "")

MISTAKES = """\
from chare import Array, Chare, Future, Group, Reducer, charm

class Worker(Chare):
    def work(self, n: int) -> int:
        self.reduce(Future(), n, Reducer.sum)
        return n

def main(args: list[str]) -> None:
    workers = Group(Worker)
    fine = workers[0].work(1, ret=True).get()
    workers.work(1).get()            # line 11: no future without ret=True
    Array(3, 4)                      # line 12: not a class
    charm.sleeep(1)                  # line 13: no such method
    here = workers.ckLocalBranch()
    assert here is not None
    here.work(1).upper()             # line 16: an int
    here.play()                      # line 17: no such method of Worker
    length = charm.pool.Task(len, ("text",), ret=True).get()
    length.upper()                   # line 19: an int
    charm.exit("no")                 # line 20: not a number
"""
MISTAKEN_LINES = {11, 12, 13, 16, 17, 19, 20}


def pyright():
    """The command that runs pyright, or None."""
    for name in ("pyright", "basedpyright"):
        if importlib.util.find_spec(name):
            return [sys.executable, "-m", name,
                    "--pythonpath", sys.executable, "--level", "error"]
    return None


def mypy():
    if importlib.util.find_spec("mypy"):
        return [sys.executable, "-m", "mypy", "--config-file",
                os.path.join(SOURCE, "mypy.ini"), "--no-color-output"]
    return None


class TypesTest(unittest.TestCase):
    def run_tool(self, tool, name, *args):
        if tool is None:
            self.skipTest(f"{name} is not installed")
        with tempfile.TemporaryDirectory() as cache:
            environment = dict(os.environ, MYPY_CACHE_DIR=cache)
            return subprocess.run(
                [*tool, *args], capture_output=True, text=True, cwd=SOURCE,
                env=environment,
            )

    def check_clean(self, tool, name, *args):
        result = self.run_tool(tool, name, *args)
        self.assertEqual(
            result.returncode, 0, f"\n{result.stdout}\n{result.stderr}"
        )

    def check_mistakes(self, tool, name, *args):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "mistakes.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(MISTAKES)
            result = self.run_tool(tool, name, *args, path)
        found = {
            int(line.split("mistakes.py:")[1].split(":")[0])
            for line in result.stdout.splitlines()
            if "mistakes.py:" in line and "error" in line
        }
        self.assertEqual(found, MISTAKEN_LINES, result.stdout)

    def test_mypy_likes_the_package(self):
        self.check_clean(mypy(), "mypy", "-p", "chare")

    def test_mypy_likes_the_examples(self):
        for path in EXAMPLES:
            with self.subTest(path=path):
                self.check_clean(mypy(), "mypy", path)

    def test_mypy_finds_mistakes(self):
        self.check_mistakes(mypy(), "mypy")

    def test_pyright_likes_the_package_and_the_examples(self):
        self.check_clean(pyright(), "pyright", "-p", SOURCE)

    def test_pyright_finds_mistakes(self):
        self.check_mistakes(pyright(), "pyright", "-p", SOURCE)


if __name__ == "__main__":
    if TOOLS:
        sys.path.append(TOOLS)
        os.environ["PYTHONPATH"] = os.pathsep.join(
            [*filter(None, [os.environ.get("PYTHONPATH")]), TOOLS]
        )
    tapunit.main()
