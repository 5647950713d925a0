# SPDX-License-Identifier: BSD-3-Clause
"""metg.py - METG(50 %) of chares in Python, see column.py.

    python metg.py TASK_NS [block]

One chare for each column, or (block) one for each PE, which has as many
columns as a process of MPI has.
"""

import time

import column
from column import Block, Column
from model import Array, Future, charm
import taskbench

column.kernel = taskbench.run


def pattern(chares, held, radius, task_ns, what):
    pes = charm.numPes()
    done = Future()
    chares.set_up(held, radius, pes * taskbench.WIDTH_PER_PE, done)
    done.get()
    taskbench.start(pes, task_ns)
    while True:
        todo = taskbench.next()
        if todo is None:
            break
        done = Future()
        began = time.perf_counter_ns()
        chares.go(*todo, done)
        done.get()
        taskbench.took(time.perf_counter_ns() - began)
    taskbench.show(what)


def main(args):
    task_ns = int(args[1])
    held = taskbench.WIDTH_PER_PE if args[2:] == ["block"] else 1
    chares = Array(Column if held == 1 else Block,
                   charm.numPes() * taskbench.WIDTH_PER_PE // held)
    charm.awaitCreation(chares)
    pattern(chares, held, 1, task_ns, "stencil_1d")
    pattern(chares, held, 2, task_ns, "nearest")
    charm.exit()


charm.start(main)
