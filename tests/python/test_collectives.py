# SPDX-License-Identifier: BSD-3-Clause
"""Broadcasts with results and reductions, many in flight, in any order.

Method: methods and coroutines that end in an order of their own are broadcast
many times at once, with reductions started in another order in between; each
future gets what belongs to it.
"""

import tapunit
from program import ProgramCase

MIXED = """
import random

class Member(Chare):
    def __init__(self):
        self.chance = random.Random(
            sum(self.thisIndex) if isinstance(self.thisIndex, tuple)
            else self.thisIndex)
        self.log = []

    def name(self):
        i = self.thisIndex
        return i[0] if isinstance(i, tuple) else i

    def plain(self, tag):
        return (tag, self.name())

    @coro
    def slow(self, tag):
        for _ in range(self.chance.randrange(4)):
            charm.sleep(self.chance.random() / 1000)
        return (tag, self.name())

    async def native(self, tag):
        for _ in range(self.chance.randrange(4)):
            await charm.sleep(self.chance.random() / 1000)
        return (tag, self.name())

    def add(self, tag, target):
        self.reduce(target, tag * (1 + self.name()), Reducer.sum)

    @coro
    def slow_add(self, tag, target):
        # The reduction is named before the pause, in the same order by all.
        self.reduce(target, tag * (1 + self.name()), Reducer.sum)
        charm.sleep(self.chance.random() / 1000)
        return tag

    @coro
    def everyone(self, tag):
        first = self.allreduce(tag, Reducer.sum)
        second = self.allreduce([tag, 1], Reducer.sum)
        third = self.allreduce()
        gathered = self.allreduce(self.name(), Reducer.gather).get()
        return first.get(), second.get()[1], third.get(), gathered

    @coro
    def phase(self, counter_proxy, rounds):
        for i in range(rounds):
            self.log.append(i)
            counter_proxy.arrive(i)
            self.allreduce().get()
            seen = counter_proxy.seen(i, ret=True).get()
            assert seen == self.count, (i, seen)
        return True

    def set_count(self, count):
        self.count = count

    def fail_some(self, tag):
        if self.name() == 1:
            raise ValueError(tag)
        return tag

class Counter(Chare):
    def __init__(self):
        self.counts = {}

    def arrive(self, i):
        self.counts[i] = self.counts.get(i, 0) + 1

    def seen(self, i):
        return self.counts[i]

def collections():
    return [(Group(Member), charm.numPes()), (Array(Member, 7), 7)]

"""



class BroadcastTest(ProgramCase):
    def test_many_in_flight_are_never_mixed(self):
        self.check(MIXED + """
def main(args):
    chance = random.Random(7)
    for members, n in collections():
        waiting = []
        for tag in range(150):
            kind = chance.choice(["plain", "slow", "native", "sum",
                                  "slow_sum", "awaited"])
            if kind == "sum":
                future = Future()
                members.add(tag, future)
                expected = tag * n * (n + 1) // 2
            elif kind == "slow_sum":
                future = Future()
                done = members.slow_add(tag, future, ret=True)
                waiting.append((done, [tag] * n))
                expected = tag * n * (n + 1) // 2
            elif kind == "awaited":
                future = members.slow(tag, awaitable=True)
                expected = None
            else:
                future = getattr(members, kind)(tag, ret=True)
                expected = [(tag, i) for i in range(n)]
            waiting.append((future, expected))
        chance.shuffle(waiting)
        for future, expected in waiting:
            got = future.get()
            assert got == expected, (got, expected)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_a_broadcast_and_a_reduction_in_another_order(self):
        # One element contributes before the broadcast reaches it, and the
        # coroutines end in another order than they began (D3, D4).
        self.check(MIXED + """
def main(args):
    for members, n in collections():
        slow = members.slow("a", ret=True)
        future = Future()
        members[0].add(3, future)
        second = members.slow("b", ret=True)
        plain = members.plain("c", ret=True)
        for i in range(1, n):
            members[i].add(3, future)
        assert plain.get() == [("c", i) for i in range(n)]
        assert future.get() == 3 * n * (n + 1) // 2
        assert second.get() == [("b", i) for i in range(n)]
        assert slow.get() == [("a", i) for i in range(n)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_errors_of_one_do_not_touch_another(self):
        self.check(MIXED + """
def main(args):
    members, n = Array(Member, 5), 5
    futures = [members.fail_some(tag, ret=True) if tag % 3 == 0
               else members.plain(tag, ret=True) for tag in range(60)]
    for tag, future in enumerate(futures):
        if tag % 3 == 0:
            try:
                future.get()
            except ValueError as error:
                assert error.args == (tag,)
            else:
                assert False
        else:
            assert future.get() == [(tag, i) for i in range(n)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_from_every_pe_at_once(self):
        self.check(MIXED + """
class Caller(Chare):
    @coro
    def call(self, members, n):
        tags = [f"{charm.myPe()}.{i}" for i in range(20)]
        futures = [members.slow(tag, ret=True) for tag in tags]
        for tag, future in zip(tags, futures):
            assert future.get() == [(tag, i) for i in range(n)]
        return True

def main(args):
    callers = Group(Caller)
    for members, n in collections():
        assert all(callers.call(members, n, ret=True).get())
    print("done")
    charm.exit()
charm.start(main)
""")


class AllreduceTest(ProgramCase):
    def test_several_allreduces_of_each_chare(self):
        self.check(MIXED + """
def main(args):
    for members, n in collections():
        futures = [members.everyone(tag, ret=True) for tag in (1, 5)]
        for tag, future in zip((1, 5), futures):
            assert future.get() == [
                (tag * n, n, None, list(range(n)))] * n
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_barrier(self):
        self.check(MIXED + """
def main(args):
    for members, n in collections():
        counter = Chare(Counter, onPE=charm.numPes() - 1)
        members.set_count(n)
        assert all(members.phase(counter, 10, ret=True).get())
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_errors_reach_every_chare(self):
        self.check("""
class Member(Chare):
    @coro
    def run(self):
        try:
            self.allreduce("x" if self.thisIndex[0] else None,
                           Reducer.sum).get()
        except (TypeError, ValueError):
            return self.allreduce(1, Reducer.sum).get()

def main(args):
    assert Array(Member, 5).run(ret=True).get() == [5] * 5
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
