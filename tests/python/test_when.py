# SPDX-License-Identifier: BSD-3-Clause
"""@when, calls with when=, and wait(): what waits, and in which order it goes.

Each program sends messages in an order in which they cannot run, and looks at
the order in which they did.
"""

import tapunit
from program import ProgramCase

LIMIT_HELP = """
LIMIT = 3

def helper(x):
    return x > LIMIT
"""

STEPS = LIMIT_HELP + """
class Steps(Chare):
    def __init__(self):
        self.step = 0
        self.open = False
        self.level = 0
        self.log = []

    @when("self.step == step")
    def tag(self, step, value, last=False):
        self.log.append((step, value))
        if last:
            self.step += 1

    @when("self.open")
    def state(self, value):
        self.log.append(value)

    @when("self.level > x + len(name)")
    def general(self, x, name="", *rest):
        self.log.append(x)

    @when("args[0] == self.level and not args[1:]")
    def by_args(self, *values):
        self.log.append(values)

    @when("helper(self.level) and x in {k for k in (1, 2)}")
    def of_globals(self, x):
        self.log.append(x)

    @when("item.real == self.level")
    def of_attributes(self, item):
        self.log.append(item)

    @coro
    @when("self.open")
    def before(self, x):
        charm.sleep(0)
        return x

    @when("self.open")
    @coro
    def after(self, x):
        charm.sleep(0)
        return x

    @when("key == self.step")
    def keywords(self, *, key, other=1):
        self.log.append((key, other))

    @when("self.__hidden() > 0")
    def private(self):
        self.log.append("private")

    @local
    def __hidden(self):
        return self.level

    @staticmethod
    @when("self.open and x")
    def static(x):
        return x

    def set(self, name, value):
        setattr(self, name, value)

    def take(self):
        log, self.log = self.log, []
        return log
"""


class WhenTest(ProgramCase):
    def test_forms(self):
        self.check(STEPS + """
def main(args):
    for s in (Chare(Steps, onPE=charm.numPes() - 1), Array(Steps, 1)[0]):
        take = lambda: s.take(ret=True).get()
        for step in (2, 1, 0):
            s.tag(step, "a")
            s.tag(step=step, value="b", last=True)
        assert take() == [(i, v) for i in range(3) for v in "ab"]
        s.general(5)
        s.general(1, "abc")
        s.general(1, "ab", 7)
        s.set("level", 4)
        assert take() == [1]
        s.set("level", 6)
        assert take() == [5, 1]
        s.by_args(7)
        s.by_args(7, 8)
        s.set("level", 7)
        assert take() == [(7,)]
        s.set("level", 2)
        s.of_globals(1)
        s.of_globals(3)
        assert take() == []
        s.set("level", 8)
        assert take() == [1]
        s.of_attributes(9.0)
        s.of_attributes(9)
        s.set("level", 9)
        assert take() == [9.0, 9]
        results = [s.before(10, ret=True), s.after(11, ret=True),
                   s.static(5, ret=True)]
        assert take() == []
        assert not any(f.ready() for f in results)
        s.set("open", True)
        assert [f.get() for f in results] == [10, 11, 5]
        s.keywords(key=4)
        s.keywords(other=3, key=3)
        assert take() == [(3, 3)]
        s.set("step", 4)
        assert take() == [(4, 1)]
        s.set("level", 0)
        s.private()
        assert take() == []
        s.set("level", 1)
        assert take() == ["private"]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_order(self):
        """Oldest first, within a method and across methods and forms."""
        self.check(STEPS + """
def main(args):
    s = Chare(Steps, onPE=charm.numPes() - 1)
    take = lambda: s.take(ret=True).get()
    for i in range(20):
        s.state(("state", i))
        s.tag(1, i)
        s.general(("tuple", i) if False else i - 100, "x" * 200)
    assert take() == []
    s.set("level", 10000)
    s.set("open", True)
    # Those of 'general' came free before the others.
    assert take() == [i - 100 for i in range(20)] + [
        ("state", i) for i in range(20)]
    s.set("step", 1)
    assert take() == [(1, i) for i in range(20)]
    s.set("open", False)
    s.set("step", 0)
    for i in range(10):
        s.state(i)
        s.tag(5, i)
        s.state(i, when="self.step == 5")
    s.set("step", 5)
    assert take() == [(5, i) for i in range(10)]
    s.set("open", True)
    assert take() == [i for i in range(10) for _ in range(2)]
    # A message that came later does not overtake one that waits.
    s.set("open", False)
    s.state("first")
    s.set("open", True)
    s.state("second")
    assert take() == ["first", "second"]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_released_one_at_a_time(self):
        """Each condition is looked at anew after what went before."""
        self.check("""
class Gate(Chare):
    def __init__(self):
        self.tickets = 0
        self.log = []
        self.inside = 0

    @when("self.tickets > 0")
    def enter(self, i):
        self.tickets -= 1
        self.log.append(i)

    @coro
    @when("self.inside == 0")
    def alone(self, i):
        self.inside += 1
        assert self.inside == 1
        charm.sleep(0)
        assert self.inside == 1
        self.inside -= 1
        self.log.append(i)

    def give(self, n):
        self.tickets += n

    def take(self):
        log, self.log = self.log, []
        return log

def main(args):
    g = Chare(Gate, onPE=charm.numPes() - 1)
    for i in range(10):
        g.enter(i)
    g.give(3)
    assert g.take(ret=True).get() == [0, 1, 2]
    g.give(2)
    g.give(2)
    assert g.take(ret=True).get() == [3, 4, 5, 6]
    done = [g.alone(i, awaitable=True) for i in range(20)]
    charm.wait(done)
    assert g.take(ret=True).get() == list(range(20))
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_values_that_are_equal(self):
        """A tag is looked up by value where that is what == means."""
        self.check("""
class Weird:
    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return getattr(other, "n", other) == self.n

    __hash__ = None

class Tags(Chare):
    def __init__(self):
        self.tag = None
        self.log = []

    @when("self.tag == tag")
    def left(self, tag):
        self.log.append(repr(tag))

    @when("tag == self.tag")
    def right(self, tag):
        self.log.append(repr(tag))

    def set(self, value):
        self.tag = value

    def set_weird(self, n):
        self.tag = Weird(n)

    @property
    def computed(self):
        return self.tag

    @when("self.computed == x")
    def of_property(self, x):
        self.log.append(("property", x))

    def take(self):
        log, self.log = self.log, []
        return log

def main(args):
    t = Chare(Tags, onPE=charm.numPes() - 1)
    take = lambda: t.take(ret=True).get()
    nan = float("nan")
    t.set("start")
    for tag in (1, True, 1.0, "1", b"1", (1, 2), (1, (2,)), [1], {1: 2}, None,
                nan, 2**80, 1 + 0j):
        t.left(tag)
        t.right(tag)
    t.of_property(1)
    t.set(1)
    got = take()
    assert got == ["1", "1", "True", "True", "1.0", "1.0", "(1+0j)", "(1+0j)",
                   ("property", 1)], got
    for value in ("1", b"1", (1, 2), (1, (2,)), [1], {1: 2}, 2**80):
        t.set(value)
        assert take() == [repr(value)] * 2, value
    t.set(nan)
    assert take() == []
    t.set(None)
    assert take() == ["None"] * 2
    t.left(7)
    t.right(8)
    t.set_weird(8)
    assert take() == ["8"]
    t.set_weird(7)
    assert take() == ["7"]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_replies_broadcasts_and_quiescence(self):
        """A reply waits with its message; a held one counts as processed."""
        self.check(STEPS + """
class Held(Steps):
    @when("self.open")
    def where(self):
        return self.thisIndex

def main(args):
    group = Group(Held)
    n = charm.numPes()
    ended = group.state("x", awaitable=True)
    all_of_them = group.where(ret=True)
    charm.waitQD()
    assert not ended.ready() and not all_of_them.ready()
    for i in range(n - 1):
        group[i].set("open", True, awaitable=True).get()
    charm.waitQD()
    assert not ended.ready() and not all_of_them.ready()
    group[n - 1].set("open", True)
    ended.get()
    assert all_of_them.get() == list(range(n))
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_inheritance(self):
        self.check("""
class Base(Chare):
    def __init__(self):
        self.ready = False
        self.log = []

    @when("self.ready")
    def inherited(self, x):
        self.log.append(("base", x))

    @when("self.ready")
    def overridden(self, x):
        self.log.append(("base", x))

    @when("self.ready")
    def freed(self, x):
        self.log.append(("base", x))

    def go(self):
        self.ready = True

    def take(self):
        log, self.log = self.log, []
        return log

class Derived(Base):
    @when("x == 2 or self.ready")
    def overridden(self, x):
        self.log.append(("derived", x))
        super().overridden(x)

    def freed(self, x):
        self.log.append(("free", x))

def main(args):
    d = Chare(Derived, onPE=charm.numPes() - 1)
    d.inherited(0)
    d.overridden(1)
    d.overridden(2)
    d.freed(3)
    assert d.take(ret=True).get() == [("derived", 2), ("base", 2), ("free", 3)]
    d.go()
    assert d.take(ret=True).get() == [("base", 0), ("derived", 1), ("base", 1)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_sent_with_the_message(self):
        self.check(STEPS + """
class Mine(Chare):
    def __init__(self):
        self.n = 0
        self.log = []

    def add(self, x, when="its own", priority=None):
        self.log.append((x, when, priority))

    def anything(self, **keywords):
        self.log.append(keywords)

    def bump(self):
        self.n += 1

    def take(self):
        log, self.log = self.log, []
        return log

def main(args):
    s = Chare(Steps, onPE=charm.numPes() - 1)
    take = lambda: s.take(ret=True).get()
    s.set("level", 1, when="self.step == 2 and name == 'level'")
    s.state("both", when="value == 'both' and helper(self.level)")
    many = s.tag(0, "x", when="self.level == 1 and 0 < LIMIT", ret=True)
    s.general(-7, *"abcdefghijkl", when="len(args) == 13 and self.open")
    assert take() == []
    s.set("open", True)
    s.set("step", 2)
    assert take() == [-7]
    s.set("step", 0)
    many.get()
    assert take() == [(0, "x")]
    s.set("level", 4)
    assert take() == ["both"]
    for i in range(3000):
        s.state(i, when=f"self.level == {i}")
    for i in (2999, 5, 1500):
        s.set("level", i)
    assert take() == [4, 2999, 5, 1500]
    for bad in ("self.", "yield 1", "x = 1"):
        try:
            s.state(1, when=bad)
        except Error as error:
            assert "Steps.state()" in str(error) and "column" in str(error)
        else:
            assert False, bad
    try:
        s.state(1, when=lambda: True)
    except TypeError as error:
        assert "when=" in str(error)
    else:
        assert False
    s.state(1, when=None)
    # A parameter of that name belongs to the method.
    m = Chare(Mine)
    m.add(1, when="self.n == 1", priority=2)
    m.anything(x=1, when="self.n == 1", priority=-2)
    assert m.take(ret=True).get() == [(1, "self.n == 1", 2)]
    m.bump()
    assert m.take(ret=True).get() == [{"x": 1}]
    everywhere = Group(Steps)
    ended = everywhere.state("b", when="self.level == 1", awaitable=True)
    everywhere.set("level", 1)
    everywhere.set("open", True)
    ended.get()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_errors(self):
        """An exception in a condition goes to who asked, named."""
        self.check("""
class Bad(Chare):
    x = 0

    @when("self.missing > 0")
    def at_once(self):
        pass

    @when("1 / (1 - self.x)")
    def later(self):
        return "ok"

    @when("self.x == 2 and 1 / 0")
    def state(self):
        pass

    def set(self, x):
        self.x = x

    @coro
    def waits(self, condition):
        self.wait(condition)

def refused(future, *texts):
    try:
        future.get()
    except Error as error:
        for text in texts:
            assert text in str(error), error
    else:
        assert False

def main(args):
    bad = Chare(Bad, onPE=charm.numPes() - 1)
    refused(bad.at_once(ret=True), "self.missing > 0", "Bad.at_once()",
            "AttributeError", "missing")
    assert bad.later(ret=True).get() == "ok"
    first = bad.state(ret=True)
    second = bad.state(ret=True)
    waiting = bad.waits("1 / (2 - self.x)", ret=True)
    waiting.get()
    waiting = bad.waits("self.x == 2 and [][0]", ret=True)
    bad.set(2)
    refused(first, "Bad.state()", "ZeroDivisionError")
    refused(second, "Bad.state()", "ZeroDivisionError")
    refused(waiting, "wait()", "IndexError", "[][0]")
    refused(bad.waits("self..x", ret=True), "Bad", "self..x", "column 6")
    try:
        bad.waits(5, ret=True).get()
    except TypeError as error:
        assert "wait()" in str(error)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_reports(self):
        result = self.run_program("""
class Bad(Chare):
    @when("self.missing > 0")
    def go(self):
        pass

def main(args):
    Array(Bad, 3)[2].go()
charm.start(main)
""", 1)
        self.assertEqual(result.returncode, 1)
        for text in ("Bad.go()", "(2,)", "self.missing > 0", "missing"):
            self.assertIn(text, result.stderr)
        result = self.run_program("""
class Bad(Chare):
    @when("self.x >")
    def go(self):
        pass
charm.start(lambda args: None)
""", 1)
        self.assertEqual(result.returncode, 1)
        for text in ("Bad.go()", "self.x >", "column 9"):
            self.assertIn(text, result.stderr)

    def test_of_a_destroyed_chare(self):
        """Who waits for a held message's reply gets an Error."""
        program = """
class Held(Chare):
    open = False

    @when("self.open")
    def never(self):
        pass

    @coro
    def waits(self):
        self.wait("self.open")

def main(args):
    one = Array(Held, charm.numPes())[charm.numPes() - 1]
    if len(args) == 1:
        replies = [one.never(ret=True), one.never(when="True", ret=True),
                   one.waits(ret=True)]
    else:
        one.never()
    one.ckDestroy(awaitable=True).get()
    for reply in replies:
        try:
            reply.get()
        except Error as error:
            assert "destroyed" in str(error), error
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
"""
        self.check(program)
        result = self.run_program(program, 1, ["nobody asked"])
        self.assertEqual(result.returncode, 1)
        for text in ("Held.never()", "destroyed", "(0,)"):
            self.assertIn(text, result.stderr)

    def test_not_flushed_by_itself(self):
        self.check("""
charm.options.auto_flush_wait_queues = False

class Manual(Chare):
    def __init__(self):
        self.x = 0
        self.log = []

    @when("self.x == 1")
    def held(self, i):
        self.log.append(i)

    def set(self, x, flush):
        self.x = x
        if flush:
            self.__flush_wait_queues__()
            self.log.append("flushed")

    @coro
    def waits(self):
        self.wait("self.x == 1")
        self.log.append("waited")

    def take(self):
        log, self.log = self.log, []
        return log

def main(args):
    m = Chare(Manual, onPE=charm.numPes() - 1)
    m.held(1)
    m.waits()
    m.set(1, False)
    assert m.take(ret=True).get() == []
    m.held(2)
    assert m.take(ret=True).get() == [2]
    m.set(1, True)
    assert m.take(ret=True).get() == ["flushed", 1, "waited"]
    print("done")
    charm.exit()
charm.start(main)
""")


class WaitTest(ProgramCase):
    def test_native(self):
        """@when and wait() of 'async def' methods."""
        self.check("""
class Native(Chare):
    def __init__(self):
        self.n = 0
        self.log = []

    @when("self.n >= n")
    async def held(self, n):
        await charm.sleep(0)
        self.log.append(n)
        return n

    async def waits(self, n):
        await self.wait("self.n >= 0")
        await self.wait(f"self.n >= {n}")
        assert self.n >= n
        self.n -= 1
        await self.wait(lambda: self.n > n)
        return self.n

    async def bad(self):
        try:
            await self.wait("self.missing")
        except Error as error:
            return str(error)

    async def steps(self):
        for _ in range(5):
            await charm.sleep(0)
            self.n += 1

    def get(self):
        return self.log

def main(args):
    one = Chare(Native, onPE=charm.numPes() - 1)
    results = [one.held(n, ret=True) for n in (2, 1)]
    waiting = one.waits(3, ret=True)
    ended = one.held(1, when="self.n == 2", awaitable=True)
    one.steps()
    assert [f.get() for f in results] == [2, 1]
    assert waiting.get() == 4
    ended.get()
    assert sorted(one.get(ret=True).get()) == [1, 1, 2]
    assert "missing" in one.bad(ret=True).get()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_wait(self):
        self.check(LIMIT_HELP + """
class Waiter(Chare):
    def __init__(self):
        self.n = 0
        self.log = []

    def bump(self):
        self.n += 1

    @coro
    def text(self, n):
        self.wait(f"self.n == {n}")
        assert self.n == n
        self.log.append(n)
        return self.n

    @coro
    def twice(self):
        self.wait("self.n >= 1")
        self.wait("helper(self.n)")
        return self.n

    @coro
    def function(self, n):
        seen = self.wait(lambda: self.n == n)
        assert seen is None and self.n == n
        return self.n

    @coro
    def only_one(self, i):
        self.wait("self.n > 0")
        assert self.n > 0
        self.n -= 1
        self.log.append(i)

    @coro
    def steps(self):
        '''A coroutine's steps change the state too.'''
        for i in range(3):
            charm.sleep(0)
            self.n += 1

    def plain(self):
        self.wait("self.n == 1000")

    def take(self):
        log, self.log = self.log, []
        self.n = 0
        return log

def main(args):
    w = Chare(Waiter, onPE=charm.numPes() - 1)
    assert w.text(0, ret=True).get() == 0
    waiting = [w.text(n, ret=True) for n in (3, 1, 2)]
    both = w.twice(ret=True)
    third = w.function(3, ret=True)
    for _ in range(4):
        w.bump()
    assert [f.get() for f in waiting] == [3, 1, 2]
    assert third.get() == 3 and both.get() == 4
    assert w.take(ret=True).get() == [0, 1, 2, 3]
    done = [w.only_one(i, awaitable=True) for i in range(5)]
    for _ in range(5):
        w.bump()
    charm.wait(done)
    assert w.take(ret=True).get() == [0, 1, 2, 3, 4]
    third = w.text(3, ret=True)
    w.steps()
    assert third.get() == 3
    try:
        w.plain(ret=True).get()
    except NotThreadedError as error:
        assert "wait()" in str(error) and "Waiter.plain" in str(error)
    else:
        assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_main_chare(self):
        self.check("""
class Worker(Chare):
    def work(self, boss):
        boss.result(2)

class Boss(Chare):
    def __init__(self, args):
        self.sum = 0
        workers = Array(Worker, 5)
        for _ in range(20):
            workers.work(self.thisProxy)
            self.wait("self.sum == 10")
            self.sum = 0
        print("done")
        charm.exit()

    def result(self, x):
        self.sum += x

charm.start(Boss)
""")


if __name__ == "__main__":
    tapunit.main()
