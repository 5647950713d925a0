# SPDX-License-Identifier: BSD-3-Clause
"""hello.py - how long until a program's own code runs, NumPy imported.

    python hello.py [mpi]
"""

import sys
import time

import numpy  # noqa: F401

from laps import tell


def main(args):
    from model import charm
    tell("main", at_ns=time.time_ns())
    charm.exit()


if sys.argv[1:] == ["mpi"]:
    from mpi4py import MPI
    MPI.COMM_WORLD.barrier()
    if MPI.COMM_WORLD.rank == 0:
        tell("main", at_ns=time.time_ns())
else:
    from model import charm
    charm.start(main)
