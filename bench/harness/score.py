# SPDX-License-Identifier: BSD-3-Clause
"""score.py - the arithmetic of the scorecard: medians, ratios, verdicts.

Less is better everywhere: nanoseconds for one message, bytes for one chare. A
goal is the most that the ratio of two medians of one run may be; one without a
peer is an absolute figure. Confidence intervals are bootstrapped over rounds.
"""

import dataclasses
import random
import statistics

MET, NOT_MET, MISSING = "met", "not met", "missing"
ROUNDS_FOR_VERDICT = 10
RESAMPLES = 1000
CONFIDENCE = 0.95
CHANGED = 0.01  # what is less is no change, however sure


@dataclasses.dataclass(frozen=True)
class Goal:
    """`ours` takes at most `limit` times what `peer` takes. `absolute` names
    a figure in peers.json that stands in for a peer that is not here; times
    how much slower than that one this machine is, by `yardstick`: a figure of
    this case, and the name of the same in peers.json."""

    ours: str
    peer: str | None
    limit: float
    absolute: str | None = None
    yardstick: tuple | None = None


@dataclasses.dataclass(frozen=True)
class Program:
    """A command, and in how many of the rounds it runs: all, or each third."""

    command: list
    every: int = 1
    environment: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Case:
    """A line of the table. `figures` says where the figure of each comes from:
    {name: (program, "what" of the program's line of JSON)}."""

    row: int
    name: str
    figures: dict
    goals: list = dataclasses.field(default_factory=list)
    key: str = "p50_ns"
    unit: str = "ns"
    plot: tuple | None = None  # (picture, x): a point of a curve


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Programs that run in turn, and the cases that are read off them. A
    program that is not here is None."""

    name: str
    programs: dict
    cases: list

    @property
    def row(self):
        return self.cases[0].row


def median(values):
    return statistics.median(values) if values else None


def spread(values):
    """How far the middle half is apart, as a part of the median."""
    if len(values) < 2:
        return None
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / statistics.median(values)


def ratio(ours, peer):
    """Of two medians; None when one of them is not there."""
    if ours is None or peer is None or peer <= 0:
        return None
    return ours / peer


def interval(statistic, *samples):
    """Where the statistic of the samples is, with CONFIDENCE: percentiles of
    what it is for samples drawn from these. None with fewer than three."""
    if min(map(len, samples)) < 3:
        return None
    chance = random.Random(1)  # the same report gives the same interval
    found = sorted(statistic(*[chance.choices(sample, k=len(sample))
                               for sample in samples])
                   for _ in range(RESAMPLES))
    beyond = int((1 - CONFIDENCE) / 2 * RESAMPLES)
    return [found[beyond], found[-1 - beyond]]


def ratio_interval(ours, peer):
    return interval(lambda a, b: statistics.median(a) / statistics.median(b),
                    ours, peer)


def verdict(value, limit):
    """What was not measured is missing, and never met."""
    if value is None:
        return MISSING
    return MET if value <= limit else NOT_MET


# ---- a case with its results, as it goes into the report

def _described_figure(case, source, runs, failed):
    program, what = source
    lines = [line for run in runs.get(program, []) for line in run
             if line.get("what") == what]
    values = [line[case.key] for line in lines if case.key in line]
    figure = {
        "median": median(values),
        "interval": interval(statistics.median, values) if values else None,
        "least": min(values) if values else None,
        "spread": spread(values),
        "mean": median([line["ns_each"] for line in lines
                        if "ns_each" in line]),
        "p99": median([line["p99_ns"] for line in lines
                       if "p99_ns" in line]),
        "runs": len(values),
        "values": values,
    }
    curves = [line["curve"] for line in lines if line.get("curve")]
    if curves:  # (granularity in ns, efficiency), of the last run
        figure["curve"] = curves[-1]
    if program in failed:
        figure["failed"] = failed[program]
    elif not values:
        figure["failed"] = "gave no figure"
    return figure


def _described_goal(goal, figures, absolute):
    ours = figures.get(goal.ours, {"median": None, "values": []})
    peer = figures.get(goal.peer, {"median": None, "values": []})
    said = {"ours": goal.ours, "peer": goal.peer, "limit": goal.limit,
            "value": None, "interval": None, "absolute": None,
            "yardstick": None, "scale": 1}
    if goal.peer is None:
        said["value"], said["interval"] = ours["median"], ours.get("interval")
    elif peer["median"] is None and goal.absolute is not None:
        if goal.yardstick is not None:
            name, there = goal.yardstick
            scale = ratio(figures[name]["median"], absolute[there])
            if scale is not None:
                said["yardstick"], said["scale"] = name, scale
        figure = absolute[goal.absolute] * said["scale"]
        said["absolute"] = goal.absolute
        said["value"] = ratio(ours["median"], figure)
        if ours.get("interval"):
            said["interval"] = [end / figure for end in ours["interval"]]
    else:
        said["value"] = ratio(ours["median"], peer["median"])
        if said["value"] is not None:
            said["interval"] = ratio_interval(ours["values"], peer["values"])
    said["verdict"] = verdict(said["value"], goal.limit)
    return said


def describe(case, runs, failed, absolute=None):
    """`runs` has, for each program, the lines of each of its runs; `absolute`
    the figures that stand in for peers."""
    figures = {name: _described_figure(case, source, runs, failed)
               for name, source in case.figures.items()}
    return {"row": case.row, "name": case.name, "key": case.key,
            "unit": case.unit, "plot": case.plot, "figures": figures,
            "goals": [_described_goal(goal, figures, absolute or {})
                      for goal in case.goals]}


def counts(report):
    """How many goals have which verdict."""
    found = {MET: 0, NOT_MET: 0, MISSING: 0}
    for case in report["cases"]:
        for goal in case["goals"]:
            found[goal["verdict"]] += 1
    found[MISSING] += len(report.get("unmeasured", {}))
    return found


# ---- two reports

def figures_of(report):
    return {(case["row"], case["name"], name): (figure, case["unit"])
            for case in report["cases"]
            for name, figure in case["figures"].items()
            if figure["median"] is not None}


def changes(old, new):
    """(key, before, now, unit, how) of what is in both: "slower", "faster",
    or "" where the intervals of the two medians meet."""
    before = figures_of(old)
    for key, (now, unit) in figures_of(new).items():
        if key not in before:
            continue
        was = before[key][0]
        how = ""
        moved = abs(now["median"] / was["median"] - 1) >= CHANGED
        if moved and was["interval"] and now["interval"]:
            if now["interval"][0] > was["interval"][1]:
                how = "slower"
            elif now["interval"][1] < was["interval"][0]:
                how = "faster"
        yield key, was, now, unit, how
