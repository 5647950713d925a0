# SPDX-License-Identifier: BSD-3-Clause
"""peer_asyncio.py - calls and coroutines of the event loop of one process.

    python peer_asyncio.py STEP...     each of them MODE:COUNT

    local   call_soon(), a lap under way, as in calls.py
    async   two coroutines that wake each other by futures, as coroutines.py
    task    create_task() of a coroutine that waits for nothing
"""

import asyncio
import sys

from laps import LAP_FLOOD, Laps, steps_of


class Caller:
    """As Caller.local in calls.py."""

    def __init__(self, loop, count):
        self.loop = loop
        self.laps = Laps(LAP_FLOOD)
        turns = count // LAP_FLOOD
        for _ in range(LAP_FLOOD - 1):
            loop.call_soon(self.step, turns)
        loop.call_soon(self.step_lap, turns)

    def step(self, left):
        if left:
            self.loop.call_soon(self.step, left - 1)

    def step_lap(self, left):
        self.laps.lap()
        if left:
            self.loop.call_soon(self.step_lap, left - 1)
        else:
            self.laps.print("local")
            self.loop.stop()


class Runner:
    def __init__(self, loop):
        self.loop = loop
        self.future = loop.create_future()

    async def hops(self, other, count, first):
        laps = Laps(LAP_FLOOD)
        if first:
            other.future.set_result(None)
        for _ in range(count // LAP_FLOOD // 2):
            for _ in range(LAP_FLOOD // 2):
                await self.future
                self.future = self.loop.create_future()
                other.future.set_result(None)
            laps.lap()
        if first:
            laps.print("async")


async def hop(count):
    loop = asyncio.get_running_loop()
    one, two = Runner(loop), Runner(loop)
    await asyncio.gather(two.hops(one, count, False),
                         one.hops(two, count, True))


async def nothing():
    pass


async def tasks(count):
    loop = asyncio.get_running_loop()
    laps = Laps(LAP_FLOOD)
    for _ in range(count // LAP_FLOOD):
        last = [loop.create_task(nothing()) for _ in range(LAP_FLOOD)][-1]
        await last
        laps.lap()
    laps.print("task")


def main():
    loop = asyncio.new_event_loop()
    for mode, count, _ in steps_of(sys.argv[1:]):
        if mode == "local":
            Caller(loop, count)
            loop.run_forever()
        else:
            loop.run_until_complete(
                {"async": hop, "task": tasks}[mode](count))


main()
