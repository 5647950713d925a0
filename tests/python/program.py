# SPDX-License-Identifier: BSD-3-Clause
"""program.py - run small chare programs as processes of their own.

A program is given as source. It runs on one PE by the interpreter alone, and
on several through `chare run`; its assertions end the job with code 1.
"""

import os
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest

BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
LAUNCHER = os.path.join(BUILD, "chare")
TIMEOUT_S = 120
PES = (1, 4)

# The address sanitizer of gcc 12 takes no locks at fork(): a child may find its
# allocator locked by PMIx's thread for ever.
UNSAFE_FORK = "asan" in os.environ.get("LD_PRELOAD", "")

PRELUDE = """\
import gc, os, sys, time
from chare import *
from chare import _core
"""

# For programs: the text of the error that a call, or its future, raises.
REFUSED = """
def refused(kind, function, *args, **keywords):
    try:
        result = function(*args, **keywords)
        if isinstance(result, Future):
            result.get()
    except kind as error:
        return str(error)
    assert False, "nothing was raised"
"""

# For programs: large arrays that say what they are, and chares that give them
# back, send them to each other, and receive them into one that is there.
ENDS = """
import numpy as np
from chare import Array, Channel, Chare, Group, charm, coro, empty, move

COUNT = 512 * 1024  # 4 MiB

def made(seed, count=COUNT):
    array = empty(count)
    array[:] = np.arange(count) * 3 + seed
    return array

def right(array, seed, count=COUNT):
    return array.shape == (count,) and bool(
        (array == np.arange(count) * 3 + seed).all())

class End(Chare):
    def connect(self, other):
        self.channel = Channel(self, self.thisProxy[other])

    def back(self, array, seed):
        assert right(array, seed)
        array += 1
        return move(array)

    def check(self, array, seed):
        return right(array, seed)

    def send(self, first, count):
        for seed in range(first, first + count):
            array = made(seed)
            self.channel.send(move(array))
            assert array.size == 0
        self.channel.send(made(first, 10))

    @coro
    def receive(self, first, count):
        into = np.empty(COUNT)
        at = into.__array_interface__["data"][0]
        good = []
        for seed in range(first, first + count):
            into[:] = -1
            assert self.channel.recv_into(into) is into
            good.append(right(into, seed))
        assert into.__array_interface__["data"][0] == at
        few = np.empty(10)
        self.channel.recv_into(few)
        good.append(right(few, first, 10))
        return good

def check_ends(ends, far):
    for i in far:
        array = made(i)
        future = ends[i].back(move(array), i, ret=True)
        assert array.size == 0
        assert right(future.get(), i + 1)
    several = [ends[i].back(move(made(seed)), seed, ret=True)
               for seed in range(8) for i in far]
    for at, future in enumerate(several):
        assert right(future.get(), at // len(far) + 1), at
    assert ends.check(move(made(9)), 9, ret=True).get() \\
        == [True] * charm.numPes()
"""


def need_strategy(name):
    """Skip a test where the library that a strategy needs is not here."""
    if not has_launcher():
        raise unittest.SkipTest("the launcher is not built")
    result = subprocess.run(
        [LAUNCHER, "lb", "--synthetic", "uniform", "-s", name],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if re.search(r"is not here|no METIS|METIS: ", result.stderr):
        raise unittest.SkipTest(result.stderr.strip())


def has_launcher():
    return os.access(LAUNCHER, os.X_OK)


def command(pes, path, args=()):
    """The command line that runs a program on some PEs."""
    line = [sys.executable, path, *args]
    if pes > 1:
        line = [LAUNCHER, "run", "-n", str(pes), *line]
    return line


def indented(body):
    """Statements as those of a function."""
    return textwrap.indent(body.strip(), "    ") + "\n"


def program(classes, main, options="", env=None):
    """A program whose main function has this body, and prints "done"."""
    settings = f"os.environ.update({env!r})\n" if env else ""
    return (f"{settings}{classes}\n{options}\ndef main(args):\n{main}"
            "    print('done')\n    charm.exit()\ncharm.start(main)\n")


class ProgramCase(unittest.TestCase):
    """A test case that runs programs."""

    def run_program(self, source, pes, args=(), prelude=PRELUDE):
        """Run one; its CompletedProcess."""
        if pes > 1 and not has_launcher():
            self.skipTest("the launcher is not built")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "program.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(prelude + textwrap.dedent(source))
            environment = dict(os.environ)
            environment.setdefault("CHARE_START_TIMEOUT", "30")
            # Other things run here: PEs are alike, but where a test measures.
            environment.setdefault("CHARE_LB_SPEEDS", "1")
            return subprocess.run(
                command(pes, path, args), capture_output=True, text=True,
                timeout=TIMEOUT_S, cwd=folder, env=environment,
            )

    def run_main(self, classes, main, pes, options="", env=None):
        """Run program(), which says nothing else; its CompletedProcess."""
        result = self.run_program(program(classes, main, options, env), pes)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, "done\n", result.stderr)
        return result

    def check(self, source, pes=PES, code=0, prelude=PRELUDE):
        """Run one on 1 and on 4 PEs; it must print "done" and exit so."""
        for count in pes:
            with self.subTest(pes=count):
                result = self.run_program(source, count, prelude=prelude)
                said = f"\n{result.stdout}\n{result.stderr}"
                self.assertEqual(result.returncode, code, said)
                self.assertEqual(result.stdout.split()[-1:], ["done"], said)
