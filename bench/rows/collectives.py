# SPDX-License-Identifier: BSD-3-Clause
"""Rows 8 and 9: broadcast and reduction, quiescence, more PEs than
processors, and the first message after a second of silence."""

from harness.score import Case, Goal, Measurement
from rows.calls import best


def two_pes(at):
    count = at.count(10000, 1000)
    yield Measurement("collectives, 2 PEs", {
        "chare": at.chare(2, "calls.py", f"reduce:{count}",
                          f"barrier:{count}", "quiet:" + at.count(3000, 300)),
        "mpi4py": at.mpi4py(2, "peer_mpi.py", f"reduce:{count}",
                            f"barrier:{count}"),
        "Charm4py": at.charm4py(2, "calls.py",
                                "reduce:" + at.count(2000, 200),
                                "quiet:" + at.count(300, 30)),
        "chare, C": at.chare_c(2, "calls", "reduce", at.count(50000)),
        "quiet, C": at.chare_c(2, "calls", "quiet", at.count(20000)),
        "Open MPI": at.mpi_c(2, "peer", "reduce", at.count(50000)),
    }, [Case(8, "broadcast + sum, 2 PEs", {
        "chare": ("chare", "reduce"),
        "mpi4py bcast + reduce": ("mpi4py", "reduce"),
        "Charm4py, TCP": ("Charm4py", "reduce"),
    }, [Goal("chare", "Charm4py, TCP", 0.15),
        best(0.15, "Charm4py 1.1, UCX, broadcast + sum, 2 PEs",
             ("mpi4py bcast + reduce",
              "mpi4py on Open MPI, bcast + reduce, 2 ranks")),
        Goal("chare", "mpi4py bcast + reduce", 0.65,
             "mpi4py on Open MPI, bcast + reduce, 2 ranks")],
        plot=("rate of broadcast + sum over PEs", 2)),
        Case(8, "barrier, 2 PEs", {
            "chare, allreduce()": ("chare", "barrier"),
            "mpi4py barrier": ("mpi4py", "barrier")}),
        Case(8, "quiescence, 2 PEs", {
            "chare": ("chare", "quiet"),
            "a reduction": ("chare", "reduce"),
            "Charm4py, TCP": ("Charm4py", "quiet"),
        }, [Goal("chare", "a reduction", 3.0)]),
        Case(8, "broadcast + sum in C, 2 PEs", {
            "chare, C": ("chare, C", "reduce"),
            "chare, C, quiescence": ("quiet, C", "quiet"),
            "C, Open MPI": ("Open MPI", "reduce"),
        }, [Goal("chare, C, quiescence", "chare, C", 3.0)])])


def wide(at):
    yield Measurement("10,000 chares", {
        "chare": at.chare(2, "calls.py", "wide:" + at.count(50, 5)),
        "chare, C": at.chare_c(2, "calls", "wide", at.count(200, 20)),
        "Charm4py": at.charm4py(2, "calls.py", "wide:" + at.count(20, 3)),
    }, [Case(8, "broadcast + reduction, 10,000 chares", {
        "chare": ("chare", "wide"),
        "chare, C": ("chare, C", "wide"),
        "Charm4py, TCP": ("Charm4py", "wide"),
    }, [Goal("chare", "Charm4py, TCP", 0.15,
             "Charm4py 1.1, TCP, 10,000 chares broadcast + reduction")])])


def crowded(at, pes, count):
    step = "reduce:" + at.count(count, 50)
    theirs = (f"mpi4py on Open MPI, bcast + reduce, {pes} ranks on 2 "
              "processors")
    yield Measurement(f"{pes} PEs", {
        "chare": at.chare(pes, "calls.py", step),
        "mpi4py": at.mpi4py(pes, "peer_mpi.py", step),
        "Charm4py": at.charm4py(pes, "calls.py", "reduce:50"),
    }, [Case(9, f"broadcast + sum, {pes} PEs", {
        "chare": ("chare", "reduce"),
        "mpi4py bcast + reduce": ("mpi4py", "reduce"),
        "Charm4py, TCP": ("Charm4py", "reduce"),
    }, [best(0.5, "Charm4py 1.1, Open MPI, broadcast + sum, "
             f"{pes} PEs on 2 processors", ("mpi4py bcast + reduce", theirs)),
        Goal("chare", "mpi4py bcast + reduce", 1.0, theirs)], plot=("rate of broadcast + sum over PEs", pes))])


def idle(at):
    yield Measurement("after a second of silence", {
        "chare": at.chare(2, "calls.py", "idle:1"),
        "mpi4py": at.mpi4py(2, "peer_mpi.py", "idle:1"),
        "mpi4py, MPICH": at.mpi4py(2, "peer_mpi.py", "idle:1", name="MPICH"),
        "Charm4py": at.charm4py(2, "calls.py", "idle:1"),
    }, [Case(9, "first call after 1 s, round trip", {
        "chare": ("chare", "idle"),
        "mpi4py (spins all the time)": ("mpi4py", "idle"),
        "mpi4py, MPICH (spins)": ("mpi4py, MPICH", "idle"),
        "Charm4py, TCP": ("Charm4py", "idle"),
    }, [Goal("chare", "mpi4py (spins all the time)", 1.5),
        Goal("chare", "Charm4py, TCP", 1.5)])])


def measurements(at):
    yield from two_pes(at)
    yield from wide(at)
    for pes, count in ((4, 2000), (8, 1000)):
        yield from crowded(at, pes, count)
    yield from idle(at)
