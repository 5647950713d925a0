# SPDX-License-Identifier: BSD-3-Clause
"""Exceptions on their way: nested calls, odd classes, every place they leave.

Method: small programs on 1 and 4 PEs, whose main function catches what
arrives; where nobody catches, the report on stderr and the exit code tell.
"""

import sys
import unittest

import tapunit
from program import PES, ProgramCase

CHAIN = """
import threading

class Odd(Exception):
    def __init__(self, one, *, two):
        super().__init__(f"{one} and {two}")
        self.one, self.two = one, two

class Held(Exception):
    def __init__(self, message):
        super().__init__(message)
        self.lock = threading.Lock()
        self.number = 3

class Sealed(Exception):
    def __init__(self):
        super().__init__(threading.Lock())
    def __str__(self):
        return "sealed"

class Link(Chare):
    def __init__(self, others=()):
        self.others = list(others)

    @coro
    def call(self, depth, kind="value"):
        if self.others and depth > 0:
            return self.others[0].call(depth - 1, kind, ret=True).get()
        self.fail(kind)

    def fail(self, kind):
        if kind == "value":
            raise ValueError("at the end")
        if kind == "cause":
            try:
                {}["key"]
            except KeyError as error:
                raise ValueError("with a cause") from error
        if kind == "odd":
            raise Odd(1, two=2)
        if kind == "held":
            raise Held("held")
        if kind == "sealed":
            raise Sealed()
        if kind == "group":
            raise ExceptionGroup("many", [ValueError(1), KeyError("k")])
        if kind == "note":
            error = ValueError("noted")
            error.add_note("a note")
            raise error
        if kind == "deep":
            self.ping(0)
        if kind == "text":
            raise ValueError("nul \\0 and \\ud800 and \\u20ac")
        if kind == "os":
            open("/nonexistent/file")
        if kind == "unicode":
            b"\\xff".decode("utf-8")

    def ping(self, n):
        return self.pong(n + 1)

    def pong(self, n):
        return self.ping(n + 1)

    def own(self, limit):
        if self.thisIndex[0] >= limit:
            raise LookupError(f"element {self.thisIndex[0]}")
        return self.thisIndex[0]

def error_of(future):
    try:
        got = future.get()
    except Exception as error:
        return error
    assert False, got

def chain(length):
    last = None
    for i in range(length):
        last = Chare(Link, args=[[last]] if last else [],
                     onPE=i % charm.numPes())
    return last
"""


class NestedTest(ProgramCase):
    def test_every_hop_is_in_the_traceback(self):
        self.check(CHAIN + """
def main(args):
    error = error_of(chain(3).call(5, ret=True))
    assert type(error) is ValueError and str(error) == "at the end"
    text = error.remote_traceback
    for pe in {2 % charm.numPes(), 1 % charm.numPes(), 0}:
        assert f"on PE {pe}, in Link.call() of element" in text, text
    assert text.count("in Link.call()") == 3, text
    assert text.count("in fail") == 1, text
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_uncaught_after_a_remote_call(self):
        for count in PES:
            result = self.run_program(CHAIN + """
def main(args):
    chain(2).call(5, ret=True).get()
charm.start(main)
""", count)
            self.assertEqual(result.returncode, 1, result.stderr)
            for words in ("uncaught exception in main()", "Link.call() of",
                          "in fail", "ValueError: at the end"):
                self.assertIn(words, result.stderr)


class ClassesTest(ProgramCase):
    def test_classes_with_their_own_constructors(self):
        self.check(CHAIN + """
def main(args):
    link = Chare(Link, onPE=charm.numPes() - 1)
    error = error_of(link.call(0, "odd", ret=True))
    assert type(error) is Odd and str(error) == "1 and 2"
    assert (error.one, error.two) == (1, 2)
    error = error_of(link.call(0, "held", ret=True))
    assert type(error) is Held and str(error) == "held"
    error = error_of(link.call(0, "sealed", ret=True))
    assert type(error) is RemoteError and str(error) == "Sealed: sealed"
    assert "in fail" in error.remote_traceback
    error = error_of(link.call(0, "cause", ret=True))
    assert type(error) is ValueError
    assert "KeyError: 'key'" in error.remote_traceback
    error = error_of(link.call(0, "os", ret=True))
    assert type(error) is FileNotFoundError
    assert error.filename == "/nonexistent/file" and error.errno == 2
    error = error_of(link.call(0, "unicode", ret=True))
    assert type(error) is UnicodeDecodeError and error.start == 0
    error = error_of(link.call(0, "text", ret=True))
    assert str(error) == "nul \\0 and \\ud800 and \\u20ac"
    assert "\\u20ac" in error.remote_traceback
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_very_long_tracebacks(self):
        self.check(CHAIN + """
def main(args):
    link = Chare(Link, onPE=charm.numPes() - 1)
    error = error_of(link.call(0, "deep", ret=True))
    assert type(error) is RecursionError
    assert error.remote_traceback.count("in pong") > 100
    assert link.own(1, ret=True).get() == 0
    print("done")
    charm.exit()
charm.start(main)
""")
        for count in PES:
            result = self.run_program(CHAIN + """
def main(args):
    Chare(Link, onPE=charm.numPes() - 1).call(0, "deep")
charm.start(main)
""", count)
            self.assertEqual(result.returncode, 1, result.stderr[-2000:])
            self.assertIn("RecursionError: maximum", result.stderr)
            self.assertIn("lines left out", result.stderr)
            self.assertIn("in fail", result.stderr)

    @unittest.skipIf(sys.version_info < (3, 11), "Python has no such groups")
    def test_groups_and_notes(self):
        self.check(CHAIN + """
def main(args):
    link = Chare(Link, onPE=charm.numPes() - 1)
    error = error_of(link.call(0, "group", ret=True))
    assert type(error) is ExceptionGroup
    assert [type(e) for e in error.exceptions] == [ValueError, KeyError]
    try:
        link.call(0, "group", ret=True).get()
    except* KeyError as group:
        assert group.exceptions[0].args == ("k",)
    except* ValueError:
        pass
    error = error_of(link.call(0, "note", ret=True))
    assert error.__notes__ == ["a note"]
    print("done")
    charm.exit()
charm.start(main)
""")


class BroadcastTest(ProgramCase):
    def test_the_first_error_is_raised(self):
        self.check(CHAIN + """
def main(args):
    links = Array(Link, 6)
    assert links.own(9, ret=True).get() == list(range(6))
    error = error_of(links.own(4, ret=True))
    assert type(error) is LookupError and str(error) == "element 4"
    assert "Link.own() of element (4,)" in error.remote_traceback
    got = error.broadcast_results
    assert got[:4] == list(range(4)) and str(got[5]) == "element 5"
    if sys.version_info >= (3, 11):
        assert "raised by 2 of 6 chares" in error.__notes__[0]
        assert "LookupError: element 5" in error.__notes__[1]
    future = links.own(4, ret=True)
    for _ in range(2):
        assert str(error_of(future)) == "element 4"
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_as_items(self):
        self.check(CHAIN + """
def main(args):
    links = Array(Link, 6)
    got = links.own(4, ret=True).get()
    assert got[:4] == list(range(4))
    assert [str(e) for e in got[4:]] == ["element 4", "element 5"]
    print("done")
    charm.exit()
_core.error_items(True)
charm.start(main)
""")


PLACES = {
    "method": "Chare(Where, onPE=LAST).method()",
    "coroutine": "Chare(Where, onPE=LAST).later()",
    "constructor": "Chare(Where, args=[True], onPE=LAST)",
    "awaited constructor":
        "charm.awaitCreation(Chare(Where, args=[True], onPE=LAST))",
    "timer": "Chare(Where, onPE=LAST).timer()",
    "reducer": "Group(Where).reduce_by('leaving', Future())",
    "pre": "Group(Where).reduce_by('before', Future())",
    "main": "leave()",
}

LEAVING = """
def leave(*args):
    BODY

class Where(Chare):
    def __init__(self, at_once=False):
        if at_once:
            leave()

    def method(self):
        leave()

    @coro
    def later(self):
        charm.sleep(0)
        leave()

    def timer(self):
        charm.scheduleCallableAfter(leave, 0)

    def reduce_by(self, name, future):
        self.reduce(future, 1, getattr(Reducer, name))

def leaving(contributions):
    leave()

def before(contributions):
    return 1

def after(contributions):
    return 1

Reducer.addReducer(leaving)
Reducer.addReducer(before, pre=leave)
Reducer.addReducer(after, post=leave)

def main(args):
    LAST = charm.numPes() - 1
    PLACE
    Future().get()

charm.start(main)
"""


class PlacesTest(ProgramCase):
    def run_at(self, place, body, count):
        return self.run_program(
            LEAVING.replace("PLACE", place).replace("BODY", body), count
        )

    def test_exit_from_every_place(self):
        for name, place in PLACES.items():
            if name == "reducer":  # its exception goes to the future
                place = "f = Future(); Group(Where).reduce_by('leaving', f)"
                place += "; f.get()"
            for count in PES:
                with self.subTest(place=name, pes=count):
                    result = self.run_at(place, "sys.exit(7)", count)
                    self.assertEqual(result.returncode, 7, result.stderr)
                    self.assertNotIn("Traceback", result.stderr)

    def test_errors_in_every_place(self):
        for name, place in PLACES.items():
            if name == "reducer":
                place = "f = Future(); Group(Where).reduce_by('after', f)"
                place += "; f.get()"
            with self.subTest(place=name):
                result = self.run_at(place, "raise OSError('left')", 4)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn("OSError: left", result.stderr)
                self.assertIn("in leave", result.stderr)

    def test_interrupt_in_the_middle(self):
        body = "import signal; os.kill(os.getpid(), signal.SIGINT); 1 + 1"
        for name in ("method", "coroutine", "constructor", "timer", "main"):
            with self.subTest(place=name):
                result = self.run_at(PLACES[name], body, 1)
                self.assertEqual(result.returncode, 130, result.stderr)
                self.assertIn("KeyboardInterrupt", result.stderr)


if __name__ == "__main__":
    tapunit.main()
