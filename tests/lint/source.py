# SPDX-License-Identifier: BSD-3-Clause
"""source.py - the plain rules for text: first lines, lengths, leftovers."""

import re

import lint

LICENCE = "SPDX-License-Identifier: BSD-3-Clause"
COLUMNS_MAX = 79
FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
NESTING_MAX = 3
# One header for all users is the rule that wins here.
LONG_FILES = {"src/include/chare.h"}
LEFTOVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
TEXTS = (".c", ".h", ".def", ".py", ".pyi", ".sh", ".am", ".ac", ".m4", ".md",
         ".map", ".conf", ".batch", ".yaml", ".toml")

report = lint.Report()
for rule in ("licence line", "file name and purpose", "columns", "tabs",
             "trailing space", "leftovers", "length of files",
             "length of functions", "nesting"):
    report.subject(rule)


def text_rules(name, lines):
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            report.subject("trailing space", [f"{name}:{number}"])
        if LEFTOVER.search(line):
            report.subject("leftovers", [f"{name}:{number}: {line.strip()}"])
    if len(lines) > FILE_LINES_MAX and name not in LONG_FILES:
        report.subject("length of files", [f"{name}: {len(lines)} lines"])


def c_rules(name, text, lines):
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            report.subject("columns", [f"{name}:{number}: {len(line)}"])
        if "\t" in line:
            report.subject("tabs", [f"{name}:{number}"])
    head = "\n".join(lines[:14])
    if not re.search(rf"\* {re.escape(name.rsplit('/')[-1])} - \S", head):
        report.subject("file name and purpose",
                       [f"{name}: no '* name - purpose' at its top"])
    function_rules(name, lint.code_of(text).splitlines())


def function_rules(name, lines):
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}"):
            if start and number - start + 1 > FUNCTION_LINES_MAX:
                report.subject("length of functions",
                               [f"{name}:{start}: {number - start + 1} lines"])
            start = None
        elif start:
            match = re.match(r"( +)(if|for|while|switch|do)\b", line)
            if match and len(match[1]) > 4 * NESTING_MAX:
                report.subject("nesting", [f"{name}:{number}"])


for path in lint.files(*TEXTS):
    name = lint.name_of(path)
    text = path.read_text()
    lines = text.splitlines()
    text_rules(name, lines)
    if path.suffix in (".c", ".h", ".def", ".py", ".sh", ".ac", ".m4"):
        if LICENCE not in "\n".join(lines[:2]):
            report.subject("licence line", [f"{name} has none"])
    if path.suffix in (".c", ".h", ".def"):
        c_rules(name, text, lines)
report.finish()
