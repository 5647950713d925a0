# SPDX-License-Identifier: BSD-3-Clause
"""Goal: a constructor's exception is raised where its chare's creation is
awaited, and ends the job where it is not; a chare that has none refuses calls.
Method: programs that assert, on 1 and 4 PEs; reports by their text."""

import tapunit
from program import PES, ProgramCase

BROKEN = """
from chare import _creations

class Broken(Chare):
    def __init__(self, bad=None, sleep=0):
        self.bad = bad
        self.check()

    def check(self):
        at = self.thisIndex
        at = at if isinstance(at, int) else at[0]
        if self.bad is None or at in self.bad:
            raise OSError(f"broken at {at}")

    def work(self, value=1):
        return value

    @when("value == 1")
    def conditional(self, value):
        return value

class Slow(Broken):
    @coro
    def __init__(self, bad=None, sleep=0.01):
        self.bad = bad
        charm.sleep(sleep)
        self.check()

class Native(Broken):
    async def __init__(self, bad=None, sleep=0.01):
        self.bad = bad
        await charm.sleep(sleep)
        self.check()

KINDS = Broken, Slow, Native

def error_of(wait, *args):
    try:
        wait(*args)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")

def call_error(future):
    error = error_of(future.get)
    assert type(error) is Error, repr(error)
    return str(error)
"""


class AwaitedTest(ProgramCase):
    def test_every_kind_of_chare(self):
        self.check(BROKEN + """
def sparse(cls):
    array = Array(cls, ndims=2)
    for i in range(6):
        array.ckInsert((i, -1), args=[[4]])
    array.ckDoneInserting()
    return array

def main(args):
    last = charm.numPes() - 1
    for cls in KINDS:
        for make, at in (
            (lambda: Chare(cls, onPE=last), 0),
            (lambda: Group(cls, args=[[last]]), last),
            (lambda: Group(cls), None),
            (lambda: Array(cls, 9, args=[[8]]), 8),
            (lambda: sparse(cls), 4),
            (lambda: Array(cls, 9, args=[[8]])[6:], 8),
            (lambda: Array(cls, 9, args=[[8]])[8], 8),
        ):
            proxy = make()
            for again in range(2):
                error = error_of(charm.awaitCreation, proxy)
                assert type(error) is OSError, repr(error)
                if at is not None:
                    assert str(error) == f"broken at {at}"
                text = error.remote_traceback
                assert f"{cls.__name__}.__init__() of element (" in text, text
                assert "in check" in text and "on PE " in text, text
    charm.waitQD()
    assert not _creations._waiting and not _creations._asking
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_in_native_coroutines(self):
        self.check(BROKEN + """
async def main(args):
    for cls in KINDS:
        try:
            await charm.awaitCreation(Group(cls), Array(cls, 4))
        except OSError as error:
            assert "broken" in str(error)
        else:
            assert False
    good = Array(Native, 5, args=[[]])
    assert await charm.awaitCreation(good) is None
    assert await good.work(ret=True) == [1] * 5
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_many_at_once(self):
        self.check(BROKEN + """
def main(args):
    for cls in (Broken, Slow):
        error = error_of(charm.awaitCreation, Array(cls, 2000))
        assert type(error) is OSError
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_one_after_the_other(self):
        """A failure keeps until who waits for other creations goes on."""
        self.check(BROKEN + """
def main(args):
    first = Array(Slow, 4, args=[[], 0.05])
    second = Array(Broken, 4)
    third = Group(Native)
    charm.awaitCreation(first)
    assert type(error_of(charm.awaitCreation, second)) is OSError
    assert type(error_of(charm.awaitCreation, third)) is OSError
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_by_who_did_not_create_it(self):
        self.check(BROKEN + """
class Helper(Chare):
    @coro
    def look(self, proxy):
        return repr(error_of(charm.awaitCreation, proxy))

    def make(self):
        return Group(Slow)

def main(args):
    helper = Chare(Helper, onPE=charm.numPes() - 1)
    said = helper.look(Group(Broken), ret=True).get()
    assert said.startswith("OSError"), said
    group = helper.make(ret=True).get()
    assert type(error_of(charm.awaitCreation, group)) is OSError
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_what_comes_before_the_constructor(self):
        self.check(BROKEN + """
class Unmade:
    def __reduce__(self):
        return int, ("no number",)

class New(Chare):
    def __new__(cls, *args):
        raise OSError("no object")

def main(args):
    last = charm.numPes() - 1
    error = error_of(
        charm.awaitCreation, Chare(Broken, args=[[Unmade()]], onPE=last))
    assert type(error) is ValueError and "no number" in str(error)
    worker = Group(New)
    error = error_of(charm.awaitCreation, worker)
    assert type(error) is OSError and str(error) == "no object"
    said = call_error(worker[last]._chare_enlist(ret=True))
    assert f"New ({last},), whose constructor failed" in said, said
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_in_charm4py_programs(self):
        for count in PES:
            result = self.run_program("""
from charm4py import charm, Chare, Array, Group, coro

class Broken(Chare):
    def __init__(self):
        raise OSError("broken")

class Slow(Chare):
    @coro
    def __init__(self):
        self.check()
    def check(self):
        raise OSError("slow")

def main(args):
    for cls in (Broken, Slow):
        for proxy in (Chare(cls, onPE=charm.numPes() - 1), Group(cls),
                      Array(cls, 7)):
            try:
                charm.awaitCreation(proxy)
            except OSError as error:
                assert cls.__name__.lower() == str(error)
            else:
                assert False
    print("done")
    charm.exit()
charm.start(main)
""", count, prelude="import chare.compat; chare.compat.install()\n")
            self.assertEqual(result.stdout, "done\n", result.stderr)


    def test_after_it_counts_as_created(self):
        """Of Charm4py's constructors all is over when they suspend."""
        for count in PES:
            result = self.run_program("""
from charm4py import charm, Chare, Group, Future, coro

class Slow(Chare):
    @coro
    def __init__(self):
        self.go = Future()
        self.go.get()
        raise OSError("slow")
    def goes(self):
        self.go.send()

def main(args):
    group = Group(Slow)
    charm.awaitCreation(group)
    print("created", flush=True)
    group[charm.numPes() - 1].goes()
    Future().get()
    print("never")
charm.start(main)
""", count, prelude="import chare.compat; chare.compat.install()\n")
            self.assertEqual(result.returncode, 1)
            self.assertEqual(result.stdout, "created\n", result.stderr)
            self.assertIn(
                f"uncaught exception in Slow.__init__() of element "
                f"({count - 1},)\n", result.stderr)
            self.assertIn("OSError: slow\n", result.stderr)


class UnawaitedTest(ProgramCase):
    def check_report(self, source, *parts):
        for count in PES:
            with self.subTest(pes=count):
                result = self.run_program(BROKEN + source, count)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertNotIn("never", result.stdout)
                for part in parts:
                    self.assertIn(part, result.stderr)

    def test_nobody(self):
        for kind in ("Broken", "Slow", "Native"):
            self.check_report(f"""
async def main(args):
    group = Group({kind}, args=[[charm.numPes() - 1]])
    await Future()
    print("never")
charm.start(main)
""", f"uncaught exception in {kind}.__init__() of element (", "OSError: bro")

    def test_for_other_chares(self):
        self.check_report("""
def main(args):
    array = Array(Broken, 8, args=[[7]])
    charm.awaitCreation(array[0], Group(Broken, args=[[]]))
    charm.waitQD()
    print("never")
charm.start(main)
""", "in Broken.__init__() of element (7,)", "OSError: broken at 7")

    def test_an_inserted_one(self):
        self.check_report("""
def main(args):
    array = Array(Broken, ndims=1)
    array.ckInsert(3)
    charm.waitQD()
    print("never")
charm.start(main)
""", "in Broken.__init__() of element (3,)")

    def test_calls_wait_for_the_verdict(self):
        self.check_report("""
def main(args):
    print(Group(Broken)[charm.numPes() - 1].work(ret=True).get())
    print("never")
charm.start(main)
""", "uncaught exception in Broken.__init__() of element (")

    def test_others_that_always_wait_are_no_excuse(self):
        self.check_report("""
@coro
def more():
    while True:
        charm.awaitCreation(Chare(Broken, args=[[]]))

def main(args):
    charm.spawn(more)
    Chare(Broken, onPE=charm.numPes() - 1)
    charm.waitQD()
    print("never")
charm.start(main)
""", "uncaught exception in Broken.__init__() of element (")


class LaterTest(ProgramCase):
    def test_calls_are_refused(self):
        self.check(BROKEN + """
def main(args):
    last = charm.numPes() - 1
    for cls in KINDS:
        group = Group(cls, args=[[last]])
        before = group[last].work(ret=True)
        when = group[last].conditional(2, awaitable=True)
        group.work()  # in vain there, and nothing else to tell
        error_of(charm.awaitCreation, group)
        one = group[last]
        for future in (
            before, when, one.work(ret=True), one.work(awaitable=True),
            one.conditional(2, ret=True), one.work(ret=True, when="self.bad"),
            group.work(ret=True), group.work(awaitable=True),
            charm.combine(group).work(ret=True),
        ):
            said = call_error(future)
            name = cls.__name__
            assert f"() was called on {name} {last}, whose cons" in said, said
            assert f"failed on PE {last}: OSError: broken at {last}" in said
        if last > 0:
            assert group[0].work(5, ret=True).get() == 5
        one.ckDestroy(awaitable=True).get()
        error_of(one.work(ret=True).get)
        group.ckDestroy(awaitable=True).get()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_its_object_is_not_to_be_had(self):
        self.check(BROKEN + """
class NoMap(ArrayMap):
    def __init__(self):
        raise OSError("broken")

def main(args):
    group = Group(Broken)
    error_of(charm.awaitCreation, group)
    for function in group.ckLocalBranch, group[0].ckLocal:
        assert "whose constructor failed" in str(error_of(function))
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_what_nobody_waits_for_ends_the_job(self):
        for call in ("group.work()", "group[0].work(2)",
                     "group[0].conditional(2)",
                     "Chare(Sender, onPE=0).send(group[0])"):
            for count in PES:
                result = self.run_program(BROKEN + f"""
class Sender(Chare):
    def send(self, other):
        Channel(self, other).send("something")

def main(args):
    group = Group(Broken)
    error_of(charm.awaitCreation, group)
    {call}
    charm.waitQD()
    print("never")
charm.start(main)
""", count)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertNotIn("never", result.stdout)
                self.assertIn("called on Broken ", result.stderr)
                self.assertIn("whose constructor failed", result.stderr)
                self.assertIn("OSError: broken at ", result.stderr)

    def test_a_reduction_without_it_is_explained(self):
        result = self.run_program(BROKEN + """
class Part(Broken):
    def add(self, future):
        self.reduce(future, 1, Reducer.sum)

def main(args):
    array = Array(Part, 4, args=[[3]])
    error_of(charm.awaitCreation, array)
    future = Future()
    for i in range(3):
        array[i].add(future)
    future.get()
charm.start(main)
""", 1)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("Part (3,) takes no part: its constructor failed with "
                      "OSError: broken at 3", result.stderr)


if __name__ == "__main__":
    tapunit.main()
