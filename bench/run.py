#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""run.py - the performance scorecard: chare side by side with its peers.

    bench/run.py [--rows 1,2,17] [--quick] [--compare FILE] [--out FOLDER]

The programs of one measurement run in turn, A/B/A/B, at least ten times, so
that whatever else the machine does meets all of them alike. A verdict is the
ratio of two medians of one run; what was not measured is missing, not met.
README.md says how to read the table.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys

from score import Case, Goal, compare, describe, summary, table

HERE = os.path.dirname(os.path.abspath(__file__))
ROUNDS = 10
ROUNDS_QUICK = 3
RUN_TIMEOUT_S = 60
BUSY_LOAD = 0.5  # of the processors, before the first run


class Place:
    """Where the programs are, and which of the peers there are."""

    def __init__(self, build, python):
        self.build = os.path.abspath(build)
        self.python = python
        self.cpus = sorted(os.sched_getaffinity(0))
        self.missing = {}
        self.environment = dict(os.environ)
        stage = os.path.join(self.build, "python", "stage")
        self.environment["PYTHONPATH"] = os.pathsep.join(
            [stage, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        if os.geteuid() == 0:
            self.environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
            self.environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
        self._look()

    def _look(self):
        if not os.path.exists(self._built("calls")):
            self.missing["chare, C"] = "bench/calls is not built"
        if not self._imports("import chare"):
            self.missing["chare"] = "the Python package cannot be imported"
        if shutil.which("mpirun") is None:
            self.missing["MPI, C"] = self.missing["mpi4py"] = "no mpirun"
        elif not os.path.exists(self._built("peer_mpi")):
            self.missing["MPI, C"] = "bench/peer_mpi is not built (no mpicc)"
        if "mpi4py" not in self.missing and not self._imports(
                "import mpi4py.rc; mpi4py.rc.initialize = False; "
                "from mpi4py import MPI"):
            self.missing["mpi4py"] = "mpi4py cannot be imported"
        for module in ("charm4py", "ray", "distributed"):
            if not self._imports(f"import importlib.util as u, sys; "
                                 f"sys.exit(u.find_spec('{module}') is None)"):
                self.missing[module] = "not installed"

    def _built(self, name):
        return os.path.join(self.build, "bench", name)

    def _imports(self, line):
        return subprocess.run([self.python, "-c", line], check=False,
                              env=self.environment, capture_output=True,
                              timeout=RUN_TIMEOUT_S).returncode == 0

    # The kinds of programs. Each gives a command line, or None if missing.

    def _chare(self, count, command):
        if count == 1:
            return ["taskset", "-c", str(self.cpus[0]), *command]
        return [os.path.join(self.build, "chare"), "run", "-n", str(count),
                "--bind", "core" if count <= len(self.cpus) else "none",
                *command]

    def _mpi(self, count, command):
        if count <= len(self.cpus):
            how = ["--bind-to", "core"]
        else:
            how = ["--bind-to", "none", "--oversubscribe",
                   "--mca", "mpi_yield_when_idle", "1"]
        return ["mpirun", "-n", str(count), *how, *command]

    def chare_c(self, count, *args):
        if "chare, C" in self.missing:
            return None
        return self._chare(count, [self._built("calls"), *args])

    def chare_py(self, count, *args):
        if "chare" in self.missing:
            return None
        return self._chare(
            count, [self.python, os.path.join(HERE, "calls.py"), *args])

    def mpi_c(self, count, *args):
        if "MPI, C" in self.missing:
            return None
        return self._mpi(count, [self._built("peer_mpi"), *args])

    def mpi_py(self, count, *args):
        if "mpi4py" in self.missing:
            return None
        return self._mpi(count, [self.python,
                                 os.path.join(HERE, "peer_mpi.py"), *args])

    def asyncio(self, *args):
        return ["taskset", "-c", str(self.cpus[0]), self.python,
                os.path.join(HERE, "peer_asyncio.py"), *args]


def _python_cases(at):
    yield Case(
        1, "same-PE call, int", "p50_ns",
        {"chare": at.chare_py(1, "local", "400000"),
         "asyncio call_soon": at.asyncio("local", "400000")},
        [Goal("chare", "charm4py", 0.08), Goal("chare", None, 500.0)])
    for what in ("int", "tuple"):
        yield Case(
            2, f"one way, {what}", "p50_ns",
            {"chare": at.chare_py(2, "pingpong", "50000", what),
             "mpi4py send": at.mpi_py(2, "pingpong", "50000", what),
             "mpi4py Send": at.mpi_py(2, "pingpong", "50000", "buffer")},
            [Goal("chare", "charm4py", 0.2),
             Goal("chare", "mpi4py send", 0.55),
             Goal("chare", "mpi4py Send", 1.0)])
    yield Case(
        3, "flood, int", "p50_ns",
        {"chare": at.chare_py(2, "flood", "200000", "int"),
         "mpi4py send": at.mpi_py(2, "flood", "200000", "int"),
         "MPI, C": at.mpi_c(2, "flood", "2000000")},
        [Goal("chare", "charm4py", 1 / 6), Goal("chare", "mpi4py send", 0.5),
         Goal("chare", "MPI, C", 5.0)])
    yield Case(
        4, "awaited call, round trip", "p50_ns",
        {"chare": at.chare_py(2, "ret", "30000"),
         "mpi4py send": at.mpi_py(2, "roundtrip", "30000", "int")},
        [Goal("chare", "charm4py", 0.2), Goal("chare", "mpi4py send", 1.0)])
    yield Case(
        5, "8-byte ndarray, one way", "p50_ns",
        {"chare": at.chare_py(2, "pingpong", "30000", "array"),
         "mpi4py Send": at.mpi_py(2, "pingpong", "30000", "buffer")},
        [Goal("chare", "charm4py", 0.2)])
    yield Case(
        8, "broadcast + sum, 2 PEs", "p50_ns",
        {"chare": at.chare_py(2, "reduce", "20000"),
         "mpi4py bcast": at.mpi_py(2, "reduce", "20000"),
         "chare quiescence": at.chare_py(2, "quiet", "5000")},
        [Goal("chare", "charm4py", 0.15), Goal("chare", "mpi4py bcast", 0.65),
         Goal("chare quiescence", "chare", 3.0)])
    yield Case(
        8, "the same, 10,000 chares", "p50_ns",
        {"chare": at.chare_py(2, "wide", "50")},
        [Goal("chare", "charm4py", 0.15)])


def _c_cases(at):
    yield Case(
        17, "same-PE call, C", "p50_ns",
        {"chare, C": at.chare_c(1, "local", "3000000")},
        [Goal("chare, C", None, 40.0)])
    for size, count, limit in (
            ("8", "200000", 1.5), ("1024", "100000", None),
            ("65536", "5000", None), ("1048576", "500", None)):
        yield Case(
            17, f"one way, C, {size} bytes", "p50_ns",
            {"chare, C": at.chare_c(2, "pingpong", count, size),
             "MPI, C": at.mpi_c(2, "pingpong", count, size)},
            [Goal("chare, C", "MPI, C", limit)] if limit else [])
    yield Case(
        17, "flood, C, 8 bytes", "p50_ns",
        {"chare, C": at.chare_c(2, "flood", "3000000"),
         "MPI, C": at.mpi_c(2, "flood", "3000000")},
        [Goal("chare, C", "MPI, C", 1 / 0.8)])
    yield Case(
        8, "broadcast + sum, C", "p50_ns",
        {"chare, C": at.chare_c(2, "reduce", "50000"),
         "MPI, C": at.mpi_c(2, "reduce", "50000"),
         "chare quiescence, C": at.chare_c(2, "quiet", "20000")},
        [Goal("chare quiescence, C", "chare, C", 3.0)])
    yield Case(
        8, "the same, C, 10,000 chares", "p50_ns",
        {"chare, C": at.chare_c(2, "wide", "200")}, [])


# What performance.md asks for and no program here measures.
UNMEASURED = {
    6: "coroutines", 7: "METG", 9: "oversubscribed, after idle",
    10: "LB decision", 11: "imbalanced application", 12: "migration",
    13: "launch", 14: "checkpoint, restart", 15: "creation, footprint",
    16: "pool", 18: "between nodes",
}


def run_once(command, environment):
    """The JSON line of one run of a program; None, with a note, if it
    failed."""
    try:
        done = subprocess.run(command, check=False, env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=RUN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return None, f"took more than {RUN_TIMEOUT_S} s"
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            return json.loads(line), ""
    said = (done.stderr or done.stdout).strip().splitlines()
    return None, f"exit code {done.returncode}: {said[-1] if said else ''}"


def measure(case, rounds, environment, tell):
    """Run a case's programs in turn; what each of them gave."""
    results = {name: [] for name in case.programs}
    failed = {name: "not available" for name, command in case.programs.items()
              if command is None}
    for number in range(rounds):
        for name, command in case.programs.items():
            if name in failed:
                continue
            tell(f"{case.name}: {name} {number + 1}/{rounds}")
            line, why = run_once(command, environment)
            if line is None:
                failed[name] = why
            else:
                results[name].append(line)
    for name, why in failed.items():
        results[name] = []
        if why != "not available":
            tell(f"{case.name}: {name} failed: {why}\n")
    return results, failed


def machine_facts(at):
    """What a figure means nothing without."""
    facts = {
        "time": datetime.datetime.now().isoformat(timespec="seconds"),
        "host": platform.node(),
        "kernel": platform.release(),
        "processors": len(at.cpus),
        "python": platform.python_version(),
        "load": os.getloadavg(),
        "missing": at.missing,
    }
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        facts["cpu"] = next((line.split(":")[1].strip() for line in file
                             if line.startswith("model name")), "unknown")
    for name, command in (("chare", [os.path.join(at.build, "chare"),
                                     "--version"]),
                          ("mpi", ["mpirun", "--version"])):
        try:
            said = subprocess.run(command, check=False, text=True,
                                  capture_output=True).stdout.splitlines()
        except OSError:
            said = []
        facts[name] = said[0] if said else "none"
    return facts


def teller():
    """Show progress on a terminal, and only failures elsewhere."""
    wide = sys.stderr.isatty()

    def tell(text):
        if wide:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        elif text.endswith("\n"):
            print(text, end="", file=sys.stderr, flush=True)
    return tell


def run_cases(cases, rounds, at):
    tell = teller()
    rows = []
    for case in cases:
        results, failed = measure(case, rounds, at.environment, tell)
        rows.append(describe(case, results, failed))
    tell("")
    return rows


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", help="only these rows, such as 1,2,17")
    parser.add_argument("--quick", action="store_true",
                        help=f"{ROUNDS_QUICK} rounds: no verdict to rely on")
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}")
    parser.add_argument("--compare", metavar="FILE",
                        help="an earlier JSON to compare with")
    parser.add_argument("--out", metavar="FOLDER",
                        help="for the JSON; default BUILD/bench/results")
    parser.add_argument("--build", default=os.environ.get(
        "top_builddir", os.path.join(os.path.dirname(HERE), "build")))
    parser.add_argument("--python", default=os.environ.get(
        "PYTHON", sys.executable))
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.rows is not None:
        try:
            options.rows = {int(row) for row in options.rows.split(",")}
        except ValueError:
            parser.error(f"--rows {options.rows}: numbers with commas")
    return options


def read_report(path):
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    if not isinstance(report, dict) or not {"machine", "rows"} <= set(report):
        raise ValueError("not written by this program")
    return report


def main(arguments):
    options = parse(arguments)
    rounds = options.rounds or (ROUNDS_QUICK if options.quick else ROUNDS)
    try:
        earlier = options.compare and read_report(options.compare)
    except (OSError, ValueError) as error:
        print(f"run.py: {options.compare}: {error}", file=sys.stderr)
        return 2
    at = Place(options.build, options.python)
    facts = machine_facts(at)
    if facts["load"][0] > BUSY_LOAD * len(at.cpus):
        print(f"run.py: warning: the machine is busy (load "
              f"{facts['load'][0]:.1f} on {len(at.cpus)} processors); "
              "figures will be distorted", file=sys.stderr)
    cases = [case for case in [*_python_cases(at), *_c_cases(at)]
             if options.rows is None or case.row in options.rows]
    if not cases:
        print("run.py: nothing here measures any of these rows: "
              f"{sorted(options.rows)}", file=sys.stderr)
        return 2
    rows = run_cases(cases, rounds, at)
    facts["load_after"] = os.getloadavg()
    report = {"machine": facts, "rounds": rounds, "rows": rows,
              "unmeasured": UNMEASURED if options.rows is None else {}}
    folder = options.out or os.path.join(at.build, "bench", "results")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(
        folder, facts["time"].replace(":", "").replace("-", "") + ".json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    print(table(report))
    if earlier:
        print(compare(earlier, report))
    print(f"\n{summary(report)}; written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
