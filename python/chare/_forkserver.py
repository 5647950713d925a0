# SPDX-License-Identifier: BSD-3-Clause
"""_forkserver.py - all processes of a job on this node from one interpreter.

Most of what a process costs until the program's own code runs is starting
Python and importing NumPy, and a fork has both. So `chare run` starts one interpreter, which imports what the program will import
first (no code of the user's), forks the ranks, and ends. The launcher's half,
with the invariants, is pmix/forkserver.c.

In a rank, everything is as if the interpreter had been started with the
program: `sys.argv`, `sys.path`, `__main__`, the environment, tracebacks.
Whatever does not look as it should ends this process before it has forked
anything, and the launcher starts the ranks one by one.
"""

import ast
import builtins
import gc
import io
import os
import runpy
import signal
import struct
import sys
import traceback
import warnings
from importlib.machinery import SourceFileLoader

from chare import _core

# Modules that do nothing when imported that a fork could regret.
SAFE = ("chare", "numpy")


class _Order:
    """What the launcher wrote: where a rank's streams and variables are."""

    def __init__(self, fd):
        with open(fd, "rb") as file:
            words = file.read().split(b"\0")
        self.null_fd, self.launcher = int(words[0]), int(words[1])
        self.ranks, at = [], 2
        while at + 3 <= len(words):
            fds, count = (int(words[at]), int(words[at + 1])), int(words[at+2])
            at += 3
            self.ranks.append((fds, words[at:at + count]))
            at += count

    def all_fds(self):
        yield self.null_fd
        for fds, _ in self.ranks:
            yield from fds


# ---- the program

class _Script:
    """`python app.py`"""

    def __init__(self, argv):
        self.argv = argv
        self.path = argv[0]  # as the interpreter makes it absolute
        if not self.path.startswith("/"):
            self.path = f"{os.getcwd()}/{self.path}"
        with io.open_code(self.path) as file:
            source = file.read()
        self.tree = ast.parse(source, self.path)
        self.code = compile(source, self.path, "exec", dont_inherit=True)
        self.folder = os.path.dirname(os.path.realpath(self.path))

    def run(self):
        names = sys.modules["__main__"].__dict__
        names.clear()
        names.update(
            __name__="__main__", __doc__=None, __package__=None,
            __loader__=SourceFileLoader("__main__", self.path),
            __spec__=None, __annotations__={}, __builtins__=builtins,
            __file__=self.path, __cached__=None)
        exec(self.code, names)


class _Module:
    """`python -m app`, with the arguments from "-m" on"""

    def __init__(self, argv):
        self.name = argv[1]
        self.argv = ["-m", *argv[2:]]
        self.folder = os.getcwd()
        self.tree = ast.Module([], [])
        if self.name.partition(".")[0] == "chare":
            __import__(self.name.rpartition(".")[0] or self.name)

    def run(self):
        as_main = getattr(runpy, "_run_module_as_main")  # what -m calls
        as_main(self.name)


def _imported(tree):
    """The modules that a program imports before it does anything else, which
    could change how they are imported (os.environ, sys.path)."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
        elif not (isinstance(node, ast.Expr)
                  and isinstance(node.value, ast.Constant)):
            return


def _preload(program):
    wanted = os.environ.get("CHARE_PRELOAD", "auto").replace(",", " ").split()
    for name in _imported(program.tree):
        package = name.partition(".")[0]
        if package in SAFE:
            __import__(name)
        elif package not in sys.stdlib_module_names:
            break  # who knows what it does
    for name in wanted:
        if name == "auto":
            continue
        try:
            __import__(name)
        except Exception as error:
            print(f"chare: CHARE_PRELOAD={name}: {error}", file=sys.stderr,
                  flush=True)
            raise


# ---- a rank

def _settle(order, rank, server, channel, go):
    """Become what the launcher would have started; False: it does not want
    this rank any more."""
    (out, err), variables = order.ranks[rank]
    os.close(channel)
    os.setsid()
    if rank > 0:
        os.dup2(order.null_fd, 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for fd in order.all_fds():
        os.close(fd)
    word = os.read(go, 1)
    os.close(go)
    if word != b"g" or not _core.adopted_by(order.launcher, server):
        return False
    for variable in variables:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()  # as Python's own does by itself
    return True


def _settle_or_end(*args):
    """Nothing of the program has run: no way back to the server's code."""
    try:
        if _settle(*args):
            return
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _run(program):
    """Run it, and end as Python ends, with its own frames in tracebacks."""
    try:
        program.run()
    except SystemExit:
        raise
    except BaseException as error:
        frames = error.__traceback__
        for _ in range(2):  # this function's, and run()'s
            frames = frames and frames.tb_next
        error.__traceback__ = frames
        sys.excepthook(type(error), error, frames)
        sys.excepthook = lambda *_: None  # it has been said
        raise


# ---- the server

def _fork_all(order, channel):
    """Fork the ranks; in one of them, True. In the server, False, with all
    of them told to go on."""
    go, go_on = os.pipe()
    server = os.getpid()
    gc.collect()
    gc.freeze()
    for rank in range(len(order.ranks)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BLAS has threads, and shuts them
            pid = os.fork()
        if pid == 0:
            os.close(go_on)
            _settle_or_end(order, rank, server, channel, go)
            gc.unfreeze()
            return True
        os.write(channel, struct.pack("=i", pid))
    if os.read(channel, 1) == b"g":
        os.write(go_on, b"g" * len(order.ranks))
    return False


def main():
    """Called in the interpreter that `chare run` started; the rest of its
    arguments are the program's."""
    in_rank = False
    try:
        order_fd, channel = map(
            int, os.environ.pop("CHARE_FORKSERVER").split())
        order = _Order(order_fd)
        argv = sys.argv[1:]
        program: _Module | _Script
        program = _Module(argv) if argv[0] == "-m" else _Script(argv)
        if not getattr(sys.flags, "safe_path", False) \
                and not sys.flags.isolated:
            sys.path.insert(0, program.folder)
        sys.argv = program.argv
        _preload(program)
        in_rank = _fork_all(order, channel)
    finally:
        if not in_rank:
            os._exit(0)
    _run(program)
