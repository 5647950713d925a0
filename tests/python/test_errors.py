# SPDX-License-Identifier: BSD-3-Clause
"""Exceptions, exit codes, and programs that cannot start."""

import unittest

import tapunit
from program import PES, UNSAFE_FORK, ProgramCase

FAILING = """
class CustomError(Exception):
    def __init__(self, number):
        super().__init__(f"number {number}")
        self.number = number

    def __reduce__(self):
        return CustomError, (self.number,)

class Unpicklable(Exception):
    def __init__(self, one, two):
        super().__init__(one)

class Failing(Chare):
    def fail(self, kind, *args):
        raise kind(*args)

    def fail_on(self, pe):
        if charm.myPe() == pe:
            raise ValueError(f"on {pe}")
        return charm.myPe()

    @coro
    def fail_later(self):
        charm.sleep(0.001)
        self.deep(3)

    def deep(self, n):
        if n:
            self.deep(n - 1)
        else:
            raise LookupError("deep down")

    def unsendable(self):
        import threading
        return threading.Lock()

    @coro
    def passes_on(self, other):
        other.fail(KeyError, "x", ret=True).get()

    def exit(self, code):
        exit(code)

    def leave(self, code):
        charm.exit(code)

    @coro
    def leave_later(self, code):
        charm.sleep(0.01)
        try:
            charm.exit(code)
        finally:
            print("done")
        print("never")

    def abort(self):
        charm.abort("that is all")

    def local(self):
        class Local(Exception):
            pass
        raise Local("local class")

def error_of(future):
    try:
        future.get()
    except Exception as error:
        return error
    assert False
"""


class TravelTest(ProgramCase):
    def test_exceptions_reach_who_asked(self):
        self.check(FAILING + """
def main(args):
    group = Group(Failing)
    last = group[charm.numPes() - 1]
    for awaited in ({"ret": True}, {"awaitable": True}):
        error = error_of(last.fail(ValueError, "text", 3, **awaited))
        assert type(error) is ValueError and error.args == ("text", 3)
        assert "in fail" in error.remote_traceback
        assert f"PE {charm.numPes() - 1}" in error.remote_traceback
        assert error.remote_traceback in str(error.__cause__) or (
            "in fail" in str(error.__cause__))
    error = error_of(last.fail(CustomError, 5, ret=True))
    assert type(error) is CustomError and error.number == 5
    error = error_of(last.fail(Unpicklable, 1, 2, ret=True))
    assert type(error) is Unpicklable and str(error) == "1"
    error = error_of(last.fail_later(ret=True))
    assert type(error) is LookupError
    assert error.remote_traceback.count("in deep") >= 1
    error = error_of(last.unsendable(ret=True))
    assert isinstance(error, TypeError) and "lock" in str(error)
    error = error_of(group[0].passes_on(last, ret=True))
    assert type(error) is KeyError
    error = error_of(last.local(ret=True))
    assert "local class" in str(error)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_broadcasts(self):
        self.check(FAILING + """
def main(args):
    group = Group(Failing)
    n = charm.numPes()
    error = error_of(group.fail_on(n - 1, ret=True))
    assert type(error) is ValueError and str(error) == f"on {n - 1}"
    results = error.broadcast_results
    assert len(results) == n
    assert results[:-1] == list(range(n - 1))
    assert type(results[-1]) is ValueError
    assert "in fail_on" in results[-1].remote_traceback
    error = error_of(group.fail_on(n - 1, awaitable=True))
    assert type(error) is ValueError and str(error) == f"on {n - 1}"
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_errors_sent_to_futures(self):
        self.check("""
class Sender(Chare):
    def send(self, future):
        future.send(ValueError("sent"))
        future.send(1)

def main(args):
    future = Future(2)
    Chare(Sender, onPE=charm.numPes() - 1).send(future)
    charm.waitQD()
    assert future.ready()
    for _ in range(2):
        try:
            future.get()
        except ValueError as error:
            assert str(error) == "sent"
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")


class ReportTest(ProgramCase):
    def check_report(self, source, *words, code=1, pes=PES):
        """The job ends with a code and one report that has these words."""
        for count in pes:
            with self.subTest(pes=count):
                result = self.run_program(FAILING + source, count)
                self.assertEqual(result.returncode, code, result.stderr)
                for word in words:
                    word = word.replace("LAST", str(count - 1))
                    self.assertIn(word, result.stderr)
                self.assertEqual(
                    result.stderr.count("Traceback"), 1, result.stderr
                )

    def test_nobody_asked(self):
        self.check_report("""
def main(args):
    Group(Failing)[charm.numPes() - 1].fail(ValueError, "unasked")
charm.start(main)
""", "PE LAST", "Failing.fail", "ValueError: unasked", "in fail")

    def test_an_argument_that_cannot_be_sent(self):
        """One traceback, not one more for each pickler that was tried."""
        words = ["argument 'pe' of Failing.fail_on() cannot be sent",
                 "cannot pickle '_thread.lock'", "in main",
                 "send what it is made from"]
        self.check_report("""
import threading

def main(args):
    Chare(Failing).fail_on(threading.Lock())
charm.start(main)
""", *words)

    def test_in_a_coroutine(self):
        self.check_report("""
def main(args):
    Array(Failing, 4)[3].fail_later()
charm.start(main)
""", "Failing.fail_later", "(3,)", "LookupError: deep down")

    def test_in_main(self):
        self.check_report("""
def main(args):
    raise ZeroDivisionError("in main")
charm.start(main)
""", "PE 0", "main()", "ZeroDivisionError: in main")

    def test_in_a_constructor(self):
        self.check_report("""
class Broken(Chare):
    def __init__(self):
        raise OSError("no constructor")

def main(args):
    Chare(Broken, onPE=charm.numPes() - 1)
charm.start(main)
""", "Broken.__init__", "OSError: no constructor")

    def test_in_a_constructor_of_an_array(self):
        self.check_report("""
class Broken(Chare):
    def __init__(self):
        raise OSError("no constructor")

def main(args):
    Array(Broken, (4, 4), args=[])
charm.start(main)
""", "Broken.__init__", "OSError: no constructor", pes=(1,))

    def test_in_a_main_chare(self):
        self.check_report("""
class Main(Chare):
    def __init__(self, args):
        charm.sleep(0.001)
        raise OSError("main chare")
charm.start(Main)
""", "Main.__init__", "OSError: main chare")

    def test_in_a_timer(self):
        self.check_report("""
def late():
    raise OSError("too late")
def main(args):
    charm.scheduleCallableAfter(late, 0.001)
charm.start(main)
""", "late", "OSError: too late")

    def test_a_missing_chare(self):
        for count in PES:
            result = self.run_program(FAILING + """
def main(args):
    Array(Failing, 3)[7].fail(ValueError)
charm.start(main)
""", count)
            self.assertEqual(result.returncode, 1)
            self.assertIn("Failing", result.stderr)
            self.assertIn("7", result.stderr)


class ExitTest(ProgramCase):
    def test_exit_from_any_pe(self):
        for how in ("exit(7)", "leave(7)", "leave_later(7)"):
            self.check(FAILING + f"""
def main(args):
    print("done")
    Group(Failing)[charm.numPes() - 1].{how}
charm.start(main)
""", code=7)

    def test_codes(self):
        for value, code in (("", 0), ("None", 0), ("3", 3), ("255", 255),
                            ("'text'", 1)):
            self.check(f"""
def main(args):
    print("done")
    sys.exit({value})
charm.start(main)
""", code=code, pes=(1,))
        self.check("""
def main(args):
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_remote_exit(self):
        self.check("""
def main(args):
    print("done")
    charm.thisProxy[charm.numPes() - 1].exit(5)
charm.start(main)
""", code=5)
        self.check("""
def main(args):
    print("done")
    charm.startQD(charm.thisProxy.exit)
charm.start(main)
""")

    @unittest.skipIf(UNSAFE_FORK, "a sanitizer's allocator, beside threads")
    def test_a_forked_child_is_no_pe(self):
        how = {
            "pass": 1,
            "raise ValueError('in the child')": 1,
            "sys.exit(7)": 7,
            "sys.exit(0)": 0,
            "charm.exit(9)": 9,
            "charm.abort('no')": 1,
            "charm.sleep(0.001)": 1,
            "self.thisProxy.count()": 1,
            "os._exit(5)": 5,
        }
        for what, code in how.items():
            with self.subTest(what=what):
                self.check(f"""
import os

class Forker(Chare):
    def __init__(self):
        self.counted = 0

    @coro
    def fork(self):
        child = os.fork()
        if child == 0:
            {what}
            return
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def count(self):
        self.counted += 1
        return self.counted

def main(args):
    group = Group(Forker)
    assert group.fork(ret=True).get() == [{code}] * charm.numPes()
    assert group.count(ret=True).get() == [1] * charm.numPes()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))
        result = self.run_program("""
import os

def main(args):
    child = os.fork()
    if child == 0:
        raise ValueError("in the child")
    os.waitpid(child, 0)
    if os.fork() > 0:
        os.wait()
        charm.exit()
charm.start(main)
""", pes=2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("in the child", result.stderr)
        self.assertIn("let it end with os._exit()", result.stderr)

    def test_exit_codes_out_of_range(self):
        for code in (256, -1):
            result = self.run_program(f"""
def main(args):
    charm.exit({code})
charm.start(main)
""", 1)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(f"ValueError: {code}: an exit code", result.stderr)

    def test_abort(self):
        for count in PES:
            result = self.run_program(FAILING + """
def main(args):
    print("before")
    Group(Failing)[charm.numPes() - 1].abort()
charm.start(main)
""", count)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn("that is all", result.stderr)
            self.assertIn("before", result.stdout)

    def test_the_process_ends_as_python_does(self):
        for count in PES:
            result = self.run_program("""
import atexit
atexit.register(lambda: print("atexit", flush=True))
def main(args):
    sys.stdout.write("no newline")
    charm.exit(0)
charm.start(main)
print("never")
""", count)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(result.stdout.count("atexit"), count)
            self.assertIn("no newline", result.stdout)
            self.assertNotIn("never", result.stdout)

    def test_interrupt(self):
        self.check("""
import signal
def main(args):
    print("done")
    sys.stdout.flush()
    charm.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)
    charm.sleep(10)
charm.start(main)
""", code=130, pes=(1,))
        self.check("""
import signal, threading
def main(args):
    print("done")
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    Future().get()
charm.start(main)
""", code=130, pes=(1,))

    def test_interrupt_while_nothing_is_to_do(self):
        result = self.run_program("""
import signal, threading
def main(args):
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
charm.start(main)
""", 1)
        self.assertEqual(result.returncode, 130, result.stderr)
        self.assertIn("ends by charm.exit()", result.stderr)
        self.assertNotIn("Traceback", result.stderr)


class StartTest(ProgramCase):
    def refuse(self, source, *words, pes=(1,), code=1):
        for count in pes:
            with self.subTest(pes=count):
                result = self.run_program(source, count)
                self.assertEqual(result.returncode, code, result.stderr)
                for word in words:
                    self.assertIn(word, result.stderr)

    def test_main_functions(self):
        for entry in ("3", "print", "lambda: 0", "lambda a, b: 0"):
            self.refuse(f"charm.start({entry})", "Error", "argument")
        self.refuse("""
class Main(Chare):
    pass
charm.start(Main)
""", "argument")

    def test_names(self):
        for name in ("reduce", "contribute", "allreduce", "wait", "AtSync",
                     "thisIndex", "migrate"):
            self.refuse(f"""
class Bad(Chare):
    def {name}(self):
        pass
charm.start(print if False else (lambda args: 0))
""", name, "reserved")
        for name in ("ret", "awaitable"):
            self.refuse(f"""
class Bad(Chare):
    def method(self, {name}):
        pass
charm.start(lambda args: 0)
""", name, "reserved")

    def test_collections_are_no_bases(self):
        for base in ("Group", "Array"):
            self.refuse(f"class Bad({base}):\n    pass\n", "Chare")

    def test_twice(self):
        self.check("""
def main(args):
    try:
        charm.start(main)
    except Error as error:
        assert "before" in str(error)
        print("done")
    charm.exit()
charm.start(main)
""")

    def test_before_the_start(self):
        self.check("""
class Worker(Chare):
    pass
for function in (charm.myPe, Future, lambda: Group(Worker), charm.exit,
                 lambda: Chare(Worker)):
    try:
        function()
    except Error as error:
        assert "charm.start" in str(error), error
    else:
        assert False
try:
    Worker()
except TypeError as error:
    assert "Chare(Worker)" in str(error), error
else:
    assert False
print("done")
""", pes=(1,))

    def test_other_threads(self):
        self.check("""
import threading
class Worker(Chare):
    def work(self):
        pass

def main(args):
    future, worker = Future(), Chare(Worker)
    said = []
    def other():
        for function in (future.get, worker.work, lambda: worker.work(),
                         charm.myPe, Future, lambda: Group(Worker)):
            try:
                function()
            except Error as error:
                said.append("thread" in str(error))
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert said == [True] * 6, said
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_threads_run_while_the_pe_is_idle(self):
        self.check("""
import threading
def main(args):
    ticks = []
    def tick():
        for i in range(20):
            time.sleep(0.002)
            ticks.append(i)
    thread = threading.Thread(target=tick)
    thread.start()
    while thread.is_alive():
        charm.sleep(0.01)
    assert len(ticks) == 20
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_unregistered_class(self):
        self.check("""
def main(args):
    class Late(Chare):
        pass
    try:
        Group(Late)
    except Error as error:
        assert "Late" in str(error) and "charm.start" in str(error)
        print("done")
    charm.exit()
charm.start(main)
""")

    def test_classes_and_modules(self):
        self.check("""
import types
module = types.ModuleType("apart")
exec('''
from chare import Chare
class Apart(Chare):
    def name(self):
        return "apart"
''', module.__dict__)
sys.modules["apart"] = module

def hide():
    class Hidden(Chare):
        def name(self):
            return "hidden"
    return Hidden
Hidden_ = [hide()]

@register
class Registered(Chare):
    def name(self):
        return "registered"

def main(args):
    for cls in (module.Apart, Hidden_[0], Registered):
        assert Group(cls)[0].name(ret=True).get() == cls.__name__.lower()
    print("done")
    charm.exit()
charm.start(main, classes=Hidden_, modules=["apart"])
""")

    def test_arguments_reach_main(self):
        for count in PES:
            result = self.run_program("""
def main(args):
    print(args[1:], "done")
    charm.exit()
charm.start(main)
""", count, args=("a", "-b", "c d"))
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("['a', '-b', 'c d'] done", result.stdout)

    def test_a_rank_that_raises_at_import(self):
        result = self.run_program("""
raise RuntimeError("at import")
""", 1)
        self.assertEqual(result.returncode, 1)
        self.assertIn("RuntimeError: at import", result.stderr)
        result = self.run_program("""
rank = os.environ.get("PMIX_RANK", "0")
if rank == "2":
    raise RuntimeError("at import of " + rank)
charm.start(lambda args: charm.exit())
""", 4)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("RuntimeError: at import of 2", result.stderr)

    def test_classes_that_differ_between_pes(self):
        result = self.run_program("""
class Common(Chare):
    if os.environ.get("PMIX_RANK") == "1":
        def extra(self):
            pass
charm.start(lambda args: charm.exit())
""", 4)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("chare", result.stderr)

    def test_nothing_is_said_when_charm_is_not_started(self):
        result = self.run_program("", 1)
        self.assertEqual((result.returncode, result.stderr), (0, ""))


class QueryTest(ProgramCase):
    def test_where_am_i(self):
        self.check("""
class Where(Chare):
    def tell(self):
        return charm.myPe(), charm.numPes(), charm.myHost()

def main(args):
    n = charm.numPes()
    assert Group(Where).tell(ret=True).get() == [
        (pe, n, charm.getPeHost(pe)) for pe in range(n)]
    assert charm.numHosts() == 1 and charm.myHost() == 0
    assert charm.hostName() == charm.hostName(0) != ""
    assert charm.getHostPes(0) == list(range(n))
    assert charm.getHostFirstPe(0) == 0 and charm.getHostNumPes(0) == n
    assert [charm.getPeHostRank(pe) for pe in range(n)] == list(range(n))
    for root in range(n):
        parents = {}
        for pe in range(n):
            parent, children = charm.getTopoTreeEdges(pe, root)
            assert (parent is None) == (pe == root)
            for child in children:
                assert child not in parents
                parents[child] = pe
        assert len(parents) == n - 1 and root not in parents
    for wrong in (-1, n):
        try:
            charm.getPeHost(wrong)
        except ValueError:
            pass
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
