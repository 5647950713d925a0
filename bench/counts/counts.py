#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""counts.py - how many instructions each of the hot paths takes.

    bench/counts/counts.py [--build BUILD] [--marks FILE]      show
    bench/counts/counts.py --record                            keep as a record

Callgrind counts instructions, which other work on the machine does not change.
paths.py goes each path at two lengths; the cost of going it once is the
difference, divided. The record is bench/instructions.json, one entry for each
build of CPython and compiler; tests/python/test_instructions.py compares.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(os.path.dirname(HERE), "instructions.json")
TIMEOUT_S = 300
FUNCTION_LEAST = 2.0  # instructions; functions below are not in the record
# What they take depends on what is free: on how the heap happens to lie.
HEAP = tuple(f"{name} (libc.so.6)" for name in (
    "_int_malloc", "_int_free", "unlink_chunk", "malloc_consolidate"))

# What one step of each path is. "receive" and "send" are the two sides of one.
PATHS = {
    "plain": "take(7), a Python method called by Python: the floor",
    "call": "proxy.take(7) to a chare on the same PE, from call to end",
    "measured": "the same, while costs are measured",
    "counted": "the same, while one call in many is counted, too",
    "profiled": "the same, while statistics are kept",
    "send": "proxy.take(7) to a chare on another PE: the sender's side",
    "receive": "the same: the receiver's side",
    "await": "await proxy.answer(7, ret=True) in an async def, one PE",
    "coro": "proxy.answer(7, ret=True).get() in a @coro method, one PE",
    "array": "proxy.take(ndarray of 8 bytes), one PE, copied on the way",
    "leave8": "a chare with an int moves: on the PE that it leaves",
    "arrive8": "the same: where it arrives",
    "leave8192": "a chare with an array of 8 KiB moves: where it leaves",
    "arrive8192": "the same: where it arrives",
    "tasks": "a step of Task Bench's stencil in 4 columns of one PE: 4 tasks "
             "that do nothing, 6 calls of two ints",
    "element": "broadcast to an array and sum of a float, for each element",
    "whole": "the same, with one argument more",
    "section": "the same in a section of all elements",
}

# What the functions of a path do, for --steps; the first that matches.
STEPS = (
    ("the interpreter", r"\(python3|^PyThread|^pthread_self"),
    ("greenlet", r"_greenlet|^switch_to|core_coroutine|core_suspend"),
    ("NumPy", r"_multiarray|numpy"),
    ("replies, collectives", r"reply|callback_(read|write)|value_execute|"
     r"chi_map|combine|reduction|chi_kernel|stream_check|number_check|sum_f|"
     r"to_kind|bigint|tally|chi_coll_|chi_obj_contribute|chi_broadcast|"
     r"chi_number|"
     r"contribute|reduce|future|waiter"),
    ("encode, decode", r"encode|decode|chare_put|chare_get|put_object|get_|"
     r"chi_array|core_array|array_make|ndarray|buffer_bytes|is_plain|payload|"
     r"chi_check_value|"
     r"dtype|str(cmp|chr|len)"),
    ("message: fill, pool", r"chi_msg_(alloc|release|target|add|resize)|"
     r"message_for|chi_cb_data_msg|chi_value_msg|core_data_args|memset|"
     r"memcpy|malloc|free|chi_pool"),
    ("where is the target", r"chi_obj_(send|local|find)|chi_target|chi_index|"
     r"chi_collection|chi_dispatch|chi_lane|chi_element|chi_pe_count|"
     r"chare_is_local|"
     r"chare_send|chi_loc"),
    ("the ring and its poll", r"shm_|chi_route|send_remote|chi_pe_forward|"
     r"net_arrived|route_arrived|wire_ok|chi_net|poll_outside"),
    ("queue, dispatch", r"chi_pe_|chi_queue|chi_invoke|chi_cb_call|"
     r"chi_timers"),
    ("the extension", r"_core\.so"),
    ("the rest", r""),
)


class Failed(Exception):
    """Nothing was counted; says why."""


# ---- running

def callgrind(folder, name):
    return ["valgrind", "--tool=callgrind", "--instr-atstart=no", "-q",
            f"--callgrind-out-file={folder}/{name}.%p",
            f"--log-file={folder}/{name}.log.%p"]


def run(build, python, marks, folder, pes):
    """Go the paths on some PEs; the files of callgrind are in the folder."""
    command = [*callgrind(folder, f"pes{pes}"), python,
               os.path.join(HERE, "paths.py"), marks, folder]
    if pes > 1:
        command = [os.path.join(build, "chare"), "run", "-n", str(pes),
                   *command]
    stage = os.path.join(build, "python", "stage")
    library = os.path.join(build, ".libs")
    environment = dict(
        os.environ, PYTHONHASHSEED="0", PYTHONPATH=stage,
        LD_LIBRARY_PATH=library, CHARE_START_TIMEOUT=str(TIMEOUT_S),
        # A busy PE looks for messages by the time, which passes faster here.
        CHARE_POLL="60", OPENBLAS_NUM_THREADS="1", LC_ALL="C")
    done = subprocess.run(command, env=environment, capture_output=True,
                          text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise Failed(f"{' '.join(command)}: exit code {done.returncode}\n"
                     f"{said[-2000:]}")


# ---- reading what callgrind wrote

NAME = re.compile(r"\((\d+)\)(?: (.*))?")


class Names:
    """Callgrind gives each name once, then its number."""

    def __init__(self):
        self.known = {}

    def __call__(self, text):
        number, name = NAME.fullmatch(text).groups()
        if name is not None:
            self.known[number] = name
        return self.known[number]


def read_part(path):
    """One file: what it counts, and the instructions of each function."""
    objects, functions = Names(), Names()
    trigger, where, here, costs, skip = "", "", "", {}, False
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            line = line.rstrip("\n")
            if line[:1].isdigit() or line[:1] in ("+", "-", "*"):
                if not skip:
                    costs[here] = costs.get(here, 0) + int(line.split()[1])
                skip = False
            elif line.startswith("calls="):
                skip = True  # the next line has what the callee took
            elif line.startswith("ob="):
                where = os.path.basename(objects(line[3:]))
            elif line.startswith("cob="):
                objects(line[4:])
            elif line.startswith("cfn="):
                functions(line[4:])
            elif line.startswith("fn="):
                here = readable(functions(line[3:]), where)
            elif line.startswith("desc: Trigger: Client Request: "):
                trigger = line.split(": ", 3)[-1]
    return trigger, costs


def readable(name, where):
    """Without what differs between builds: addresses, copies, recursion."""
    if name.startswith("0x"):
        name = "?"
    name = re.sub(r"(\.(constprop|isra|part|cold|lto_priv)(\.\d+)?)+", "",
                  name)
    return f"{re.sub(chr(39) + r'[0-9]+$', '', name)} ({where})"


def read_parts(folder):
    """{(path, length): costs}; of several parts, the last one counts."""
    found = {}
    files = [name for name in os.listdir(folder)
             if re.fullmatch(r"pes\d\.\d+\.\d+", name)]
    for name in sorted(files, key=lambda name: int(name.split(".")[-1])):
        trigger, costs = read_part(os.path.join(folder, name))
        if trigger:
            path, length = trigger.split()
            found[path, int(length)] = costs
    return found


def per_step(found):
    """{path: {function: instructions of one step}}."""
    paths = {}
    for path in {path for path, _ in found}:
        short, long = sorted(length for name, length in found if name == path)
        before, after = found[path, short], found[path, long]
        paths[path] = {
            function: (after.get(function, 0) - before.get(function, 0))
            / (long - short) for function in {*before, *after}}
    return paths


def count(build, python, marks):
    """{path: {function: instructions of one step}} of a build."""
    with tempfile.TemporaryDirectory() as folder:
        run(build, python, marks, folder, 1)
        if os.access(os.path.join(build, "chare"), os.X_OK):
            run(build, python, marks, folder, 2)
        return per_step(read_parts(folder))


# ---- the record

FACTS = """
import platform, sys, greenlet, numpy
print(platform.machine(), platform.python_implementation(), sys.version,
      "greenlet", greenlet.__version__, "numpy", numpy.__version__)
"""


def make_variable(build, name):
    """What a variable is in the Makefile of a build."""
    with open(os.path.join(build, "Makefile"), encoding="utf-8") as file:
        for line in file:
            if line.startswith(f"{name} ="):
                return line.partition("=")[2].strip()
    return ""


def build_key(build, python):
    """What the counts depend on, besides chare."""
    facts = subprocess.run([python, "-c", FACTS], capture_output=True,
                           text=True, check=True).stdout
    compiler = make_variable(build, "CC").split()
    version = subprocess.run([*compiler, "--version"], capture_output=True,
                             text=True, check=True).stdout.splitlines()[0]
    flags = [make_variable(build, name)
             for name in ("CFLAGS", "SANITIZER_FLAGS")]
    return " ".join([*facts.split(), "|", version, *flags]).strip()


def as_record(paths):
    """What goes into the file: totals, and the functions that matter."""
    return {path: {
        "instructions": round(sum(costs.values()), 1),
        "functions": {name: round(cost, 1) for name, cost in sorted(
            costs.items(), key=lambda item: -item[1])
            if cost >= FUNCTION_LEAST},
    } for path, costs in sorted(paths.items())}


def read_records(path=RECORD):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write_record(key, paths, raised=(), path=RECORD):
    """Keep what has become cheaper, or is new, or may be raised."""
    records = read_records(path) if os.path.exists(path) else {}
    records["steps"] = PATHS
    record = records.setdefault("builds", {}).setdefault(key, {})
    for name, now in as_record(paths).items():
        was = record.get(name)
        if (was is None or name in raised or
                steady(now["instructions"], now["functions"])
                < steady(was["instructions"], was["functions"])):
            record[name] = now
    with open(path, "w", encoding="utf-8") as file:
        json.dump(records, file, indent=1)
        file.write("\n")


def grown(was, costs):
    """(instructions more, function), the one that grew most first."""
    before = was["functions"]
    return sorted(((cost - before.get(name, 0), name)
                   for name, cost in costs.items() if name not in HEAP),
                  reverse=True)


def steady(total, costs):
    """A total without what depends on how the heap happens to lie."""
    return total - sum(costs.get(name, 0) for name in HEAP)


def exceeded(record, paths, margin):
    """A sentence for each path that takes more than its record allows."""
    for path, was in record.items():
        if path not in paths:
            yield f"{path}: was not counted"
            continue
        costs = paths[path]
        before = steady(was["instructions"], was["functions"])
        now = steady(sum(costs.values()), costs)
        if now > before * (1 + margin):
            most = "; ".join(f"{name} +{more:.0f}"
                             for more, name in grown(was, costs)[:3])
            yield (f"{path}: {now:.0f} instructions, recorded {before:.0f} "
                   f"({now / before - 1:+.1%}); grew most: {most}")


def table(paths, functions):
    for path, text in PATHS.items():
        costs = paths.get(path)
        if costs is None:
            yield f"{path:8} {'-':>7}  {text}"
            continue
        yield f"{path:8} {sum(costs.values()):7.0f}  {text}"
        for name, cost in sorted(costs.items(),
                                 key=lambda item: -item[1])[:functions]:
            yield f"{'':8} {cost:7.0f}      {name}"


def steps_table(paths):
    """A line for each step, a column for each path."""
    columns = [path for path in PATHS if path in paths]
    cells = {name: dict.fromkeys(columns, 0.0) for name, _ in STEPS}
    for path in columns:
        for function, cost in paths[path].items():
            step = next(name for name, pattern in STEPS
                        if re.search(pattern, function))
            cells[step][path] += cost
    yield f"{'':24}" + "".join(f"{path:>9}" for path in columns)
    for name, row in cells.items():
        yield f"{name:24}" + "".join(f"{row[path]:9.0f}" for path in columns)
    yield f"{'all':24}" + "".join(
        f"{sum(paths[path].values()):9.0f}" for path in columns)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.path.join(
        os.path.dirname(os.path.dirname(HERE)), "build"))
    parser.add_argument("--marks", help="default: BUILD/bench/counts/.libs/"
                                        "marks.so")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--functions", type=int, default=0, metavar="N",
                        help="show the N functions that take most")
    parser.add_argument("--steps", action="store_true",
                        help="show what the instructions are for")
    parser.add_argument("--record", action="store_true",
                        help=f"write what became cheaper to {RECORD}")
    parser.add_argument("--raise", nargs="+", default=[], dest="raised",
                        metavar="PATH", help="with --record: these paths may "
                        "become dearer; a decision page says why")
    options = parser.parse_args(arguments)
    build = os.path.abspath(options.build)
    marks = options.marks or os.path.join(build, "bench", "counts", ".libs",
                                          "marks.so")
    if shutil.which("valgrind") is None:
        print("counts.py: there is no valgrind", file=sys.stderr)
        return 2
    try:
        paths = count(build, options.python, os.path.abspath(marks))
    except Failed as error:
        print(f"counts.py: {error}", file=sys.stderr)
        return 1
    print("\n".join(steps_table(paths) if options.steps
                    else table(paths, options.functions)))
    if options.record:
        write_record(build_key(build, options.python), paths,
                     options.raised)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
