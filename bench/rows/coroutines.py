# SPDX-License-Identifier: BSD-3-Clause
"""Row 6: a coroutine suspends and resumes, or begins, in one PE."""

from harness.score import Case, Goal, Measurement


def measurements(at):
    count = at.count(200000, 20000)
    few = at.count(40000, 10000)
    yield Measurement("coroutines", {
        "chare": at.chare(1, "coroutines.py", f"async:{count}",
                          f"coro:{count}", f"start:{count}",
                          f"task:{count}"),
        "Charm4py": at.charm4py(1, "coroutines.py", f"coro:{few}",
                                f"start:{few}"),
        "asyncio": at.python_alone("peer_asyncio.py", f"async:{few}",
                                   f"task:{few}"),
    }, [Case(6, "coroutine hop: suspend + resume", {
        "chare, async def": ("chare", "async"),
        "chare, @coro": ("chare", "coro"),
        "Charm4py": ("Charm4py", "coro"),
        "asyncio": ("asyncio", "async"),
    }, [Goal("chare, async def", "Charm4py", 0.1,
             "Charm4py 1.1, future wait and resume"),
        Goal("chare, async def", "asyncio", 0.2,
             "asyncio, a hop between two coroutines")]),
        Case(6, "coroutine start, over a plain call", {
            "chare, @coro": ("chare", "start"),
            "chare, async def": ("chare", "task"),
            "Charm4py": ("Charm4py", "start"),
            "asyncio create_task": ("asyncio", "task"),
        }, [Goal("chare, @coro", "Charm4py", 0.1,
                 "Charm4py 1.1, coroutine start over a plain call")])])
