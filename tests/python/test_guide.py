# SPDX-License-Identifier: BSD-3-Clause
"""The programs in the guides and the README do what the pages say.

A fenced block of Python with charm.start() in it is a program. It runs on four
PEs; the text block right after it, if there is one, is what it prints. What
several PEs print comes in any order, so lines are compared sorted. A report
block after that says that the job fails: each of its lines, in which '...' is
any text, is one of stderr. Other blocks of Python must be Python.
"""

import glob
import os
import re
import unittest

import program
import tapunit

SOURCE = os.path.abspath(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
)
PES = 4
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<said>.*?)^```\n)?"
    r"(?:\n```text report\n(?P<report>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)


def pages():
    """The pages that have programs, as paths."""
    docs = os.path.join(SOURCE, "docs")
    return [
        *sorted(glob.glob(os.path.join(docs, "guide-python", "*.md"))),
        *sorted(glob.glob(os.path.join(docs, "*.md"))),
        os.path.join(SOURCE, "README.md"),
    ]


class GuideTest(program.ProgramCase):
    def check_program(self, code, said, report):
        result = self.run_program(code, PES, prelude="")
        text = f"\n{result.stdout}\n{result.stderr}"
        self.assertEqual(result.returncode, 0 if report is None else 1, text)
        for line in (report or "").splitlines():
            pattern = re.escape(line).replace(re.escape("..."), ".*")
            self.assertRegex(result.stderr, f"(?m)^{pattern}$")
        if said is not None:
            self.assertEqual(
                sorted(result.stdout.splitlines()), sorted(said.splitlines())
            )

    def check_page(self, path):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            with self.subTest(line=line):
                code = match["code"]
                if "charm.start(" in code:
                    self.check_program(code, match["said"], match["report"])
                else:
                    compile(code, path, "exec")


def add_case(path):
    name = os.path.relpath(path, SOURCE)
    case = "test_" + re.sub(r"\W", "_", name.removesuffix(".md"))
    setattr(GuideTest, case, lambda self: self.check_page(path))


for page in pages():
    add_case(page)


if __name__ == "__main__":
    tapunit.main()
