# SPDX-License-Identifier: BSD-3-Clause
"""Read the places of atoms in a box.

Three kinds of files, told by the end of their name: GROMACS (.gro), Protein
Data Bank (.pdb) and XYZ (.xyz, with Lattice="..." in its second line, as many
programs write it). Only boxes with right angles are understood.
"""

import re

import numpy

NM_PER_ANGSTROM = 0.1


class InputError(ValueError):
    """What is wrong with the input, with file and line."""


class Atoms:
    """names: a list; places: (n, 3) in nm; velocities: (n, 3) in nm/ps, or
    None; box: (3,) in nm."""

    def __init__(self, names, places, velocities, box):
        self.names = names
        self.places = numpy.array(places, float).reshape(-1, 3)
        self.velocities = velocities
        self.box = numpy.array(box, float)

    def chosen(self, names):
        """Only the atoms with these names, or all."""
        if names is None:
            return self
        keep = [i for i, name in enumerate(self.names) if name in names]
        if not keep:
            raise InputError(
                f"no atom is called {' or '.join(sorted(names))}; there are "
                f"{', '.join(sorted(set(self.names)))}"
            )
        return Atoms(
            [self.names[i] for i in keep], self.places[keep],
            None if self.velocities is None else self.velocities[keep],
            self.box,
        )


def read_atoms(path):
    """The atoms of a file. Raises InputError."""
    readers = {"gro": _gro, "pdb": _pdb, "xyz": _xyz}
    reader = readers.get(path.rpartition(".")[2].lower())
    if reader is None:
        raise InputError(f"{path}: the name must end in .gro, .pdb or .xyz")
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: {getattr(error, 'strerror', None) or error}"
        ) from None
    atoms = reader(path, lines)
    if len(atoms.names) == 0:
        raise InputError(f"{path}: there are no atoms")
    if (atoms.box <= 0).any() or not numpy.isfinite(atoms.places).all():
        raise InputError(f"{path}: the box or a place is not possible")
    return atoms


def _numbers(path, lines, number, texts):
    """Some words of a line as numbers; 'number' counts from 1."""
    try:
        return [float(text) for text in texts]
    except ValueError:
        raise _bad_line(path, lines, number) from None


def _bad_line(path, lines, number):
    if number > len(lines):
        return InputError(f"{path}: it ends too early, at line {len(lines)}")
    return InputError(f"{path}:{number}: not understood: "
                      f"{lines[number - 1].strip()!r}")


def _count(path, lines, number):
    if number > len(lines) or not lines[number - 1].strip().isdigit():
        raise _bad_line(path, lines, number)
    return int(lines[number - 1])


def _gro(path, lines):
    """manual.gromacs.org: reference manual, file formats."""
    count = _count(path, lines, 2)
    if len(lines) < count + 3:
        raise _bad_line(path, lines, len(lines) + 1)
    names, rows = [], []
    for number in range(3, count + 3):
        line = lines[number - 1]
        width = _gro_width(path, lines, number)
        names.append(line[10:15].strip())
        texts = [line[i:i + width] for i in range(20, 20 + 3 * width, width)]
        speeds = line[20 + 3 * width:]
        each = width
        if speeds.strip():
            texts += [speeds[i * each:(i + 1) * each] for i in range(3)]
        rows.append(_numbers(path, lines, number, texts))
    box = _numbers(path, lines, count + 3, lines[count + 2].split())
    if len(box) < 3 or any(box[3:]) or len({len(r) for r in rows}) > 1:
        raise InputError(f"{path}:{count + 3}: a box with three right angles "
                         "is needed, and velocities for all atoms or none")
    table = numpy.array(rows).reshape(count, -1)
    velocities = table[:, 3:] if table.shape[1] == 6 else None
    return Atoms(names, table[:, :3], velocities, box)


def _gro_width(path, lines, number):
    """Columns of a number: the distance between two decimal points."""
    line = lines[number - 1]
    points = [match.start() for match in re.finditer(r"\.", line[20:])]
    if len(points) < 3:
        raise _bad_line(path, lines, number)
    return points[1] - points[0]


def _pdb(path, lines):
    """www.wwpdb.org: file format, version 3.3."""
    names, places, box = [], [], None
    for number, line in enumerate(lines, 1):
        if line.startswith("CRYST1"):
            values = _numbers(path, lines, number, line[6:54].split())
            if values[3:6] != [90, 90, 90]:
                raise InputError(f"{path}:{number}: the angles of the box "
                                 "must be right")
            box = values[:3]
        elif line.startswith(("ATOM", "HETATM")):
            names.append(line[12:16].strip())
            places.append(_numbers(path, lines, number, [
                line[30:38], line[38:46], line[46:54]
            ]))
        elif line.startswith("ENDMDL"):
            break
    if box is None:
        raise InputError(f"{path}: there is no CRYST1 line, which has the box")
    return Atoms(names, numpy.array(places) * NM_PER_ANGSTROM, None,
                 numpy.array(box) * NM_PER_ANGSTROM)


def _xyz(path, lines):
    count = _count(path, lines, 1)
    if len(lines) < count + 2:
        raise _bad_line(path, lines, len(lines) + 1)
    match = re.search(r'Lattice="([^"]*)"', lines[1])
    if match is None:
        raise InputError(f'{path}:2: no Lattice="..." says what the box is')
    lattice = _numbers(path, lines, 2, match.group(1).split())
    if len(lattice) != 9 or any(lattice[i] for i in (1, 2, 3, 5, 6, 7)):
        raise InputError(f"{path}:2: the box must have right angles")
    names, places = [], []
    for number in range(3, count + 3):
        words = lines[number - 1].split()
        if len(words) < 4:
            raise _bad_line(path, lines, number)
        names.append(words[0])
        places.append(_numbers(path, lines, number, words[1:4]))
    return Atoms(names, numpy.array(places) * NM_PER_ANGSTROM, None,
                 numpy.array(lattice)[[0, 4, 8]] * NM_PER_ANGSTROM)
