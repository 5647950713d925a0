# SPDX-License-Identifier: BSD-3-Clause
"""plots.py - the report's curves as pictures, by Matplotlib.

    python plots.py REPORT.json FOLDER

Latency over size, broadcast and reduction over PEs, the start over ranks: what
the cases of the report say by their "plot". Run by run.py, with the
interpreter that has Matplotlib.
"""

import json
import os
import re
import sys

AXES = {"latency over size": "bytes", "broadcast + sum over PEs": "PEs",
        "start over ranks": "ranks", "efficiency over granularity": "s"}


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


def draw(picture, lines, folder):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for who, points in sorted(lines.items()):
        points = sorted(points)
        medians = [median * 1e-3 for _, median, _ in points]
        axes.errorbar(
            [x for x, _, _ in points], medians,
            [[max(median - ends[0] * 1e-3, 0) for median, (_, _, ends)
              in zip(medians, points)],
             [max(ends[1] * 1e-3 - median, 0) for median, (_, _, ends)
              in zip(medians, points)]],
            marker="o", capsize=2, linewidth=2 if "chare" in who else 1,
            label=who)
    axes.set(xscale="log", yscale="log", xlabel=AXES.get(picture, ""),
             ylabel="us, median and 95 % interval", title=picture)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    path = os.path.join(folder, re.sub(r"\W+", "-", picture) + ".png")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def main(arguments):
    with open(arguments[0], encoding="utf-8") as file:
        report = json.load(file)
    for picture, lines in curves(report).items():
        print(draw(picture, lines, arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
