# SPDX-License-Identifier: BSD-3-Clause
"""python -m chare.selftest: what it says of a good and a bad installation."""

import os
import subprocess
import sys
import unittest

import program
import tapunit


def selftest(**changes):
    environment = dict(os.environ, **changes)
    return subprocess.run(
        [sys.executable, "-m", "chare.selftest"], env=environment, text=True,
        capture_output=True, timeout=program.TIMEOUT_S,
    )


class SelftestTest(unittest.TestCase):
    def test_good(self):
        path = program.BUILD + os.pathsep + os.environ["PATH"]
        result = selftest(PATH=path)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("ok", result.stdout)
        if program.has_launcher():
            self.assertIn("chare run -n 2", result.stdout)

    def test_without_the_launcher(self):
        result = selftest(PATH="/nonexistent")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("skipped", result.stdout)
        self.assertIn("PATH", result.stdout)

    def test_interpreter_without_greenlet(self):
        result = subprocess.run(
            [sys.executable, "-c",
             "import sys; sys.modules['greenlet'] = None; import chare"],
            text=True, capture_output=True, timeout=program.TIMEOUT_S,
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"cannot be used by {sys.executable}", result.stderr)
        self.assertIn("greenlet is not installed", result.stderr)


if __name__ == "__main__":
    tapunit.main()
