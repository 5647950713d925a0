# SPDX-License-Identifier: BSD-3-Clause
"""Molecular dynamics: atoms with Lennard-Jones forces in a periodic box.

    chare run -n 4 python3 md.py [FILE] [--steps 200] [--cutoff 0.85]
    chare run -n 4 python3 md.py spc216.gro --atoms OW --sigma 0.3166 \\
        --epsilon 0.650 --mass 18.015 --cutoff 0.6 --verify

FILE has the places of the atoms (.gro, .pdb, .xyz; see molecule_input.py);
GROMACS, for one, comes with a box of 216 waters, spc216.gro. Without a file, it
is a crystal of argon.

Each chare of a 3D array holds the atoms in one cell, which is not smaller than
the cutoff. In a step it sends its places to its 26 neighbours and computes the
forces on its own atoms; atoms that leave the cell go to a neighbour. Units are
those of GROMACS: nm, ps, kJ/mol, unified atomic mass units. Force and potential
are shifted to zero at the cutoff. --verify compares the energies and all places
with a serial program that looks at all pairs.
"""

import argparse
import itertools

import numpy

import molecule_input
from chare import Array, Reducer, charm, coro
from ghosts import Progress, Swapper, chunks, finish, positive, verdict

BOLTZMANN = 0.00831446  # kJ/(mol K)
ARGON = {"sigma": 0.3405, "epsilon": 0.99607, "mass": 39.948}
CRYSTAL_CELL_NM, CRYSTAL_CELLS = 0.54, 5
AROUND = [d for d in itertools.product((-1, 0, 1), repeat=3) if any(d)]
NUMBER, PLACE, SPEED = 0, slice(1, 4), slice(4, 7)  # columns of an atom
PLACE_ERROR_NM = 1e-6  # after the steps; rounding differs, and grows
ENERGY_ERROR = 1e-8  # of the total, relative


def crystal():
    """Argon in a face-centred cubic lattice."""
    corners = numpy.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    cells = numpy.array(list(numpy.ndindex((CRYSTAL_CELLS,) * 3)))
    places = (cells[:, None, :] + corners[None, :, :]).reshape(-1, 3)
    return molecule_input.Atoms(
        ["Ar"] * len(places), places * CRYSTAL_CELL_NM, None,
        [CRYSTAL_CELLS * CRYSTAL_CELL_NM] * 3,
    )


class Model:
    """The forces between atoms of one kind."""

    def __init__(self, box, sigma, epsilon, mass, cutoff, time_step):
        self.box, self.mass, self.time_step = box, mass, time_step
        self.sigma, self.epsilon, self.cutoff = sigma, epsilon, cutoff
        self.energy_at, self.force_at = self._plain(cutoff**2)
        self.force_at *= cutoff

    def _plain(self, square):
        """Energy, and force divided by distance, at a squared distance."""
        sixth = (self.sigma**2 / square) ** 3
        return (
            4 * self.epsilon * (sixth**2 - sixth),
            24 * self.epsilon * (2 * sixth**2 - sixth) / square,
        )

    def forces(self, places, others):
        """Of 'others' on atoms: (forces, energy of the pairs)."""
        apart = places[:, None, :] - others[None, :, :]
        apart -= self.box * numpy.round(apart / self.box)
        square = (apart**2).sum(axis=2)
        near = (square < self.cutoff**2) & (square > 0)
        square[~near] = self.cutoff**2
        distance = numpy.sqrt(square)
        energy, over = self._plain(square)
        energy += (distance - self.cutoff) * self.force_at - self.energy_at
        over -= self.force_at / distance
        energy[~near] = 0
        over[~near] = 0
        return (over[:, :, None] * apart).sum(axis=1), float(energy.sum())

    def kick(self, atoms, forces):
        atoms[:, SPEED] += self.time_step / 2 / self.mass * forces

    def drift(self, atoms):
        atoms[:, PLACE] += self.time_step * atoms[:, SPEED]
        atoms[:, PLACE] = wrapped(atoms[:, PLACE], self.box)

    def kinetic(self, atoms):
        return float(self.mass / 2 * (atoms[:, SPEED] ** 2).sum())


def wrapped(places, box):
    """Into the box: 0 <= place < box."""
    places = places % box
    return numpy.where(places >= box, 0.0, places)


class Cell(Swapper):
    def __init__(self, model, shape):
        super().__init__()
        self.model = model
        self.shape = numpy.array(shape)
        self.neighbours = {
            away: self.thisProxy[
                tuple(int(i) for i in (self.thisIndex + numpy.array(away))
                      % shape)
            ]
            for away in AROUND
        }
        self.atoms = numpy.empty((0, 7))
        self.forces = None

    def fill(self, atoms):
        """The atoms of this cell at the start: rows as NUMBER ... say."""
        self.atoms = atoms

    def _compute(self):
        """Forces on the own atoms; returns their part of the energy."""
        places = self.atoms[:, PLACE]
        came = self.swap([
            (proxy, tuple(-i for i in away), places)
            for away, proxy in self.neighbours.items()
        ])
        others = numpy.concatenate([places, *came.values()])
        self.forces, energy = self.model.forces(places, others)
        return energy / 2  # the other half is the other atom's

    def _send_away(self):
        """Atoms that have left the cell go to where they are now."""
        at = (self.atoms[:, PLACE] / self.model.box * self.shape).astype(int)
        half = self.shape // 2
        away = (at - self.thisIndex + half) % self.shape - half
        if (numpy.abs(away) > 1).any():
            raise ValueError("an atom crossed a whole cell in a step; the "
                             "time step is too long")
        messages = []
        for index, proxy in self.neighbours.items():
            leaving = (away == index).all(axis=1)
            messages.append(
                (proxy, tuple(-i for i in index), self.atoms[leaving])
            )
        stay = self.atoms[(away == 0).all(axis=1)]
        self.atoms = numpy.concatenate([stay, *self.swap(messages).values()])

    @coro
    def run(self, steps):
        """Velocity Verlet; returns [kinetic, potential] of all atoms."""
        if self.forces is None:
            energy = self._compute()
        for _ in range(steps):
            self.model.kick(self.atoms, self.forces)
            self.model.drift(self.atoms)
            self._send_away()
            energy = self._compute()
            self.model.kick(self.atoms, self.forces)
        mine = numpy.array([self.model.kinetic(self.atoms), energy])
        return self.allreduce(mine, Reducer.sum).get()

    def all_atoms(self):
        return self.atoms


def serial(model, atoms, steps):
    """The same without chares: all pairs. Returns [kinetic, potential]."""
    forces, energy = model.forces(atoms[:, PLACE], atoms[:, PLACE])
    for _ in range(steps):
        model.kick(atoms, forces)
        model.drift(atoms)
        forces, energy = model.forces(atoms[:, PLACE], atoms[:, PLACE])
        model.kick(atoms, forces)
    return numpy.array([model.kinetic(atoms), energy / 2])


def prepare(options):
    """The atoms as rows, and the model."""
    atoms = crystal()
    if options.file is not None:
        names = set(options.atoms) if options.atoms else None
        atoms = molecule_input.read_atoms(options.file).chosen(names)
    model = Model(atoms.box, options.sigma, options.epsilon, options.mass,
                  options.cutoff, options.time_step)
    rows = numpy.empty((len(atoms.names), 7))
    rows[:, NUMBER] = numpy.arange(len(rows))
    rows[:, PLACE] = wrapped(atoms.places, atoms.box)
    speeds = atoms.velocities
    if speeds is None:
        chance = numpy.random.default_rng(options.seed)
        speeds = chance.standard_normal((len(rows), 3)) * numpy.sqrt(
            BOLTZMANN * options.temperature / options.mass
        )
        speeds -= speeds.mean(axis=0)
    rows[:, SPEED] = speeds
    return rows, model


def told(energies, count):
    temperature = 2 * energies[0] / (3 * count * BOLTZMANN)
    return (f"energy {energies.sum():.6f} kJ/mol, "
            f"temperature {temperature:.1f} K")


def run(options):
    rows, model = prepare(options)
    shape = tuple(int(n) for n in model.box // model.cutoff)
    if min(shape) < 3:
        raise ValueError(
            f"a box of {model.box} nm has less than three cells in a "
            f"direction with --cutoff {model.cutoff}"
        )
    cells = Array(Cell, shape, args=[model, shape])
    at = (rows[:, PLACE] / model.box * shape).astype(int)
    for index in numpy.ndindex(shape):
        cells[index].fill(rows[(at == index).all(axis=1)])
    charm.waitQD()  # all are filled
    energies = cells.run(0, ret=True).get()[0]
    print(f"{len(rows)} atoms in {numpy.prod(shape)} cells on "
          f"{charm.numPes()} PEs: {told(energies, len(rows))}", flush=True)
    progress = Progress("step")
    done = 0
    for steps in chunks(options.steps):
        energies = cells.run(steps, ret=True).get()[0]
        done += steps
        progress.show(done, options.steps, ", " + told(energies, len(rows)))
    found = numpy.concatenate(cells.all_atoms(ret=True).get())
    found = found[numpy.argsort(found[:, NUMBER])]
    return verify(model, rows, found, energies, options.steps) if (
        options.verify) else 0


def verify(model, rows, found, energies, steps):
    expected = serial(model, rows, steps)
    energy_error = abs((energies - expected).sum() / numpy.abs(expected).sum())
    if found.shape != rows.shape:
        return verdict(False, f"{len(found)} atoms of {len(rows)}")
    apart = found[:, PLACE] - rows[:, PLACE]
    apart -= model.box * numpy.round(apart / model.box)
    place_error = float(numpy.abs(apart).max())
    return verdict(
        energy_error < ENERGY_ERROR and place_error < PLACE_ERROR_NM,
        f"energy differs by {energy_error:.1e}, places by "
        f"{place_error:.1e} nm",
    )


def main(args):
    parser = argparse.ArgumentParser(
        prog="md.py", description="Molecular dynamics, by chares."
    )
    parser.add_argument("file", nargs="?", metavar="FILE",
                        help="places of atoms (default: an argon crystal)")
    parser.add_argument("--atoms", nargs="+", metavar="NAME",
                        help="only atoms with these names, as OW")
    parser.add_argument("--sigma", type=float, default=ARGON["sigma"],
                        help="of Lennard-Jones, nm (%(default)s)")
    parser.add_argument("--epsilon", type=float, default=ARGON["epsilon"],
                        help="of Lennard-Jones, kJ/mol (%(default)s)")
    parser.add_argument("--mass", type=float, default=ARGON["mass"],
                        help="of an atom, u (%(default)s)")
    parser.add_argument("--cutoff", type=float, default=0.85,
                        help="of forces, nm (%(default)s)")
    parser.add_argument("--time-step", type=float, default=0.002,
                        help="ps (%(default)s)")
    parser.add_argument("--temperature", type=float, default=80.0,
                        help="at the start, where the file has no "
                        "velocities, K (%(default)s)")
    parser.add_argument("--steps", type=positive, default=200,
                        help="time steps (%(default)s)")
    parser.add_argument("--seed", type=int, default=1,
                        help="of the first velocities (%(default)s)")
    parser.add_argument("--verify", action="store_true",
                        help="compare with all pairs, serially")
    options = parser.parse_args(args[1:])
    for name in ("sigma", "epsilon", "mass", "cutoff", "time_step"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0")
    finish("md.py", run, options)


charm.start(main)
