# SPDX-License-Identifier: BSD-3-Clause
"""score.py - the arithmetic of the scorecard: medians, ratios, verdicts.

All quantities are nanoseconds for one message: less is better, and a goal is
the most that the ratio of two medians may be. A goal without a peer is an
absolute one, in ns.
"""

import dataclasses
import statistics

MET, NOT_MET, MISSING = "met", "not met", "missing"
ROUNDS_FOR_VERDICT = 10
CHANGED = 0.1  # how much a median must differ to be worth a line


@dataclasses.dataclass(frozen=True)
class Goal:
    """`ours` takes at most `limit` times what `peer` takes."""

    ours: str
    peer: str
    limit: float


@dataclasses.dataclass(frozen=True)
class Case:
    """One measurement: programs, and the key of their JSON that counts."""

    row: int
    name: str
    key: str
    programs: dict
    goals: list


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


def verdict(value, limit):
    """What was not measured is missing, and never met."""
    if value is None:
        return MISSING
    return MET if value <= limit else NOT_MET


def describe(case, results, failed):
    """A case with its results, as it goes into the JSON."""
    programs = {}
    for name, lines in results.items():
        values = [line[case.key] for line in lines if case.key in line]
        programs[name] = {
            "median_ns": median(values),
            "least_ns": min(values) if values else None,
            "spread": spread(values),
            "mean_ns": median([line["ns_each"] for line in lines
                               if "ns_each" in line]),
            "p99_ns": median([line["p99_ns"] for line in lines
                              if "p99_ns" in line]),
            "runs": len(lines),
            "values_ns": values,
        }
        if name in failed:
            programs[name]["failed"] = failed[name]
    goals = []
    for goal in case.goals:
        ours = programs.get(goal.ours, {}).get("median_ns")
        if goal.peer is None:
            value = ours
        else:
            value = ratio(ours,
                          programs.get(goal.peer, {}).get("median_ns"))
        goals.append({"ours": goal.ours, "peer": goal.peer,
                      "limit": goal.limit, "value": value,
                      "verdict": verdict(value, goal.limit)})
    return {"row": case.row, "name": case.name, "key": case.key,
            "programs": programs, "goals": goals}


# ---- telling

def time_text(ns):
    """Three digits and a unit."""
    if ns is None:
        return "-"
    for unit, size in (("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9)):
        if ns < 999.5 * size or unit == "s":
            return f"{ns / size:.3g} {unit}"
    return "-"


def _goal_text(goal):
    peer = goal["peer"]
    if peer is None:
        asked = f"<= {time_text(goal['limit'])}"
        is_now = time_text(goal["value"])
    else:
        asked = f"<= {goal['limit']:.3g} x {peer}"
        is_now = "-" if goal["value"] is None else f"{goal['value']:.2f}"
    return f"{goal['ours']} {asked}: {is_now}  {goal['verdict']}"


def table(report):
    """The report for people."""
    machine = report["machine"]
    lines = [f"{machine['cpu']}, {machine['processors']} processors, Linux "
             f"{machine['kernel']}, {machine['chare']}, {machine['mpi']}",
             "load before {:.1f}, after {:.1f}; {} rounds{}".format(
                 machine["load"][0], machine["load_after"][0],
                 report["rounds"],
                 "" if report["rounds"] >= ROUNDS_FOR_VERDICT
                 else ": too few for a verdict to rely on")]
    lines += [f"not here: {name} ({why})"
              for name, why in sorted(machine["missing"].items())]
    lines += ["", f"{'row':>3}  {'what':28} {'program':20} {'median':>8} "
              f"{'least':>8} {'spread':>6} {'p99':>8} {'mean':>8}"]
    for row in report["rows"]:
        lines += _row_lines(row)
    for number, name in sorted(report.get("unmeasured", {}).items(),
                               key=lambda item: int(item[0])):
        lines.append(f"{number:>3}  {name:28} {MISSING}")
    return "\n".join(lines)


def _row_lines(row):
    first = f"{row['row']:>3}  {row['name']:28}"
    for name, program in row["programs"].items():
        wide = program["spread"]
        line = (f"{first} {name:20} {time_text(program['median_ns']):>8} "
                f"{time_text(program['least_ns']):>8} "
                f"{'-' if wide is None else f'{wide:.0%}':>6} "
                f"{time_text(program['p99_ns']):>8} "
                f"{time_text(program['mean_ns']):>8}")
        if "failed" in program:
            line += f"  {program['failed']}"
        yield line
        first = " " * len(first)
    for goal in row["goals"]:
        yield f"{first} {_goal_text(goal)}"


def summary(report):
    """One line: how many goals have which verdict."""
    counts = {MET: 0, NOT_MET: 0, MISSING: 0}
    for row in report["rows"]:
        for goal in row["goals"]:
            counts[goal["verdict"]] += 1
    counts[MISSING] += len(report.get("unmeasured", {}))
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def changes(earlier, report):
    """(row, name, program, before, now): medians that are in both reports."""
    before = {(row["row"], row["name"], name): program["median_ns"]
              for row in earlier["rows"]
              for name, program in row["programs"].items()}
    for row in report["rows"]:
        for name, program in row["programs"].items():
            was = before.get((row["row"], row["name"], name))
            if was is not None and program["median_ns"] is not None:
                yield row["row"], row["name"], name, was, program["median_ns"]


def compare(earlier, report):
    """Lines about the medians that moved, the peers' too: where those moved,
    it is the machine that changed."""
    lines = ["", "against " + earlier["machine"]["time"] + ":"]
    if earlier["machine"]["cpu"] != report["machine"]["cpu"]:
        lines.append("  another machine: times cannot be compared")
    for row, name, program, was, now in changes(earlier, report):
        if abs(now / was - 1) >= CHANGED:
            lines.append(f"{row:>3}  {name:28} {program:20} "
                         f"{time_text(was):>8} -> {time_text(now):>8} "
                         f"({now / was - 1:+.0%})")
    if len(lines) == 2:
        lines.append(f"  nothing moved by {CHANGED:.0%} or more")
    return "\n".join(lines)
