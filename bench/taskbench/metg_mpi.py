# SPDX-License-Identifier: BSD-3-Clause
"""metg_mpi.py - METG(50 %) of mpi4py: as metg_mpi.c, with buffers.

    python metg_mpi.py TASK_NS
"""

import sys
import time

from mpi4py import MPI
import numpy
import taskbench

COLUMNS = taskbench.WIDTH_PER_PE
comm = MPI.COMM_WORLD


class Grid:
    def __init__(self, radius):
        self.width = comm.size * COLUMNS
        first = comm.rank * COLUMNS
        self.mine = [numpy.zeros(2, numpy.int64) for _ in range(COLUMNS)]
        # (mine, theirs, rank, tag of the send, tag of the receive)
        self.pairs = []
        for i in range(COLUMNS):
            column = first + i
            for other in range(max(column - radius, 0),
                               min(column + radius + 1, self.width)):
                if other // COLUMNS != comm.rank:
                    self.pairs.append((
                        self.mine[i], numpy.zeros(2, numpy.int64),
                        other // COLUMNS, column * self.width + other,
                        other * self.width + column))

    def run(self, iterations, steps):
        for step in range(steps):
            if step > 0:
                requests = []
                for mine, theirs, rank, sent, received in self.pairs:
                    requests.append(comm.Irecv(theirs, rank, received))
                    requests.append(comm.Isend(mine, rank, sent))
                MPI.Request.Waitall(requests)
            for i in range(COLUMNS):
                taskbench.run(iterations)
                self.mine[i][0] = step


def pattern(radius, task_ns, what):
    grid = Grid(radius)
    if comm.rank == 0:
        taskbench.start(comm.size, task_ns)
    while True:
        todo = comm.bcast(taskbench.next() if comm.rank == 0 else None)
        if todo is None:
            break
        began = time.perf_counter_ns()
        grid.run(*todo)
        comm.barrier()
        if comm.rank == 0:
            taskbench.took(time.perf_counter_ns() - began)
    if comm.rank == 0:
        taskbench.show(what)


pattern(1, int(sys.argv[1]), "stencil_1d")
pattern(2, int(sys.argv[1]), "nearest")
