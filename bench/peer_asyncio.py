# SPDX-License-Identifier: BSD-3-Clause
"""peer_asyncio.py - calls through the event loop of one process.

    python peer_asyncio.py local N     N times call_soon(), BURST under way
"""

import asyncio
import sys

from laps import LAP_FLOOD, Laps

BURST = 1000


class Caller:
    def __init__(self, loop, count):
        self.loop = loop
        self.laps = Laps(LAP_FLOOD)
        self.left = self.count = count
        self.more = count - min(BURST, count)
        for i in range(min(BURST, count)):
            loop.call_soon(self.step, i)

    def step(self, i):
        self.laps.round()
        self.left -= 1
        if self.more > 0:
            self.more -= 1
            self.loop.call_soon(self.step, i)
        elif self.left == 0:
            self.laps.print("local", self.count)
            self.loop.stop()


def main():
    count = int(sys.argv[2])
    loop = asyncio.new_event_loop()
    Caller(loop, count)
    loop.run_forever()


main()
