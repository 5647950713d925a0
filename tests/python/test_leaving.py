# SPDX-License-Identifier: BSD-3-Clause
"""A process that leaves the job by itself is the one that is blamed.

Method: one of four ranks ends in an entry method, in all ways that the
runtime does not see. The launcher's line names it, and what it died of; the
others, which fail because of it, are not named.
"""

import signal

import tapunit
from program import ProgramCase

LEAVING = """
import signal

class Leaver(Chare):
    def leave(self, rank):
        if charm.myPe() == rank:
            BODY

def main(args):
    Group(Leaver).leave(RANK)

charm.start(main)
"""


class LeavingTest(ProgramCase):
    def assert_blamed(self, body, rank, code, words):
        source = LEAVING.replace("BODY", body).replace("RANK", str(rank))
        with self.subTest(body=body, rank=rank):
            result = self.run_program(source, 4)
            self.assertEqual(result.returncode, code, result.stderr)
            lines = [line for line in result.stderr.splitlines()
                     if line.startswith("chare run: ")]
            self.assertEqual(len(lines), 1, result.stderr)
            self.assertRegex(lines[0], rf"^chare run: rank {rank} \(.*\) "
                                       f"{words}")

    def test_by_a_signal(self):
        for rank in (0, 2):
            for number in (signal.SIGKILL, signal.SIGABRT, signal.SIGTERM):
                self.assert_blamed(
                    f"os.kill(os.getpid(), {int(number)})", rank,
                    128 + number, f"was killed by signal {int(number)} ")

    def test_by_an_exit_that_runs_nothing(self):
        for rank in (0, 2):
            self.assert_blamed("os._exit(7)", rank, 7, "exited with code 7")

    def test_with_a_code_that_says_all_is_well(self):
        for rank in (0, 3):
            self.assert_blamed("os._exit(0)", rank, 1,
                               "left the job with code 0 before its end")

    def test_by_an_exception(self):
        self.assert_blamed("raise ValueError('mine')", 2, 1,
                           "ended the job with code 1")


if __name__ == "__main__":
    tapunit.main()
