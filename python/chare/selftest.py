# SPDX-License-Identifier: BSD-3-Clause
"""python -m chare.selftest - whether this installation works, in seconds.

Prints one line for each check, and the remedy where one fails. Exits with 0
when all is well; what is merely optional is skipped.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile

TIMEOUT_S = 60

PROGRAM = """
from chare import Array, Chare, Future, Reducer, charm, coro

class Member(Chare):
    def echo(self, value):
        return value

    @coro
    def total(self):
        return self.allreduce(self.thisIndex[0], Reducer.sum).get()

def main(args):
    n = 4 * charm.numPes()
    members = Array(Member, n)
    assert members[n - 1].echo([1, "two"], ret=True).get() == [1, "two"]
    assert members.total(ret=True).get() == [n * (n - 1) // 2] * n
    charm.waitQD()
    charm.exit()

charm.start(main)
"""


class Failed(Exception):
    """A check that failed: what, and what to do about it."""


class Skipped(Exception):
    """A check that does not apply here: why."""


def _run(command):
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no end after {TIMEOUT_S} s") from None
    if result.returncode != 0:
        lines = (result.stderr or result.stdout).strip().splitlines()
        said = "\n    ".join(lines[-8:])
        raise Failed(f"exit code {result.returncode}\n    {said}")


def _program(*launcher):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "selftest_program.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(PROGRAM)
        _run([*launcher, sys.executable, path])


def check_python():
    if sys.version_info < (3, 10):
        raise Failed("Python 3.10 or newer is needed")
    return sys.version.split()[0]


def check_greenlet():
    if importlib.util.find_spec("greenlet") is None:
        raise Failed(
            "install it: python3-greenlet of the distribution, or "
            "'pip install greenlet'"
        )
    import greenlet

    return greenlet.__version__


def check_extension():
    try:
        from chare import _core
    except ImportError as error:
        raise Failed(
            f"{error}\n    is libchare.so found (LD_LIBRARY_PATH), and was "
            f"it built for {sys.executable}?"
        ) from None
    return ".".join(map(str, _core.version()))


def check_numpy():
    if importlib.util.find_spec("numpy") is None:
        raise Skipped("not installed: arrays cannot be sent")
    import numpy

    return numpy.__version__


def check_cloudpickle():
    if importlib.util.find_spec("cloudpickle") is None:
        raise Skipped("not installed: lambdas and closures cannot be sent")
    import cloudpickle

    return cloudpickle.__version__


def check_one_pe():
    _program()
    return "a small program"


def check_launcher():
    launcher = shutil.which("chare")
    if launcher is None:
        raise Skipped("chare is not on PATH: add the folder it is in")
    _program(launcher, "run", "-n", "2")
    return "a small program"


CHECKS = (
    ("Python", check_python),
    ("greenlet", check_greenlet),
    ("extension", check_extension),
    ("NumPy", check_numpy),
    ("cloudpickle", check_cloudpickle),
    ("one PE", check_one_pe),
    ("chare run -n 2", check_launcher),
)


def main():
    """Run all checks; the exit code."""
    failed = False
    for name, check in CHECKS:
        try:
            print(f"ok       {name}: {check()}")
        except Skipped as reason:
            print(f"skipped  {name}: {reason}")
        except Failed as reason:
            print(f"failed   {name}: {reason}")
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
