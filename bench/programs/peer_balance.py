# SPDX-License-Identifier: BSD-3-Clause
"""peer_balance.py - examples/stencil3d.py and particles.py in mpi4py, static.

    python peer_balance.py stencil3d SIZE BX BY BZ SKEW STEPS WARM_UP
    python peer_balance.py particles COUNT CELLS CLUSTERS STEPS WARM_UP

The same functions compute the same blocks, or cells, dealt out to ranks as
chares are to PEs, and nothing moves. Prints lines of JSON: the time of a step
after the first WARM_UP; "even" is what it would be if the ranks' loads were
alike: that times mean / max of what they compute in a step, summed over steps.
With BENCH_CHECK in the environment it prints what the example prints of its
state besides, to see that both compute the same.
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, os.pardir, "examples"))
import drift  # noqa: E402
import heat  # noqa: E402
import numpy  # noqa: E402
from laps import tell  # noqa: E402
from mpi4py import MPI  # noqa: E402

comm = MPI.COMM_WORLD


def rank_of(index, shape):
    number = int(numpy.ravel_multi_index(index, shape))
    return number * comm.size // int(numpy.prod(shape))


def mine(shape):
    return [index for index in numpy.ndindex(*shape)
            if rank_of(index, shape) == comm.rank]


def timed(what, steps, warm_up, once):
    """Call once() for each step; it returns seconds of computing."""
    computed = []
    for step in range(steps):
        if step == warm_up:
            comm.barrier()
            begin = time.perf_counter()
        computed.append(once())
    comm.barrier()
    took = (time.perf_counter() - begin) / (steps - warm_up) * 1e9
    table = numpy.array(comm.gather(computed[warm_up:]) or [[0]])
    most, mean = table.max(axis=0).sum(), table.mean(axis=0).sum()
    if comm.rank == 0:
        tell(what, step_ns=took, over_perfect=took * (steps - warm_up) * 1e-9
             / mean)
        tell(f"{what} even", step_ns=took * mean / most,
             imbalance=most / mean)


class Stencil:
    def __init__(self, size, blocks, skew):
        self.blocks = blocks
        shape = [size // n for n in blocks]
        self.cells = {i: heat.block(i, shape) for i in mine(blocks)}
        self.times = {i: heat.times_of(i, blocks, skew) for i in self.cells}

    def tag(self, index, side):
        number = int(numpy.ravel_multi_index(index, self.blocks))
        return 6 * number + 2 * side[0] + (side[1] > 0)

    def swap(self):
        """Faces: copied to blocks of this rank, sent to others."""
        requests, coming = [], []
        for index, cells in self.cells.items():
            for (axis, way), other in heat.neighbours(
                    index, self.blocks).items():
                face = heat.face(axis, 1 if way < 0 else -2)
                border = heat.face(axis, 0 if way < 0 else -1)
                if other in self.cells:
                    # From the neighbour into this one's border.
                    cells[border] = self.cells[other][
                        heat.face(axis, -2 if way < 0 else 1)]
                    continue
                rank = rank_of(other, self.blocks)
                out = numpy.ascontiguousarray(cells[face])
                into = numpy.empty_like(out)
                requests.append(comm.Isend(
                    out, rank, self.tag(index, (axis, way))))
                requests.append(comm.Irecv(
                    into, rank, self.tag(other, (axis, -way))))
                coming.append((cells, border, into))
        MPI.Request.Waitall(requests)
        for cells, border, into in coming:
            cells[border] = into

    def once(self):
        self.swap()
        begin = time.perf_counter()
        for index, cells in self.cells.items():
            heat.relax(cells, self.times[index])
        return time.perf_counter() - begin


class Particles:
    def __init__(self, count, cells, clusters):
        self.cells = cells
        rows = drift.start(count, clusters, 1)
        places = drift.cell_of(rows, cells)
        self.rows = {i: rows[(places == i).all(axis=1)]
                     for i in mine((cells, cells))}

    def once(self):
        took = 0
        came = {index: {} for index in self.rows}
        out = [[] for _ in range(comm.size)]
        for index, rows in self.rows.items():
            begin = time.perf_counter()
            self.rows[index], leaving = drift.step(rows, index, self.cells)
            took += time.perf_counter() - begin
            for (i, j), some in leaving.items():
                other = ((index[0] + i) % self.cells,
                         (index[1] + j) % self.cells)
                if other in came:
                    came[other][-i, -j] = some
                else:
                    out[rank_of(other, (self.cells,) * 2)].append(
                        (other, (-i, -j), some))
        for parcels in comm.alltoall(out):
            for other, side, some in parcels:
                came[other][side] = some
        begin = time.perf_counter()
        for index, sides in came.items():
            self.rows[index] = drift.joined(self.rows[index], sides)
        return took + time.perf_counter() - begin


def main(what, *numbers):
    numbers = [int(number) for number in numbers]
    *how, steps, warm_up = numbers
    if what == "stencil3d":
        size, bx, by, bz, skew = how
        program = Stencil(size, (bx, by, bz), skew)
    else:
        program = Particles(*how)
    timed(what, steps, warm_up, program.once)
    check(what, program)


def check(what, program):
    """That it is the same program: what the example prints of its state."""
    if "BENCH_CHECK" not in os.environ:
        return
    if what == "stencil3d":
        parts = comm.gather({index: cells[1:-1, 1:-1, 1:-1].copy()
                             for index, cells in program.cells.items()})
    else:
        parts = comm.gather(program.rows)
    if comm.rank == 0:
        import zlib
        parts = {index: part for some in parts for index, part in some.items()}
        if what == "stencil3d":
            shape = next(iter(parts.values())).shape
            whole = heat.together([parts[index] for index in sorted(parts)],
                                  program.blocks, shape)
        else:
            whole = drift.in_order(list(parts.values()))
        tell("state", state=f"{zlib.crc32(whole.tobytes()):08x}")


if __name__ == "__main__":
    main(*sys.argv[1:])
