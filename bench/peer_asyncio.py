# SPDX-License-Identifier: BSD-3-Clause
"""peer_asyncio.py - calls through the event loop of one process.

    python peer_asyncio.py local N     N times call_soon(), a lap under way
"""

import asyncio
import sys

from laps import LAP_FLOOD, Laps


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
            self.laps.print("local", LAP_FLOOD * len(self.laps.took))
            self.loop.stop()


def main():
    count = int(sys.argv[2])
    loop = asyncio.new_event_loop()
    Caller(loop, count)
    loop.run_forever()


main()
