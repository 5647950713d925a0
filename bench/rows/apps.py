# SPDX-License-Identifier: BSD-3-Clause
"""Row 11: imbalanced applications, examples/stencil3d.py and particles.py.

A step's time, of all steps after the first lap, in which a program is balanced
for the first time. On two PEs there is at most a factor of two to be won: the
loads are such that one of them has 1.6 (stencil3d) or some 1.8 times the mean
(particles). What perfect is, each program says itself: the time that its
functions computed, spread evenly. How near to it a program can come at all is
seen where nothing has to be balanced, by mpi4py and by us.
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
PARTICLES_OVER_MEAN = 1.8


def example(at, name, *args, balance="", **environment):
    more = ["--balance", balance] if balance else []
    return at.chare(
        PES, os.path.join(os.pardir, os.pardir, "examples", f"{name}.py"),
        *args, "--json", *more, **environment)


def measurement(at, name, skewed, even, text, over_mean):
    """One application: what is skewed, and what is even; each is (arguments
    of the example, of peer_balance.py)."""
    def mpi(numbers):
        return at.mpi4py(PES, "peer_balance.py", name, *numbers)

    yield Measurement(f"{name}, skewed", {
        "chare": example(at, name, *skewed[0], balance="greedy-refine"),
        "static": example(at, name, *skewed[0]),
        "mpi4py": mpi(skewed[1]),
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
    who = {
        "chare": ("chare", name),
        "chare, not balanced": ("static", name),
        "mpi4py": ("mpi4py", name),
    }
    yield Measurement(f"{name}, even", {
        "chare": example(at, name, *even[0], balance="auto"),
        "static": example(at, name, *even[0]),
        "mpi4py": mpi(even[1]),
    }, [Case(11, f"{name}, even, a step", who,
             [Goal("chare", "chare, not balanced", LOSS)], key="step_ns"),
        Case(11, f"{name}, even, over perfect", who, key="over_perfect",
             unit="x")])


def stencil(at):
    steps = at.count(100, 2 * STENCIL_PERIOD)
    how = [*STENCIL, "--steps", steps, "--period", str(STENCIL_PERIOD)]

    def numbers(skew):
        return ["96", "2", "2", "4", str(skew), steps, str(STENCIL_PERIOD)]

    return measurement(
        at, "stencil3d",
        ([*how, "--skew", str(STENCIL_SKEW)], numbers(STENCIL_SKEW)),
        (how, numbers(1)), f"skew x{STENCIL_SKEW}", STENCIL_OVER_MEAN)


def particles(at):
    steps = at.count(60, 2 * PARTICLES_PERIOD)
    count = at.count(400000)

    def both(clusters):
        return [
            *PARTICLES, "--count", count, "--steps", steps, "--period",
            str(PARTICLES_PERIOD), "--clusters", str(clusters),
        ], [
            count, PARTICLES[1], str(clusters), steps, str(PARTICLES_PERIOD),
        ]

    return measurement(at, "particles", both(CLUSTERS), both(0),
                       "drifting clusters", PARTICLES_OVER_MEAN)


def measurements(at):
    yield from stencil(at)
    yield from particles(at)
