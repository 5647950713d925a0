# SPDX-License-Identifier: BSD-3-Clause
"""Classes of chares in C: calls, values, errors, and chares in C and in
Python in one array.

Goal:   a class in C is used as one in Python is; both kinds call each other,
        take part in one reduction and move; whatever is passed arrives right
        or is refused in words.
Method: a plug-in (plugin.c) and small programs, on 1, 2 and 3 PEs, whose
        assertions end the job.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import tapunit
from program import REFUSED, ProgramCase

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("top_builddir", ".")).resolve()
PLUGIN = BUILD / "tests" / "python" / ".libs" / "plugin.so"
OTHER = BUILD / "tests" / "python" / ".libs" / "plugin_other.so"

START = f"""
cells = charm.load({str(PLUGIN)!r})

class Mirror(Chare):
    \"\"\"The same in Python.\"\"\"
    def __init__(self, sum):
        self.sum = sum
        self.said = []
    def add(self, amount):
        self.sum += amount
        return self.sum
    def nothing(self):
        pass
    def sumTo(self, done):
        import numpy
        self.reduce(done, numpy.array([1., 2., 3.]) * self.sum, Reducer.sum)
    def countTo(self, done):
        self.reduce(done, self.sum, Reducer.sum)
    def takeTotal(self, total):
        self.sum = total
    def tell(self, target, method):
        getattr(target, method)(self.sum, "from Python")
    def whole(self):
        return self.thisProxy
    @coro
    def ask(self, target):
        return target.add(1000, ret=True).get()
    def echo(self, *args):
        return args
    def dot(self, x, factor=1):
        return float((x * factor).sum())
    def where(self):
        return charm.myPe()
    def fail(self, how):
        raise ValueError(how)

class Channeller(Chare):
    def open(self, remote):
        Channel(self, remote)

class Listener(Chare):
    def __init__(self):
        self.heard = []
    def hear(self, value, text):
        self.heard.append((value, text))
    def get(self):
        return self.heard
    def take(self, value):
        self.heard.append(value)
    def add(self, amount):
        if amount == 1000:
            return 1234
        raise KeyError(amount)
    def refuse(self):
        raise RuntimeError("not today")

def exit():
    print("done")
    charm.exit()
""" + REFUSED + """
def mixed(count=8):
    array = Array(cells.Cell, ndims=1)
    for i in range(count):
        array.ckInsert(i, args=[i], cls=Mirror if i % 3 == 1 else None)
    array.ckDoneInserting()
    charm.awaitCreation(array)
    return array
"""

PES = (1, 2, 3)


class PluginCase(ProgramCase):
    def everywhere(self, text):
        self.check(START + text.strip("\n") + "\ncharm.start(main)\n", pes=PES)


class ClassTest(PluginCase):
    def test_collections_of_a_class_in_c(self):
        self.everywhere("""
def main(args):
    one = Chare(cells.Cell, args=[5], onPE=charm.numPes() - 1)
    assert one.add(2, ret=True).get() == 7
    assert one.add(amount=3, ret=True).get() == 10
    one.add(1)
    assert one.nothing(ret=True).get() is None
    one.nothing(awaitable=True).get()
    group = Group(cells.Cell, args=[1])
    assert group.add(1, ret=True).get() == [2] * charm.numPes()
    assert group.where(ret=True).get() == list(range(charm.numPes()))
    array = Array(cells.Cell, 7, args=[10])
    charm.awaitCreation(array, group, one)
    for i in range(7):
        array[i].add(i)
    assert array.add(0, ret=True).get() == [10 + i for i in range(7)]
    grid = Array(cells.Cell, (2, 3), args=[0], map="round_robin")
    grid[1, 2].add(4)
    assert sum(grid.add(0, ret=True).get()) == 4
    done = Future()
    array.countTo(done)
    assert done.get() == 70 + 21
    section = array[::2]
    assert section.add(0, ret=True).get() == [10, 12, 14, 16]
    listener = Chare(Listener)
    array.countTo(listener.take)
    array[3].add(0, ret=True).get()
    charm.waitQD()
    assert listener.get(ret=True).get() == [91]
    array.countTo(one.takeTotal)
    charm.waitQD()
    assert one.add(0, ret=True).get() == 91
    array[6].ckDestroy(awaitable=True).get()
    assert "Cell[6]" in refused(LookupError, array[6].add, 1, ret=True)
    exit()
""")

    def test_a_section_of_classes_in_c_and_in_python(self):
        # Of whatever class those are that were made first.
        self.everywhere("""
def main(args):
    arrays = [Array(Mirror, 2, args=[1]), Array(cells.Cell, 2, args=[5])]
    charm.awaitCreation(*arrays)
    for one, other in (0, 1), (1, 0):
        both = charm.combine(arrays[one], arrays[other])
        assert sorted(both.add(0, ret=True).get()) == [1, 1, 5, 5]
        text = refused(TypeError, both.add, object(), ret=True)
        assert "cells.Cell.add" in text and "no form in C" in text, text
    exit()
""")

    def test_mistakes_at_the_call(self):
        self.everywhere("""
def main(args):
    array = Array(cells.Cell, 2, args=[0])
    one = array[1]
    text = refused(TypeError, one.add)
    assert "cells.Cell.add" in text and "amount" in text, text
    assert "amount" in refused(TypeError, one.add, 1, 2)
    assert "weight" in refused(TypeError, one.add, weight=2)
    assert "subtract" in refused(AttributeError, lambda: one.subtract(1))
    text = refused(TypeError, one.add, object(), ret=True)
    assert "cells.Cell.add" in text and "'amount'" in text, text
    text = refused(TypeError, one.echo, 1, [2, {3: Listener}])
    assert "cells.Cell.echo" in text and "2" in text, text
    assert "method in C" in refused(TypeError, one.add, 1, when="True")
    assert "sum" in refused(TypeError, Array, cells.Cell, 2)
    assert "sum" in refused(TypeError, Array, cells.Cell, 2, args=[object()])
    assert "makes no chare" in refused(TypeError, cells.Cell, 1)
    assert "Cell, Small" in refused(AttributeError, lambda: cells.Sell)
    here = Chare(cells.Cell, args=[0], onPE=0)
    assert here.add(1, ret=True).get() == 1
    assert "no object" in refused(Error, here.ckLocal)
    assert "no object" in refused(Error, Group(cells.Small).ckLocalBranch)
    channel = Chare(Channeller)
    assert "no channels" in refused(TypeError, channel.open, one, ret=True)
    assert "before" in refused(Error, charm.load, "x.so")
    try:
        class Sub(cells.Cell):
            pass
    except TypeError as error:
        assert "ckInsert" in str(error)
    else:
        assert False
    assert "no method" in refused(
        TypeError, Array(cells.Cell, ndims=1).ckInsert, 1, cls=Listener)
    assert "cls=" in refused(
        TypeError, Array(Mirror, ndims=1).ckInsert, 1, [0], cls=cells.Cell)
    exit()
""")

    def test_errors_of_methods_come_to_who_awaits(self):
        self.everywhere("""
def main(args):
    array = Array(cells.Cell, 2 * charm.numPes(), args=[0])
    for one in array[0], array[2 * charm.numPes() - 1]:
        text = refused(TypeError, one.add, "many", ret=True)
        assert "cells.Cell.add()" in text, text
        assert "argument 1 (amount) is a str, not an int" in text, text
        assert "beyond 64 bits" in refused(TypeError, one.add, 1 << 70,
                                           ret=True)
        text = refused(ValueError, one.fail, "words", ret=True)
        assert text == "cells.Cell.fail(): as you wish", text
        text = refused(RemoteError, one.fail, "status", ret=True)
        assert "cells.Cell.fail() failed" in text and "MEMORY" in text, text
        assert "missing" in refused(TypeError, one.fail, "unread", ret=True)
        assert one.add(1, ret=True).get() == 1
    assert "cells.Cell.fail" in refused(ValueError, array.fail, "words",
                                        ret=True)
    exit()
""")

    def test_an_error_that_nobody_awaits_ends_the_job(self):
        for pes in PES:
            done = self.run_program(START + """
def main(args):
    Array(cells.Cell, 4, args=[0])[3].add("many")
charm.start(main)
""", pes=pes)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("cells.Cell.add(): argument 1 (amount) is a str",
                          done.stderr)
            self.assertIn("[3]", done.stderr)

    def test_a_state_that_cannot_be_read_ends_the_job(self):
        done = self.run_program(START + """
def main(args):
    shy = Array(cells.Shy, 2)
    shy[0].refuse(-1, awaitable=True).get()
    shy[0].migrate((shy[0].where(ret=True).get() + 1) % charm.numPes())
charm.start(main)
""", pes=2)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("Shy.unpack(): argument 1 is a str, not an int",
                      done.stderr)
        self.assertIn("[0]", done.stderr)

    def test_a_constructor_that_fails_ends_the_job(self):
        done = self.run_program(START + """
def main(args):
    Array(cells.Cell, 2, args=["x"])
charm.start(main)
""", pes=2)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("Cell(): argument 1 (sum) is a str", done.stderr)


class ValueTest(PluginCase):
    def test_values_there_and_back(self):
        self.everywhere("""
import numpy

def same(a, b):
    if isinstance(a, numpy.ndarray):
        return (type(a) is type(b) and a.dtype == b.dtype
                and a.shape == b.shape and (a == b).all())
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(
            map(same, a, b))
    return type(a) is type(b) and a == b

def main(args):
    array = Array(cells.Cell, 2 * charm.numPes(), args=[0])
    future = Future()
    values = [
        None, True, False, 0, -1, 1 << 40, -(1 << 63), 1 << 200, 1.5, 2j,
        "", "text", "\\u00e4\\U0001f600", "\\ud800", b"", b"bytes" * 100,
        bytearray(b"ab"), (), (1, (2.0, "three")), [], [1, [2, []]], {1: "a"},
        {1, 2}, frozenset((3,)), numpy.arange(6.0).reshape(2, 3),
        numpy.asfortranarray(numpy.arange(6, dtype="i2").reshape(2, 3)),
        numpy.zeros((0, 3)), numpy.array(7), numpy.float32(1.25),
        numpy.arange(100000), array, array[1], array.add, array[0].add,
        future, (array[1], [future]),
    ]
    fixed = numpy.arange(5.0)
    fixed.flags.writeable = False
    values.append(fixed)
    for one in array[0], array[2 * charm.numPes() - 1]:
        for value in values:
            back = one.echo(value, ret=True).get()
            assert same(back, (value,)), (value, back)
        for count in range(12):
            back = one.echo(*values[:count], ret=True).get()
            assert same(back, tuple(values[:count])), back
        twice = [1]
        assert one.echo(twice, twice, ret=True).get() == ([1], [1])
        x = numpy.arange(1000.0)
        assert one.dot(x, ret=True).get() == x.sum()
        assert one.dot(x=x[::2], factor=2, ret=True).get() == x[::2].sum() * 2
        assert one.dot(fixed, numpy.float64(3), ret=True).get() == 30
        text = refused(TypeError, one.dot, x.astype("f4"), ret=True)
        assert "(x) is an array of float32, not an array of float64" in text
        text = refused(TypeError, one.dot, x, "y", ret=True)
        assert "argument 2 (factor) is a str, not a float" in text, text
    cycle = []
    cycle.append(cycle)
    assert "no form in C" in refused(TypeError, array[0].echo, cycle)
    assert "no form in C" in refused(
        TypeError, array[0].echo, numpy.array([object()]))
    exit()
""")


class TogetherTest(PluginCase):
    def test_one_array_of_both(self):
        self.everywhere("""
import numpy

def main(args):
    n = 8
    array = mixed(n)
    assert array.add(0, ret=True).get() == list(range(n))
    for i in range(n):
        assert array[i].add(10, ret=True).get() == 10 + i
    # Each calls another one, of its kind and of the other.
    for i in range(n):
        for j in (i + 1) % n, (i + 2) % n, (i + 3) % n:
            assert array[i].ask(array[j], ret=True).get() >= 1000
    total = sum(array.add(0, ret=True).get())
    done = Future()
    array.countTo(done)
    assert done.get() == total
    done = Future()
    array.sumTo(done)
    assert done.get().tolist() == [total, 2 * total, 3 * total]
    # To a method of a chare in Python, and to those of one in C and in
    # Python in the array itself.
    listener = Chare(Listener, onPE=charm.numPes() - 1)
    array.countTo(listener.take)
    charm.waitQD()
    assert listener.get(ret=True).get() == [total]
    for target in 0, 1:
        before = array.add(0, ret=True).get()
        array.countTo(array[target].takeTotal)
        charm.waitQD()
        assert array[target].add(0, ret=True).get() == sum(before)
    total = sum(array.add(0, ret=True).get())
    array.countTo(array.takeTotal)
    charm.waitQD()
    assert array.add(0, ret=True).get() == [total] * n
    # Python calls a method that C calls back.
    for i in 0, 1:
        array[i].tell(listener, "hear")
    charm.waitQD()
    assert sorted(listener.get(ret=True).get()[1:]) == [
        (total, "from C"), (total, "from Python")]
    for i in 0, 1:
        whole = array[i].whole(ret=True).get()
        assert whole == array and type(whole) is type(array)
        assert whole[2].add(0, ret=True).get() == total
    section = array[1:5]
    assert section.add(0, ret=True).get() == [total] * 4
    assert array[1].ckLocal() is None or array[1].ckLocal().sum == total
    # What is left of a broadcast to both must not reach later calls.
    for i in range(3):
        array.dot(numpy.ones(i + 2))
        array.add(i)
        for j in range(n):
            assert array[j].nothing(ret=True).get() is None
            assert array[j].where(ret=True).get() in range(charm.numPes())
    exit()
""")

    def test_what_is_refused_stays(self):
        """Arrays that were moved into a call that C refuses."""
        self.everywhere("""
import numpy
def main(args):
    one = Chare(cells.Cell, args=[5], onPE=charm.numPes() - 1)
    gone = Group(Mirror, args=[1])
    gone.ckDestroy(awaitable=True).get()
    for make in (lambda: numpy.full(30000, 3.), lambda: numpy.full(4, 3.),
                 lambda: bytearray(b"abc")):
        array = make()
        text = refused(TypeError, one.echo, move(array), object())
        assert "argument 2" in text and "in C (object)" in text, text
        text = refused(TypeError, Array, cells.Cell, 3,
                       args=[[move(array), object()]])
        assert "argument 'sum'" in text and "in C (list)" in text, text
        assert len(array) == len(make()) and (array[0] == make()[0]), array
        refused(TypeError, one.echo, [move(array)], 1, {2: object()})
        assert len(array) == len(make()) and (array[0] == make()[0]), array
        refused(Exception, Array, cells.Cell, (2**40, 2**40),
                args=[move(array)])
        assert len(array) == len(make()) and (array[0] == make()[0]), array
    text = refused(TypeError, one.echo, move(numpy.array([object()])))
    assert "argument 1" in text and "in C (numpy.ndarray)" in text, text
    exit()
""")

    def test_dense_arrays_are_of_one_class(self):
        """Who tries otherwise is told how it is done."""
        self.check(START + """
def main(args):
    dense = Array(cells.Cell, 2, args=[1])
    for text in (refused(TypeError, Array, cells.Cell, 2, cls=Mirror),
                 refused(TypeError, Array, [cells.Cell, Mirror], 2),
                 refused(Error, dense.ckInsert, 2, cls=Mirror)):
        assert "ckInsert(" in text and "ndims" in text, text
        assert "in C" in text and "Python" in text, text
    text = refused(Error, dense.ckInsert, 2)
    assert "ndims" in text and "Python" not in text, text
    text = refused(TypeError, Array, cells.Cell, 2, onPEs=[1])
    assert "unexpected keyword argument 'onPEs'" in text, text
    exit()
charm.start(main)
""", pes=(1,))

    def test_lists_in_each_other(self):
        """C gets what is there twice as often, but not without a bound."""
        self.everywhere("""
def main(args):
    one = Chare(cells.Cell, args=[5], onPE=charm.numPes() - 1)
    row = [1, 2]
    assert one.echo([row] * 100, ret=True).get() is not None
    x, y = [], ()
    for i in range(40):
        x, y = [x, x], (y, y)
    for value in (x, y):
        text = refused(ValueError, one.echo, value)
        assert "cells.Cell.echo(): its arguments hold the same" in text, text
    # What is long and does not double, on the same PE and on another.
    here = Chare(cells.Cell, args=[5], onPE=charm.myPe())
    for value in ([((1, 2), 3)] * 5000, [frozenset({1})] * 5000,
                  (((1, 2), 3),) * 5000, [((0, 0), 1) for _ in range(100000)]):
        for cell in one, here:
            assert cell.echo(value, 1, ret=True).get() == (value, 1)
    exit()
""")

    def test_names_that_can_be_no_parameters(self):
        from chare import Error, _plugin

        self.assertEqual(_plugin._parse("a, b="), (("a", "b"), 1))
        for params in "from, to", "a, class=", "1", "self", "a, a":
            with self.assertRaisesRegex(Error, "parameter"):
                _plugin._parse(params)

    def test_errors_between_both(self):
        self.everywhere("""
def main(args):
    array = mixed()
    listener = Chare(Listener, onPE=charm.numPes() - 1)
    assert array[0].ask(listener, ret=True).get() == 1234
    text = refused(AttributeError, array[0].tell, listener, "no", ret=True)
    assert "cells.Cell.tell(): no such method" in text, text
    assert refused(ValueError, array[1].fail, "so", ret=True) == "so"
    text = refused(TypeError, array[1].echo, object())
    assert "cells.Cell.echo" in text, text
    exit()
""")

    def test_both_move(self):
        self.everywhere("""
def main(args):
    n = 8
    array = mixed(n)
    pes = charm.numPes()
    for round in range(2 * pes):
        for i in range(n):
            array[i].migrate((i + round) % pes)
            array[i].add(1)
        charm.waitQD()
        assert array.where(ret=True).get() == [
            (i + round) % pes for i in range(n)]
        assert array.add(0, ret=True).get() == [
            i + round + 1 for i in range(n)]
        done = Future()
        array.countTo(done)
        assert done.get() == sum(range(n)) + n * (round + 1)
        assert array[1].whole(ret=True).get() == array
    assert "no PE" in refused(ValueError, array[0].migrate, pes, ret=True)
    array[0].setMigratable(False)
    small = Array(cells.Small, ndims=1)
    small.ckInsert(0)
    small.ckDoneInserting()
    assert "migrate" in refused(Exception, small[0].migrate, 0, ret=True)
    for i in range(n):
        array[i].ckDestroy(awaitable=True).get()
    exit()
""")


BOUND = """
class Waits(Chare):
    def __init__(self):
        self.go_on = False
        self.begun = []
        self.ended = 0
        self.shy = None
    @movable
    async def work(self, first, *, more=0):
        self.begun.append(charm.myPe())
        try:
            await self.wait("self.go_on")
        finally:
            self.ended += 1
            if self.shy is not None:
                self.shy.retry()
        return first + more, charm.myPe()
    def ask_again(self, shy):
        self.shy = shy
    def go(self, pe):
        self.migrate(pe)
    def state(self):
        return self.begun, self.ended, charm.myPe()
    def finish(self):
        self.go_on = True

def bound():
    first = Array(Waits, 2)
    shy = Array(cells.Shy, bind_to=first)
    charm.awaitCreation(first, shy)
    result = first[0].work(7, more=1, ret=True)
    here = first[0].state(ret=True).get()[2]
    return first, shy, result, here, (here + 1) % charm.numPes()
"""


class BoundTest(PluginCase):
    """A chare in C that cannot be packed yet, when what is bound to it and in
    Python has been packed already, and its suspended method was closed."""

    def test_the_method_goes_on_here_and_then_there(self):
        self.check(START + BOUND + """
def main(args):
    first, shy, result, here, there = bound()
    shy[0].refuse(2, awaitable=True).get()
    first[0].go(there)
    charm.waitQD()
    for times in 1, 2:  # closed, refused, and begun again
        assert first[0].state(ret=True).get() == (
            [here] * (times + 1), times, here)
        assert shy[0].where(ret=True).get() == here
        assert shy[0].asked(ret=True).get() == times
        assert not result.ready()
        shy[0].retry()
        charm.waitQD()
    assert first[0].state(ret=True).get() == ([here] * 3 + [there], 3, there)
    assert shy[0].where(ret=True).get() == there
    assert shy[0].asked(ret=True).get() == 3
    first[0].finish()
    assert result.get() == (8, there), result.get()
    exit()
charm.start(main)
""", pes=(2, 3))

    def test_a_retry_before_the_method_was_begun_again(self):
        self.check(START + BOUND + """
def main(args):
    first, shy, result, here, there = bound()
    shy[0].refuse(1, awaitable=True).get()
    first[0].ask_again(shy[0])  # when its method is closed
    first[0].go(there)
    charm.waitQD()
    assert first[0].state(ret=True).get()[2] == there
    assert shy[0].where(ret=True).get() == there
    first[0].finish()
    assert result.get() == (8, there), result.get()
    exit()
charm.start(main)
""", pes=(2, 3))

    def test_it_ends_meanwhile(self):
        self.check(START + BOUND + """
def main(args):
    first, shy, result, here, there = bound()
    shy[0].refuse(1, awaitable=True).get()
    first[0].go(there)
    charm.waitQD()
    first[0].finish()
    assert result.get() == (8, here), result.get()
    shy[0].retry()
    charm.waitQD()
    assert shy[0].where(ret=True).get() == there
    assert first[0].state(ret=True).get()[1:] == (2, there)
    exit()
charm.start(main)
""", pes=(2,))


@unittest.skipIf(None in (shutil.which("cc"), shutil.which("pkg-config")),
                 "there is no compiler, or no pkg-config")
class GuideTest(PluginCase):
    def test_the_page_of_the_guide(self):
        page = (TOP / "docs" / "guide-python" / "15-c.md").read_text()
        code, program, said = (
            re.search(f"^```{kind}\n(.*?)^```", page, re.S | re.M).group(1)
            for kind in ("c", "py", "text")
        )
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "cells.c"
            source.write_text(code)
            library = source.with_name("libcells.so")
            line = re.search("^ +cc (.* -o libcells.so)$", page, re.M).group(1)
            subprocess.run(
                f". '{BUILD.absolute()}/env' && "
                f"cc -Wall -Wextra -Werror {line}",
                shell=True, check=True, cwd=folder,
            )
            program = program.replace("libcells.so", str(library))
            for pes in PES:
                done = self.run_program(program, pes, prelude="")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(sorted(done.stdout.splitlines()),
                                 sorted(said.splitlines()))


class MistakeTest(PluginCase):
    def refuses(self, path, *words):
        done = self.run_program(f"charm.load({str(path)!r})\ncharm.start()\n",
                                pes=1)
        self.assertNotEqual(done.returncode, 0)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_libraries_that_are_none(self):
        self.refuses("/nowhere/libmine.so", "OSError", "/nowhere/libmine.so")
        self.refuses("libmine_is_nowhere.so", "OSError", "libmine_is_nowhere")
        self.refuses("libm.so.6", "no plug-in", "CHARE_PLUGIN")
        with tempfile.TemporaryDirectory() as folder:
            text = pathlib.Path(folder) / "text.so"
            text.write_text("no library")
            self.refuses(text, "OSError", "text.so")
        self.refuses(OTHER, "version 4711", "compile it again")

    def test_a_library_is_loaded_once(self):
        self.check(START + f"""
assert charm.load({str(PLUGIN)!r}) is cells
assert cells.__name__ == "cells" and "for tests" in cells.__doc__
assert "amount" in str(__import__("inspect").signature(cells.Cell.add))
assert cells.Cell.__doc__ == "A number."
def main(args):
    exit()
charm.start(main)
""", pes=(1,))


if __name__ == "__main__":
    tapunit.main()
