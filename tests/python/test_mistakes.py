# SPDX-License-Identifier: BSD-3-Clause
"""Goal: a mistake is told where it is made, by a text that names the thing and
says what to do. Method: programs that make it, on 1 and 4 PEs; either they
look at the exception, or the test looks at the report that ends the job."""

import tapunit
from program import PES, ProgramCase

REFUSED = """
def refused(kind, function, *args, **keywords):
    try:
        function(*args, **keywords)
    except kind as error:
        assert type(error) is kind, type(error)
        return str(error)
    assert False, (function, args, keywords)

def has(text, *words):
    for word in words:
        assert word in text, (word, text)
"""


class MistakeCase(ProgramCase):
    def report(self, source, *words, pes=PES, without=(), code=1):
        """The program ends with a code and a report that has these words."""
        for count in pes:
            with self.subTest(pes=count):
                result = self.run_program(source, count)
                said = f"{result.stdout}\n{result.stderr}"
                self.assertEqual(result.returncode, code, said)
                for word in words:
                    self.assertIn(word, result.stderr)
                for word in without:
                    self.assertNotIn(word, result.stderr)


class CreationTest(MistakeCase):
    def test_classes(self):
        self.check(REFUSED + """
class Plain:
    pass

class Worker(Chare):
    pass

def main(args):
    class Inner(Chare):
        pass

    for make in (Chare, Group, lambda cls: Array(cls, 3)):
        has(refused(TypeError, make, int), "int", "subclass of Chare")
        has(refused(TypeError, make, Plain), "class Plain(Chare)")
        has(refused(TypeError, make, 3), "3 is no class")
        has(refused(TypeError, make, Group(Worker)), "is a proxy")
        has(refused(Error, make, Inner), "main.<locals>.Inner",
            "inside of a function", "top level")
    import types
    module = types.ModuleType("apart")
    exec("from chare import Chare\\nclass Apart(Chare): pass", vars(module))
    has(refused(Error, Group, module.Apart), "Apart", "modules=['apart']")
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_dimensions(self):
        self.check(REFUSED + """
class Worker(Chare):
    pass

def main(args):
    has(refused(TypeError, Array, Worker, "4"), "dims='4'", "(8, 8)")
    has(refused(TypeError, Array, Worker, 4.0), "dims=4.0", "integer")
    has(refused(TypeError, Array, Worker, (3, None)), "(3, None)",
        "None is no integer")
    for dims in (-1, (2, -1), 2**70, (2**63,)):
        has(refused(ValueError, Array, Worker, dims), f"dims={dims}",
            "0 or more")
    for dims in ((), (1,) * 7):
        has(refused(IndexError, Array, Worker, dims), f"dims={dims}", "1 to 6")
    has(refused(Error, Array, Worker, 4, 7), "1 dimension", "ndims is 7",
        "args=[...]")
    has(refused(Error, Array, Worker), "dims", "ndims")
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_arguments(self):
        self.check(REFUSED + """
class Worker(Chare):
    def __init__(self, name="x"):
        pass

def main(args):
    for value in (1, "name", b"x", {"name": 1}, {1}, object):
        for make in (lambda v: Chare(Worker, v), lambda v: Group(Worker, v),
                     lambda v: Array(Worker, 2, args=v)):
            text = refused(TypeError, make, value)
            has(text, f"args={value!r}", f"args=[{value!r}]", "Worker")
    sparse = Array(Worker, ndims=1)
    has(refused(TypeError, sparse.ckInsert, 1, "name"), "args=['name']")
    Group(Worker, ("a",)), Group(Worker, []), Group(Worker, None)
    import threading
    text = refused(TypeError, Chare, Worker, [threading.Lock()])
    has(text, "argument 'name' of Worker.__init__()", "lock")
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))


class TargetTest(MistakeCase):
    def test_no_reducer(self):
        """Data that no reducer is named for is not dropped."""
        self.check(REFUSED + """
class Worker(Chare):
    def go(self, future):
        for call in (lambda: self.reduce(future, 5),
                     lambda: self.contribute(5, None, future),
                     lambda: self.allreduce(5)):
            has(refused(TypeError, call), "Worker", "5", "Reducer.sum")
        self.reduce(future)
        self.contribute(None, None, future)
        self.contribute(3, Reducer.nop, future)

def main(args):
    future = Future(3)
    Group(Worker).go(future)
    assert future.get() == [None] * 3
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_what_is_no_target(self):
        self.check(REFUSED + """
def function(value):
    pass

class Worker(Chare):
    def method(self, value=None):
        pass

    def go(self):
        for target, words in (
            (self.method, ["self.thisProxy[self.thisIndex].method"]),
            (Worker.method, ["proxy.method", "of no chare"]),
            (function, ["Future", "other PEs"]),
            (lambda value: 0, ["Future", "other PEs"]),
            (print, ["Future"]),
            ([].append, ["Future"]),
            (Future, ["Future()"]),
            (self.thisProxy, ["proxy.method"]),
            (None, ["without parentheses"]),
            (self.thisProxy.method(), ["without parentheses"]),
            (7, ["7", "a Future, or a method of a proxy"]),
        ):
            has(refused(TypeError, self.reduce, target), *words)
            has(refused(TypeError, self.contribute, 1, Reducer.sum, target),
                *words)
            has(refused(TypeError, charm.startQD, target), *words)

def main(args):
    Group(Worker).go(awaitable=True).get()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_different_targets(self):
        """Who waits at the other one would never be told."""
        source = """
class Worker(Chare):
    @coro
    def own(self):
        future = Future()
        self.reduce(future, 1, Reducer.sum)
        future.get()

    def other(self):
        me, = self.thisIndex
        target = self.thisProxy[0].result if me else self.thisProxy.result
        self.reduce(target, 1, Reducer.sum)

    @coro
    def all(self):
        if self.thisIndex[0]:
            self.allreduce(1, Reducer.sum).get()
        else:
            self.reduce(self.thisProxy[0].result, 1, Reducer.sum)

    def result(self, value):
        pass

def main(args):
    Array(Worker, 8).{}()
charm.start(main)
"""
        self.report(source.format("own"), "different targets", "future ",
                    "Worker[", "on PE ", "all members")
        self.report(source.format("other"), "different targets",
                    "Worker.result of chare [0]",
                    "Worker.result of all chares")
        self.report(source.format("all"), "different targets",
                    "Worker.allreduce of all chares")

    def test_what_does_not_fit_together(self):
        """The error names who contributed what."""
        self.check(REFUSED + """
import re
try:
    import numpy
except ImportError:
    numpy = None

class Worker(Chare):
    def mixed(self, future):
        last = self.thisIndex == (7,)
        self.reduce(future, 1, Reducer.max if last else Reducer.sum)

    def nothing(self, future):
        if self.thisIndex == (7,):
            self.reduce(future)
        else:
            self.reduce(future, 1, Reducer.sum)

    def shapes(self, future, dtype):
        size = 4 if self.thisIndex == (7,) else 3
        self.reduce(future, numpy.zeros(size, dtype), Reducer.sum)

def main(args):
    many = Array(Worker, 8)
    for method, names in ((many.mixed, ("max", "sum")),
                          (many.nothing, ("nop", "sum"))):
        future = Future()
        method(future)
        text = refused(ValueError, future.get)
        has(text, *names)
        assert len(re.findall(r"on PE [0-9]+", text)) == 2, text
    if numpy is not None:
        for dtype in ("f8", "O"):
            future = Future()
            many.shapes(future, dtype)
            text = refused(ValueError, future.get)
            has(text, "[3]", "[4]")
            assert len(re.findall(r"PE [0-9]+", text)) == 2, text
    print("done")
    charm.exit()
charm.start(main)
""")


class SendingTest(MistakeCase):
    def test_which_argument(self):
        self.check(REFUSED + """
import threading

class Box:
    pass

class Worker(Chare):
    def work(self, first, second=None, *rest):
        pass

    def lock(self):
        return [1, threading.Lock()]

    def me(self):
        return self

    def mine(self):
        return refused(TypeError, self.thisProxy.work, self)

def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    box = Box()
    box.parts = {"k": [1, threading.Lock()]}
    text = refused(TypeError, worker.work, 1, box)
    has(text, "argument 'second' of Worker.work()",
        "second.parts['k'][1]", "cannot pickle '_thread.lock'")
    text = refused(TypeError, worker.work, 1, 2, 3, threading.Lock())
    has(text, "argument 'number 4'", "lock")
    with open(__file__) as file:
        has(refused(TypeError, worker.work, file), "'first'", "open file")
    has(refused(TypeError, worker.work, (i for i in range(3))), "generator")
    has(refused(TypeError, worker.lock(ret=True).get),
        "the result of Worker.lock()", "result[1]", "lock")
    has(refused(TypeError, worker.me(ret=True).get), "self.thisProxy")
    has(worker.mine(ret=True).get(), "'first'", "self.thisProxy")
    deep = []
    for _ in range(100000):
        deep = [deep]
    has(refused(RecursionError, worker.work, deep), "'first'",
        "nested too deeply")
    while deep:  # no deep recursion where it is freed
        deep = deep[0]
    loop = []
    loop.append(loop)
    worker.work(loop, awaitable=True).get()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_a_name_that_an_object_of_no_module_lacks(self):
        self.check("""
from chare import _support, charm

class Odd:
    __module__ = None

def main(args):
    try:
        Odd().missing
    except AttributeError as error:
        _support._suggest(error)
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_what_an_object_raises_when_it_is_pickled(self):
        self.check(REFUSED + """
class Sealed:
    def __reduce__(self):
        raise LookupError("my own")

class Worker(Chare):
    def work(self, first):
        pass

def main(args):
    has(refused(LookupError, Chare(Worker).work, Sealed()), "my own")
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))


WORKER = """
class Worker(Chare):
    def __init__(self):
        self.number = 3

    def work(self, x=1):
        return x
"""


class WordsTest(MistakeCase):
    def test_proxies_have_no_attributes(self):
        self.check(REFUSED + WORKER + """
def main(args):
    worker = Chare(Worker)
    has(refused(AttributeError, setattr, worker, "x", 5), "proxy.x",
        "entry method", "Worker")
    has(refused(AttributeError, delattr, worker, "x"), "del proxy.x")
    has(refused(AttributeError, setattr, Group(Worker)[0], "work", 5),
        "proxy.work")
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))
        self.report(WORKER + """
def main(args):
    print(Chare(Worker).number)
charm.start(main)
""", "no entry method 'number'", "an entry method that returns")

    def test_a_forgotten_ret(self):
        self.report(WORKER + """
def main(args):
    Chare(Worker).work(1).get()
charm.start(main)
""", "'NoneType' object has no attribute 'get'", "ret=True).get()")
        self.report(WORKER + """
class Main(Chare):
    async def go(self, worker):
        await worker.work()
def main(args):
    Chare(Main).go(Chare(Worker))
charm.start(main)
""", "'await' expression", "ret=True)'")
        self.report("""
def main(args):
    None.got
charm.start(main)
""", "no attribute 'got'", without=("ret=True",), pes=(1,))

    def test_a_method_of_the_class(self):
        self.report(WORKER + """
def main(args):
    Worker.work()
charm.start(main)
""", "missing 1 required", "Chare(Worker).work(...)", pes=(1,))
        for call, own in (("Part.add(3)", "main"), ("Part.add(part)", "main"),
                          ("part.through(2, ret=True).get()", "Part.through"),
                          ("Other.add([3], 4)", "main")):
            said = ("Part.add() was called on the class, so that ",
                    "Chare(Part).add(...)")
            self.report(f"""
class Part(Chare):
    def __init__(self):
        self.sum = 0
    def add(self, value=1):
        self.sum += value
    def through(self, value):
        return Part.add(value)

class Other(Part):
    def add(self, value=1):
        return super().add(value)

def main(args):
    part = Chare(Part, onPE=charm.numPes() - 1)
    {call}
charm.start(main)
""", own, *(said if "Other" not in call else ("Other.add() was called on",)))
        self.report("""
class Part(Chare):
    def add(self):
        return self.sum

def main(args):
    Chare(Part).add(ret=True).get()
charm.start(main)
""", "has no attribute 'sum'", without=("on the class",), pes=(1,))
        self.report(WORKER + """
def main(args):
    Worker()
charm.start(main)
""", "Worker() makes no chare", "Group(Worker)", pes=(1,))

    def test_what_is_for_proxies(self):
        self.report("""
class Part(Chare):
    @coro
    def ask(self):
        return self.answer(ret=True).get()
    def answer(self):
        return 42

def main(args):
    Chare(Part).ask(ret=True).get()
charm.start(main)
""", "unexpected keyword argument 'ret'",
            "self.thisProxy[self.thisIndex].answer(ret=...)", pes=(1,))
        for line in ("for one in parts[1:3]: pass", "one, two = parts",
                     "list(parts)", "parts, *rest = parts"):
            self.report(f"""
class Part(Chare):
    pass

def main(args):
    parts = Array(Part, 4)
    {line}
charm.start(main)
""", "terable", "proxy.method(ret=True).get() is the list", pes=(1,))
        self.report("""
class Part(Chare):
    pass

def main(args):
    charm.awaitCreation(Part)
charm.start(main)
""", "takes proxies, as Chare(), Group() and Array() return them, not <class",
            pes=(1,))

    def test_what_is_no_result_yet(self):
        for call, words in (
            ("self.thisProxy[0].work(ret=True) + 1", "future.get() waits"),
            ("self.own() + 1", "until it is awaited"),
            ("self.none()", "'def none(self)'"),
        ):
            self.report(f"""
class Worker(Chare):
    def work(self):
        return 1
    async def own(self):
        return 1
    def none():
        pass
    async def go(self):
        {call}
def main(args):
    Group(Worker).go()
charm.start(main)
""", "TypeError", words, pes=(1,))

    def test_misspelt_names(self):
        for line, words in (
            ("charm.exitt()", "did you mean 'exit'?"),
            ("Future().gett()", "did you mean 'get'?"),
            ("charm.options.balanser = 'greedy'", "did you mean 'balancer'?"),
            ("Group(Worker).wrok()", "no entry method 'wrok'"),
        ):
            self.report(WORKER + f"""
def main(args):
    {line}
charm.start(main)
""", words, pes=(1,))

    def test_reports_end_where_the_program_calls(self):
        """Our own frames say nothing to who made the call."""
        for line, words in (
            ("charm.lb.every(-1)", "charm.lb.every(-1): a period is from 0"),
            ("charm.lb.every('x')", "charm.lb.every('x'): a number"),
            ("charm.exit('bad')", "charm.abort(text)"),
            ("Array(Worker, 4, [1])", "Array(Worker, dims, args=[...])"),
            ("Group(Worker, args=[1])", "Worker.__init__()"),
            ("charm.pool.map(3, [1])", "3 is not a function"),
            ("Array(Worker, (2, 2))[1].work()", "have 2 dimensions"),
        ):
            self.report(WORKER + f"""
def main(args):
    {line}
charm.start(main)
""", "in main\n", words, without=("/chare/_",), pes=(1,))

    def test_a_second_value_for_a_future(self):
        self.report("""
class Worker(Chare):
    def work(self, future):
        future(1)
def main(args):
    future = Future()
    Group(Worker).work(future)
    Group(Worker).work(future)
    future.get()
    charm.waitQD()
charm.start(main)
""", "sent in Worker.work", "has all its values", "Future(n)")

    def test_reducers_by_name(self):
        self.report("""
def main(args):
    assert not hasattr(Reducer, "summ")
    Reducer.summ
charm.start(main)
""", "no reducer 'summ'", "did you mean 'sum'?", "gather", "addReducer",
            pes=(1,))

    def test_objects_with_attributes_of_their_own(self):
        """Reports look at what lacks an attribute, and ask it for none."""
        self.check("""
class Odd:
    def __getattr__(self, name):
        if name == "missing":
            raise AttributeError("it is missing", name=name, obj=self)
        raise RuntimeError("a report has asked for " + name)

class Worker(Chare):
    def work(self):
        Odd().missing

def main(args):
    try:
        Chare(Worker).work(ret=True).get()
    except AttributeError as error:
        assert str(error) == "it is missing", error
        print("done")
    charm.exit()
charm.start(main)
""")

    def test_the_start(self):
        self.check(REFUSED + """
def none():
    pass
has(refused(Error, charm.start, none), "none()", "def main(args)")
has(refused(Error, charm.start, lambda a, b: 0), "(a, b)")
def main(args):
    has(refused(Error, charm.start, main), "called before", "once",
        "charm.exit()")
    has(refused(Error, charm.run, main), "called before")
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))
        for name in ("reduce", "thisProxy"):
            self.report(f"""
class Worker(Chare):
    def {name}(self):
        pass
charm.start(lambda args: 0)
""", f"Worker.{name}", "reserved", "rename", pes=(1,))


if __name__ == "__main__":
    tapunit.main()
