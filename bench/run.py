#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""run.py - the performance scorecard: chare side by side with its peers.

    bench/run.py [--rows '1 2 17'] [--quick] [--out FOLDER] [--resume]

The programs of one measurement run in turn, A/B/A/B, at least ten times, so
that whatever else the machine does meets all of them alike. A verdict is the
ratio of two medians of one run; what was not measured is missing, not met.
README.md says how to read the table.
"""

import argparse
import importlib
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from harness import report as reports, runner, score  # noqa: E402
from harness.place import Place, machine_facts  # noqa: E402

ROUNDS = 10
ROUNDS_QUICK = 3
BUSY_LOAD = 0.5  # of the processors, before the first run
FAMILIES = ("calls", "arrays", "coroutines", "metg", "collectives", "life",
            "capi", "nodes", "balance", "apps", "moves")

# What the performance scorecard asks for and no program here measures.
UNMEASURED = {14: "checkpoint, restart"}


def teller():
    """Show progress on a terminal, and only failures elsewhere."""
    wide = sys.stderr.isatty()

    def tell(text):
        if wide:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        elif text.endswith("\n"):
            print(text, end="", file=sys.stderr, flush=True)
    return tell


def measurements(at, rows):
    """All of them, or those of some rows."""
    for family in FAMILIES:
        module = importlib.import_module(f"rows.{family}")
        for measurement in module.measurements(at):
            if rows is None or {case.row for case in measurement.cases} & rows:
                yield measurement


def absolute_figures():
    with open(os.path.join(HERE, "peers.json"), encoding="utf-8") as file:
        return json.load(file)["figures"]


def run(at, options, rounds, folder):
    """All measurements; the report's cases."""
    path = os.path.join(folder, "runs.jsonl")
    if not options.resume and os.path.exists(path):
        os.remove(path)
    memory = runner.Memory(path)
    tell = teller()
    absolute = absolute_figures()
    cases = []
    for measurement in measurements(at, options.rows):
        runs, failed = runner.measure(measurement, rounds, at.environment,
                                      memory, tell)
        cases += [score.describe(case, runs, failed, absolute)
                  for case in measurement.cases
                  if options.rows is None or case.row in options.rows]
    tell("")
    return sorted(cases, key=lambda case: case["row"])


def draw(at, path, folder):
    """Pictures, where there is Matplotlib."""
    if "Matplotlib" in at.missing:
        print("no pictures: Matplotlib is not here (bench/peers.sh)")
        return
    subprocess.run([at.venv, os.path.join(HERE, "harness", "plots.py"), path,
                    folder], check=False)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", help="only these rows, such as '1 2 17'")
    parser.add_argument("--quick", action="store_true",
                        help=f"{ROUNDS_QUICK} rounds of a tenth each: to see "
                             "that all works; no verdict to rely on")
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}")
    parser.add_argument("--resume", action="store_true",
                        help="go on with the runs that are in the folder")
    parser.add_argument("--compare", metavar="FILE",
                        help="an earlier report to compare with")
    parser.add_argument("--out", metavar="FOLDER",
                        help="for the report, the runs and the pictures; "
                             "default BUILD/bench/results")
    parser.add_argument("--build", default=os.environ.get(
        "top_builddir", os.path.join(os.path.dirname(HERE), "build")))
    parser.add_argument("--python", default=os.environ.get(
        "PYTHON", sys.executable))
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.rows is not None:
        try:
            options.rows = {int(row) for row
                            in re.split("[ ,]+", options.rows.strip())}
        except ValueError:
            parser.error(f"--rows {options.rows}: numbers, please")
    return options


def read_report(path):
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    if not isinstance(report, dict) or not {"machine", "cases"} <= set(report):
        raise ValueError("not written by this program")
    return report


def warn_if_busy(facts):
    if facts["load"][0] > BUSY_LOAD * facts["processors"]:
        print(f"run.py: warning: the machine is busy (load "
              f"{facts['load'][0]:.1f} on {facts['processors']} processors); "
              "figures will be distorted", file=sys.stderr)


def main(arguments):
    options = parse(arguments)
    rounds = options.rounds or (ROUNDS_QUICK if options.quick else ROUNDS)
    try:
        earlier = options.compare and read_report(options.compare)
    except (OSError, ValueError) as error:
        print(f"run.py: {options.compare}: {error}", file=sys.stderr)
        return 2
    at = Place(options.build, options.python, options.quick)
    facts = machine_facts(at)
    warn_if_busy(facts)
    folder = options.out or os.path.join(at.build, "bench", "results")
    os.makedirs(folder, exist_ok=True)
    cases = run(at, options, rounds, folder)
    if not cases:
        print("run.py: nothing here measures any of these rows: "
              f"{sorted(options.rows)}", file=sys.stderr)
        return 2
    facts["load_after"] = os.getloadavg()
    report = {"machine": facts, "rounds": rounds, "quick": options.quick,
              "cases": cases,
              "unmeasured": UNMEASURED if options.rows is None else {}}
    path = os.path.join(folder, "report.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    text = reports.table(report) + "\n\n" + reports.summary(report)
    with open(os.path.join(folder, "report.txt"), "w",
              encoding="utf-8") as file:
        file.write(text + "\n")
    print(text)
    draw(at, path, folder)
    if earlier:
        print("\n".join(reports.comparison(earlier, report)[0]))
    print(f"written to {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
