# SPDX-License-Identifier: BSD-3-Clause
"""How a program starts, and what charm does for it on all PEs.

Goal:   main functions and main chares, options, readonlies, charm.thisProxy,
        classes and reducers that come late, statistics, the notice at exit.
Method: small programs on 1 and on 4 PEs that check themselves.
"""

import tapunit
from program import PES, ProgramCase

ASSERT = """
def raises(kind, function, *args, **keywords):
    try:
        function(*args, **keywords)
    except kind as error:
        return str(error)
    assert False, "nothing was raised"
"""


class MainTest(ProgramCase):
    def test_main_chare(self):
        self.check("""
class Main(Chare):
    def __init__(self, args):
        assert args == sys.argv
        charm.sleep(0.001)           # it is a coroutine
        assert not hasattr(self, "thisIndex")
        self.thisProxy.go(3)

    @coro
    def go(self, n):
        assert self.thisProxy == eval("self.thisProxy")
        print("done")
        charm.exit()
charm.start(Main)
""")

    def test_second_start(self):
        self.check(ASSERT + """
def main(args):
    assert "before" in raises(Error, charm.start, main)
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_wrong_entries(self):
        self.check(ASSERT + """
class TwoArguments(Chare):
    def __init__(self, args, more):
        pass
class NoChare:
    pass
assert "function of one argument" in raises(Error, charm.start, 5)
assert "one argument" in raises(Error, charm.start, lambda: None)
assert "one argument" in raises(Error, charm.start, TwoArguments)
raises(Error, charm.start, NoChare)
raises(Error, register, NoChare)
raises(Error, charm.start, print, classes=[NoChare])
raises(ImportError, charm.start, lambda args: 0, modules=["no_such_module"])
def main(args):
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_notice_without_start(self):
        for count in PES:
            result = self.run_program("""
class Forgotten(Chare):
    pass
""", count)
            self.assertEqual(result.returncode, 0)
            self.assertIn("without charm.start()", result.stderr)
        result = self.run_program("print('no chares')", 1)
        self.assertEqual(result.stderr, "")

    def test_an_error_before_the_start_is_told_alone(self):
        for mistake in "charm.start(main())", "charm.start(lambda: 0)":
            result = self.run_program(f"""
class Early(Chare):
    pass
def main(args):
    pass
{mistake}
""", 1)
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr.splitlines()[-1],
                             r"^(TypeError: main\(\) missing 1 |chare\.Error: )")


class OptionsTest(ProgramCase):
    def test_options(self):
        self.check(ASSERT + """
for name, value in {
    "local_msg_optim": True, "local_msg_buf_size": 7, "pickle_protocol": 4,
    "profiling": True, "quiet": True, "remote_exec": True,
    "auto_flush_wait_queues": False}.items():
    assert getattr(charm.options, name) != value
    setattr(charm.options, name, value)
charm.options.interactive.verbose = 0
charm.options.interactive.broadcast_imports = False
said = raises(AttributeError, setattr, charm.options, "profilling", True)
assert "'profilling'" in said and "profiling" in said
listed = str(charm.options)
assert "profiling: True" in listed and "interactive.verbose: 0" in listed
charm.options.auto_flush_wait_queues = True
def main(args):
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_old_names(self):
        self.check(ASSERT + """
type(charm.options).PROFILING = True
assert "charm.options.profiling" in raises(
    Error, charm.start, lambda args: None)
del type(charm.options).PROFILING
def main(args):
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))


READER = """
from chare import readonlies as ro

class Reader(Chare):
    def __init__(self, *args):
        self.seen = ro.number

    def read(self):
        return ro.number, ro.array.sum(), self.seen

    def pass_on(self, target, future):
        target.tell(future)

    def tell(self, future):
        future(ro.number)
"""


class ReadonliesTest(ProgramCase):
    def test_they_are_there_before_anything_runs(self):
        # All is sent, along every way there is, before they are set.
        self.check(READER + """
import numpy
def main(args):
    last = charm.numPes() - 1
    group = Group(Reader)
    one = Chare(Reader, onPE=last)
    grid = Array(Reader, 16)
    sparse = Array(Reader, ndims=1)
    for i in range(8):
        sparse.ckInsert(i, [1])
    sparse.ckDoneInserting()
    results = [group.read(ret=True), grid.read(ret=True)]
    single = one.read(ret=True)
    futures = [Future() for _ in range(10)]
    for i, future in enumerate(futures):
        group[i % charm.numPes()].pass_on(grid[15 - i], future)
    ro.number = 42
    ro.array = numpy.arange(1000)
    charm.awaitCreation(group, grid, sparse)
    for result in results:
        for item in result.get():
            assert item == (42, 499500, 42), item
    assert single.get() == (42, 499500, 42)
    assert [future.get() for future in futures] == [42] * 10
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_from_a_main_chare_and_at_return(self):
        self.check(READER + """
class Main(Chare):
    def __init__(self, args):
        Group(Reader).read(ret=True)
        ro.number = 42
        import numpy
        ro.array = numpy.arange(10)
        self.thisProxy.after()

    @coro
    def after(self):
        values = Group(Reader).read(ret=True).get()
        assert values == [(42, 45, 42)] * charm.numPes(), values
        print("done")
        charm.exit()
charm.start(Main)
""")

    def test_mistakes(self):
        self.check(ASSERT + """
from chare import readonlies
class Late(Chare):
    def late(self):
        readonlies.late = 1
def main(args):
    raises(Error, setattr, readonlies, "_private", 1)
    raises(Error, setattr, readonlies, "private_", 1)
    readonlies.ok = 1
    assert "was not set" in raises(AttributeError, getattr, readonlies, "no")
    charm.sleep(0)
    assert "first suspends" in raises(Error, setattr, readonlies, "late", 1)
    proxy = Group(Late)
    raises(Error, proxy.late(ret=True).get)
    print("done")
    charm.exit()
charm.start(main)
""")


class RemoteTest(ProgramCase):
    def test_update_globals(self):
        self.check("""
import numpy
x = None
class Reader(Chare):
    def read(self):
        return x, y, float(z.sum())
def main(args):
    updated = charm.thisProxy.updateGlobals(
        {"x": 1, "y": charm.thisProxy}, awaitable=True)
    assert updated.get() is None
    charm.thisProxy.updateGlobals(
        {"z": numpy.ones((50, 1000), order="F")}, "__main__",
        awaitable=True).get()
    group = Group(Reader)
    assert group.read(ret=True).get() == [
        (1, charm.thisProxy, 50000.0)] * charm.numPes()
    last = charm.numPes() - 1
    charm.thisProxy[last].updateGlobals({"x": 2}, ret=True).get()
    assert group[last].read(ret=True).get()[0] == 2
    if last:
        assert group[0].read(ret=True).get()[0] == 1
    charm.thisProxy.updateGlobals(
        global_dict={"pi": 3}, module_name="math", awaitable=True).get()
    import math
    assert math.pi == 3
    try:
        charm.thisProxy.updateGlobals({}, "no_module", awaitable=True).get()
    except ImportError:
        pass
    else:
        assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_source(self):
        program = ASSERT + """
def main(args):
    n = charm.numPes()
    charm.thisProxy.exec("a = 3\\ndef f(x): return x + a",
                         awaitable=True).get()
    charm.thisProxy[n - 1].rexec("a = 4", "__main__", awaitable=True).get()
    assert charm.thisProxy.eval("f(1)", ret=True).get() == [4] * (n - 1) + [5]
    assert charm.thisProxy[0].eval("sep", "os", ret=True).get() == os.sep
    assert charm.thisProxy.myPe(ret=True).get() == list(range(n))
    print("done")
    charm.exit()
charm.start(main)
"""
        self.check("charm.options.remote_exec = True\n" + program)
        result = self.run_program(program, 1)
        self.assertEqual(result.returncode, 1)
        self.assertIn("remote_exec", result.stderr)

    def test_create_array(self):
        self.check("""
class Cell(Chare):
    def where(self):
        return self.thisIndex
def main(args):
    last = charm.thisProxy[charm.numPes() - 1]
    proxy = last.createArray(Cell, (2, 3), ret=True).get()
    assert proxy[1, 2].where(ret=True).get() == (1, 2)
    future = Future()
    last.createArray(Cell, 4, cb=future)
    assert future.get().where(ret=True).get() == [(0,), (1,), (2,), (3,)]
    print("done")
    charm.exit()
charm.start(main)
""")


class LateTest(ProgramCase):
    def test_classes(self):
        # Every PE creates chares of it as soon as it may.
        self.check(ASSERT + """
charm.options.remote_exec = True
SOURCE = '''
class Late(Chare):
    def __init__(self, value=1):
        self.value = value
    def get(self):
        return self.value, self.thisIndex
'''
class Creator(Chare):
    def __init__(self):
        globals()["creators"] = self.thisProxy

    def create(self):
        n = charm.numPes()
        self.made = [Group(Late, [self.thisIndex]), Array(Late, 3),
                     Chare(Late, [7], onPE=(self.thisIndex + 1) % n)]
        return self.made

    @coro
    def register(self, name):
        source = SOURCE.replace("Late", name)
        charm.thisProxy.registerNewChareType(
            name, source, awaitable=True).get()
        return Group(globals()[name], [self.thisIndex])

def main(args):
    n = charm.numPes()
    creators = Group(Creator)
    raises(NameError, lambda: Late)
    charm.thisProxy.registerNewChareType("Late", SOURCE, awaitable=True).get()
    for pe, (group, array, single) in enumerate(
            creators.create(ret=True).get()):
        assert group.get(ret=True).get() == [(pe, i) for i in range(n)]
        assert array.get(ret=True).get() == [(1, (i,)) for i in range(3)]
        assert single.get(ret=True).get()[0] == 7
    # All PEs at once, under several names.
    futures = [creators[pe].register(f"Late{pe}", ret=True)
               for pe in range(n)]
    for pe, future in enumerate(futures):
        assert future.get().get(ret=True).get() == [
            (pe, i) for i in range(n)]
    # Classes made here, which no other PE has.
    class Inner(Chare):
        def get(self):
            return "inner"
    class Inherits(Late):
        def get(self):
            assert isinstance(self, Late)
            return super().get()[0] + 1
    for cls, value in ((Inner, "inner"), (Inherits, 2)):
        globals()[cls.__name__] = cls
        cls.__qualname__ = cls.__name__
        assert charm.thisProxy.registerNewChareTypes(
            [cls], ret=True).get() == [None] * n
        assert Group(cls).get(ret=True).get() == [value] * n
        assert Array(cls, 5).get(ret=True).get() == [value] * 5
    error = raises(Error, charm.thisProxy.registerNewChareTypes, [int])
    assert "not a subclass" in error
    raises(SyntaxError, charm.thisProxy.registerNewChareType(
        "Bad", "class Bad(", awaitable=True).get)
    raises(KeyError, charm.thisProxy.registerNewChareType(
        "Missing", "pass", awaitable=True).get)
    charm.thisProxy.registerNewChareType(
        "After", "class After(Late): pass", awaitable=True).get()
    assert Group(After).get(ret=True).get() == [(1, i) for i in range(n)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_reducers(self):
        self.check(ASSERT + """
class Worker(Chare):
    def longest(self, future):
        self.reduce(future, "x" * self.thisIndex[0], Reducer.longest)
def longest(words):
    return max(words, key=len)
def main(args):
    array = Array(Worker, 9)
    charm.thisProxy.addReducer(longest, awaitable=True).get()
    future = Future()
    array.longest(future)
    assert future.get() == "x" * 8
    assert "already" in raises(
        Error, charm.thisProxy.addReducer(longest, awaitable=True).get)
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
