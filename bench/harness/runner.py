# SPDX-License-Identifier: BSD-3-Clause
"""runner.py - runs the programs of a measurement in turn, and remembers.

Each run is a line of a file as soon as it is over. With the same file a run
that was interrupted goes on where it was.
"""

import json
import os
import signal
import subprocess
import time

RUN_TIMEOUT_S = 60
BUDGET_S = 400       # of a measurement, after which it ends early
ROUNDS_LEAST = 3     # however long they take


def run_once(program, environment):
    """The JSON lines of one run; None, with a note, if it failed."""
    began_ns = time.time_ns()
    process = subprocess.Popen(
        program.command, env={**environment, **program.environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        said, complaints = process.communicate(timeout=RUN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, f"took more than {RUN_TIMEOUT_S} s"
    ended_ns = time.time_ns()
    lines = [json.loads(line) for line in said.splitlines()
             if line.startswith('{"what"')]
    if not lines or process.returncode != 0:
        last = (complaints or said).strip().splitlines()[-1:]
        return None, f"exit code {process.returncode}: {' '.join(last)[:200]}"
    for line in lines:
        line["whole_ns"] = ended_ns - began_ns
        if "at_ns" in line:  # the time of day when the program was there
            line["until_ns"] = line["at_ns"] - began_ns
    return lines, ""


class Memory:
    """The runs that were made, in a file."""

    def __init__(self, path):
        self.path = path
        self.known = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for text in file:
                    run = json.loads(text)
                    self.known[tuple(run["key"])] = run

    def get(self, *key):
        return self.known.get(key)

    def put(self, lines, why, *key):
        run = {"key": key, "lines": lines, "why": why}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(run) + "\n")
        self.known[key] = run
        return run


def measure(measurement, rounds, environment, memory, tell):
    """Run a measurement's programs in turn; what each of them gave, and why
    those that gave nothing did not."""
    runs = {name: [] for name in measurement.programs}
    failed = {name: "not here" for name, program
              in measurement.programs.items() if program is None}
    began = time.monotonic()
    for number in range(rounds):
        if (number >= ROUNDS_LEAST
                and time.monotonic() - began > BUDGET_S):
            break
        for name, program in measurement.programs.items():
            if name in failed or number % program.every != 0:
                continue
            tell(f"{measurement.name}: {name} {number + 1}/{rounds}")
            run = memory.get(measurement.name, name, number)
            if run is None:
                run = memory.put(*run_once(program, environment),
                                 measurement.name, name, number)
            if run["lines"] is None:
                failed[name] = run["why"]
                tell(f"{measurement.name}: {name} failed: {run['why']}\n")
            else:
                runs[name].append(run["lines"])
    for name in failed:
        runs[name] = []
    return runs, failed
