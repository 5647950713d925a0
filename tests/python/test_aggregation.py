#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Calls of @aggregate methods travel together, and nothing else changes.

Goal: such calls arrive once, in order with all others of their sender, also
when their targets move; who waits for a reply gets it; quiescence waits for
them; the end of a job, errors and long methods are as without. Method: small
programs; the counters of the runtime say that calls did travel together.
"""

import os
import unittest
from unittest import mock

import program
import tapunit

FLOOD = """
N = 2000

class Node(Chare):
    def __init__(self):
        self.seen = []
        self.sums = 0

    @aggregate
    def packed(self, sender, number):
        self.seen.append((sender, number))

    def alone(self, sender, number):
        self.seen.append((sender, number))

    @aggregate
    @coro
    def answer(self, number):
        return 2 * number

    @coro
    def flood(self, often):
        me = self.thisIndex[0]
        for i in range(N):
            for j in range(charm.numPes()):
                if i % often == often - 1:
                    self.thisProxy[j].alone(me, i)
                else:
                    self.thisProxy[j].packed(me, i)
        return _core.counters()["calls_aggregated"]

    def check(self):
        last = {}
        for sender, number in self.seen:
            assert number == last.get(sender, -1) + 1, (sender, number, last)
            last[sender] = number
        assert last == {i: N - 1 for i in range(charm.numPes())}, last
        self.seen.clear()
        return len(last)
"""


class AggregationTest(program.ProgramCase):
    def test_order_and_quiescence(self):
        self.check(FLOOD + """
def main(args):
    nodes = Array(Node, charm.numPes())
    for often in (10 ** 9, 100, 2):
        counts = nodes.flood(often, ret=True)
        charm.waitQD()
        packed = sum(counts.get())
        nodes.check(awaitable=True).get()
        if charm.numPes() == 1:
            assert packed == 0
        elif often == 10 ** 9:
            assert packed > N, packed
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_replies_and_errors(self):
        self.check("""
class Node(Chare):
    @aggregate
    def double(self, number):
        if number < 0:
            raise ValueError("a negative number")
        return 2 * number

    @aggregate
    async def later(self, number):
        await charm.sleep(0.001)
        return 3 * number

    @aggregate
    @staticmethod
    def still(number):
        return 4 * number

def main(args):
    nodes = Group(Node)
    last = nodes[charm.numPes() - 1]
    futures = [last.double(i, ret=True) for i in range(100)]
    assert [f.get() for f in futures] == [2 * i for i in range(100)]
    futures = [last.later(i, ret=True) for i in range(10)]
    assert [f.get() for f in futures] == [3 * i for i in range(10)]
    assert last.still(1, ret=True).get() == 4
    assert nodes.double(4, ret=True).get() == [8] * charm.numPes()
    assert last.double(4, ret=True, priority=-5).get() == 8
    try:
        last.double(-1, ret=True).get()
    except ValueError as error:
        assert "negative" in str(error)
    else:
        assert False
    print("done")
    charm.exit()
charm.start(main)
""")
        result = self.run_program("""
class Node(Chare):
    @aggregate
    def fail(self):
        raise ValueError("nobody waits")
def main(args):
    Group(Node)[charm.numPes() - 1].fail()
    charm.sleep(60)
charm.start(main)
""", 2)
        self.assertEqual(result.returncode, 1)
        self.assertIn("nobody waits", result.stderr)

    def test_moving_targets(self):
        self.check("""
ROUNDS = 40

class Mover(Chare):
    def __init__(self):
        self.total = 0

    @aggregate
    def add(self, number):
        self.total += number

    def get(self):
        return self.total

class Sender(Chare):
    def run(self, movers):
        for i in range(ROUNDS):
            for j in range(8):
                movers[j].add(1)
            if i % 10 == self.thisIndex % 10:
                movers[i % 8].migrate((self.thisIndex + i)
                                      % charm.numPes())

def main(args):
    movers = Array(Mover, 8)
    senders = Group(Sender)
    for _ in range(3):
        senders.run(movers)
        charm.waitQD()
    expected = 3 * ROUNDS * charm.numPes()
    assert movers.get(ret=True).get() == [expected] * 8
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_long_methods(self):
        """flush() sends; without it calls leave when the method ends."""
        self.check("""
class Node(Chare):
    @aggregate
    def told(self, future, times):
        future(time.time())

    def busy(self, future, flush):
        self.thisProxy[1].told(future, 1)
        if flush:
            charm.flush()
        begin = time.time()
        while time.time() - begin < 0.5:
            pass
        return time.time()

def main(args):
    nodes = Group(Node)
    for flush in (True, False):
        future = Future()
        end = nodes[0].busy(future, flush, ret=True).get()
        assert (future.get() < end) is flush, flush
    print("done")
    charm.exit()
charm.start(main)
""", pes=(2,))

    def test_the_end(self):
        """A call that waits is sent by who exits, and keeps nobody."""
        self.check("""
class Node(Chare):
    @aggregate
    def work(self, number):
        pass

    def stop(self):
        for i in range(10):
            self.thisProxy[(self.thisIndex + 1) % charm.numPes()].work(i)
        print("done")
        charm.exit()

def main(args):
    Group(Node)[charm.numPes() - 1].stop()
charm.start(main)
""")

    def test_off(self):
        with mock.patch.dict(os.environ, CHARE_AGGREGATE_BYTES="0"):
            self.check(FLOOD + """
def main(args):
    nodes = Array(Node, charm.numPes())
    assert sum(nodes.flood(10 ** 9, ret=True).get()) == 0
    charm.waitQD()
    nodes.check(awaitable=True).get()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(2,))


if __name__ == "__main__":
    tapunit.main()
