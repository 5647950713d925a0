# SPDX-License-Identifier: BSD-3-Clause
"""lint.py - what the style tests share: the files, C text, the report."""

import os
import pathlib
import re
import sys

top = pathlib.Path(os.environ.get("top_srcdir", "."))
build = pathlib.Path(os.environ.get("top_builddir", "build"))

FOLDERS = ("src", "pmix", "ofi", "python", "examples", "bench", "contrib",
           "docs", "m4", "tests", ".ci")
# What autoreconf leaves beside ours.
GENERATED = re.compile(r"aclocal\.m4|m4/(libtool|lt.*)\.m4")


class Report:
    """Collects complaints and prints TAP, one line for each subject."""

    def __init__(self):
        self.subjects = {}

    def subject(self, name, complaints=()):
        self.subjects.setdefault(name, []).extend(complaints)

    def finish(self):
        bad = 0
        print(f"1..{len(self.subjects)}")
        for number, (name, found) in enumerate(self.subjects.items(), 1):
            for complaint in found:
                print(f"# {complaint}")
            print(f"{'not ' if found else ''}ok {number} - {name}")
            bad += bool(found)
        sys.exit(bad != 0)


def skip_all(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def name_of(path):
    return path.relative_to(top).as_posix()


def files(*suffixes, folders=FOLDERS):
    """The project's own files with these endings, sorted."""
    found = [path for path in top.iterdir() if path.suffix in suffixes]
    for folder in folders:
        for path in (top / folder).rglob("*"):
            if path.suffix in suffixes and "__pycache__" not in path.parts:
                found.append(path)
    return sorted(path for path in found if path.is_file() and
                  not GENERATED.fullmatch(name_of(path)))


def c_files():
    return files(".c", ".h", ".def")


_TOKEN = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|' r"'(?:\\.|[^'\\\n])*'", re.S)


def code_of(text):
    """C text with comments and literals blanked, lines kept as they are."""
    def blank(match):
        if match.start() > 0 and match[0][0] == '"':
            line = text.rfind("\n", 0, match.start()) + 1
            if text[line:match.start()].lstrip().startswith("#"):
                return match[0]
        return re.sub(r"[^\n]", " ", match[0])

    return _TOKEN.sub(blank, text)
