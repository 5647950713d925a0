# SPDX-License-Identifier: BSD-3-Clause
"""Row 11: imbalanced applications, examples/stencil3d.py and particles.py.

A step's time, of all steps after the first lap, in which a program is balanced
for the first time. On two PEs there is at most a factor of two to be won: the
loads are such that one of them has 1.6 (stencil3d) or some 1.8 times the mean
(particles). What perfect is, each program says itself: the time that its
functions computed, spread evenly.
"""

import os

from harness.score import Case, Goal, Measurement

PES = 2
OF_PERFECT = 1 / 0.95
LOSS = 1.03  # of a balanced program
STENCIL_SKEW = 4
STENCIL_OVER_MEAN = 1.6  # half of the blocks compute 4 times as long

STENCIL = ["--size", "96", "--blocks", "2", "2", "4"]
STENCIL_PERIOD = 20
PARTICLES = ["--cells", "10"]
PARTICLES_PERIOD = 3
CLUSTERS = 3


def example(at, name, *args, balance="", **environment):
    more = ["--balance", balance] if balance else []
    return at.chare(
        PES, os.path.join(os.pardir, os.pardir, "examples", f"{name}.py"),
        *args, "--json", *more, **environment)


def measurement(at, name, skewed, even, mpi, text, over_mean):
    """One application: what is skewed, and what is even."""
    yield Measurement(f"{name}, skewed", {
        "chare": example(at, name, *skewed, balance="greedy-refine"),
        "static": example(at, name, *skewed),
        "mpi4py": at.mpi4py(PES, "peer_balance.py", name, *mpi),
    }, [Case(11, f"{name}, {text}, a step", {
        "chare": ("chare", name),
        "chare, not balanced": ("static", name),
        "mpi4py, static": ("mpi4py", name),
        "mpi4py, were it even": ("mpi4py", f"{name} even"),
    }, [Goal("chare", "mpi4py, were it even", OF_PERFECT),
        Goal("chare", "chare, not balanced", OF_PERFECT / over_mean)],
        key="step_ns"),
        Case(11, f"{name}, {text}, over perfect", {
            "chare": ("chare", name),
            "chare, not balanced": ("static", name),
            "mpi4py, static": ("mpi4py", name),
        }, [Goal("chare", None, OF_PERFECT)], key="over_perfect", unit="x")])
    yield Measurement(f"{name}, even", {
        "chare": example(at, name, *even, balance="auto"),
        "static": example(at, name, *even),
    }, [Case(11, f"{name}, even, a step", {
        "chare": ("chare", name),
        "chare, not balanced": ("static", name),
    }, [Goal("chare", "chare, not balanced", LOSS)], key="step_ns")])


def measurements(at):
    steps = at.count(100, 2 * STENCIL_PERIOD)
    how = [*STENCIL, "--steps", steps, "--period", str(STENCIL_PERIOD)]
    yield from measurement(
        at, "stencil3d", [*how, "--skew", str(STENCIL_SKEW)], how,
        ["96", "2", "2", "4", str(STENCIL_SKEW), steps, str(STENCIL_PERIOD)],
        f"skew x{STENCIL_SKEW}", STENCIL_OVER_MEAN)
    steps = at.count(60, 2 * PARTICLES_PERIOD)
    count = at.count(400000)
    how = [*PARTICLES, "--count", count, "--steps", steps, "--period",
           str(PARTICLES_PERIOD)]
    yield from measurement(
        at, "particles", [*how, "--clusters", str(CLUSTERS)],
        [*how, "--clusters", "0"],
        [count, PARTICLES[1], str(CLUSTERS), steps, str(PARTICLES_PERIOD)],
        "drifting clusters", 1.8)
