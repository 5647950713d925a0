# SPDX-License-Identifier: BSD-3-Clause
"""Programs written for Charm4py, under python -m chare.compat.

Goal:   the names and the semantics of Charm4py 1.1 and of the older CharmPy.
Method: programs in Charm4py's style, each going through one part of its
        interface, on 1, 2, 4 and 8 PEs; they check themselves and print
        "done". charmrun.start is run as a user would.
"""

import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

import tapunit
from program import BUILD, LAUNCHER, TIMEOUT_S, has_launcher

ALL_PES = (1, 2, 4, 8)


class CompatCase(unittest.TestCase):
    """A test case that runs programs under the compatibility import."""

    def run_in(self, folder, source, pes, args=()):
        """Run one in a folder; its CompletedProcess."""
        if pes > 1 and not has_launcher():
            self.skipTest("the launcher is not built")
        path = os.path.join(folder, "program.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(source))
        line = [sys.executable, "-m", "chare.compat", path, *args]
        if pes > 1:
            line = [LAUNCHER, "run", "-n", str(pes), *line]
        return subprocess.run(
            line, capture_output=True, text=True, timeout=TIMEOUT_S,
            cwd=folder,
        )

    def run_program(self, source, pes, args=()):
        with tempfile.TemporaryDirectory() as folder:
            return self.run_in(folder, source, pes, args)

    def check(self, source, pes=ALL_PES, code=0, args=()):
        """Run one; it must print "done" and exit so."""
        for count in pes:
            with self.subTest(pes=count):
                result = self.run_program(source, count, args)
                said = f"\n{result.stdout}\n{result.stderr}"
                self.assertEqual(result.returncode, code, said)
                self.assertIn("done", result.stdout.split(), said)


class NamesTest(CompatCase):
    def test_modules(self):
        self.check("""
from charm4py import charm, Chare, Group, Array, ArrayMap, Future, Reducer
from charm4py import coro, when, register, readonlies, Options, coro_ext
from charm4py import threaded, wait, threads
import charm4py
import charm4py.charm, charm4py.chare, charm4py.entry_method
from charm4py.charm import Charm4PyError, Options as SameOptions
from charm4py.threads import NotThreadedError
assert Options is SameOptions and charm4py.charm is charm
assert issubclass(NotThreadedError, Charm4PyError)
assert threaded is coro and charm4py.charm4py_version
tag = wait.parse_cond_str("self.step == n", __name__, {"n": 0, "x": 1})
assert type(tag) is wait.MsgTagCond and tag.attrib_name == "step"
assert tag.arg_idx == 0
for text, kind in (("self.step", "ChareStateCond"),
                   ("self.step > 3", "ChareStateCond"),
                   ("x < n", "ChareStateMsgCond"),
                   ("self.step == args[1]", "MsgTagCond")):
    found = wait.parse_cond_str(text, __name__, {"n": 0, "x": 1})
    assert type(found) is getattr(wait, kind), text
try:
    import charm4py.no_such_module
except ImportError:
    pass
else:
    assert False
def main(args):
    assert isinstance(charm.thisProxy[0].myPe(ret=True), threads.Future)
    print("done")
    exit()
charm.start(main)
""", pes=(1,))

    def test_old_names(self):
        self.check("""
from charmpy import *
from charmpy import charm, Chare, Group, Array, threaded, when
from charmpy import CkMyPe, CkNumPes, CkExit, CkAbort

class Old(Chare):
    def __init__(self):
        self.step = 1
        self.seen = []

    @when("step")
    def tagged(self, tag, value):
        self.seen.append(value)
        self.step += 1

    @threaded
    def collect(self, n):
        self.wait("len(self.seen) >= " + str(n))
        return self.seen

    def tell(self, future):
        future.send(CkMyPe())

    def all_numbers(self, future):
        self.contribute(CkMyPe(), Reducer.sum, future)

def main(args):
    one = Chare(Old, onPE=-1)
    one.tagged(2, "b")
    one.tagged(1, "a")
    assert one.collect(2, ret=True).get() == ["a", "b"]
    future = charm.createFuture()
    Chare(Old, onPE=CkNumPes() - 1).tell(future)
    assert future.get() == CkNumPes() - 1
    several = charm.createFuture(senders=2)
    one.tell(several)
    one.tell(several)
    assert len(several.get()) == 2
    total = charm.createFuture()
    Group(Old).all_numbers(total)
    assert total.get() == sum(range(CkNumPes()))
    print("done")
    CkExit()
charm.start(main)
""")

    def test_install_in_a_program(self):
        self.check("""
import chare.compat
chare.compat.install()
chare.compat.install()
from charm4py import charm
def main(args):
    print("done")
    exit()
charm.start(main)
""", pes=(1,))


class StartTest(CompatCase):
    def test_arguments(self):
        self.check("""
from charm4py import charm, Chare
import sys
sys.argv += ["+balancer", "GreedyLB", "+LBDebug", "1"]
class Main(Chare):
    def __init__(self, args):
        assert args[1:] == ["3", "name", "+"], args
        assert args[0].endswith("program.py")
        assert charm.options.quiet
        assert not hasattr(self, "thisIndex")
        print("done")
        exit()
charm.start(Main)
""", pes=(1, 2), args=("3", "+LBObjOnly", "name", "++quiet", "+"))

    def test_an_unknown_balancer_is_said_once(self):
        result = self.run_program("""
from charm4py import charm
def main(args):
    exit()
charm.start(main)
""", 2, ["+balancer", "SomeLB"])
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr.count("+balancer SomeLB"), 1)

    def test_balancers_are_known(self):
        for name in (
            "GreedyLB", "GreedyRefineLB", "RefineLB", "RandCentLB",
            "RotateLB", "DummyLB", "TreeLB",
        ):
            result = self.run_program("""
from charm4py import charm
def main(args):
    exit()
charm.start(main)
""", 1, ["+balancer", name])
            self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_a_balancer_moves_chares(self):
        """At AtSync(), and by the clock those that do not say it."""
        program = """
from charm4py import charm, Chare, Array, Future, Reducer
class Mover(Chare):
    def sync(self, done):
        self.done = done
        self.AtSync()

    def resumeFromSync(self):
        self.reduce(self.done, charm.myPe(), Reducer.gather)

    def where(self):
        return charm.myPe()

def main(args):
    n = charm.numPes()
    first = [i // 4 for i in range(4 * n)]
    array = Array(Mover, 4 * n, useAtSync=SYNC)
    if SYNC:  # by the clock some may have moved already
        assert array.where(ret=True).get() == first
        done = Future()
        array.sync(done)
        assert done.get() == [(pe + 1) % n for pe in first]
    else:
        while array.where(ret=True).get() == first:
            charm.sleep(0.001)
    print("done")
    exit()
charm.start(main)
"""
        self.check(program.replace("SYNC", "True"), pes=(1, 4),
                   args=("+balancer", "RotateLB"))
        self.check(program.replace("SYNC", "False"), pes=(4,),
                   args=("+balancer", "RotateLB", "+LBPeriod", "0.01"))

    def test_not_started(self):
        result = self.run_program("import charm4py", 1)
        self.assertIn("without charm.start()", result.stderr)

    def test_exit_codes(self):
        self.check("""
from charm4py import charm, Chare, Group
import sys
class Quitter(Chare):
    def quit(self, code):
        print("done")
        sys.exit(code)
def main(args):
    Group(Quitter)[charm.numPes() - 1].quit(9)
charm.start(main)
""", code=9, pes=(1, 4))

    def test_streams_that_the_program_closed(self):
        self.check("""
from charm4py import charm, Chare
import sys
class Closer(Chare):
    def close(self):
        print("done", flush=True)
        sys.stdout.close()
        exit()
def main(args):
    Chare(Closer, onPE=charm.numPes() - 1).close()
charm.start(main)
""", pes=(1, 2))
        result = self.run_program("""
from charm4py import charm
import sys
def main(args):
    sys.stdout.close()
    charm.abort("as it should")
charm.start(main)
""", 1)
        self.assertEqual(result.returncode, 1)
        self.assertIn("as it should", result.stderr)
        self.assertNotIn("Traceback", result.stderr)

    def test_old_options(self):
        self.check("""
from charm4py import charm, Options
from charm4py.charm import Charm4PyError
Options.LOCAL_MSG_OPTIM = True
try:
    charm.start(lambda args: None)
except Charm4PyError as error:
    assert "charm.options" in str(error)
else:
    assert False
del Options.LOCAL_MSG_OPTIM
charm.options.local_msg_optim = True
charm.options.local_msg_buf_size = 100
charm.options.pickle_protocol = 4
charm.options.auto_flush_wait_queues = True
def main(args):
    print("done")
    exit()
charm.start(main)
""", pes=(1,))


class ChareTest(CompatCase):
    def test_collections(self):
        self.check("""
from charm4py import charm, Chare, Group, Array, Reducer, readonlies, register

class Base(Chare):
    def __init__(self):
        self.base_ran = getattr(self, "base_ran", 0) + 1

class Member(Base):
    def __init__(self, a, b=2):
        self.a, self.b = a, b             # no super().__init__()

    def get(self, x=0, *, y=1):
        return self.thisIndex, self.a + self.b + x + y, self.base_ran

    def private(self):
        return readonlies.limit

    def same_proxy(self, proxy):
        return proxy == self.thisProxy and len({proxy, self.thisProxy}) == 1

    def fail(self):
        raise KeyError("from", self.thisIndex)

    def insert_more(self, proxy):
        proxy.ckInsert((charm.myPe(), -5), args=[1])

def main(args):
    n = charm.numPes()
    group = Group(Member, args=[1])
    array = Array(Member, (2, 3), args=[1, 1])
    single = Chare(Member, args=[5], onPE=n - 1)
    sparse = Array(Member, ndims=2, args=[])
    readonlies.limit = [7]
    charm.awaitCreation(group, array)
    assert group.get(ret=True).get() == [(i, 4, 1) for i in range(n)]
    assert array[1, 2].get(ret=True).get() == ((1, 2), 3, 1)
    assert array[(1, 2)].get(4, ret=True).get() == ((1, 2), 7, 1)
    assert single.get(ret=True).get() == ((0,), 8, 1)
    assert group.private(ret=True).get() == [[7]] * n
    group.insert_more(sparse, awaitable=True).get()
    group.insert_more(sparse, awaitable=True).get()        # ignored
    sparse.ckDoneInserting()
    assert [r[0] for r in sparse.get(ret=True).get()] == [
        (i, -5) for i in range(n)]
    assert all(array.same_proxy(array, ret=True).get())
    last = group[n - 1]
    try:
        last.fail(ret=True).get()
    except KeyError as error:
        assert error.args == ("from", n - 1)
        assert error.remote_stacktrace[0] == n - 1
        assert "in fail" in error.remote_stacktrace[1]
    else:
        assert False
    errors = group.fail(ret=True).get()       # items, not raised
    assert [type(error) for error in errors] == [KeyError] * n
    try:
        group.fail(awaitable=True).get()
    except KeyError:
        pass
    else:
        assert False
    assert group.ckLocalBranch().a == 1
    print("done")
    exit()
charm.start(main)
""")

    def test_waiting(self):
        self.check("""
from charm4py import charm, Chare, Array, Group, coro, when, Future, Reducer
from charm4py.threads import NotThreadedError

class Stepper(Chare):
    def __init__(self):
        self.step = 0
        self.seen = []

    @when("self.step == step")
    def advance(self, step, x):
        self.seen.append((step, x))
        self.step += 1

    @when("x > self.step and args[0] < 100")
    def general(self, x):
        self.seen.append(x)

    @coro
    def finish(self, count):
        self.wait(f"len(self.seen) == {count}")
        charm.sleep(0.001)
        return self.seen

    def plain(self):
        try:
            Future()
            charm.thisProxy[0].myPe(ret=True).get()
        except NotThreadedError as error:
            assert "plain" in str(error)
            return "refused"

    @coro
    def everyone(self, n):
        total = self.allreduce(1, Reducer.sum).get()
        self.allreduce().get()
        return total == n

def main(args):
    n = charm.numPes()
    stepper = Chare(Stepper, onPE=n - 1)
    for step in (2, 0, 1):
        stepper.advance(step, "x" * step)
    assert stepper.finish(3, ret=True).get() == [(0, ""), (1, "x"), (2, "xx")]
    stepper.general(1)
    stepper.general(9)
    assert stepper.finish(4, ret=True).get()[-1] == 9
    assert stepper.plain(ret=True).get() == "refused"
    array = Array(Stepper, 3 * n)
    assert all(array.everyone(3 * n, ret=True).get())
    futures = [stepper.plain(ret=True) for _ in range(4)]
    assert sum(1 for _ in charm.iwait(futures)) == 4
    charm.wait(futures)
    future = Future(3)
    for i in range(3):
        future.send(i)
    assert sorted(future.get()) == [0, 1, 2]
    charm.startQD(f := Future())
    f.get()
    charm.waitQD()
    called = Future()
    charm.scheduleCallableAfter(called, 0.001, [5])
    assert called.get() == 5
    print("done")
    exit()
charm.start(main)
""")

    def test_reductions(self):
        self.check("""
from charm4py import charm, Chare, Group, Array, Reducer, Future
import numpy as np

def join(contributions):
    return "".join(sorted("".join(contributions)))
Reducer.addReducer(join)

class Member(Chare):
    def go(self, callback, kind, data):
        self.reduce(callback, data, getattr(Reducer, kind))

    def numbers(self, callback):
        self.contribute(np.arange(3) + self.thisIndex[0], Reducer.sum,
                        callback)

    def where(self, callback):
        self.reduce(callback, self.thisIndex, Reducer.gather)

    def result(self, value):
        self.got = value

    def get(self):
        return self.got

    def nothing(self, callback):
        self.reduce(callback)

def main(args):
    count = 2 * charm.numPes()
    array = Array(Member, count)
    for kind, data, wanted in (
            ("max", 3, 3), ("min", 2.5, 2.5), ("sum", 1, count),
            ("product", 1, 1), ("logical_and", True, True),
            ("logical_or", False, False), ("logical_xor", True, False),
            ("join", "ab", "a" * count + "b" * count)):
        future = Future()
        array.go(future, kind, data)
        assert future.get() == wanted, kind
    future = Future()
    array.numbers(future)
    base = sum(range(count))
    assert list(future.get()) == [base, base + count, base + 2 * count]
    future = Future()
    array.where(future)
    assert list(map(tuple, future.get())) == [(i,) for i in range(count)]
    array.go(array.result, "sum", 2)              # to all of an array
    charm.waitQD()
    assert array.get(ret=True).get() == [2 * count] * count
    array.go(array[0].result, "max", 4)
    charm.waitQD()
    assert array[0].get(ret=True).get() == 4
    future = Future()
    array.nothing(future)
    assert future.get() is None
    print("done")
    array.nothing(charm.thisProxy[0].exit)
charm.start(main)
""")

    def test_charm_and_pool(self):
        self.check("""
from charm4py import charm, Chare, coro
charm.options.remote_exec = True
def square(x):
    return x * x
def main(args):
    n = charm.numPes()
    assert charm.pool.map(square, range(10)) == [i * i for i in range(10)]
    assert charm.pool.map(pow, [(2, 3), (3, 2)]) == [8, 9]
    futures = charm.pool.map_async(square, range(4), multi_future=True)
    assert [future.get() for future in futures] == [0, 1, 4, 9]
    assert charm.pool.submit([(square, 3), (abs, -3)]) == [9, 3]
    charm.thisProxy.updateGlobals({"x": 3}, "__main__", awaitable=True).get()
    assert charm.thisProxy.eval("x", ret=True).get() == [3] * n
    assert charm.numHosts() == 1 and charm.getPeHost(n - 1) == 0
    assert charm.getHostPes(0) == list(range(n))
    assert charm.getHostNumPes(0) == n and charm.getHostFirstPe(0) == 0
    pes = list(range(n))
    for fanout in (1, 2, 4):
        seen = []
        todo = [0]
        while todo:
            pe = todo.pop()
            seen.append(pe)
            parent, children = charm.getTopoTreeEdges(
                pe, 0, pes, bfactor=fanout)
            assert len(children) <= fanout and (parent is None) == (pe == 0)
            todo += children
        assert sorted(seen) == pes
        below = charm.getTopoSubtrees(0, pes, bfactor=fanout)
        assert sorted(sum(below, [0])) == pes
    print("done")
    exit()
charm.start(main)
""")

    def test_what_comes_later(self):
        self.check("""
from charm4py import charm, Chare, Array, Future
class Mover(Chare):
    def __init__(self):
        assert self.migratable
        self.setMigratable(False)
        assert not self.migratable

    def sync(self, future):
        self.future = future
        self.AtSync()

    def resumeFromSync(self):
        assert self._numthreads == 0
        self.future.send(1)

def main(args):
    array = Array(Mover, 4, useAtSync=True)
    future = Future(4)
    array.sync(future)
    assert future.get() == [1] * 4
    array.migrate(0, awaitable=True).get()
    print("done")
    exit()
charm.start(main)
""", pes=(1, 4))


class CharmrunTest(CompatCase):
    PROGRAM = """
from charm4py import charm
def main(args):
    print("done", charm.numPes(), *args[1:], charm.options.quiet)
    exit(3)
charm.start(main)
"""

    def charmrun(self, *words, code=3, text=None):
        if not has_launcher():
            self.skipTest("the launcher is not built")
        path = os.path.join(BUILD, "bin") + os.pathsep + os.environ["PATH"]
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "p.py"), "w") as file:
                file.write(self.PROGRAM)
            with open(os.path.join(folder, "hosts"), "w") as file:
                file.write("group main\nhost localhost\n")
            with open(os.path.join(folder, "far"), "w") as file:
                file.write("group main\n host elsewhere.example\n")
            result = subprocess.run(
                [sys.executable, "-m", "charmrun.start", *words],
                capture_output=True, text=True, cwd=folder, input=text,
                timeout=TIMEOUT_S, env={**os.environ, "PATH": path},
            )
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def test_spellings(self):
        for words in (
            ("+p3", "p.py", "a"), ("+p", "3", "++local", "p.py", "a"),
            ("p.py", "a", "+p3"), ("++local", "p.py", "a", "++p", "3"),
            ("++nodelist", "hosts", "+p3", "p.py", "a"),
        ):
            result = self.charmrun(*words)
            self.assertEqual(result.stdout, "done 3 a False\n")
        result = self.charmrun("+p2", "p.py", "++quiet", "+balancer", "X")
        self.assertEqual(result.stdout, "done 2 True\n")

    def test_interpreter_that_is_named(self):
        python = sys.executable
        for words in (
            (python, "p.py", "a", "++local", "+p3", "+libcharm_interface",
             "ctypes"),
            ("+p3", python, "-O", "-W", "ignore", "p.py", "a"),
            ("+p3", "env", "X=1", python, "-u", "p.py", "a"),
            ("+p3", python, "-m", "p", "a"), ("+p3", python, "-mp", "a"),
            ("+p3", python, "-m", "chare.compat", "p.py", "a"),
            ("+p3", "-m", "p", "a"),
        ):
            with self.subTest(words=words):
                result = self.charmrun(*words)
                self.assertEqual(result.stdout, "done 3 a False\n")
        result = self.charmrun(
            python, "-m", "charm4py.interactive", "+p2", code=0,
            text="from charm4py import charm as c\nprint(c.numPes())\n",
        )
        self.assertEqual(result.stdout, "2\n")
        result = self.charmrun("+p2", "echo", "python3.py", "x", code=0)
        self.assertEqual(result.stdout, "python3.py x\n" * 2)

    def test_refusals(self):
        for words, text in (
            (("++nodelist", "far", "p.py"), "elsewhere.example"),
            (("++nodelist", "none", "p.py"), "none"),
            (("++server", "p.py"), "CCS"), (("+p0", "p.py"), "+p 0"),
            (("+p2",), "no program"), (("+p",), "value is missing"),
        ):
            result = self.charmrun(*words, code=2)
            self.assertIn(text, result.stderr)

    def test_prompt(self):
        result = self.charmrun(
            "+p2", "++interactive", code=0,
            text="import charm4py\nprint(charm4py.charm.numPes())\n",
        )
        self.assertEqual(result.stdout, "2\n")


class CommandTest(CompatCase):
    def test_command_line(self):
        def run(*words):
            return subprocess.run(
                [sys.executable, "-m", "chare.compat", *words],
                capture_output=True, text=True, timeout=TIMEOUT_S,
                input="print(charm.numPes())\n",
            )

        self.assertEqual(run().returncode, 2)
        self.assertIn("usage", run("--help").stdout)
        result = run("no_such_program.py")
        self.assertEqual(result.returncode, 2)
        self.assertIn("no_such_program.py", result.stderr)
        result = run("-m", "charm4py.interactive")
        self.assertEqual((result.returncode, result.stdout), (0, "1\n"))


if __name__ == "__main__":
    tapunit.main()
