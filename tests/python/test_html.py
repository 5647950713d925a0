# SPDX-License-Identifier: BSD-3-Clause
"""`make docs` makes the HTML pages, and nothing in them is broken.

Sphinx reads the pages and the docstrings with its warnings as errors. Then the
reference must name all that the package exports; and all that can be called
must have a docstring with an example.
"""

import importlib.util
import inspect
import os
import subprocess
import sys
import tempfile
import unittest

import tapunit

import chare
from chare import _core

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


# What the reference shows the members of.
CLASSES = {
    "ArrayMap": chare.ArrayMap,
    "Channel": chare.Channel,
    "Chare": chare.Chare,
    "Executor": chare.Executor,
    "Future": chare.Future,
    "Proxy": _core.Proxy,
    "Reducer": type(chare.Reducer),
    "charm": type(chare.charm),
    "charm.pool": type(chare.charm.pool),
}
# Programs define it, and do not call it.
DEFINED_BY_USERS = {"ArrayMap.procNum"}


def public():
    """(name, object) of all that the reference describes."""
    for name in chare.__all__:
        yield name, getattr(chare, name)
    for prefix, cls in CLASSES.items():
        for name in dir(cls):
            value = getattr(cls, name)
            # Other names of classes that are described by themselves.
            if not name.startswith("_") and not isinstance(value, type):
                yield f"{prefix}.{name}", value


class DocstringTest(unittest.TestCase):
    def test_everything_has_a_docstring(self):
        for name, value in public():
            with self.subTest(name=name):
                self.assertTrue(
                    inspect.getdoc(value) or inspect.getdoc(type(value)),
                    f"{name} has no docstring",
                )

    def test_what_is_called_has_an_example(self):
        seen = 0
        for name, value in public():
            is_exception = isinstance(value, type) and issubclass(
                value, BaseException)
            if (not callable(value) or is_exception
                    or name in DEFINED_BY_USERS):
                continue
            seen += 1
            with self.subTest(name=name):
                self.assertIn("Example", inspect.getdoc(value) or "")
        self.assertGreater(seen, 70)


if __name__ == "__main__":
    tapunit.main()
