# SPDX-License-Identifier: BSD-3-Clause
"""Row 5: arrays as arguments, from 8 bytes to 128 MiB, and a long list."""

from harness.score import Case, Goal, Measurement
from rows.calls import BEST, best

BYTES = {"8": 8, "64K": 1 << 16, "1M": 1 << 20, "16M": 1 << 24,
         "128M": 1 << 27}
COUNTS = {"8": 20000, "64K": 500, "1M": 200, "16M": 16, "128M": 2}
SIZE_FOR_ALL = 1 << 20  # larger ones take too long through TCP
BESTS = {"8": 0.2, "1M": 0.8, "16M": 0.5, "128M": 0.5}
NAMES = {"8": "8 B", "1M": "1 MiB", "16M": "16 MiB", "128M": "128 MiB"}


def steps(at, sizes, least=1):
    return [f"{how}:{at.count(COUNTS[size], least)}:{size}"
            for size in sizes for how in ("pingpong", "keep")]


def goals(size):
    if size in BESTS:
        layer = "Open MPI" if size == "8" else "tuned"
        yield best(
            BESTS[size],
            f"Charm4py 1.1, {layer}, one way, ndarray {NAMES[size]}",
            ("mpi4py Send",
             f"mpi4py on Open MPI, one way, {NAMES[size]}, buffers"))
    if size != "8":
        yield Goal("chare", "mpi4py Send", 1.2)
        yield Goal("chare, kept", "mpi4py Send, kept", 1.2)


def cases(sizes):
    for size in sizes:
        yield Case(5, f"ndarray {size}, one way", {
            "chare": ("chare", f"pingpong {size}"),
            "chare, kept": ("chare", f"keep {size}"),
            "mpi4py Send": ("mpi4py", f"pingpong {size}"),
            "mpi4py Send, kept": ("mpi4py", f"keep {size}"),
            "mpi4py Send, MPICH": ("mpi4py, MPICH", f"pingpong {size}"),
            **({"Charm4py, TCP": ("Charm4py", f"pingpong {size}")}
               if BYTES[size] <= SIZE_FOR_ALL else {}),
        }, list(goals(size)), plot=("latency over size", BYTES[size]))


def arrays(at, name, sizes):
    charm4py = [f"pingpong:{max(COUNTS[size] // 20, 1)}:{size}"
                for size in sizes if BYTES[size] <= SIZE_FOR_ALL]
    programs = {
        "chare": at.chare(2, "calls.py", *steps(at, sizes)),
        "mpi4py": at.mpi4py(2, "peer_mpi.py", *steps(at, sizes)),
        "mpi4py, MPICH": at.mpi4py(2, "peer_mpi.py", *steps(at, sizes),
                                   name="MPICH"),
    }
    if charm4py:
        programs["Charm4py"] = at.charm4py(2, "calls.py", *charm4py)
    yield Measurement(name, programs, list(cases(sizes)))


def hand_over(at):
    yield Measurement("hand-over", {
        "chare": at.chare(1, "calls.py", "hand:" + at.count(20000) + ":1M"),
    }, [Case(5, "1 MiB handed over, one PE", {"chare": ("chare", "hand 1M")},
             [Goal("chare", BEST, 0.05,
                   "Charm4py 1.1, OFI shm, one way, ndarray 1 MiB")])])
    for pes, where in ((1, "one PE"), (2, "one way")):
        yield Measurement(f"moved, {where}", {
            "chare": at.chare(pes, "calls.py",
                              "moved:" + at.count(5000) + ":1M",
                              "moved:" + at.count(5000) + ":16M"),
        }, [Case(5, f"ndarray {size} moved, {where}", {
            "chare": ("chare", f"moved {size}"),
        }, [Goal("chare", BEST, 0.05, figure)]) for size, figure in (
            ("1M", "Charm4py 1.1, OFI shm, one way, ndarray 1 MiB"),
            ("16M", "Charm4py 1.1, tuned, one way, ndarray 16 MiB"))])


def many(at):
    flood = "flood:" + at.count(5000, 100) + ":64K"
    pingpong = "pingpong:" + at.count(100, 10) + ":list"
    yield Measurement("many arrays, long lists", {
        "chare": at.chare(2, "calls.py", flood, pingpong),
        "mpi4py": at.mpi4py(2, "peer_mpi.py", flood, pingpong),
        "Charm4py": at.charm4py(2, "calls.py", "flood:500:64K",
                                "pingpong:10:list"),
    }, [Case(5, "many arrays of 64 KiB", {
        "chare": ("chare", "flood 64K"),
        "mpi4py Send": ("mpi4py", "flood 64K"),
        "Charm4py, TCP": ("Charm4py", "flood 64K"),
    }, [Goal("chare", "mpi4py Send", 1.2)]),
        Case(5, "list of 100,000 int, one way", {
            "chare": ("chare", "pingpong list"),
            "mpi4py send": ("mpi4py", "pingpong list"),
            "Charm4py, TCP": ("Charm4py", "pingpong list"),
        }, [Goal("chare", "mpi4py send", 1.0)])])


def measurements(at):
    yield from arrays(at, "small arrays", ("8", "64K", "1M"))
    yield from arrays(at, "large arrays", ("16M", "128M"))
    yield from hand_over(at)
    yield from many(at)
