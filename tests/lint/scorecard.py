# SPDX-License-Identifier: BSD-3-Clause
"""scorecard.py - what docs/scorecard.md names is there, and is run.

Each row has its number, in order. What works, wholly or in part, names a test
or a command that shows it; what is not there names none. A name in backquotes
with a slash is a file or a folder of the tree, perhaps with arguments behind a
blank; FILE:CASE is a case of it. A test program is listed in the rules.am of
its folder, or nobody would run it.
"""

import re

import lint

ROWS = 70
CASE = {".py": r"\n *(?:def|class) {}\b", ".c": r"TAP_CASE\({}\)"}
NET_CASES = "tests/conform/net_conform.h"  # what each provider's file includes

page = (lint.top / "docs" / "scorecard.md").read_text()
rows = [[cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
report = lint.Report()


def complaint(name):
    """What is wrong with a name in backquotes, or None."""
    file, _, case = name.split()[0].partition(":")
    path = lint.top / file
    if "/" not in file:
        return f"{name} is no file" if case else None
    if not path.exists():
        return f"{file} is not there"
    if file.startswith("tests/") and path.suffix in CASE:
        rules = (path.parent / "rules.am").read_text()
        if not re.search(rf"/{re.escape(path.stem)}\b", rules):
            return f"{file} is in no rules.am"
    if case:
        text = path.read_text()
        if path.parent.name == "conform":
            text += (lint.top / NET_CASES).read_text()
        pattern = CASE.get(path.suffix)
        if pattern is None or not re.search(pattern.format(case), text):
            return f"{file} has no case {case}"
    return None


def shows(name):
    """Does it show anything when it is run?"""
    return name.startswith(("tests/", "bench/", "make "))


report.subject("numbers of rows", [] if [
    int(row[0]) for row in rows] == list(range(1, ROWS + 1)) else [
    f"not 1 to {ROWS}: {' '.join(row[0] for row in rows)}"])
report.subject("what is named")
report.subject("what is said of each")
for number, title, state, shown in rows:
    for name in re.findall(r"`([^`]+)`", f"{state} {shown}"):
        found = complaint(name)
        if found is not None:
            report.subject("what is named", [f"row {number}: {found}"])
    named = [name for name in re.findall(r"`([^`]+)`", shown) if shows(name)]
    word = re.match(r"works\b|part\b|not there$", state)
    if word is None:
        report.subject("what is said of each", [
            f"row {number}: neither works, nor part, nor not there: {state}"])
    elif bool(named) != (word[0] != "not there"):
        report.subject("what is said of each", [
            f"row {number}: {state}, and shown by {shown or 'nothing'}"])
report.finish()
