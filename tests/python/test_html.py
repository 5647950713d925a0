# SPDX-License-Identifier: BSD-3-Clause
"""`make docs` makes the HTML pages, and nothing in them is broken.

Sphinx reads the pages and the docstrings with its warnings as errors. Then the
reference must name all that the package exports.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

import tapunit

import chare

DOCS = os.path.abspath(os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs"
))
NEEDED = ("sphinx", "myst_parser")


@unittest.skipUnless(
    all(importlib.util.find_spec(name) for name in NEEDED),
    "needs sphinx and myst-parser",
)
class HtmlTest(unittest.TestCase):
    def test_pages_are_made_without_a_warning(self):
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run(
                [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going",
                 "-d", os.path.join(folder, "doctrees"), DOCS, folder],
                capture_output=True, text=True,
            )
            self.assertEqual(result.returncode, 0, result.stderr)
            with open(os.path.join(folder, "api-python.html"),
                      encoding="utf-8") as file:
                page = file.read()
        for name in chare.__all__:
            with self.subTest(name=name):
                self.assertIn(name, page)


if __name__ == "__main__":
    tapunit.main()
