# SPDX-License-Identifier: BSD-3-Clause
"""Futures, coroutines, timers and quiescence."""

import tapunit
from program import ProgramCase


class FutureTest(ProgramCase):
    def test_values(self):
        self.check("""
class Sender(Chare):
    def send(self, future, value):
        future.send(value)

    def call(self, future, *values):
        future(*values)

def main(args):
    senders = Group(Sender)
    last = senders[charm.numPes() - 1]
    for value in (None, 1, "x", [1, {"a": 2}], (1, 2), last):
        future = Future()
        assert not future.ready()
        last.send(future, value)
        assert future.get() == value
        assert future.ready() and future.get() == value
    future = Future()
    last.call(future)
    assert future.get() is None
    future = Future(2 * charm.numPes())
    senders.send(future, "v")
    senders.send(future, "v")
    assert future.get() == ["v"] * 2 * charm.numPes()
    future = Future(3)
    for i in range(3):
        future.send(i)
    assert future.get() == [0, 1, 2]
    for wrong in (0, -1):
        try:
            Future(wrong)
        except ValueError:
            pass
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_futures_are_values(self):
        self.check("""
import pickle
class Passer(Chare):
    def pass_on(self, to, future):
        to.give(future) if to is not None else future.send("here")

    @coro
    def give(self, future):
        future.send(7)

    @coro
    def give_back(self, home, future):
        return home.wait_for(future, ret=True).get()

    @coro
    def wait_for(self, future):
        return future.get()

    def look(self, future):
        try:
            future.get()
        except Error as error:
            return str(error)

def main(args):
    passers = Group(Passer)
    last = passers[charm.numPes() - 1]
    future = Future()
    assert pickle.loads(pickle.dumps(future)) == future
    last.pass_on(passers[0], [future][0])
    assert future.get() == 7
    future, result = Future(), last.give_back(passers[0], Future(), ret=True)
    waiting = Future()
    result = last.give_back(passers[0], waiting, ret=True)
    charm.sleep(0.01)
    waiting.send("both")
    assert result.get() == "both" and waiting.get() == "both"
    if charm.numPes() > 1:
        assert "PE 0" in last.look(Future(), ret=True).get()
    assert len({waiting, waiting, Future()}) == 2
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_several_wait_for_one(self):
        self.check("""
class Waiter(Chare):
    def __init__(self):
        self.future = None

    @coro
    def wait_for_it(self):
        if self.future is None:
            self.future = Future()
        return self.future.get()

    def fire(self, value):
        self.future.send(value)

def main(args):
    waiter = Chare(Waiter)
    results = [waiter.wait_for_it(ret=True) for _ in range(5)]
    charm.waitQD()
    assert not any(result.ready() for result in results)
    waiter.fire("now")
    assert [result.get() for result in results] == ["now"] * 5
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_more_values_than_16_bits_can_count(self):
        self.check("""
class Counter(Chare):
    def one(self, future):
        self.reduce(future, 1, Reducer.sum)

def main(args):
    keep = [Future() for _ in range(70000)]
    counters = Group(Counter)
    future = Future()
    counters.one(future)
    assert future.get() == charm.numPes()
    for i, f in enumerate(keep):
        f.send(i)
    assert [f.get() for f in keep] == list(range(70000))
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_iwait_and_wait(self):
        self.check("""
class Worker(Chare):
    @coro
    def late(self, seconds):
        charm.sleep(seconds)
        return seconds

    def now(self):
        return "now"

def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    times = [0.09, 0.01, 0.05]
    futures = [worker.late(s, ret=True) for s in times]
    order = []
    for future in charm.iwait(futures):
        order.append(future.get())
        # suspending inside the loop is no trouble
        assert worker.now(ret=True).get() == "now"
        charm.sleep(0.001)
    assert order == sorted(times), order
    futures = [worker.late(s, ret=True) for s in times]
    charm.wait(futures)
    assert all(f.ready() for f in futures)
    assert list(charm.iwait([])) == []
    print("done")
    charm.exit()
charm.start(main)
""")


class CoroutineTest(ProgramCase):
    def test_suspending_in_nested_functions(self):
        self.check("""
class Ring(Chare):
    @coro
    def depth(self, proxy, n):
        def inner(level):
            if level == 0:
                return proxy[(charm.myPe() + 1) % charm.numPes()].value(
                    n, ret=True).get()
            return inner(level - 1) + 1
        return inner(20)

    @coro
    def value(self, n):
        if n == 0:
            return 0
        return 1 + self.thisProxy[(charm.myPe() + 1) % charm.numPes()].value(
            n - 1, ret=True).get()

def main(args):
    ring = Group(Ring)
    assert ring[0].depth(ring, 50, ret=True).get() == 70
    assert ring.depth(ring, 5, ret=True).get() == [25] * charm.numPes()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_many_at_once(self):
        self.check("""
class Waiter(Chare):
    def __init__(self):
        self.gate = []

    @coro
    def wait_for_it(self, i):
        future = Future()
        self.gate.append(future)
        return future.get() + i

    def open(self):
        for future in self.gate:
            future.send(1000)

def main(args):
    waiter = Chare(Waiter)
    results = [waiter.wait_for_it(i, ret=True) for i in range(2000)]
    charm.waitQD()
    waiter.open()
    assert [f.get() for f in results] == [1000 + i for i in range(2000)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_two_broadcasts_in_flight_do_not_mix(self):
        self.check("""
class Slow(Chare):
    @coro
    def one(self, tag):
        charm.sleep(0.02 if self.thisIndex[0] % 2 else 0.001)
        return tag, self.thisIndex[0]

    @coro
    def two(self, tag):
        charm.sleep(0.001 if self.thisIndex[0] % 2 else 0.02)
        self.reduce(self.future, 1, Reducer.sum) if False else None
        return tag, self.thisIndex[0]

def main(args):
    slow = Array(Slow, 6)
    f1 = slow.one("a", ret=True)
    f2 = slow.two("b", ret=True)
    assert f1.get() == [("a", i) for i in range(6)]
    assert f2.get() == [("b", i) for i in range(6)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_awaited_broadcast_beside_a_reduction(self):
        self.check("""
class Mixed(Chare):
    @coro
    def work(self, future):
        if self.thisIndex[0] % 2:
            charm.sleep(0.01)
        self.reduce(future, self.thisIndex[0], Reducer.sum)
        if not self.thisIndex[0] % 2:
            charm.sleep(0.01)

def main(args):
    mixed = Array(Mixed, 8)
    future = Future()
    done = mixed.work(future, awaitable=True)
    assert future.get() == 28
    assert done.get() is None
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_greenlets_of_the_users_own(self):
        self.check("""
import greenlet
class Nested(Chare):
    def value(self):
        return 7

    @coro
    def run(self):
        def inner(n):
            got = self.thisProxy[0].value(ret=True).get()
            return got if n == 0 else got + greenlet.greenlet(inner).switch(
                n - 1)
        return greenlet.greenlet(inner).switch(3)

def main(args):
    nested = Array(Nested, 4)
    assert nested.run(ret=True).get() == [28] * 4
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_constructor_as_coroutine(self):
        self.check("""
class Other(Chare):
    def value(self):
        return 42

class Asker(Chare):
    @coro
    def __init__(self, other):
        self.got = None
        self.got = other.value(ret=True).get()

    def get(self):
        return self.got

def main(args):
    asker = Group(Asker, args=[Chare(Other)])
    charm.awaitCreation(asker)
    charm.waitQD()
    assert asker.get(ret=True).get() == [42] * charm.numPes()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_main_chare(self):
        self.check("""
class Other(Chare):
    def value(self, main):
        main.report("from other")

class Main(Chare):
    def __init__(self, args):
        assert isinstance(args, list)
        assert charm.myPe() == 0
        try:
            self.thisIndex
        except AttributeError:
            pass
        else:
            assert False
        self.got = Future()
        Chare(Other).value(self.thisProxy)
        assert self.got.get() == "from other"
        print("done")
        charm.exit()

    def report(self, text):
        self.got.send(text)

charm.start(Main)
""")

    def test_suspending_outside_is_refused(self):
        self.check("""
class Plain(Chare):
    def get(self):
        try:
            Future().get()
        except NotThreadedError as error:
            return str(error)

    def others(self):
        refused = 0
        for suspend in (charm.waitQD, self.allreduce().get,
                        lambda: list(charm.iwait([Future()]))):
            try:
                suspend()
            except NotThreadedError:
                refused += 1
        return refused

    def complete(self):
        future = self.thisProxy.nothing(ret=True)
        return future.ready()

    def nothing(self):
        pass

def main(args):
    plain = Chare(Plain, onPE=charm.numPes() - 1)
    text = plain.get(ret=True).get()
    assert "Plain.get" in text and "@coro" in text, text
    assert plain.others(ret=True).get() == 3
    assert plain.complete(ret=True).get() is False
    assert issubclass(NotThreadedError, Error)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_allreduce(self):
        self.check("""
class Member(Chare):
    @coro
    def run(self):
        n = charm.numPes() * 2
        for step in range(5):
            assert self.allreduce(step, Reducer.sum).get() == step * n
        assert self.allreduce().get() is None
        pair = [self.allreduce(self.thisIndex[0], Reducer.max),
                self.allreduce(self.thisIndex[0], Reducer.min)]
        return [f.get() for f in pair]

def main(args):
    n = charm.numPes() * 2
    members = Array(Member, n)
    assert members.run(ret=True).get() == [[n - 1, 0]] * n
    print("done")
    charm.exit()
charm.start(main)
""")


class TimeTest(ProgramCase):
    def test_timers(self):
        self.check("""
class Clock(Chare):
    def tick(self, future):
        future.send(charm.myPe())

    @coro
    def many(self):
        start = time.monotonic()
        charm.sleep(0.02)
        return time.monotonic() - start

def main(args):
    clock = Chare(Clock, onPE=charm.numPes() - 1)
    future = Future(3)
    charm.scheduleCallableAfter(clock.tick, 0.01, [future])
    charm.scheduleCallableAfter(future, 0.001, ["first"])
    charm.scheduleCallableAfter(lambda: future.send("second"), 0.002)
    assert sorted(map(str, future.get())) == sorted(
        ["first", "second", str(charm.numPes() - 1)])
    # more than 127 at once
    times = [clock.many(ret=True) for _ in range(500)]
    assert all(f.get() >= 0.02 for f in times)
    charm.sleep(0)
    done = Future()
    @coro
    def later():
        charm.sleep(0.001)
        done.send("coroutine")
    charm.scheduleCallableAfter(later, 0)
    assert done.get() == "coroutine"
    for wrong in (float("nan"), "soon"):
        try:
            charm.sleep(wrong)
        except (ValueError, TypeError):
            pass
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_quiescence(self):
        self.check("""
class Bouncer(Chare):
    def __init__(self):
        self.count = 0
        self.told = 0

    def bounce(self, n):
        self.count += 1
        if n > 0:
            self.thisProxy[(charm.myPe() + 1) % charm.numPes()].bounce(n - 1)

    def get_count(self):
        return self.count

    def quiet(self):
        self.told += 1

    def get_told(self):
        return self.told

def main(args):
    bouncers = Group(Bouncer)
    bouncers.bounce(100)
    charm.waitQD()
    assert sum(bouncers.get_count(ret=True).get()) == 101 * charm.numPes()
    bouncers[0].bounce(200)
    future = Future()
    charm.startQD(future)
    assert future.get() is None
    assert sum(bouncers.get_count(ret=True).get()) == (
        101 * charm.numPes() + 201)
    charm.startQD(bouncers.quiet)
    charm.startQD(bouncers[0].quiet)
    charm.sleep(0.05)
    while bouncers[0].get_told(ret=True).get() < 2:
        charm.sleep(0.01)
    try:
        charm.startQD(print)
    except TypeError:
        pass
    else:
        assert False
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
