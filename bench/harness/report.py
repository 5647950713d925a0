# SPDX-License-Identifier: BSD-3-Clause
"""report.py - the report for people: the table, and two reports compared."""

import harness.score as score

UNITS = {"ns": (("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9)),
         "B": (("B", 1), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9)),
         "x": (("x", 1),)}  # a ratio


def text_of(value, unit="ns"):
    """Three digits and a unit."""
    if value is None:
        return "-"
    units = UNITS[unit]
    for name, size in units:
        if abs(value) < 999.5 * size or name == units[-1][0]:
            return f"{value / size:.3g} {name}"
    return "-"


def _interval_text(interval, unit=None):
    if interval is None:
        return ""
    ends = (f"{end:.2f}" if unit is None else text_of(end, unit)
            for end in interval)
    return " (" + " to ".join(ends) + ")"


def goal_text(goal, unit):
    if goal["peer"] is None:
        asked = f"<= {text_of(goal['limit'], unit)}"
        now = text_of(goal["value"], unit)
        where = _interval_text(goal["interval"], unit)
    else:
        asked = f"<= {goal['limit']:.3g} x {goal['peer']}"
        now = "-" if goal["value"] is None else f"{goal['value']:.3g}"
        where = _interval_text(goal["interval"])
    said = goal["verdict"]
    if goal["absolute"] is not None and goal["value"] is not None:
        said += " (against the figure of another machine"
        if goal.get("yardstick"):
            said += (f" x {goal['scale']:.3g}, as for {goal['yardstick']}")
        said += ")"
    return f"{goal['ours']} {asked}: {now}{where}  {said}"


def _case_lines(case):
    first = f"{case['row']:>3}  {case['name']:36}"
    unit = case["unit"]
    for name, figure in case["figures"].items():
        if "failed" in figure:
            yield f"{first} {name:22} {figure['failed']}"
        else:
            wide = figure["spread"]
            yield (f"{first} {name:22} {text_of(figure['median'], unit):>8} "
                   f"{_interval_text(figure['interval'], unit):24} "
                   f"{text_of(figure['least'], unit):>8} "
                   f"{'-' if wide is None else f'{wide:.0%}':>6} "
                   f"{text_of(figure['p99'], unit):>8} "
                   f"{text_of(figure['mean'], unit):>8} "
                   f"{figure['runs']:>4}")
        first = " " * len(first)
    for goal in case["goals"]:
        yield f"{first} {goal_text(goal, unit)}"


def table(report):
    """The report for people."""
    machine = report["machine"]
    lines = [f"{machine['cpu']}, {machine['processors']} processors, Linux "
             f"{machine['kernel']}; " + ", ".join(machine["versions"]),
             "load before {:.1f}, after {:.1f}; {} rounds{}".format(
                 machine["load"][0], machine["load_after"][0],
                 report["rounds"],
                 "" if report["rounds"] >= score.ROUNDS_FOR_VERDICT
                 else ": too few for a verdict to rely on")]
    lines += [f"not here: {name} ({why})"
              for name, why in sorted(machine["missing"].items())]
    lines += ["", f"{'row':>3}  {'what':36} {'who':22} {'median':>8} "
              f"{'(95 % interval)':24} {'least':>8} {'spread':>6} {'p99':>8} "
              f"{'mean':>8} {'runs':>4}"]
    for case in report["cases"]:
        lines += _case_lines(case)
    for number, name in sorted(report.get("unmeasured", {}).items(),
                               key=lambda item: int(item[0])):
        lines.append(f"{number:>3}  {name:36} {score.MISSING}")
    return "\n".join(lines)


def summary(report):
    return ", ".join(f"{count} {name}"
                     for name, count in score.counts(report).items())


def comparison(old, new):
    """Lines about what changed beyond the intervals, and how many of ours got
    slower. The peers' figures tell whether it was the machine."""
    lines = [f"{old['machine']['time']} -> {new['machine']['time']}"]
    if old["machine"]["cpu"] != new["machine"]["cpu"]:
        lines.append("another machine: times cannot be compared")
    slower = 0
    for (row, name, who), was, now, unit, how in score.changes(old, new):
        if not how:
            continue
        ours = who.startswith("chare")
        slower += ours and how == "slower"
        lines.append(
            f"{row:>3}  {name:36} {who:22} "
            f"{text_of(was['median'], unit):>8} -> "
            f"{text_of(now['median'], unit):>8} "
            f"({now['median'] / was['median'] - 1:+.0%}) {how}"
            f"{'' if ours else ' (a peer: the machine changed)'}")
    if len(lines) == 1:
        lines.append("nothing moved beyond the confidence intervals")
    return lines, slower
