# SPDX-License-Identifier: BSD-3-Clause
"""Chares that move while their methods wait: @movable.

Goal:   what an 'async def' method with @movable waits for reaches it where its
        chare is, once and in order; who waits for its result gets that; one
        without it keeps its chare, and this is said.
Method: real processes, on 1, 2 and 3 PEs; chares are moved while their methods
        wait, and say where they were.
"""

import tapunit
from program import ProgramCase

WORKER = """
class Worker(Chare):
    def __init__(self):
        self.got = []
        self.begun = []
        self.ended = 0
        self.answer = None
        self.channel = None

    def go(self, to):
        self.migrate(to)

    def where(self):
        return charm.myPe()

    def state(self):
        return self.got, self.begun, self.ended, charm.myPe()

    def connect(self, other):
        self.channel = Channel(self, other)

    def send(self, first, count):
        for k in range(count):
            self.channel.send(first + k)

    def put(self, value):
        self.got.append(value)

    def reply(self, value):
        return value * 2

    @when("self.got")
    def held(self, value):
        return value, charm.myPe()

    @movable
    async def receive(self, count):
        self.begun.append(charm.myPe())
        try:
            while len(self.got) < count:
                self.got.append(await self.channel.recv())
        finally:
            self.ended += 1
        return list(self.got), charm.myPe()

    @movable
    async def wait_for(self, text, *, more=0):
        self.begun.append(charm.myPe())
        await self.wait(text)
        return len(self.got) + more, charm.myPe()

def settle(chare, pe):
    while chare.where(ret=True).get() != pe:
        charm.sleep(0.001)
"""


class MovableTest(ProgramCase):
    def test_between_messages_of_a_channel(self):
        """Each is received once, in order, wherever it finds the chare."""
        self.check(WORKER + """
def main(args):
    P = charm.numPes()
    a = Array(Worker, 2)
    a[0].connect(a[1]); a[1].connect(a[0])
    result = a[1].receive(60, ret=True)
    places = []
    for k in range(6):
        a[0].send(10 * k, 5)
        a[1].go(k % P)
        a[0].send(10 * k + 5, 5)
        if k % 2 == 0:  # after the first, too: so it has moved
            charm.waitQD()
        places.append(k % P)
    got, pe = result.get()
    assert got == list(range(60)), got
    got, begun, ended, pe = a[1].state(ret=True).get()
    assert ended == len(begun), (begun, ended)
    assert P == 1 or len(begun) > 1, begun
    print("done")
    exit()

charm.start(main)
""", (1, 2, 3))

    def test_its_caller_gets_the_result(self):
        self.check(WORKER + """
def main(args):
    P = charm.numPes()
    a = Array(Worker, 3)
    first = a[0].where(ret=True).get()
    results = [a[0].wait_for("len(self.got) > 1", more=more, ret=True)
               for more in (10, 20)]
    for k in range(1, 5):
        a[0].go((first + k) % P)
        settle(a[0], (first + k) % P)
    a[0].put(1)
    assert not results[0].ready()
    a[0].put(2)
    here = (first + 4) % P
    assert [r.get() for r in results] == [(12, here), (22, here)]
    begun = a[0].state(ret=True).get()[1]
    expected = [(first + k) % P for k in range(5) for _ in range(2)]
    assert begun == (expected if P > 1 else expected[:2]), begun
    print("done")
    exit()

charm.start(main)
""", (1, 2, 3))

    def test_a_future_comes_along(self):
        """The call is made once; its answer comes to where the chare is."""
        self.check(WORKER + """
class Asker(Worker):
    def slow(self, future):
        self.future = future
        self.begun.append(charm.myPe())

    def asked_times(self):
        return len(self.begun)

    def finish(self, value):
        self.future.send(value)

    @movable
    async def ask(self, other):
        self.begun.append(charm.myPe())
        if self.answer is None:
            self.answer = Future()
            other.slow(self.answer)
        return await self.answer, charm.myPe()

    async def again(self):
        return await self.answer

def main(args):
    P = charm.numPes()
    a = Array(Asker, 2)
    other = a[1].where(ret=True).get()
    first = a[0].where(ret=True).get()
    result = a[0].ask(a[1], ret=True)
    for k in (1, 2, 3, 4, 5):   # it is back where the future was made, too
        to = (first + k) % P
        a[0].go(to)
        settle(a[0], to)
    a[1].go((other + 1) % P)
    settle(a[1], (other + 1) % P)
    a[1].finish([7, (8, None)])
    assert result.get() == ([7, (8, None)], to), result.get()
    assert a[1].asked_times(ret=True).get() == 1
    # It is complete now, and its value still comes along.
    for k in (1, 2):
        a[0].go((to + k) % P)
        settle(a[0], (to + k) % P)
        assert a[0].again(ret=True).get() == [7, (8, None)]
    print("done")
    exit()

charm.start(main)
""", (1, 2, 3))

    def test_futures_that_fail_or_are_pickled(self):
        self.check(WORKER + """
class Odd:  # makes the state a pickle
    def __init__(self, future):
        self.future = future

class Asker(Worker):
    def make(self):
        self.odd = Odd(Future())
        self.same = self.odd.future

    def fail(self):
        raise ValueError("not today")

    def call(self, other):
        self.answer = other.fail(ret=True)

    def give(self):
        return self.same

    async def see(self):
        assert self.odd.future == self.same
        return await self.odd.future, await self.same

    async def see_answer(self):
        try:
            await self.answer
        except ValueError as error:
            return str(error)

def main(args):
    P = charm.numPes()
    a = Array(Asker, 2)
    first = a[0].where(ret=True).get()
    a[0].make(awaitable=True).get()
    a[0].go((first + 1) % P)
    settle(a[0], (first + 1) % P)
    seen = a[0].see(ret=True)
    name = a[0].give(ret=True).get()   # by its name, sent to from here
    name.send(5)
    assert seen.get() == (5, 5)
    a[0].call(a[1])
    a[0].go(first)
    settle(a[0], first)
    assert "not today" in a[0].see_answer(ret=True).get()
    print("done")
    exit()

charm.start(main)
""", (1, 2, 3))

    def test_with_what_is_held_and_returned(self):
        """@when queues, and a message that a recv() gave back."""
        self.check(WORKER + """
class Both(Worker):
    async def brief(self):
        try:
            await self.channel.recv(timeout=0.001)
        except TimeoutError:
            return "nothing"

    async def drop(self):
        # It receives a message that nobody looks at.
        future = self.channel.recv()
        while not future.ready():
            await charm.sleep(0.001)
        del future

    @movable
    async def both(self):
        self.begun.append(charm.myPe())
        first = await self.channel.recv()
        self.got.append(first)
        return first

def main(args):
    P = charm.numPes()
    a = Array(Both, 2)
    a[0].connect(a[1]); a[1].connect(a[0])
    here = a[1].where(ret=True).get()
    assert a[1].brief(ret=True).get() == "nothing"
    held = [a[1].held(k, ret=True) for k in range(3)]
    result = a[1].both(ret=True)
    to = (here + 1) % P
    a[1].go(to)
    settle(a[1], to)
    assert not result.ready()
    a[0].send(41, 2)
    assert result.get() == 41
    assert [h.get() for h in held] == [(0, to), (1, to), (2, to)]
    a[0].send(43, 1)
    a[1].drop(awaitable=True).get()
    a[1].go(here)
    settle(a[1], here)
    assert [a[1].both(ret=True).get() for _ in (42, 43)] == [42, 43]
    print("done")
    exit()

charm.start(main)
""", (1, 2, 3))

    def test_by_its_own_wish_and_timers(self):
        self.check(WORKER + """
class Self(Worker):
    @movable
    async def tour(self, stops):
        while len(self.begun) < len(stops):
            to = stops[len(self.begun)]
            self.begun.append(charm.myPe())
            self.migrate(to)
            while charm.myPe() != to:
                await charm.sleep(0.001)
        return self.begun, charm.myPe()

def main(args):
    P = charm.numPes()
    a = Array(Self, 1)
    here = a[0].where(ret=True).get()
    stops = [(here + k + 1) % P for k in range(6)]
    begun, pe = a[0].tour(stops, ret=True).get()
    assert begun == ([here] + stops)[:6], begun
    assert pe == stops[-1]
    print("done")
    exit()

charm.start(main)
""", (1, 2, 3))

    def test_balancers_move_them(self):
        self.check(WORKER + """
def main(args):
    P = charm.numPes()
    a = Array(Worker, 4 * P)
    for i in range(4 * P):
        a[i].connect(a[(i + 2 * P) % (4 * P)])
    results = [a[i].receive(20, ret=True) for i in range(4 * P)]
    for k in range(4):
        for i in range(4 * P):
            a[i].send(5 * k, 5)
        for i in range(4 * P):
            a[i].go((i + k) % P)
    for result in results:
        assert result.get()[0] == list(range(20))
    print("done")
    exit()

charm.start(main)
""", (1, 2, 3))

    def test_one_that_is_not_keeps_its_chare(self):
        """... as a @coro method does, and the report of the job says so."""
        result = self.run_program(WORKER + """
class Stays(Worker):
    async def plain(self):
        await self.wait("self.got")
        return charm.myPe()

    @movable
    async def other(self):
        await self.wait("self.got")
        return charm.myPe()

def main(args):
    a = Array(Stays, 2)
    here = a[0].where(ret=True).get()
    results = a[0].plain(ret=True), a[0].other(ret=True)
    a[0].go(1 - here)
    charm.waitQD()
    assert a[0].where(ret=True).get() == here
    a[0].put(1)
    assert [r.get() for r in results] == [here, here]
    settle(a[0], 1 - here)
    a[1].plain()
    a[1].go(here)
    Future().get()

charm.start(main)
""", 2)
        self.assertNotEqual(result.returncode, 0, result.stderr)
        self.assertIn("Stays.plain() of element (1,) waits", result.stderr)
        self.assertIn("its chare, which is to move, for its end (it is not "
                      "@movable)", result.stderr)

    def test_what_kept_chares_is_counted(self):
        """Each call once, by name, after moves and a session of balancing."""
        result = self.run_program("charm.options.balancer = 'rotate'\n" +
                                  WORKER + """
class Stays(Worker):
    async def plain(self):
        await self.wait("self.got")

    @coro
    def greenlet(self):
        self.wait("self.got")

    @movable
    async def other(self):
        await self.wait("self.got")

class Synced(Chare):
    def __init__(self):
        self.go_on = False

    @coro
    def run(self):
        self.wait("self.go_on")

    def sync(self):
        self.AtSync()

    def finish(self):
        self.go_on = True

class Kept(Chare):
    def get(self):
        return charm.lb.report()["kept"]

def main(args):
    a = Array(Stays, 6)
    places = a.where(ret=True).get()
    results = []
    for i, method in enumerate(("plain", "greenlet", "other") * 2):
        results.append(getattr(a[i], method)(awaitable=True))
    for _ in range(3):
        for i in range(6):
            a[i].go(1 - places[i])
        charm.waitQD()
    kept = Group(Kept)
    assert kept.get(ret=True).get() == [
        {"Stays.plain": 1, "Stays.greenlet": 1}] * 2
    a.put(1)
    for result in results:
        result.get()
    charm.waitQD()
    assert a.where(ret=True).get() == [1 - pe for pe in places]
    b = Array(Synced, 4, useAtSync=True)
    charm.awaitCreation(b)
    results = [b[i].run(awaitable=True) for i in (0, 1, 3)]
    b.sync()
    charm.waitQD()
    counts = kept.get(ret=True).get()
    assert [c["Synced.run"] for c in counts] == [2, 1], counts
    charm.printStats()
    rows = {row["method"]: row["kept"] for row in charm.stats()}
    assert rows == {"plain": 2, "greenlet": 2, "run": 3}, rows
    b.finish()
    for result in results:
        result.get()
    print("done")
    exit()

charm.start(main)
""", 2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("done", result.stdout)
        said, = [line for line in result.stdout.splitlines()
                 if line.startswith("  kept from moving by suspended methods")]
        self.assertEqual(sorted(said.split(": ")[1].split(", ")),
                         ["Stays.greenlet 2", "Stays.plain 2", "Synced.run 3"])

    def test_what_fails_on_leaving(self):
        """An error in a 'finally' block is the method's result."""
        self.check(WORKER + """
class Fails(Worker):
    @movable
    async def fail(self):
        try:
            await self.wait("self.got")
        finally:
            raise ValueError("when it left")

    @movable
    async def linger(self):
        try:
            await self.wait("self.got")
        finally:
            await self.wait("self.begun")

def main(args):
    if charm.numPes() > 1:
        a = Array(Fails, 2)
        for i, (method, kind, text) in enumerate((
                (a[0].fail, ValueError, "when it left"),
                (a[1].linger, NotThreadedError, "wait()"))):
            here = a[i].where(ret=True).get()
            result = method(ret=True)
            a[i].go(1 - here)
            try:
                result.get()
            except kind as error:
                assert text in str(error), error
            else:
                assert False
            settle(a[i], 1 - here)
    print("done")
    exit()

charm.start(main)
""", (1, 2))

    def test_a_returned_future(self):
        """'return future.get()' waits as 'await' does."""
        self.check(WORKER + """
class Returns(Worker):
    @movable
    async def last(self):
        self.begun.append(charm.myPe())
        if self.answer is None:
            self.answer = Future()
        return self.answer.get()

    def give(self):
        return self.answer

def main(args):
    P = charm.numPes()
    a = Array(Returns, 2)
    here = a[0].where(ret=True).get()
    result = a[0].last(ret=True)
    a[0].go((here + 1) % P)
    settle(a[0], (here + 1) % P)
    assert not result.ready()
    a[0].give(ret=True).get().send(7)
    assert result.get() == 7
    assert len(a[0].state(ret=True).get()[1]) == min(P, 2)
    print("done")
    exit()

charm.start(main)
""", (1, 2))

    def test_destroyed_before_the_value(self):
        """What follows a chare that has ended is dropped."""
        self.check(WORKER + """
class Asker(Worker):
    def make(self):
        self.answer = Future()
        return self.answer

    def call(self, other):
        self.result = other.fails(ret=True)

    @coro
    def fails(self):
        self.wait("self.got")
        raise LookupError("not here")

def main(args):
    P = charm.numPes()
    for whole in False, True:
        a = Array(Asker, 2)
        b = Array(Asker, 1)
        here = a[0].where(ret=True).get()
        name = a[0].make(ret=True).get()
        a[0].call(b[0])
        a[0].go((here + 1) % P)
        settle(a[0], (here + 1) % P)
        (a if whole else a[0]).ckDestroy(awaitable=True).get()
        name.send([1, 2])
        b[0].put(1)
        charm.waitQD()
        b[0].where(ret=True).get()
    print("done")
    exit()

charm.start(main)
""", (1, 2))

    def test_futures_in_calls_made_while_it_leaves(self):
        """They are futures as in any other call."""
        self.check(WORKER + """
class Odd:
    def __init__(self, other, future):
        self.other = other
        self.future = future
    def __reduce__(self):
        self.other.take([self.future])
        self.other.take([Plain(self.future)])
        return Odd, (self.other, self.future)

class Plain:
    def __init__(self, future):
        self.future = future

class Teller(Worker):
    def take(self, item):
        item = item[0]
        (item.future if isinstance(item, Plain) else item).send(charm.myPe())

    def prepare(self, other, future):
        self.other = other
        self.future = future
        self.odd = Odd(other, Future(2))

    def __getstate__(self):
        told = Future()
        self.other.take([told])
        return dict(self.__dict__, told=told)

    def __setstate__(self, state):
        self.__dict__.update(state)
        told = Future()
        self.other.take([told])
        self.told_here = told

    async def all_told(self):
        return await self.told, await self.told_here, await self.odd.future

def main(args):
    P = charm.numPes()
    a = Array(Teller, 2)
    here = a[0].where(ret=True).get()
    there = a[1].where(ret=True).get()
    a[0].prepare(a[1], Future())
    a[0].go((here + 1) % P)
    settle(a[0], (here + 1) % P)
    if P > 1:
        assert a[0].all_told(ret=True).get() == (there, there, [there] * 2)
    print("done")
    exit()

charm.start(main)
""", (1, 2))

    def test_one_of_two_that_go_together_stays(self):
        """Methods that were ended for the other go on, or are answered."""
        for destroy in False, True:
            self.check(WORKER + f"destroy = {destroy}" + """
class First(Worker):
    def pair(self, other):
        self.other = other

    def __getstate__(self):
        self.other.ckLocal().hold()
        return self.__dict__.copy()

class Second(Worker):
    def hold(self):
        self.sum = self.allreduce(1, Reducer.sum)

def main(args):
    P = charm.numPes()
    a = Array(First, 2)
    b = Array(Second, bind_to=a)
    charm.awaitCreation(b)
    here = a[0].where(ret=True).get()
    a[0].pair(b[0], awaitable=True).get()
    result = a[0].wait_for("self.got", ret=True)
    a[0].go(1 - here)
    charm.waitQD()
    assert a[0].where(ret=True).get() == here
    if destroy:
        a[0].ckDestroy(awaitable=True).get()
        try:
            result.get()
        except Error as error:
            assert "was destroyed" in str(error), error
        else:
            assert False
    else:
        a[0].put(1)
        assert result.get() == (1, here), result.get()
    print("done")
    exit()

charm.start(main)
""", (2,))

    def test_what_is_for_one_wait_and_kept(self):
        """An attribute has what recv(), wait(), sleep() gave: it stays."""
        self.check(WORKER + """
class Keeps(Worker):
    def __init__(self):
        super().__init__()
        self.one = None

    async def open(self, other):
        self.channel = Channel(self, other)

    @movable
    async def keep(self, what):
        self.begun.append(charm.myPe())
        if self.one is None:
            self.one = (self.channel.recv() if what == "recv"
                        else self.wait("self.got") if what == "wait"
                        else charm.sleep(0.05))
        value = await self.one
        self.one = None
        return value, charm.myPe()

    async def inner(self):
        future = self.channel.recv()
        return await future

    @movable
    async def leave(self):
        self.begun.append(charm.myPe())
        return await self.inner(), charm.myPe()

def main(args):
    P = charm.numPes()
    for what in "recv", "wait", "sleep":
        a = Array(Keeps, 2)
        a[0].open(a[1]); a[1].open(a[0])
        here = a[0].where(ret=True).get()
        result = a[0].keep(what, ret=True)
        a[0].go((here + 1) % P)
        charm.waitQD()
        if what != "sleep":
            assert a[0].where(ret=True).get() == here
        a[1].send(5, 1)
        a[0].put(1)
        assert result.get() == (5 if what == "recv" else None, here)
        settle(a[0], (here + 1) % P)
    # A variable of the method is no reason to stay.
    result = a[1].leave(ret=True)
    here = a[1].where(ret=True).get()
    a[1].go((here + 1) % P)
    settle(a[1], (here + 1) % P)
    a[0].send(6, 1)
    assert result.get() == (6, (here + 1) % P)
    print("done")
    exit()

charm.start(main)
""", (1, 2))

    def test_a_timeout_is_left_behind(self):
        """... and nobody hears of it."""
        for pes in 1, 2:
            result = self.run_program(WORKER + """
class Times(Worker):
    @movable
    async def ask(self):
        self.begun.append(charm.myPe())
        if self.answer is None:
            self.answer = Future()
        if len(self.begun) == min(2, charm.numPes()):
            return await self.answer.get()
        return await self.answer.get(timeout=0.2)

    def give(self):
        return self.answer

def main(args):
    P = charm.numPes()
    a = Array(Times, 2)
    here = a[0].where(ret=True).get()
    result = a[0].ask(ret=True)
    a[0].go((here + 1) % P)
    settle(a[0], (here + 1) % P)
    charm.sleep(0.4)
    a[0].give(ret=True).get().send(7)
    assert result.get() == 7
    print("done")
    exit()

charm.start(main)
""", pes)
            self.assertEqual((result.returncode, result.stdout.split()[-1:]),
                             (0, ["done"]), result.stderr)
            self.assertNotIn("never seen", result.stderr)

    def test_what_cannot_be_movable(self):
        for method in ("def f(self): pass", "@coro\n    def f(self): pass",
                       "async def __init__(self): pass",
                       "async def migrated(self): pass",
                       "@staticmethod\n    async def f(): pass"):
            mark = "@movable\n    "
            if method.startswith("@static"):
                method = method.replace("async", "@movable\n    async")
                mark = ""
            result = self.run_program(
                f"class C(Chare):\n    {mark}{method}\n"
                "charm.start(lambda args: exit())\n", 1)
            self.assertIn("@movable is for 'async def' entry methods",
                          result.stderr, method)


if __name__ == "__main__":
    tapunit.main()
