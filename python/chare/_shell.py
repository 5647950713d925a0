# SPDX-License-Identifier: BSD-3-Clause
"""_shell.py - the prompt: reads statements on PE 0 and runs them there.

The console is a main chare whose constructor, a coroutine, loops over
statements. Input is waited for by looking at the descriptor between short
sleeps, or, at a terminal, by a thread of its own that edits the line, so that
the PE goes on with its messages. Terms: a *statement* is what one prompt and
its continuations gave.
"""

import ast
import code
import functools
import os
import select
import signal
import sys
import threading
import time
import traceback
import types

from chare import _core

POLL_S = 0.01  # how often input is looked for
POLL_FIRST_S = 0.0005  # at first
HANG_S = 2.0  # a statement that waits so long while all is quiet hangs
HANG_CHECK_S = 0.5
READ_BYTES = 65536


def _charm():
    from chare._charm import charm

    return charm


# ---- input


class PlainInput:
    """Lines of a file or a pipe."""

    prompts = False

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._bytes = b""
        self._ended = False

    def line(self, prompt):
        """The next line, without its end; EOFError at the end."""
        wait = POLL_FIRST_S
        while b"\n" not in self._bytes and not self._ended:
            if not select.select([self._descriptor], [], [], 0)[0]:
                _charm().sleep(wait)
                wait = min(wait * 2, POLL_S)
                continue
            data = os.read(self._descriptor, READ_BYTES)
            self._bytes += data
            self._ended = not data
        if not self._bytes:
            raise EOFError
        line, _, self._bytes = self._bytes.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")

    def forget(self):
        """What was half typed is interrupted."""

    def close(self):
        pass


class TerminalInput:
    """Lines that a user edits, by readline if it is there."""

    prompts = True

    def __init__(self, namespace):
        self._request = threading.Event()
        self._done = False
        self._prompt = ""
        self._line = None
        self._reading = False
        self._settings = self._terminal_settings()
        self._readline(namespace)
        threading.Thread(target=self._read, daemon=True).start()

    @staticmethod
    def _terminal_settings():
        try:
            import termios

            return termios.tcgetattr(0)
        except Exception:  # no terminal after all
            return None

    @staticmethod
    def _readline(namespace):
        try:
            import readline
            import rlcompleter
        except ImportError:
            return
        completer = rlcompleter.Completer(namespace)
        readline.set_completer(completer.complete)
        readline.parse_and_bind("tab: complete")

    def _read(self):
        while True:
            self._request.wait()
            self._request.clear()
            try:
                self._line = input(self._prompt)
            except BaseException as error:
                self._line = error
            self._done = True

    def line(self, prompt):
        """The next line; EOFError at the end."""
        if not self._reading:
            self._prompt = prompt
            self._reading = True
            self._done = False
            self._request.set()
        wait = POLL_FIRST_S
        while not self._done:
            _charm().sleep(wait)
            wait = min(wait * 2, POLL_S)
        self._reading = False
        if isinstance(self._line, BaseException):
            raise self._line
        return self._line

    def forget(self):
        """Empty the line that is being edited, and show the prompt again."""
        if not self._reading:
            return
        try:
            import ctypes
            import readline

            library = ctypes.CDLL(readline.__file__)
            library.rl_replace_line(b"", 0)
            library.rl_on_new_line()
            library.rl_redisplay()
        except Exception:  # no readline, or another one
            pass

    def close(self):
        """Leave the terminal as it was."""
        if self._settings is not None:
            import termios

            termios.tcsetattr(0, termios.TCSANOW, self._settings)


def _own_terminal():
    """Whether input is a terminal; output goes there too then.

    A launcher reads our output from a pipe, in which no line can be edited.
    """
    try:
        if not os.isatty(0):
            return False
        for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
            if os.isatty(descriptor):
                continue
            theirs = os.stat(f"/proc/{os.getppid()}/fd/{descriptor}")
            if theirs.st_rdev == os.fstat(0).st_rdev:
                stream.flush()
                os.dup2(0, descriptor)
        return os.isatty(1)
    except OSError:
        return False


# ---- statements


class _Interpreter(code.InteractiveInterpreter):
    """Python's own, with an eye on classes and imports."""

    def __init__(self, console, namespace):
        super().__init__(namespace)
        self._console = console
        self.source = ""

    def write(self, data):
        sys.stderr.write(data)
        sys.stderr.flush()

    def showtraceback(self):
        """As Python's own prompt does, without our frames."""
        error = sys.exc_info()[1]
        if error is None:
            return
        frames = error.__traceback__
        while (frames is not None and frames.tb_next is not None
               and frames.tb_frame.f_code.co_filename == __file__):
            frames = frames.tb_next
        error.__traceback__ = frames
        sys.last_type, sys.last_value = type(error), error
        sys.last_traceback = frames
        if sys.excepthook is sys.__excepthook__:
            self.write("".join(
                traceback.format_exception(type(error), error, frames)
            ))
        else:
            sys.excepthook(type(error), error, frames)

    def runsource(self, source, filename="<console>", symbol="single"):
        self.source = source
        return super().runsource(source, filename, symbol)

    def runcode(self, compiled):
        try:
            self._run(compiled)
        except SystemExit:
            raise
        except BaseException:
            self.showtraceback()

    def _run(self, compiled):
        statement = ast.parse(self.source).body[:1]
        if statement and isinstance(statement[0], ast.ClassDef):
            self._console.define(compiled, self.source, statement[0].name)
        elif statement and isinstance(
            statement[0], (ast.Import, ast.ImportFrom)
        ):
            self._console.run_import(compiled, self.source)
        else:
            self._console.execute(compiled)


def _is_chare(value):
    return (
        isinstance(value, type) and issubclass(value, _core.Chare)
        and value is not _core.Chare
    )


class Console(_core.Chare):
    """The chare on PE 0 that runs what is typed; ``self`` at the prompt."""

    def __init__(self, args):
        charm = _charm()
        charm.thisProxy._shell_begins(awaitable=True).get()
        self._namespace = vars(sys.modules["__main__"])
        self._namespace.update(self=self, future=self._future)
        terminal = _own_terminal()
        self._input: TerminalInput | PlainInput = (
            TerminalInput(self._namespace) if terminal else PlainInput(0)
        )
        self._interpreter = _Interpreter(self, self._namespace)
        self._coroutine = _core.running()
        self._lines = []
        self._runs = False  # one does
        self._suspect = None
        self._interrupted_s = 0.0
        self._signals()
        self._banner()
        charm.scheduleCallableAfter(self._check_hang, HANG_CHECK_S)
        try:
            self._loop()
        finally:
            self._input.close()

    # ---- the loop

    def _banner(self):
        if not hasattr(sys, "ps1"):
            sys.ps1 = ">>> "
        if not hasattr(sys, "ps2"):
            sys.ps2 = "... "
        if self._input.prompts and not _charm().options.quiet:
            import chare

            self._say(
                f"chare {chare.__version__}, Python {sys.version.split()[0]}, "
                f"{_core.pe_count()} PEs; exit() ends the job"
            )

    def _say(self, text):
        print(text, flush=True)

    def _loop(self):
        while True:
            try:
                prompt = str(sys.ps2 if self._lines else sys.ps1)
                try:
                    line = self._input.line(prompt)
                except EOFError:
                    break
                self._push(line)
            except KeyboardInterrupt:
                self._say("\nKeyboardInterrupt")
                self._lines.clear()
                self._input.forget()
        if self._lines:
            self._push("")
        if self._input.prompts:
            self._say("")
        _charm().exit()

    def _push(self, line):
        self._lines.append(line)
        source = "\n".join(self._lines)
        self._runs = True
        try:
            more = self._interpreter.runsource(source)
        finally:
            self._runs = False
        if not more:
            self._lines.clear()

    def execute(self, compiled):
        """Run one statement here."""
        exec(compiled, self._namespace)

    def define(self, compiled, source, name):
        """Run a class statement; a chare's class on all PEs."""
        self.execute(compiled)
        if not _is_chare(self._namespace.get(name)):
            return
        _charm().thisProxy[0]._register_late(
            "defined", (name, source), _core.my_pe(), None, ret=True
        ).get()
        self._tell(f"class {name} is on all PEs")

    def run_import(self, compiled, source):
        """Run an import statement, on all PEs, with what it brings."""
        before = set(sys.modules)
        self.execute(compiled)
        if not _charm().options.interactive.broadcast_imports:
            return
        _charm().gather(*[
            _charm().thisProxy[pe].exec(source, awaitable=True)
            for pe in range(1, _core.pe_count())
        ]).get()
        classes = []
        for name in sorted(set(sys.modules) - before):
            for value in list(vars(sys.modules[name]).values()):
                if (_is_chare(value) and value.__module__ == name
                        and not name.startswith("chare.")):
                    classes.append(value)
        if classes:
            _charm().thisProxy.registerNewChareTypes(
                classes, awaitable=True
            ).get()
        self._tell(
            "imported on all PEs"
            + "".join(f"; class {cls.__qualname__}" for cls in classes)
        )

    def _tell(self, text):
        if self._input.prompts and _charm().options.interactive.verbose > 0:
            self._say(f"chare: {text}")

    def _future(self, num_vals=1):
        """future(): a Future, which _f remembers."""
        made = self._namespace["_f"] = _core.Future(num_vals)
        return made

    # ---- interrupts, and statements that hang

    def _signals(self):
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number, frame):
        if _core.running() is self._coroutine:
            raise KeyboardInterrupt
        now = time.monotonic()
        impatient = now - self._interrupted_s < 1.0
        self._interrupted_s = now
        if impatient and _core.awaited(self._coroutine) is None:
            raise KeyboardInterrupt  # something else does not end
        self._cancel(KeyboardInterrupt())

    def _cancel(self, error):
        """Raise an exception where the prompt's coroutine waits."""
        _core.interrupt(self._coroutine, error)
        _core.timer_start(int, 0.0, (), False)  # look at who is ready

    def _check_hang(self):
        _charm().scheduleCallableAfter(self._check_hang, HANG_CHECK_S)
        awaited = _core.awaited(self._coroutine)
        if not self._runs or awaited is None or "sleep" in awaited[1]:
            self._suspect = None
            return
        now = time.monotonic()
        if self._suspect is None or self._suspect[0] is not awaited[0]:
            self._suspect = (awaited[0], now)
        elif now - self._suspect[1] >= HANG_S:
            _core.quiescence(self.thisProxy._all_is_quiet)

    def _all_is_quiet(self):
        """No message is under way, but timers may wake something yet."""
        if self._suspect is not None:
            timers = _charm().thisProxy._timers(ret=True)
            timers._on_ready(functools.partial(self._judge_hang, timers))

    def _judge_hang(self, timers):
        awaited = _core.awaited(self._coroutine)
        if (self._suspect is None or awaited is None
                or awaited[0] is not self._suspect[0]):
            return
        if sum(timers._outcome()) > 1:  # one looks for what hangs
            self._suspect = (awaited[0], time.monotonic())
            return
        self._suspect = None
        self._cancel(
            _core.Error(
                "nothing happens on any PE: what this statement waits for "
                "does not come"
            )
        )


# ---- starting


def prepare():
    """What charm.start(interactive=True) needs, on every PE."""
    import chare

    charm = _charm()
    charm.options.remote_exec = True
    namespace = vars(sys.modules["__main__"])
    for name in chare.__all__:
        namespace.setdefault(name, getattr(chare, name))
    return Console


def begin():
    """On every PE, before the first prompt."""
    _core.forgive(True)
    if (_core.my_pe() != 0
            and threading.current_thread() is threading.main_thread()):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def main():
    """python -m chare.interactive"""
    fresh = types.ModuleType("__main__")
    setattr(fresh, "__builtins__", __builtins__)
    sys.modules["__main__"] = fresh
    if sys.path[0] != "":
        sys.path.insert(0, "")
    _charm().start(interactive=True)
