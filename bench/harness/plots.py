# SPDX-License-Identifier: BSD-3-Clause
"""plots.py - the report's curves as pictures, by Matplotlib.

    python plots.py REPORT.json FOLDER

Latency over size, the rate of broadcasts and of tasks over PEs, the start over
ranks: what the cases of the report say by their "plot"; and the efficiency
over the granularity, for METG. Run by run.py, with the interpreter that has
Matplotlib.
"""

import json
import os
import re
import sys

AXES = {"latency over size": "bytes", "start over ranks": "ranks"}


def curves(report):
    """{picture: {who: [(x, median, (low, high)), ...]}}, in ns."""
    pictures = {}
    for case in report["cases"]:
        if not case["plot"]:
            continue
        picture, x = case["plot"]
        for who, figure in case["figures"].items():
            if figure["median"] is None:
                continue
            ends = figure["interval"] or [figure["median"]] * 2
            # One curve, though its name says the size.
            who = re.sub(r", 8 B$", "", who)
            pictures.setdefault(picture, {}).setdefault(who, []).append(
                (x, figure["median"], ends))
    return pictures


def is_rate(picture):
    return picture.startswith("rate")


def scaled(picture, points):
    """(xs, values, how far down, how far up): us, or how many in a second."""
    def value(ns):
        return 1e9 / ns if is_rate(picture) else ns * 1e-3
    xs, values, down, up = [], [], [], []
    for x, median, ends in sorted(points):
        low, high = sorted(map(value, ends))
        xs.append(x)
        values.append(value(median))
        down.append(max(values[-1] - low, 0))
        up.append(max(high - values[-1], 0))
    return xs, values, down, up


def draw(picture, lines, axes):
    for who, points in sorted(lines.items()):
        xs, values, down, up = scaled(picture, points)
        axes.errorbar(xs, values, [down, up], marker="o", capsize=2, label=who,
                      linewidth=2 if "chare" in who else 1)
    axes.set(xscale="log", yscale="log", xlabel=AXES.get(picture, "PEs"),
             ylabel=("1/s" if is_rate(picture) else "us")
             + ", median and 95 % interval")


def draw_efficiency(case, axes):
    for who, figure in sorted(case["figures"].items()):
        if "curve" in figure:
            axes.plot([ns * 1e-3 for ns, _ in figure["curve"]],
                      [efficiency for _, efficiency in figure["curve"]],
                      marker="o", linewidth=2 if "chare" in who else 1,
                      label=who)
    axes.axhline(0.5, color="grey", linestyle="--")
    axes.set(xscale="log", xlabel="granularity of a task, us",
             ylabel="efficiency")


def pictures(report):
    """(name, what draws it on axes)."""
    for picture, lines in curves(report).items():
        yield picture, lambda axes, p=picture, c=lines: draw(p, c, axes)
    for case in report["cases"]:
        if any("curve" in figure for figure in case["figures"].values()):
            yield case["name"], lambda axes, c=case: draw_efficiency(c, axes)


def save(name, drawing, folder):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    drawing(axes)
    axes.set_title(name)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    path = os.path.join(folder, re.sub(r"\W+", "-", name).strip("-") + ".png")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def main(arguments):
    with open(arguments[0], encoding="utf-8") as file:
        report = json.load(file)
    for name, drawing in pictures(report):
        print(save(name, drawing, arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
