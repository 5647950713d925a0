# SPDX-License-Identifier: BSD-3-Clause
"""Row 10: how long deciding who should be where takes, and how good it is;
and what it costs a program in which there is nothing to balance."""

from harness.score import Case, Goal, Measurement, Program

SHAPES = ("uniform", "lognormal")
FEW_MOVES = ("greedy-refine", "refine")
OBJECTS, PES = 1000000, 100000


def decision(at, who, shape):
    if not at.has("balance"):
        return None
    return Program([at.built("balance"), who, shape, at.count(OBJECTS),
                    at.count(PES)])


def quality(shape, who, limit):
    return Case(10, f"{who} over the bound, {shape}", {
        "chare": (who, f"{who} {shape}"),
    }, [Goal("chare", None, limit)], key="over_bound", unit="x")


BALANCED = (("free", "by the clock"), ("sync", "with AtSync"))


def nothing_to_balance(at):
    """The mean counts, and not the median: a look is in one lap of many."""
    for mode, name in BALANCED:
        steps = f"{mode}:{at.count(2000, 200)}"
        yield Measurement(f"balanced, {name}", {
            who: at.chare(2, "balanced.py", steps, CHARE_BALANCER=balancer)
            for who, balancer in (("auto", "auto"), ("none", ""))
        }, [Case(10, f"a balanced stencil, {name}, one iteration", {
            "automatic balancing": ("auto", mode),
            "none": ("none", mode),
        }, [Goal("automatic balancing", "none", 1.03)], key="ns_each")])


def measurements(at):
    yield from nothing_to_balance(at)
    for shape in SHAPES:
        whose = ("greedy", "peer", *FEW_MOVES)
        cases = [Case(10, f"greedy, 1e6 objects, {shape}", {
            "chare": ("greedy", f"greedy {shape}"),
            "C++, std::sort and heap": ("peer", f"peer {shape}"),
        }, [Goal("chare", "C++, std::sort and heap", 0.3)]),
            quality(shape, "greedy", 1.01)]
        for who in FEW_MOVES:
            cases += [Case(10, f"{who}, 1e6 objects, {shape}", {
                "chare": (who, f"{who} {shape}")}),
                quality(shape, who, 1.05),
                Case(10, f"{who}, moves, {shape}", {
                    "chare": (who, f"{who} {shape}"),
                    "greedy": ("greedy", f"greedy {shape}"),
                }, [Goal("chare", "greedy", 1 / 3)], key="moved", unit="x")]
        yield Measurement(f"decision, {shape}", {
            who: decision(at, who, shape) for who in whose}, cases)
