# SPDX-License-Identifier: BSD-3-Clause
"""Rows 1 to 4: a call on the same PE, to another one, many, an awaited one."""

from harness.score import Case, Goal, Measurement

# Charm4py from PyPI goes through TCP; what it takes on faster layers, built by
# hand, is in peers.json.
BEST = "Charm4py, fastest layer"


def best(limit, absolute, yardstick=None, ours="chare"):
    return Goal(ours, BEST, limit, absolute, yardstick)


def same_pe(at):
    step = "local:" + at.count(400000)
    yield Measurement("same-PE call", {
        "chare": at.chare(1, "calls.py", step),
        "Charm4py": at.charm4py(1, "calls.py", "local:" + at.count(100000)),
        "asyncio": at.python_alone("peer_asyncio.py", step),
    }, [Case(1, "same-PE call, int", {
        "chare": ("chare", "local"),
        "Charm4py": ("Charm4py", "local"),
        "asyncio call_soon": ("asyncio", "local"),
    }, [Goal("chare", "Charm4py", 0.08,
             "Charm4py 1.1, same-PE call"),
        Goal("chare", "Charm++", 1.0, "Charm++ 8, same-PE call in C++",
             ("Charm4py", "Charm4py 1.1, same-PE call"))])])


def parts(at):
    """Where the time of a call goes: docs/performance.md."""
    yield Measurement("parts of a call", {
        "chare": at.chare(2, "calls.py", "split:" + at.count(100000)),
    }, [Case(1, "parts of a call, int", {
        "plain Python call": ("chare", "split plain"),
        "chare, sending": ("chare", "split send"),
        "chare, executing": ("chare", "split execute"),
        "chare, sending to PE 1": ("chare", "split send away"),
    })])


def one_way(at):
    ours = ["pingpong:" + at.count(50000, 2000) + ":" + what
            for what in ("int", "tuple")]
    theirs = [*ours, "pingpong:" + at.count(50000, 2000) + ":8"]
    slow = ["pingpong:" + at.count(10000, 1000) + ":" + what
            for what in ("int", "tuple")]
    yield Measurement("one way", {
        "chare": at.chare(2, "calls.py", *ours),
        "mpi4py": at.mpi4py(2, "peer_mpi.py", *theirs),
        "mpi4py, MPICH": at.mpi4py(2, "peer_mpi.py", *theirs, name="MPICH"),
        "Charm4py": at.charm4py(2, "calls.py", *slow),
        "pipe": at.python_alone("peer_pool.py", "pipe", "1",
                                at.count(10000), cpus=2),
    }, [Case(2, f"one way, {what}", {
        "chare": ("chare", f"pingpong {what}"),
        "mpi4py send": ("mpi4py", f"pingpong {what}"),
        "mpi4py Send, 8 B": ("mpi4py", "pingpong 8"),
        "mpi4py send, MPICH": ("mpi4py, MPICH", f"pingpong {what}"),
        "mpi4py Send, MPICH": ("mpi4py, MPICH", "pingpong 8"),
        "Charm4py, TCP": ("Charm4py", f"pingpong {what}"),
        **({"multiprocessing.Pipe": ("pipe", "pingpong int")}
           if what == "int" else {}),
    }, [Goal("chare", "Charm4py, TCP", 0.2),
        best(0.2, "Charm4py 1.1, UCX, one way, int",
             ("mpi4py Send, 8 B",
              "mpi4py on Open MPI, one way, 8 B, buffers")),
        Goal("chare", "mpi4py send", 0.55,
             "mpi4py on Open MPI, one way, int, pickled"),
        Goal("chare", "mpi4py Send, 8 B", 1.0,
             "mpi4py on Open MPI, one way, 8 B, buffers")])
        for what in ("int", "tuple")])


def flood(at):
    step = "flood:" + at.count(200000) + ":int"
    yield Measurement("flood", {
        "chare": at.chare(2, "calls.py", step),
        "mpi4py": at.mpi4py(2, "peer_mpi.py", step),
        "mpi4py, MPICH": at.mpi4py(2, "peer_mpi.py", step, name="MPICH"),
        "Open MPI": at.mpi_c(2, "peer", "flood", at.count(2000000)),
        "Charm4py": at.charm4py(2, "calls.py",
                                "flood:" + at.count(50000) + ":int"),
        "Ray": at.ray("peer_ray.py", at.count(1000)),
        "pipe": at.python_alone("peer_pool.py", "pipe", "1",
                                at.count(10000), cpus=2, every=3),
    }, [Case(3, "flood, int", {
        "chare": ("chare", "flood int"),
        "mpi4py send": ("mpi4py", "flood int"),
        "mpi4py send, MPICH": ("mpi4py, MPICH", "flood int"),
        "C, Open MPI": ("Open MPI", "flood"),
        "Charm4py, TCP": ("Charm4py", "flood int"),
        "Ray, actor": ("Ray", "flood int"),
        "multiprocessing.Pipe": ("pipe", "flood int"),
    }, [Goal("chare", "Charm4py, TCP", 1 / 6),
        best(1 / 6, "Charm4py 1.1, Open MPI, flood to another PE",
             ("mpi4py send", "mpi4py on Open MPI, flood, int, pickled")),
        Goal("chare", "mpi4py send", 0.5,
             "mpi4py on Open MPI, flood, int, pickled"),
        Goal("chare", "C, Open MPI", 5.0, "Open MPI, flood, 8 B")])])


def awaited(at):
    count = at.count(20000, 1000)
    yield Measurement("awaited call", {
        "chare": at.chare(2, "calls.py", f"get:{count}", f"await:{count}"),
        "mpi4py": at.mpi4py(2, "peer_mpi.py", f"roundtrip:{count}:int"),
        "Charm4py": at.charm4py(2, "calls.py",
                                "get:" + at.count(5000, 1000)),
        "futures": at.python_alone("peer_pool.py", "futures", "2",
                                   at.count(4000), cpus=2, every=3),
        "Ray": at.ray("peer_ray.py", at.count(1000)),
        "Dask": at.dask("peer_dask.py", at.count(1000)),
    }, [Case(4, "awaited call, round trip", {
        "chare, await": ("chare", "await"),
        "chare, get": ("chare", "get"),
        "mpi4py send + recv": ("mpi4py", "roundtrip int"),
        "Charm4py, TCP": ("Charm4py", "get"),
        "concurrent.futures": ("futures", "get"),
        "Ray, actor": ("Ray", "get"),
        "Dask, actor": ("Dask", "get"),
    }, [goal for ours in ("chare, await", "chare, get") for goal in (
        Goal(ours, "Charm4py, TCP", 0.2),
        best(0.2, "Charm4py 1.1, UCX, ret=True + get, round trip",
             ("mpi4py send + recv", "mpi4py on Open MPI, send + recv, round "
              "trip, int, pickled"), ours),
        Goal(ours, "mpi4py send + recv", 1.0))])])


def measurements(at):
    for family in (same_pe, parts, one_way, flood, awaited):
        yield from family(at)
