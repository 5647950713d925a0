#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""mkman.py - the manual pages of all functions, made from their header.

    mkman.py HEADER VERSION FOLDER    writes FOLDER/NAME.3 for each function
    mkman.py --list HEADER            prints the names

The header is the only source. A function is described by the comment right
above it: a kernel-doc block (/** name() - purpose. ... */) with paragraphs,
@parameters and the labels Ownership, Context, Returns and Since, or a plain
comment, which may serve several functions that follow without an empty line.
What is wrong in a block (a parameter that is not there, or not described) is
an error, so that the pages cannot go stale.
"""

import pathlib
import re
import sys

LABELS = {"Ownership": "OWNERSHIP", "Context": "CONTEXT",
          "Returns": "RETURN VALUE", "Since": "HISTORY"}
COMMENT = re.compile(r"^/\*.*?\*/\n", re.M | re.S)
DECLARATION = re.compile(
    r"(?:CHARE_MUST_CHECK\s+)?((?:static inline\s+)?[a-z][\w\s*]*?)"
    r"\b(chare_\w+)\(([^;{}]*)\)\s*(;|\{.*?^\}\n)", re.M | re.S)
SECTION = re.compile(r"^/\* -{60,}\n \* (.*)$", re.M)


class DocError(Exception):
    """A block of the header is wrong; the text says where and how."""


class Function:
    def __init__(self, result, name, parameters, prototype):
        self.result = " ".join(result.split())
        self.name = name
        self.parameters = parameters  # their names
        self.prototype = prototype
        self.purpose = ""
        self.paragraphs = []  # before the labels; lists of lines
        self.described = {}  # parameter: text
        self.labels = {}  # label: lines
        self.section = ""


def parameter_name(text):
    return re.findall(r"\w+", re.sub(r"\[.*", "", text))[-1]


def functions_of(text):
    """All functions of a header with their comments, in its order."""
    sections = [(match.start(), match[1]) for match in
                SECTION.finditer(text)]
    for comment in COMMENT.finditer(text):
        at = comment.end()
        # What follows without an empty line shares the comment.
        while match := DECLARATION.match(text, at):
            function = function_of(match)
            for start, title in sections:
                if start < at:
                    function.section = title
            describe(function, comment[0])
            yield function
            at = match.end() + (text[match.end():match.end() + 1] == "\n")


def function_of(match):
    inside = " ".join(match[3].split())
    names = []
    if inside != "void":
        names = [parameter_name(part) for part in inside.split(",")]
    result = match[1].replace("static inline", "")
    return Function(result, match[2], names, inside)


def lines_of(comment):
    """The text of a comment without its frame."""
    inner = re.sub(r"^/\*+ ?|\s*\*/\s*$", "", comment)
    return [re.sub(r"^ \* ?", "", line).rstrip()
            for line in inner.splitlines()]


def describe(function, comment):
    lines = lines_of(comment)
    if comment.startswith("/**"):
        describe_block(function, lines)
    else:
        function.paragraphs = paragraphs_of(lines)
        flat = " ".join(" ".join(lines).split())
        purpose = re.split(r"(?<=[a-z)])[.;:](?= |$)", flat)[0]
        if not purpose[:2].isupper():
            purpose = purpose[:1].lower() + purpose[1:]
        function.purpose = purpose


def paragraphs_of(lines):
    found = [[]]
    for line in lines:
        if line:
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [part for part in found if part]


def describe_block(function, lines):
    """Take a kernel-doc block apart."""
    while lines and not lines[0]:
        lines.pop(0)
    head = re.match(r"(\w+)\(\) - (.*)", lines[0])
    if not head or head[1] != function.name:
        raise DocError(f"{function.name}: its block begins '{lines[0]}'")
    purpose = [head[2]]
    lines.pop(0)
    while lines and lines[0]:
        purpose.append(lines.pop(0))
    text = " ".join(purpose)
    function.purpose, _, rest = text.partition(". ")
    function.purpose = function.purpose.rstrip(".")
    plain = [rest] if rest else []
    current = None
    for line in lines:
        parameter = re.match(r"@(\w+):\s*(.*)", line)
        label = re.match(rf"({'|'.join(LABELS)}):\s*", line)
        if parameter:
            current = function.described.setdefault(parameter[1],
                                                    [parameter[2]])
        elif label:
            current = function.labels.setdefault(label[1], [])
            current.append(line[label.end():])
            indent = label.end()
        elif not line:
            current = None
            plain.append("")
        elif current is None:
            plain.append(line)
        elif current in function.labels.values():
            current.append(line[min(indent, len(line) - len(
                line.lstrip())):])
        else:
            current.append(line.strip())
    function.paragraphs = paragraphs_of(plain)
    check(function)


def check(function):
    for name in function.described:
        if name not in function.parameters:
            raise DocError(f"{function.name}: has no parameter {name}")
    elsewhere = re.search(r"parameters? .*(those|as) of",
                          " ".join(sum(function.paragraphs, [])))
    for name in function.parameters:
        known = name in function.described or elsewhere
        if function.described and not known:
            raise DocError(f"{function.name}: @{name} is not described")


# ---------------------------------------------------------------------------
# Writing pages


def escape(text):
    text = text.replace("\\", "\\e")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def dressed(lines):
    """Running text with names in their fonts."""
    text = escape(" ".join(" ".join(lines).split()))
    text = re.sub(r"\*([A-Za-z][\w ]*)\*", r"\\fI\1\\fR", text)
    text = re.sub(r"@(\w+)", r"\\fI\1\\fR", text)
    return re.sub(r"\b(chare_\w+)\(\)", r"\\fB\1\\fR(3)", text)


def sentence(lines):
    """Running text that begins like a sentence."""
    text = dressed(lines)
    return text if text.startswith(("CHARE", "\\")) else \
        text[:1].upper() + text[1:]


def returns_page(lines):
    """'NAME - text' items become a list; the rest is running text."""
    out = []
    plain = []
    item = None
    for line in lines + [""]:
        match = re.match(r"(CHARE_\w+)\s+- (.*)", line)
        more = line.startswith(" ")
        if item is not None and not more:
            out += [".TP", f".B {item[0]}", dressed(item[1:])]
            item = None
        if match:
            item = [match[1], match[2]]
            if plain:
                out.append(dressed(plain))
                plain = []
        elif item is not None:
            item.append(line.strip())
        elif line:
            if out and not plain:
                out.append(".PP")
            plain.append(line.strip())
    if plain:
        out.append(dressed(plain))
    return out


def wrapped_prototype(function):
    star = "" if function.result.endswith("*") else " "
    parts = function.prototype.split(", ") if function.prototype else ["void"]
    out = [".nf", f"\\fB{escape(function.result)}{star}{function.name}("]
    for number, part in enumerate(parts):
        end = ");\\fR" if number == len(parts) - 1 else ","
        out.append(f"        {escape(part)}{end}")
    return out + [".fi"]


def page(function, version, all_functions):
    purpose = escape(function.purpose)
    out = [f'.TH {function.name.upper()} 3 "" "chare {version}" '
           '"chare Programmer\'s Manual"',
           ".SH NAME", f"{function.name} \\- {purpose}",
           ".SH SYNOPSIS", ".nf", ".B #include <chare.h>", ".PP",
           ".fi", *wrapped_prototype(function)]
    if function.paragraphs:
        out.append(".SH DESCRIPTION")
        for number, paragraph in enumerate(function.paragraphs):
            out += [".PP"] * (number > 0) + [sentence(paragraph)]
    if function.described:
        out.append(".SH PARAMETERS")
        for name, text in function.described.items():
            out += [".TP", f".I {name}", dressed(text)]
    for label, title in LABELS.items():
        lines = function.labels.get(label)
        if not lines:
            continue
        out.append(f".SH {title}")
        if label == "Returns":
            out += returns_page(lines)
        elif label == "Since":
            out.append(f"Since version {lines[0]}.")
        else:
            out.append(sentence(lines))
    near = [other.name for other in all_functions
            if other.section == function.section and
            other.name != function.name]
    out.append(".SH SEE ALSO")
    out += [f".BR {name} (3)," for name in near] + [".BR chare (1)"]
    return "\n".join(out) + "\n"


def main(argv):
    if len(argv) == 3 and argv[1] == "--list":
        for function in functions_of(pathlib.Path(argv[2]).read_text()):
            print(function.name)
        return 0
    if len(argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    functions = list(functions_of(pathlib.Path(argv[1]).read_text()))
    folder = pathlib.Path(argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.3"):
        old.unlink()
    for function in functions:
        (folder / f"{function.name}.3").write_text(
            page(function, argv[2], functions))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv))
    except DocError as error:
        sys.exit(f"mkman.py: {error}")
