# SPDX-License-Identifier: BSD-3-Clause
"""More than 2 GB in one reduction and in one broadcast, in Python.

Goal: no size on the way is a 32-bit number (D19): what arrives has its type
and length, and what it holds at both ends and on both sides of 2 GB.
Method: one job of two PEs for each kind. They take much memory and time, so
CHARE_CHECK=quick and machines without it leave them out.
"""

import os
import sys
import unittest

import jobtest
import tapunit

try:
    import numpy
except ImportError:
    numpy = None

GIB = 1 << 30
MEMORY_BYTES = 12 * GIB  # some five copies on both PEs together

PRELUDE = """
import numpy as np
from chare import *

SIZE = 2_200_000_000
PLACES = (0, 1, 2**31 - 1, 2**31, SIZE - 1)

def check(data, first):
    assert data.dtype == np.uint8 and data.shape == (SIZE,), data.shape
    for i, place in enumerate(PLACES):
        assert data[place] == first + i, (place, data[place])

def make(first):
    data = np.zeros(SIZE, np.uint8)
    data[list(PLACES)] = range(first, first + len(PLACES))
    return data

class Part(Chare):
    def give(self, future):
        self.reduce(future, make(self.thisIndex), Reducer.sum)

    def take(self, data):
        check(data, 7)
        return data.nbytes
"""

PROGRAMS = {
    "reduction": """
    future = Future()
    parts.give(future)
    data = future.get()
    assert data.dtype == np.uint8 and data.shape == (SIZE,), data.shape
    for i, place in enumerate(PLACES):
        assert data[place] == 1 + 2 * i, (place, data[place])
""",
    "broadcast": """
    assert parts.take(make(7), ret=True).get() == [SIZE] * charm.numPes()
""",
}


@jobtest.needs_pmix
@unittest.skipIf(numpy is None, "NumPy is not installed")
@unittest.skipIf(os.environ.get("CHARE_CHECK") == "quick",
                 "CHARE_CHECK=quick")
@unittest.skipIf("asan" in os.environ.get("LD_PRELOAD", ""),
                 "the address sanitizer keeps what was freed")
class LargeTest(jobtest.JobTest):
    def large(self, kind):
        if jobtest.memory_available() < MEMORY_BYTES:
            self.skipTest(f"needs {MEMORY_BYTES // GIB} GiB of memory")
        path = os.path.join(self.tmp, "program.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                f"{PRELUDE}\ndef main(args):\n    parts = Group(Part)\n"
                f"{PROGRAMS[kind]}\n    print('done')\n    charm.exit()\n"
                "\ncharm.start(main)\n"
            )
        code, out, err = self.chare("run", "-n", 2, sys.executable, path)
        self.assertEqual((code, err), (0, ""), out)
        self.assertEqual(out, "done\n")

    def test_reduction(self):
        self.large("reduction")

    def test_broadcast(self):
        self.large("broadcast")


if __name__ == "__main__":
    tapunit.main()
