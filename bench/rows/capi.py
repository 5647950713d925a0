# SPDX-License-Identifier: BSD-3-Clause
"""Row 17: chares in C."""

from harness.score import Case, Goal, Measurement

SIZES = {"8": 200000, "1024": 100000, "65536": 5000, "1048576": 500}


def pingpong(at, size):
    count = at.count(SIZES[size], 100)
    yield Measurement(f"one way in C, {size}", {
        "chare, C": at.chare_c(2, "calls", "pingpong", count, size),
        "Open MPI": at.mpi_c(2, "peer", "pingpong", count, size),
        "MPICH": at.mpi_c(2, "peer", "pingpong", count, size, name="MPICH"),
    }, [Case(17, f"one way in C, {size} bytes", {
        "chare, C": ("chare, C", "pingpong"),
        "C, Open MPI": ("Open MPI", "pingpong"),
        "C, MPICH": ("MPICH", "pingpong"),
    }, [Goal("chare, C", "C, Open MPI", 1.5, "Open MPI, one way, 8 B"),
        Goal("chare, C", "Charm++", 0.5,
             "Charm++ 8, UCX, one way in C++, 8 B",
             ("C, Open MPI", "Open MPI, one way, 8 B"))]
        if size == "8" else [], plot=("latency over size", int(size)))])


def measurements(at):
    local, flood = at.count(3000000), at.count(3000000)
    yield Measurement("same-PE call in C", {
        "chare, C": at.chare_c(1, "calls", "local", local),
    }, [Case(17, "same-PE call in C", {"chare, C": ("chare, C", "local")})])
    for size in SIZES:
        yield from pingpong(at, size)
    yield Measurement("flood in C", {
        "chare, C": at.chare_c(2, "calls", "flood", flood),
        "Open MPI": at.mpi_c(2, "peer", "flood", flood),
        "MPICH": at.mpi_c(2, "peer", "flood", flood, name="MPICH"),
    }, [Case(17, "flood in C, 8 bytes", {
        "chare, C": ("chare, C", "flood"),
        "C, Open MPI": ("Open MPI", "flood"),
        "C, MPICH": ("MPICH", "flood"),
    }, [Goal("chare, C", "C, Open MPI", 1 / 0.8, "Open MPI, flood, 8 B"),
        Goal("chare, C", "Charm++", 0.5, "Charm++ 8, MPI, flood in C++",
             ("C, Open MPI", "Open MPI, flood, 8 B"))])])
