# SPDX-License-Identifier: BSD-3-Clause
"""Calls are checked where they are made; priorities; what proxies have."""

import tapunit
from program import ProgramCase

CHECKS = """
def refused(kind, function, *args, **keywords):
    try:
        function(*args, **keywords)
    except kind as error:
        return str(error)
    assert False, (function, args, keywords)
"""


class CheckTest(ProgramCase):
    def test_signatures(self):
        """Every mistake is told at the call, with the signature."""
        self.check(CHECKS + """
class Strict(Chare):
    def __init__(self, size, *, name="x"):
        self.size = size

    def plain(self, a, b: int = 2) -> int:
        return a, b

    def only(self, a, /, b=2, *rest, c, d=4):
        return a, b, rest, c, d

    def anything(self, a, /, **keywords):
        return a, keywords

    @staticmethod
    def static(x):
        return x

    @classmethod
    def of_class(cls, x, y=1):
        return x, y

def main(args):
    strict = Chare(Strict, args=[1], onPE=charm.numPes() - 1)
    plain = "Strict.plain(a, b=2)"
    for positional, keywords, words in (
        ((), {}, ("missing", "'a'")),
        ((1, 2, 3), {}, ("at most 2", "3 given")),
        ((1,), {"c": 3}, ("unexpected", "'c'")),
        ((1,), {"a": 3}, ("multiple", "'a'")),
        ((), {"b": 3}, ("missing", "'a'")),
    ):
        for function in (strict.plain, getattr(strict, "plain")):
            said = refused(TypeError, function, *positional, **keywords)
            for word in (*words, plain):
                assert word in said, (said, word)
    said = refused(TypeError, strict.only, 1)
    for word in ("keyword", "'c'", "Strict.only(a, /, b=2, *rest, c, d=4)"):
        assert word in said, said
    assert "'a'" in refused(TypeError, strict.only, a=1, c=2)
    assert "'e'" in refused(TypeError, strict.only, 1, c=2, e=3)
    assert strict.only(1, c=3, ret=True).get() == (1, 2, (), 3, 4)
    assert strict.only(1, 2, 3, d=5, c=3, ret=True).get() == (1, 2, (3,), 3, 5)
    assert strict.anything(1, a=2, ret=True).get() == (1, {"a": 2})
    assert "'a'" in refused(TypeError, strict.anything, a=2)
    said = refused(TypeError, strict.static)
    assert "Strict.static(x)" in said, said
    said = refused(TypeError, strict.of_class, 1, 2, 3)
    assert "Strict.of_class(x, y=1)" in said, said
    said = refused(TypeError, Chare, Strict)
    assert "Strict.__init__(size, *, name='x')" in said, said
    refused(TypeError, Group, Strict, [1, 2])
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_unknown_methods(self):
        """An AttributeError at the call; its report suggests a name."""
        self.check(CHECKS + """
class Worker(Chare):
    def process(self):
        pass

    @coro
    def wrong(self, other):
        other.proces()

def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    assert "proces" in refused(AttributeError, lambda: worker.proces())
    assert "proces" in refused(AttributeError, getattr, worker, "proces")
    said = refused(AttributeError, worker.wrong(worker, ret=True).get)
    assert "'proces'; did you mean 'process'?" in said, said
    print("done")
    charm.exit()
charm.start(main)
""")
        result = self.run_program("""
class Worker(Chare):
    def process(self):
        pass

def main(args):
    Group(Worker).proces()
charm.start(main)
""", 1)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr.count("did you mean"), 1, result.stderr)
        self.assertIn("'process'", result.stderr)

    def test_methods_that_are_not_on_proxies(self):
        self.check(CHECKS + """
class Base(Chare):
    @local
    def helper(self, x):
        return x + 1

    @local
    @staticmethod
    def fixed():
        return 5

    def _underscore(self):
        return self.helper(1)

    def opened(self):
        return "base"

class Derived(Base):
    def helper(self, x):
        return x + 2

    @local
    def opened(self):
        return "derived"

def main(args):
    base, derived = Chare(Base), Chare(Derived)
    refused(AttributeError, lambda: base.helper(1))
    refused(AttributeError, lambda: base.fixed())
    assert base._underscore(ret=True).get() == 2
    assert derived.helper(1, ret=True).get() == 3
    assert derived._underscore(ret=True).get() == 3
    refused(AttributeError, lambda: derived.opened())
    assert base.opened(ret=True).get() == "base"
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_names_that_are_used_inside(self):
        """Entry methods may have the names of the runtime's own things."""
        names = ("idx", "element", "owner", "state", "held", "pe", "entries",
                 "send", "get", "name", "channels", "method", "proxy", "ready",
                 "flavour", "args", "result", "resume", "local", "_when")
        methods = "\n".join(
            f"    def {name}(self, x=0):\n        return {name!r}, x"
            for name in names
        )
        self.check(f"""
class Names(Chare):
{methods}

def main(args):
    for target in (Group(Names)[charm.numPes() - 1], Chare(Names)):
        for name in {names!r}:
            assert getattr(target, name)(7, ret=True).get() == (name, 7), name
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_arguments_are_not_shared(self):
        """Same-PE calls, conditional ones and broadcasts copy what can change."""
        self.check("""
class Keeper(Chare):
    def __init__(self):
        self.open = False
        self.kept = None

    @when("self.open")
    def held(self, value):
        self.kept = value
        value.append("mine")

    def keep(self, value):
        self.kept = value
        value.append("mine")

    def go(self):
        self.open = True

    def get(self):
        return self.kept

def main(args):
    one = Chare(Keeper, onPE=0)
    many = Array(Keeper, 2 * charm.numPes())
    charm.awaitCreation(one, many)
    for keep in (one.keep, one.held, many.keep, many.held,
                 lambda value: one.keep(value, when="True")):
        value = [1]
        keep(value)
        value.append(2)
        one.go()
        many.go()
        charm.waitQD()
        assert value == [1, 2]
    assert one.get(ret=True).get() == [1, "mine"]
    assert many.get(ret=True).get() == [[1, "mine"]] * (2 * charm.numPes())
    print("done")
    charm.exit()
charm.start(main)
""")


class PriorityTest(ProgramCase):
    def test_priorities(self):
        """Messages that wait together run by priority, then by age."""
        self.check(CHECKS + """
class Sorted(Chare):
    def __init__(self):
        self.log = []

    def block(self, future):
        '''Let messages gather on this PE: they come while it runs.'''
        me = self.thisProxy
        for i in range(3):
            me.plain(i)
            me.late(i)
            me.soon(i)
            me.plain(10 + i, priority=20)
            me.late(10 + i, priority=-5)
            me.plain(20 + i, priority=1, when="True")
            me.held(i)
            me.named(i)
        me.finish(future, priority=32767)

    def plain(self, i):
        self.log.append(("plain", i))

    @priority(10)
    def late(self, i):
        self.log.append(("late", i))

    @priority(EXPEDITED)
    def soon(self, i):
        self.log.append(("soon", i))

    @when("True")
    @priority(5)
    @coro
    def held(self, i):
        self.log.append(("held", i))

    def named(self, priority):
        self.log.append(("named", priority))

    def finish(self, future):
        future(self.log)

def main(args):
    for pe in {0, charm.numPes() - 1}:
        future = Future()
        Chare(Sorted, onPE=pe).block(future)
        got = future.get()
        want = []
        for name, first in (("soon", 0), ("late", 10), ("plain", 0),
                            ("plain", 20), ("held", 0), ("late", 0),
                            ("plain", 10)):
            if (name, first) == ("plain", 0):
                for i in range(3):
                    want += [("plain", i), ("named", i)]
            else:
                want += [(name, first + i) for i in range(3)]
        assert got == want, got
    one = Chare(Sorted)
    assert "integer" in refused(TypeError, one.plain, 1, priority="high")
    assert "32767" in refused(ValueError, one.plain, 1, priority=32768)
    assert "-32767" in refused(ValueError, one.plain, 1, priority=-32768)
    assert "integer" in refused(TypeError, priority, "high")
    assert "integer" in refused(TypeError, priority, one.plain)
    assert "-32767" in refused(ValueError, priority, -32768)
    assert EXPEDITED == -32767
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_between_pes(self):
        """Calls to other PEs and broadcasts have priorities too."""
        self.check("""
class Sorted(Chare):
    def __init__(self):
        self.log = []

    def note(self, i):
        self.log.append(i)

    def get(self):
        return self.log

def main(args):
    group = Group(Sorted)
    charm.awaitCreation(group)
    group.note(1, priority=3, awaitable=True).get()
    group.note(2, priority=-3, awaitable=True).get()
    assert group.get(priority=-7, ret=True).get() == [[1, 2]] * charm.numPes()
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
