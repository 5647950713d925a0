# SPDX-License-Identifier: BSD-3-Clause
"""Row 7: METG(50 %) of Task Bench, see taskbench/sweep.h."""

import os

from harness.score import Case, Goal, Measurement

PATTERNS = {"stencil_1d": "stencil", "nearest": "nearest 5"}
TASK_NS = "300000"        # of the largest tasks of a sweep
TASK_SLOW_NS = "50000000"  # where a task costs milliseconds


def measurements(at):
    def script(name):
        return os.path.join(os.pardir, "taskbench", name)

    yield Measurement("METG", {
        "chare": at.chare(2, script("metg.py"), TASK_NS),
        "chare, block each": at.chare(2, script("metg.py"), TASK_NS, "block"),
        "chare, C": at.chare_c(2, "metg", TASK_NS),
        "chare, C, block each": at.chare_c(2, "metg", TASK_NS, "block"),
        "mpi4py": at.mpi4py(2, script("metg_mpi.py"), TASK_NS),
        "mpi4py, MPICH": at.mpi4py(2, script("metg_mpi.py"), TASK_NS,
                                   name="MPICH"),
        "Open MPI": at.mpi_c(2, "metg", TASK_NS),
        "MPICH": at.mpi_c(2, "metg", TASK_NS, name="MPICH"),
        "Charm4py": at.charm4py(2, script("metg.py"), TASK_NS),
        "Dask": at.dask(script("metg_dask.py"), TASK_SLOW_NS),
    }, [Case(7, f"METG(50 %), {text}", {
        "chare": ("chare", what),
        "chare, block each": ("chare, block each", what),
        "chare, C": ("chare, C", what),
        "chare, C, block each": ("chare, C, block each", what),
        "mpi4py": ("mpi4py", what),
        "mpi4py, MPICH": ("mpi4py, MPICH", what),
        "C, Open MPI": ("Open MPI", what),
        "C, MPICH": ("MPICH", what),
        "Charm4py, TCP": ("Charm4py", what),
        **({"Dask": ("Dask", what)} if what == "stencil_1d" else {}),
    }, [Goal("chare", "Charm4py, TCP", 0.2),
        *(goal for how in ("", ", block each") for goal in (
            Goal(f"chare{how}", "mpi4py", 1.0),
            Goal(f"chare{how}", "C, Open MPI", 3.0),
            Goal(f"chare, C{how}", "C, Open MPI", 1.0))),
        *([Goal("chare", "Dask", 0.01)] if what == "stencil_1d" else [])])
        for what, text in PATTERNS.items()])
