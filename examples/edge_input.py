# SPDX-License-Identifier: BSD-3-Clause
"""Read the edges of a graph, block by block.

Three kinds of input give the same thing, an iterator over blocks of edges,
each an int64 array of shape (n, 2) with source and target:

- an edge list: two numbers in a line, "#" and "%" start comments (SNAP);
- a Matrix Market coordinate file (first line "%%MatrixMarket ...");
- the package index of this machine: an edge from each package to each that it
  depends on.

Files may be compressed by gzip (name ending in ".gz").
"""

import gzip
import itertools
import re
import subprocess

import numpy

BLOCK_LINES = 100_000


class InputError(Exception):
    """What is wrong with the input, with file and line."""


def open_graph(path):
    """Edges of the file, or of the package index when path is None.

    Returns (blocks, names): names maps a node to what it is called, or is None
    when nodes are numbers only; it is complete when blocks is used up.
    """
    if path is None:
        names: list[str] = []
        return package_edges(names), names
    try:
        stream = gzip.open(path, "rt") if path.endswith(".gz") else open(path)
        first = stream.readline()
    except (OSError, UnicodeDecodeError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}") from None
    if first.startswith("%%MatrixMarket"):
        return matrix_market_edges(path, stream, first), None
    return list_edges(path, itertools.chain([first], stream)), None


# ---- edge lists


def list_edges(path, lines):
    number = 1
    for block, number in _line_blocks(path, lines, number):
        yield _numbers(path, block, 2)[:, :2]


def _line_blocks(path, lines, number):
    """Lists of (line number, text) without comments and empty lines."""
    lines = iter(lines)
    while True:
        try:
            block = list(itertools.islice(lines, BLOCK_LINES))
        except (OSError, UnicodeDecodeError, EOFError) as error:
            raise InputError(f"{path}:{number}: {error}") from None
        if not block:
            return
        kept = [
            (number + i, line)
            for i, line in enumerate(block)
            if line.strip() and line[0] not in "#%"
        ]
        number += len(block)
        if kept:
            yield kept, number


def _numbers(path, block, columns_min):
    """The first two columns of the lines as non-negative integers."""
    fields = [line.split() for _, line in block]
    columns = len(fields[0])
    try:
        if columns < columns_min or any(len(f) != columns for f in fields):
            raise ValueError
        edges = numpy.array([f[:2] for f in fields], dtype=numpy.int64)
    except (ValueError, OverflowError):
        _blame(path, block, columns_min)
        raise AssertionError("no line is to blame") from None
    if (edges < 0).any():
        bad = int(numpy.argmax((edges < 0).any(axis=1)))
        number, line = block[bad]
        raise InputError(
            f"{path}:{number}: a node is negative: {line.strip()!r}"
        )
    return edges


def _blame(path, block, columns_min):
    """Raise for the first line that cannot be read."""
    columns = None
    for number, line in block:
        fields = line.split()
        columns = columns or len(fields)
        if len(fields) < columns_min or len(fields) != columns:
            raise InputError(
                f"{path}:{number}: {max(columns, columns_min)} columns were "
                f"expected: {line.strip()!r}"
            )
        for field in fields[:2]:
            if not re.fullmatch(r"[+-]?\d{1,18}", field):
                raise InputError(
                    f"{path}:{number}: {field!r} is no node number "
                    f"(a whole number below 10**18)"
                )


# ---- Matrix Market (https://math.nist.gov/MatrixMarket/formats.html)


def matrix_market_edges(path, stream, header):
    words = header.lower().split()
    if (
        len(words) != 5
        or words[1:3] != ["matrix", "coordinate"]
        or words[4] not in ("general", "symmetric", "skew-symmetric")
    ):
        raise InputError(
            f"{path}:1: only coordinate matrices, general or symmetric, are "
            f"graphs: {header.strip()!r}"
        )
    number = 1
    for line in stream:
        number += 1
        if line.strip() and not line.startswith("%"):
            break
    else:
        raise InputError(f"{path}:{number}: the line with the sizes is missing")
    try:
        rows, columns, entries = (int(word) for word in line.split())
    except ValueError:
        raise InputError(
            f"{path}:{number}: rows, columns and entries were expected: "
            f"{line.strip()!r}"
        ) from None
    seen = 0
    mirrored = words[4] != "general"
    for block, number in _line_blocks(path, stream, number + 1):
        edges = _numbers(path, block, 2)
        seen += len(edges)
        _check_range(path, block, edges, rows, columns)
        edges = edges - 1
        if mirrored:
            off = edges[edges[:, 0] != edges[:, 1]]
            edges = numpy.concatenate([edges, off[:, ::-1]])
        yield edges
    if seen != entries:
        raise InputError(
            f"{path}:{number}: {entries} entries were promised, "
            f"{seen} are there"
        )


def _check_range(path, block, edges, rows, columns):
    wrong = (edges < 1) | (edges > (rows, columns))
    if wrong.any():
        line_number, line = block[int(numpy.argmax(wrong.any(axis=1)))]
        raise InputError(
            f"{path}:{line_number}: outside of the {rows} x {columns} "
            f"matrix: {line.strip()!r}"
        )


# ---- the package index


def package_edges(names):
    """An edge for each dependency; names is filled with package names."""
    numbers: dict[str, int] = {}

    def number_of(name):
        number = numbers.setdefault(name, len(names))
        if number == len(names):
            names.append(name)
        return number

    edges: list[tuple[int, int]] = []
    for package, depends in _packages():
        source = number_of(package)
        edges.extend((source, number_of(name)) for name in depends)
        if len(edges) >= BLOCK_LINES:
            yield numpy.array(edges, dtype=numpy.int64)
            edges = []
    if edges:
        yield numpy.array(edges, dtype=numpy.int64)


def _packages():
    """(name, names it depends on) of all packages that apt knows."""
    try:
        process = subprocess.Popen(
            ["apt-cache", "dumpavail"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise InputError(
            "there is no package index on this machine (apt-cache: "
            f"{error.strerror}); give a file with edges instead"
        ) from None
    package = None
    depends = []
    found = False
    with process:
        for line in itertools.chain(process.stdout or (), ["\n"]):
            if line.startswith("Package: "):
                package = line[9:].strip()
            elif line.startswith(("Depends: ", "Pre-Depends: ")):
                for one in re.split(r"[,|]", line.split(":", 1)[1]):
                    name = one.split()[0].split(":")[0] if one.split() else ""
                    if name:
                        depends.append(name)
            elif line == "\n" and package is not None:
                found = True
                yield package, depends
                package, depends = None, []
    if not found:
        raise InputError(
            "the package index of this machine is empty (run apt-get update); "
            "or give a file with edges"
        )
