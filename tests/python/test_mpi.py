# SPDX-License-Identifier: BSD-3-Clause
"""MPI and chare in one process.

Under mpirun both find the same server, and chares may use a communicator as
any program does: here two groups of chares exchange by MPI what they got by
messages. A process whose MPI library has made it a job of its own is refused.
"""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import unittest

import program
import tapunit

TOGETHER = """\
from mpi4py import MPI
from chare import *

class Member(Chare):
    @coro
    def add(self, number):
        comm = MPI.COMM_WORLD
        assert (comm.rank, comm.size) == (charm.myPe(), charm.numPes())
        by_mpi = comm.allreduce(number + comm.rank)
        by_chare = self.allreduce(number + charm.myPe(), Reducer.sum).get()
        assert by_mpi == by_chare
        return by_mpi

def main(args):
    assert Group(Member).add(10, ret=True).get() == [21, 21]
    print("done")
    charm.exit()

charm.start(main)
"""

ANOTHER_JOB = """
os.environ["PMIX_NAMESPACE"] = "another.1"
charm.start(lambda args: charm.exit())
"""


class MpiTest(program.ProgramCase):
    @unittest.skipUnless(
        shutil.which("mpirun") and importlib.util.find_spec("mpi4py"),
        "needs mpirun and mpi4py",
    )
    def test_a_communicator_alongside(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "app.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(TOGETHER)
            environment = dict(
                os.environ, OMPI_ALLOW_RUN_AS_ROOT="1",
                OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
            )
            result = subprocess.run(
                ["mpirun", "--oversubscribe", "-n", "2",
                 *program.command(1, path)],
                capture_output=True, text=True, env=environment,
                timeout=program.TIMEOUT_S,
            )
        self.assertEqual((result.returncode, result.stdout), (0, "done\n"),
                         result.stderr)

    def test_a_process_that_has_become_another_job(self):
        result = self.run_program(ANOTHER_JOB, 2)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("mpirun", result.stderr)


if __name__ == "__main__":
    tapunit.main()
