# SPDX-License-Identifier: BSD-3-Clause
"""Rows 13, 15 and 16: the start, the creation of chares, and the pool."""

from harness.score import Case, Goal, Measurement

MILLION = 1000000
TASKS = 100000


def launch(at, ranks):
    absolute = {2: "Charm4py 1.1, TCP, start of hello, 2 PEs",
                8: "Charm4py 1.1, TCP, start of hello, 8 PEs"}.get(ranks)
    yield Measurement(f"launch of {ranks}", {
        "chare": at.chare(ranks, "hello.py"),
        "mpi4py": at.mpi4py(ranks, "hello.py", "mpi"),
        "mpi4py, MPICH": at.mpi4py(ranks, "hello.py", "mpi", name="MPICH"),
        "Charm4py": at.charm4py(ranks, "hello.py"),
    }, [Case(13, f"{ranks} ranks, until main", {
        "chare": ("chare", "main"),
        "mpi4py, Open MPI": ("mpi4py", "main"),
        "mpi4py, MPICH": ("mpi4py, MPICH", "main"),
        "Charm4py, TCP": ("Charm4py", "main"),
    }, [Goal("chare", "mpi4py, Open MPI", 1.0),
        Goal("chare", "mpi4py, MPICH", 1.0),
        Goal("chare", "Charm4py, TCP", 1.0, absolute)], key="until_ns",
        plot=("start over ranks", ranks)),
        Case(13, f"{ranks} ranks, whole", {
            "chare": ("chare", "main"),
            "mpi4py, Open MPI": ("mpi4py", "main"),
            "mpi4py, MPICH": ("mpi4py, MPICH", "main"),
            "Charm4py, TCP": ("Charm4py", "main"),
        }, key="whole_ns")])


def creation(at, pes):
    count = at.count(MILLION)
    yield Measurement(f"creation, {pes} PE", {
        "chare": at.chare(pes, "creation.py", count),
        "Charm4py": at.charm4py(pes, "creation.py", at.count(MILLION // 5)),
    }, [Case(15, f"creation of 1e6 chares, {pes} PE", {
        "chare": ("chare", "time"),
        "Charm4py": ("Charm4py", "time"),
    }, [Goal("chare", "Charm4py", 0.1,
             f"Charm4py 1.1, creation of a chare, {pes} PE"
             + "s" * (pes > 1))]),
        Case(15, f"memory of a chare, {pes} PE", {
            "chare": ("chare", "bytes"),
            "a plain object": ("chare", "plain"),
            "1.3 plain ones + 128 B": ("chare", "allowed"),
            "Charm4py": ("Charm4py", "bytes"),
        }, [Goal("chare", "1.3 plain ones + 128 B", 1.0),
            Goal("chare", None, 600)], key="bytes", unit="B")])


def pool(at, pes):
    yield Measurement(f"pool, {pes} PEs", {
        "chare": at.chare(pes, "pool.py", at.count(TASKS)),
        "Charm4py": at.charm4py(pes, "pool.py", at.count(TASKS // 20, 1000)),
        "futures": at.python_alone("peer_pool.py", "futures", str(pes),
                                   at.count(5000), cpus=2),
        "multiprocessing": at.python_alone(
            "peer_pool.py", "multiprocessing", str(pes), at.count(10000),
            cpus=2),
        "Ray": at.ray("peer_ray.py", at.count(1000)),
        "Dask": at.dask("peer_dask.py", at.count(1000)),
    }, [Case(16, f"pool, a task, {pes} PEs", {
        "chare": ("chare", "pool"),
        "concurrent.futures": ("futures", "pool"),
        "multiprocessing": ("multiprocessing", "pool"),
        "Charm4py, TCP": ("Charm4py", "pool"),
        "Ray": ("Ray", "pool"),
        "Dask": ("Dask", "pool"),
    }, [Goal("chare", "Charm4py, TCP", 0.2,
             f"Charm4py 1.1, pool, a task, {pes} PEs"),
        Goal("chare", "concurrent.futures", 0.1)],
        plot=("rate of tasks over PEs", pes))])


def measurements(at):
    for ranks in (2, 8, 32):
        yield from launch(at, ranks)
    for pes in (1, 2):
        yield from creation(at, pes)
    for pes in (2, 4):
        yield from pool(at, pes)
