# SPDX-License-Identifier: BSD-3-Clause
"""Migration: chares of arrays that move to other PEs.

Goal:   a chare is the same after it has moved, with all that it holds, and
        what is sent to it meanwhile reaches it once.
Method: real processes, on 1, 2 and 4 PEs.
"""

import tapunit
from program import ProgramCase

MOVER = """
class Mover(Chare):
    def __init__(self):
        self.n = 0
        self.hops = 0
        self.step = 0
        self.log = []

    def hop(self, to):
        self.migrate(to)

    def migrated(self):
        assert self.thisProxy[self.thisIndex] is not None
        self.hops += 1

    def add(self, k):
        self.n += k

    def where(self):
        return charm.myPe(), self.n, tuple(self.thisIndex)

    def get_hops(self):
        return self.hops

    @when("self.step == step")
    def stepped(self, step, value):
        self.log.append(value)
        self.step += 1
        return value

    def total(self, future):
        self.reduce(future, self.n, Reducer.sum)

    @coro
    def patient(self):
        before = charm.myPe()
        self.migrate((before + 1) % charm.numPes())
        self.wait("self.n > 1000")
        return before, charm.myPe()
"""


class MigrationTest(ProgramCase):
    def test_state_and_calls(self):
        self.check(MOVER + """
def main(args):
    P = charm.numPes()
    a = Array(Mover, 8)
    for i in range(8):
        a[i].add(i)
    for k in range(5):
        for i in range(8):
            a[i].hop((i + k) % P)
            a[i].add(10)
        for i in range(8):
            a[i].add(100)
    charm.waitQD()
    found = [a[i].where(ret=True).get() for i in range(8)]
    for i, (pe, n, index) in enumerate(found):
        assert pe == (i + 4) % P, found
        assert n == i + 550, found
        assert index == (i,), found
    total = Future()
    a.total(total)
    assert total.get() == sum(i + 550 for i in range(8))
    a.migrate(0)
    charm.waitQD()
    assert [a[i].where(ret=True).get()[0] for i in range(8)] == [0] * 8
    a.add(1, awaitable=True).get()
    assert all(a[i].where(ret=True).get()[1] == i + 551 for i in range(8))
    if P > 1:
        assert a[1].get_hops(ret=True).get() >= 1
    print("done")
    exit()

charm.start(main)
""", (1, 2, 4))

    def test_held_messages_move_along(self):
        self.check(MOVER + """
def main(args):
    P = charm.numPes()
    a = Array(Mover, 2)
    later = [a[1].stepped(k, k, ret=True) for k in (3, 2, 1)]
    a[1].hop(P - 1 if a[1].where(ret=True).get()[0] != P - 1 else 0)
    charm.waitQD()
    assert a[1].stepped(0, 0, ret=True).get() == 0
    assert [f.get() for f in later] == [3, 2, 1]
    print("done")
    exit()

charm.start(main)
""", (1, 2, 4))

    def test_a_suspended_method_keeps_its_chare(self):
        self.check(MOVER + """
def main(args):
    P = charm.numPes()
    a = Array(Mover, 4)
    result = a[2].patient(ret=True)
    before = a[2].where(ret=True).get()[0]
    a[2].add(2000)
    assert result.get() == (before, before)
    charm.waitQD()
    assert a[2].where(ret=True).get()[0] == (before + 1) % P
    print("done")
    exit()

charm.start(main)
""", (1, 2, 4))

    def test_what_cannot_come_along_is_named(self):
        result = self.run_program("""
import threading

class Holder(Chare):
    def __init__(self):
        self.good = [1]
        self.parts = {"lock": threading.Lock()}

    def go(self):
        self.migrate(1 - charm.myPe())

def main(args):
    Array(Holder, 1).go()
    charm.waitQD()
    charm.exit()
charm.start(main)
""", 2)
        self.assertEqual(result.returncode, 1, result.stderr)
        for word in ("Holder (0,) cannot move", "self.parts['lock'] cannot be",
                     "__getstate__()", "Holder.migrate()"):
            self.assertIn(word, result.stderr)
        self.assertNotIn("Traceback", result.stderr)

    def test_getstate_and_setstate(self):
        self.check("""
class Own(Chare):
    def __init__(self):
        self.value = [1, 2]
        self.cache = object()

    def __getstate__(self):
        return {"v": self.value, "from": charm.myPe()}

    def __setstate__(self, state):
        self.value = state["v"] + [state["from"]]
        self.cache = None

    def hop(self, to):
        self.migrate(to)

    def get(self):
        return self.value, self.cache is None, charm.myPe()

def main(args):
    P = charm.numPes()
    a = Array(Own, 1)
    here = a[0].get(ret=True).get()[2]
    a[0].hop((here + 1) % P)
    charm.waitQD()
    found = a[0].get(ret=True).get()
    if P > 1:
        assert found == ([1, 2, here], True, (here + 1) % P), found
    print("done")
    exit()

charm.start(main)
""", (1, 2, 4))

    def test_channels_keep_their_order(self):
        self.check("""
class End(Chare):
    def connect(self, other):
        self.channel = Channel(self, other)

    def send(self, first, count):
        for k in range(count):
            self.channel.send(first + k)

    def hop(self, to):
        self.migrate(to)

    @coro
    def recv(self, count):
        return [self.channel.recv() for _ in range(count)]

def main(args):
    P = charm.numPes()
    a = Array(End, 2)
    a[0].connect(a[1])
    a[1].connect(a[0])
    for k in range(10):
        a[0].send(20 * k, 20)
        a[k % 2].hop(k % P)
        a[1 - k % 2].hop((k + 1) % P)
    charm.waitQD()
    assert a[1].recv(200, ret=True).get() == list(range(200))
    a[1].send(0, 5)
    assert a[0].recv(5, ret=True).get() == list(range(5))
    print("done")
    exit()

charm.start(main)
""", (1, 2, 4))

    def test_sections_and_futures(self):
        self.check(MOVER + """
class Keeper(Mover):
    def keep(self, future):
        self.future = future

    def answer(self):
        self.future.send(self.n)

def main(args):
    P = charm.numPes()
    a = Array(Keeper, 8)
    half = charm.split(a, 2, elems=[[a[i] for i in range(4)],
                                    [a[i] for i in range(4, 8)]])[0]
    half.add(1, awaitable=True).get()
    for i in range(8):
        a[i].hop((i * 3) % P)
    half.add(10, awaitable=True).get()
    charm.waitQD()
    half.add(100, awaitable=True).get()
    assert [a[i].where(ret=True).get()[1] for i in range(8)] == (
        [111] * 4 + [0] * 4)
    future = Future()
    a[1].keep(future)
    a[1].hop(P - 1)
    charm.waitQD()
    a[1].answer()
    assert future.get() == 111
    print("done")
    exit()

charm.start(main)
""", (1, 2, 4))

    def test_bound_chares_move_together(self):
        """Whichever of them is moved, and whatever comes for them meanwhile:
        where one runs, the other is."""
        self.check(MOVER + """
class Follower(Mover):
    def __init__(self, leader):
        super().__init__()
        self.leader = leader
        self.alone = 0

    def add(self, k):
        self.alone += self.leader[self.thisIndex].ckLocal() is None
        super().add(k)

    def sums(self):
        return self.alone, self.n, self.leader[self.thisIndex].ckLocal().n

def main(args):
    P = charm.numPes()
    leader = Array(Mover, 6)
    follower = Array(Follower, args=[leader], bind_to=leader)
    charm.awaitCreation(leader, follower)
    for k, mover in enumerate((leader, follower, leader, follower)):
        for i in range(6):
            follower[i].add(1)
            mover[i].hop((i + k) % P)
            follower[i].add(1)
            leader[i].add(3)
        charm.waitQD()
        places = [(i + k) % P for i in range(6)]
        for array in leader, follower:
            assert [pe for pe, *_ in array.where(ret=True).get()] == places
    assert follower.sums(ret=True).get() == [(0, 8, 12)] * 6
    print("done")
    exit()

charm.start(main)
""", (1, 2, 4))

    def test_a_section_that_ended_meanwhile(self):
        """What a member that moved contributes is lost, and this is said."""
        result = self.run_program("""
class Part(Chare):
    def where(self):
        return charm.myPe()
    def add(self, section, future):
        self.reduce(future, 1, Reducer.sum, section=section)

def main(args):
    parts = Array(Part, 4)
    section = parts[:2]
    assert section.where(ret=True).get() == [0, 1]
    parts[0].migrate(3)
    while parts[0].where(ret=True).get() != 3:
        charm.sleep(0.001)
    section.ckDestroy(awaitable=True).get()
    for i in range(12):
        parts[0].add(section, Future())
    charm.waitQD()
    print("done")
    charm.exit()
charm.start(main)
""", 4)
        self.assertEqual(result.stdout, "done\n", result.stderr)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr.count("what chare Part[0] contributed"
                                             " to a section"), 10)
        self.assertEqual(result.stderr.count("further ones are not told"), 1)

    def test_broadcasts_keep_their_order(self):
        """Of an array and of a section, and so do reductions, while moving."""
        self.check("""
import random

class Part(Chare):
    def __init__(self):
        self.seen = []
        self.seen_as_member = []

    @coro
    def total(self, k):
        self.seen.append(k)
        return self.allreduce(k, Reducer.sum).get()

    def take(self, k, target):
        self.seen.append(k)
        self.reduce(target, k, Reducer.sum)

    def take_as_member(self, k, section, target):
        self.seen_as_member.append(k)
        self.reduce(target, k, Reducer.sum, section=section)

    def told(self):
        return self.seen, self.seen_as_member

def main(args):
    chance = random.Random(4)
    P = charm.numPes()
    a = Array(Part, 6)
    section = charm.split(a, 1, elems=[[0, 2, 3, 5]])[0]
    results, totals, member_totals, slices = [], [], [], []
    for k in range(150):
        if k % 10 == 5:
            results.append((k, a.total(k, ret=True)))
        else:
            totals.append((k, Future()))
            a.take(*totals[-1])
        if k % 20 == 15:
            slices.append(a[::2])  # its roll call is a broadcast, too
        member_totals.append((k, Future()))
        section.take_as_member(k, section, member_totals[-1][1])
        a[chance.randrange(6)].migrate(chance.randrange(P))
        if k % 10 == 0:
            charm.sleep(0.0002)
    assert all(f.get() == [6 * k] * 6 for k, f in results)
    assert all(f.get() == 6 * k for k, f in totals)
    assert all(f.get() == 4 * k for k, f in member_totals)
    for some in slices:
        assert len(some.told(ret=True).get()) == 3
    everyone = list(range(150))
    for i, (seen, as_member) in enumerate(a.told(ret=True).get()):
        assert seen == everyone, (i, seen)
        assert as_member == (everyone if i in (0, 2, 3, 5) else []), i
    print("done")
    exit()

charm.start(main)
""", (1, 2, 3))

    def test_wishes_of_constructors(self):
        """They leave once they are made, wherever they were made."""
        self.check("""
class Leaver(Chare):
    def __init__(self, to):
        self.migrate(to)
        self.to = to

    def at_home(self):
        return charm.myPe() == self.to

class Slow(Leaver):
    @coro
    def __init__(self, to):
        super().__init__(to)
        charm.sleep(0.002)
        self.slept = True

    def at_home(self):
        return self.slept and charm.myPe() == self.to

def main(args):
    P = charm.numPes()
    for cls in (Leaver, Slow):
        dense = Array(cls, 2 * P, args=[P - 1])
        bound = Array(cls, args=[P - 1], bind_to=dense)
        sparse = Array(cls, ndims=1)
        for i in range(3 * P):
            sparse.ckInsert(i, args=[i % P])
            sparse.ckInsert(100 + i, args=[i % P], onPE=(i // 2) % P)
        sparse.ckDoneInserting()
        for array in (dense, bound, sparse):
            array.at_home(ret=True).get()  # all constructors have ended
        charm.waitQD()
        for array in (dense, bound, sparse):
            assert all(array.at_home(ret=True).get()), (cls, array)
    print("done")
    exit()

charm.start(main)
""", (1, 2, 4))

    def test_a_future_of_who_is_no_more(self):
        """Its value finds nobody, and waits for nobody."""
        self.check("""
class Brief(Chare):
    def __init__(self, done, to):
        self.done = done
        self.migrate(to)

    def end(self):
        self.done.send(7)
        self.thisProxy[self.thisIndex].ckDestroy()

def main(args):
    brief = Array(Brief, ndims=1)
    for i in range(4):
        done = Future()
        brief.ckInsert(i, args=[done, charm.numPes() - 1], onPE=0)
        charm.waitQD()
        brief[i].end()
        assert done.get() == 7
        charm.waitQD()
    print("done")
    exit()

charm.start(main)
""", (1, 2, 4))

    def test_who_cannot_move(self):
        self.check(MOVER + """
class Lone(Chare):
    def go(self):
        try:
            self.migrate(0)
        except Error as error:
            return str(error)

def main(args):
    assert "only chares of arrays" in Chare(Lone).go(ret=True).get()
    a = Array(Mover, 1)
    try:
        a[0].migrate(charm.numPes(), awaitable=True).get()
    except ValueError as error:
        assert "there are PEs" in str(error)
    else:
        assert False
    assert a[0].setMigratable(False, awaitable=True).get() is None
    print("done")
    exit()

charm.start(main)
""", (1, 2))


if __name__ == "__main__":
    tapunit.main()
