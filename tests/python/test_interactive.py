# SPDX-License-Identifier: BSD-3-Clause
"""The prompt of python -m chare.interactive.

Goal:   statements run on PE 0 and may wait; classes and imports reach every
        PE; errors, Ctrl-C and waits that cannot end do not end the session;
        messages are served while the prompt waits for input.
Method: sessions whose input is a pipe, written to step by step, and one at a
        pseudo-terminal; what they print is waited for.
"""

import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import tapunit
from program import LAUNCHER, PES, has_launcher

TIMEOUT_S = 60


class Session:
    """A running prompt."""

    def __init__(self, pes, terminal=False):
        command = [sys.executable, "-m", "chare.interactive"]
        if pes > 1:
            command = [LAUNCHER, "run", "-n", str(pes), *command]
        self.folder = tempfile.TemporaryDirectory()
        self.text = ""
        if terminal:
            self.read_fd, theirs = pty.openpty()
            self.write_fd = self.read_fd
        else:
            theirs, self.write_fd = os.pipe()
            self.read_fd, output = os.pipe()
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs if terminal else output,
            stderr=subprocess.STDOUT, cwd=self.folder.name, close_fds=True,
            start_new_session=True, env={**os.environ, "TERM": "dumb"},
        )
        os.close(theirs)
        if not terminal:
            os.close(output)

    def send(self, text):
        """Type something."""
        os.write(self.write_fd, text.encode())

    def expect(self, text):
        """Read until something was printed."""
        end = time.monotonic() + TIMEOUT_S
        while text not in self.text:
            left = end - time.monotonic()
            ready = select.select([self.read_fd], [], [], max(left, 0))[0]
            data = b""
            if ready:
                try:
                    data = os.read(self.read_fd, 65536)
                except OSError:  # a terminal that nobody holds
                    pass
            if not data:
                raise AssertionError(f"{text!r} was not printed:\n{self.text}")
            self.text += data.decode(errors="replace")
        before, _, self.text = self.text.partition(text)
        return before

    def close_input(self):
        os.close(self.write_fd)
        self.write_fd = -1

    def end(self):
        """The exit code; everything is cleaned up."""
        try:
            return self.process.wait(TIMEOUT_S)
        finally:
            self.process.kill()
            self.process.wait()
            for fd in {self.read_fd, self.write_fd} - {-1}:
                os.close(fd)
            self.folder.cleanup()


LIBRARY = """
from chare import Chare, Reducer

class Imported(Chare):
    def work(self, x, future):
        self.reduce(future, x, Reducer.sum)
"""

WORKER = """
class Worker(Chare):
    def work(self, cb):
        self.contribute(2, Reducer.sum, cb)
    def random(self):
        return random.random()
    def fail(self):
        raise ValueError("in Worker")
    def echo(self, x):
        return x
    @coro
    def rally(self, other, count):
        for i in range(count):
            assert other.echo(i, ret=True).get() == i
        print("rally", "over")

"""


class ShellTest(unittest.TestCase):
    def sessions(self, terminal=False, pes=PES):
        for count in pes:
            if count > 1 and not has_launcher():
                self.skipTest("the launcher is not built")
            yield count, Session(count, terminal)

    def test_statements(self):
        for pes, session in self.sessions():
            session.send(WORKER)
            session.send("group = Group(Worker)\ngroup.work(future())\n")
            session.send("print('sum', _f.get())\n")
            session.expect(f"sum {2 * pes}\n")
            session.send("import random\n")
            session.send(f"group[{pes - 1}].random(ret=True).get() < 1\n")
            session.expect("True\n")
            session.send("for i in range(2):\n    print('i', i)\n\n")
            session.expect("i 0\ni 1\n")
            session.send("print(type(self).__name__, self.thisProxy)\n")
            session.expect("Console")
            session.send("charm.thisProxy.exec('def most(x): return max(x)',"
                         " awaitable=True).get()\n")
            session.send("charm.thisProxy.addReducer(most, ret=True).get()\n")
            session.send("class Later(Worker):\n    def go(self, cb):\n"
                         "        self.reduce(cb, self.thisIndex[0], "
                         "Reducer.most)\n\n")
            session.send("Array(Later, 7).go(future())\n_f.get() * 1000\n")
            session.expect("6000\n")
            session.send("exit(7)\n")
            self.assertEqual(session.end(), 7, session.text)

    def test_imports(self):
        for pes, session in self.sessions():
            path = os.path.join(session.folder.name, "library.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(LIBRARY)
            session.send("import library\n")
            session.send("array = Array(library.Imported, 4 * charm.numPes())"
                         "\narray.work(x=33, future=future())\n_f.get()\n")
            session.expect(f"{33 * 4 * pes}\n")
            session.send("import no_such_module\n")
            session.expect("ModuleNotFoundError")
            session.close_input()
            self.assertEqual(session.end(), 0, session.text)

    def test_a_chare_that_cannot_move(self):
        """It stays, and can go when what kept it is gone."""
        for _, session in self.sessions(pes=PES[1:]):
            session.send("import threading\n")
            session.send("class Holder(Chare):\n"
                         "    def hold(self, what):\n"
                         "        self.held = threading.Lock() if what "
                         "else None\n"
                         "    def where(self): return charm.myPe()\n\n")
            session.send("a = Array(Holder, 1)\na[0].hold(True)\n")
            session.send("a[0].migrate(1)\ncharm.waitQD()\n")
            session.expect("Holder (0,) cannot move to another PE, for "
                           "self.held cannot be sent")
            session.send("print('it is on', a[0].where(ret=True).get())\n")
            session.expect("it is on 0\n")
            session.send("a[0].hold(False)\ncharm.waitQD()\n")
            session.send("print('it is on', a[0].where(ret=True).get())\n")
            session.expect("it is on 0\n")
            session.send("a[0].migrate(1)\ncharm.waitQD()\n")
            session.send("print('it is on', a[0].where(ret=True).get())\n")
            session.expect("it is on 1\n")
            session.close_input()
            self.assertEqual(session.end(), 0, session.text)

    def test_errors_do_not_end_it(self):
        for pes, session in self.sessions():
            session.send(WORKER + "group = Group(Worker)\n1 / 0\n")
            session.expect("ZeroDivisionError")
            session.send("def f(:\n")
            session.expect("SyntaxError")
            session.send(f"group[{pes - 1}].fail(ret=True).get()\n")
            before = session.expect("\nValueError: in Worker\n")
            self.assertIn(f"on PE {pes - 1}", before)
            self.assertNotIn("_shell.py", before)
            session.send(f"group[{pes - 1}].fail()\n")
            session.expect(f"PE {pes - 1}: uncaught exception in Worker.fail")
            session.send("class Bad(Chare):\n    def reduce(self): pass\n\n")
            session.expect("reserved")
            session.send("Future().get()\n")
            session.expect("nothing happens on any PE")
            session.send("charm.sleep(2.5); print('slept', 'well')\n")
            session.expect("slept well")
            session.send("class Late(Chare):\n    @coro\n    def late(self):\n"
                         "        charm.sleep(4)\n        return 'came'\n\n")
            session.send(f"print(Chare(Late, onPE={pes - 1}).late(ret=True)"
                         ".get(), 'late')\n")
            session.expect("came late")
            session.send("import sys\n")
            session.send("def hook(kind, error, frames): print('hook', kind)"
                         "\n\nsys.excepthook = hook\n[][0]\n")
            session.expect("hook <class 'IndexError'>")
            session.send("print('unfinished')")
            session.close_input()
            session.expect("unfinished")
            self.assertEqual(session.end(), 0, session.text)

    def test_messages_are_served_at_the_prompt(self):
        for pes, session in self.sessions(pes=(4,)):
            session.send(WORKER + "group = Group(Worker)\n")
            session.send("group[3].rally(group[0], 2000)\n")
            session.expect("rally over")  # with nothing typed meanwhile
            session.send("exit()\n")
            self.assertEqual(session.end(), 0, session.text)

    def test_a_terminal(self):
        for pes, session in self.sessions(terminal=True, pes=(1, 2)):
            session.expect("exit() ends the job")
            session.expect(">>> ")
            session.send("print('wait' + 'ing'); Future().get()\r")
            session.expect("waiting")
            session.process.send_signal(signal.SIGINT)
            session.expect("KeyboardInterrupt")
            session.expect(">>> ")
            session.send("class A(Chare):\r    def f(self): return 5\r\r")
            session.expect("class A is on all PEs")
            session.send("Group(A).f(ret=True).get()\r")
            session.expect(str([5] * pes))
            session.expect(">>> ")
            session.send("\x04")
            self.assertEqual(session.end(), 0, session.text)

    def test_a_loop_is_interrupted(self):
        for pes, session in self.sessions(pes=(1, 2)):
            session.send("print('be' + 'gin')\n")
            session.expect("begin")
            session.send("for i in iter(int, 1):\n"
                         "    if not i: print('lo' + 'op'); i = 1\n"
                         "    while True: pass\n\n")
            session.expect("loop")
            session.process.send_signal(signal.SIGINT)
            session.expect("KeyboardInterrupt")
            session.send("exit()\n")
            self.assertEqual(session.end(), 0, session.text)


class ProgramTest(unittest.TestCase):
    def test_a_program_with_a_prompt(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "program.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(
                    "from chare import charm, Chare, Group\n"
                    "class Mine(Chare):\n"
                    "    def value(self): return CONSTANT\n"
                    "CONSTANT = 42\n"
                    "charm.start(interactive=True)\n"
                )
            result = subprocess.run(
                [sys.executable, path], timeout=TIMEOUT_S, text=True,
                input="print(Group(Mine).value(ret=True).get())\n",
                capture_output=True,
            )
        self.assertEqual(result.stdout, "[42]\n", result.stderr)
        self.assertEqual(result.returncode, 0)


if __name__ == "__main__":
    tapunit.main()
