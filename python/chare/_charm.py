# SPDX-License-Identifier: BSD-3-Clause
"""_charm.py - charm: the runtime, as programs see it."""

import atexit
import functools
import os
import sys
import types

from chare import (
    _core, _doors, _lb, _options, _pool, _program, _readonlies, _registry, _remote,
    _sections, _stats, _trees, _waiting,
)
from chare._early import watch
from chare._reducers import Reducer

TYPE_CHECKING = False  # that of typing costs milliseconds at each start
if TYPE_CHECKING:
    from typing import Any

INTERRUPTED = 130  # the exit code after SIGINT, as shells have it


def coro(function):
    """Decorator: an entry method, or constructor, that may suspend.

    It runs as a coroutine of its own, so that Future.get(), charm.sleep() and
    the like suspend it while its PE goes on with other messages. The main
    function is always one.

    Example::

        @coro
        def run(self):
            total = self.allreduce(1, Reducer.sum).get()
    """
    function.__chare_coro__ = True
    return function


threaded = coro

_registered = []


def register(cls):
    """Decorator: register a class of chares that is not in the main module.

    Modules named in ``charm.start(modules=)`` do not need it. Raises Error for
    what is no subclass of Chare.

    Example::

        @register
        class Solver(Chare):
            ...
    """
    if not (isinstance(cls, type) and issubclass(cls, _core.Chare)):
        raise _core.Error(f"{cls!r} is not a subclass of Chare")
    _registered.append(cls)
    return cls


def _named_like(function, entry):
    """A function that an error report calls by the name of the entry."""
    named = functools.partial(function)
    name = getattr(entry, "__qualname__", "main")
    setattr(named, "__qualname__", name)
    return named


def _flush(stream):
    """Write what is buffered, unless the program closed or replaced it."""
    try:
        stream.flush()
    except (AttributeError, OSError, ValueError):
        pass


def _end_child(code):
    """Leave a process that some method forked, and that came back from it."""
    if code < 0:
        code = 1
        print(
            f"chare: process {os.getpid()} was forked by a method and has "
            f"returned from it, but is no PE: let it end with os._exit()",
            file=sys.stderr,
        )
    _flush(sys.stderr)
    os._exit(code)


def _line_buffered(stream):
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)


def _check_entry(entry):
    """Complain of what charm.start() cannot run."""
    if isinstance(entry, type) and issubclass(entry, _core.Chare):
        counts = _registry.constructor(entry)
    elif isinstance(entry, types.FunctionType):
        counts = _registry._describe(
            "main", entry, 0, _registry._signature(entry, False)
        )
    else:
        raise _core.Error(
            "charm.start() takes a function of one argument, or a subclass "
            f"of Chare, not {entry!r}"
        )
    if not counts[5] <= 1 <= counts[6]:
        from chare import _mistakes

        raise _core.Error(
            f"{_mistakes.signature_of(entry)} must take exactly one argument: "
            "the list of the command line, as in 'def main(args):'"
        )


class Charm(
    _waiting.Waiting, _doors.Doors, _sections.Sections, _trees.Trees
):
    """The runtime; there is one, named charm.

    Everything but start() works only after it, in the main function and in
    chares.
    """

    def __init__(self):
        self._started = False
        self._must_start = False  # else only what defines chares must
        self._late_keys = _remote.keys()
        self.options = _options.defaults()
        self.thisProxy: Any = None
        atexit.register(self._notice_unstarted)
        os.register_at_fork(after_in_child=_core.forked)
        watch(lambda: self._started)
        self.pool = _pool.pool
        self.lb = _lb.LoadBalancing()

    def __reduce__(self):  # by name, also within what is sent by value
        return "charm"

    # ---- life

    def start(self, entry=None, classes=(), modules=(), interactive=False):
        """Start the runtime and run the program; never returns.

        Every PE calls it. ``entry`` is a function of one argument, or a
        subclass of Chare whose constructor takes one: it runs on PE 0 as a
        coroutine, with the list of the command line. All subclasses of Chare
        in the main module, in ``modules`` (names) and in ``classes`` are
        registered. With ``interactive``, a prompt on PE 0 is the program
        (see chare.interactive). The process ends in here, with the job's
        exit code.

        Raises Error when called twice, or when entry is not one.

        Example: ``charm.start(main, modules=["solver"])``
        """
        self._check_first()
        if interactive:
            from chare import interactive as shell

            entry = shell.prepare()
        if entry is not None:
            _check_entry(entry)
        sys.exit(self._run(entry, self._prepare(entry, classes, modules)))

    def run(self, function, *args, classes=(), modules=()):
        """Run ``function(*args)`` as the main function; its value.

        Every PE calls it. On PE 0 the function runs as a coroutine; when it
        returns the job ends, and the program goes on there alone, with the
        value. What the function raises is raised here. The other PEs serve
        the job, and their processes end in here, with exit code 0; so they do
        on PE 0 when the function calls charm.exit(). ``classes`` and
        ``modules`` are as those of start().

        Raises Error when the runtime was started before.

        Example: ``total = charm.run(lambda: sum(charm.pool.map(f, data)))``
        """
        self._check_first()
        return _program.run(self, function, args, classes, modules)

    def load(self, path):
        """Load a library of classes of chares in C; a plug-in.

        Its attributes are the classes: ``Array(plugin.Cell, 8, args=[0])``
        creates chares, whose methods are called through proxies, and whose
        results are awaited, as those of classes in Python. Every PE loads the
        same ones in the same order, before charm.start(). ``path`` is a file;
        a mere name is looked for beside the program, in the working directory,
        and then where the system looks for libraries. A library stays loaded.
        How to write one: the part on plug-ins of chare.h, and the guide.

        Raises OSError when it is not there or cannot be loaded, Error when it
        is no plug-in, was compiled for another version of chare, or after
        charm.start().

        Example: ``cells = charm.load("libcells.so")``
        """
        from chare import _plugin  # few programs need it

        return _plugin.load(path, self._started)

    def _check_first(self):
        if self._started:
            raise _core.Error(
                "charm.start() was called before: a program starts the "
                "runtime once, by its last statement, and ends by charm.exit()"
            )
        _options.check_old_names()

    def _prepare(self, entry, classes, modules):
        """All classes to be registered; there is no way back."""
        found = list(classes) + _registered
        if isinstance(entry, type):
            found.append(entry)
        found = _registry.collect(found, modules)
        self._started = True
        return found

    def _run(self, entry, classes):
        picture = _lb.Picture(self.options.balancer_picture)
        try:
            _core.open()
            _core.auto_flush(self.options.auto_flush_wait_queues)
            _remote.dress(_registry.register(_remote.Remote))
            for cls in [_pool.Member, *classes]:
                _registry.register(cls)
            if "chare._plugin" in sys.modules:  # some was loaded
                sys.modules["chare._plugin"].register()
            Reducer._register()
            _lb.start(self._balancer())
            picture.start()
            _core.start()
            _lb.started(self.options.balancer_period)
            _options.started()
        except _core.Error as error:
            print(f"chare: {error}", file=sys.stderr, flush=True)
            return 1
        _line_buffered(sys.stdout)
        _line_buffered(sys.stderr)
        _stats.start(self.options.profiling)
        if _core.my_pe() == 0:
            _core.timer_start(self._boot, 0.0, (entry,), True)
        pid = os.getpid()
        try:
            code = _core.run()
        except KeyboardInterrupt:  # as another PE's interrupt ended the job
            code = INTERRUPTED
        _flush(sys.stdout)
        if os.getpid() != pid:
            _end_child(code)
        _core.close()
        picture.draw()
        return code

    def _boot(self, entry):
        """The first coroutine of PE 0."""
        self.awaitCreation(
            _core.group_create(_remote.Remote, ()),
            _core.group_create(_pool.Member, ()),
        )
        if entry is not None:
            _core.timer_start(self._start_main, 0.0, (entry,), False)

    def _start_main(self, entry):
        """Run the main function, or create the main chare.

        What it sends to other PEs waits until its readonlies are there.
        """
        arguments = self._arguments()
        _readonlies.main_starts()
        if isinstance(entry, type):
            _core.single_create(entry, (arguments,), 0, True)
            self.thisProxy[0]._main_suspended()  # runs right after it
        else:
            _core.coroutine_start(_named_like(entry, entry), (arguments,))
            self._main_suspended()

    def _main_suspended(self):
        values = _readonlies.close()
        if values and _core.pe_count() > 1:
            _core.call_first(self.thisProxy._begin, values)._on_ready(
                lambda: _core.hold(False)
            )
        else:
            _core.hold(False)

    def _balancer(self):
        """The strategy that the program asked for."""
        return self.options.balancer

    def _arguments(self):
        """The command line, as the main function gets it."""
        return list(sys.argv)

    def _notice_unstarted(self):
        """At exit: say why a program that defines chares did nothing.

        Not when an exception has said it.
        """
        if self._started or hasattr(sys, "last_value"):
            return
        if self._must_start or any(
            not cls.__module__.startswith("chare.")
            for cls in _core.Chare.__subclasses__()
        ):
            print(
                "chare: the program ends without charm.start(): it was not "
                "called, or the program left before",
                file=sys.stderr, flush=True,
            )

    def exit(self, exit_code=0):
        """End the job on all PEs with an exit code, 0 to 255; from any PE.

        Does not return: it raises SystemExit, as sys.exit() would, which ends
        the job from an entry method too. Raises ValueError for another code,
        TypeError for what is no integer.

        Example: ``charm.exit(0 if good else 1)``
        """
        try:
            _core.exit(exit_code)
        except TypeError:
            from chare import _mistakes

            raise _mistakes.no_code(exit_code) from None
        raise SystemExit(exit_code)

    def abort(self, message=""):
        """End the job on all PEs because of an error, with exit code 1.

        The message is written to stderr, with the PE; from any PE. Does not
        return: it raises SystemExit.

        Example: ``charm.abort(f"no such file: {path}")``
        """
        _flush(sys.stdout)
        _core.abort(1, str(message))
        raise SystemExit(1)

    def print_dbg(self, *args, **keywords):
        """As print(), with the number of the PE in front.

        Example: ``charm.print_dbg("step", step)`` prints ``PE 2 : step 5``
        """
        print("PE", _core.my_pe(), ":", *args, **keywords)

    def flush(self):
        """Send the calls of ``@aggregate`` methods that wait on this PE.

        To be used in a method that has made some and goes on for long; they
        leave by themselves when it returns or suspends, soon.

        Example: ``charm.flush(); time.sleep(1)``
        """
        _core.flush()

    def printStats(self):
        """Let PE 0 print what entry methods have cost, on all PEs.

        A table with a line for each method, those that took most time first;
        see stats(). It is measured when ``charm.options.profiling`` was set
        before charm.start(), or with ``CHARE_STATS=1``, which also prints the
        table on stderr at the end of the job. Methods that kept their chares
        from moving, because they were suspended, are named below it, measured
        or not; see charm.lb.report(). From any PE, at any time: in a
        @coro method it returns when the table is printed, in an 'async def'
        method it returns a future of that, elsewhere it returns at once.

        Example: ``charm.thisProxy[0].printStats(awaitable=True).get()``
        """
        return _stats.show()

    def stats(self):
        """What entry methods have cost, on all PEs.

        A list of dicts, those first that took most time: ``type`` and
        ``method`` (``__init__``: the making of chares), ``calls``,
        ``seconds`` and ``longest`` (of one call, or of a part of it between
        two suspensions), ``bytes`` (of arguments that came encoded),
        ``waited`` (seconds in the queue, of all calls), ``longest_wait``,
        ``kept`` (calls that kept their chare from moving), ``pes`` (how many
        have executed it), ``busiest_pe``, ``busiest`` (seconds there) and
        ``imbalance``, that by the mean of all PEs of the job. Where nothing
        was measured there are only those that have ``kept`` a chare; see
        printStats().

        Suspends a @coro method; in an 'async def' method it returns a future,
        to be awaited. Raises NotThreadedError elsewhere.

        Example: ``worst = max(charm.stats(), key=lambda m: m["imbalance"])``
        """
        return _stats.get()

    # ---- where am I

    def myPe(self):
        """The PE this runs on, from 0.

        Example: ``right = (charm.myPe() + 1) % charm.numPes()``
        """
        return _core.my_pe()

    def numPes(self):
        """PEs in the job: the processes, of all hosts.

        Example: ``workers = Array(Worker, 4 * charm.numPes())``
        """
        return _core.pe_count()

    def myHost(self):
        """The host this runs on, from 0.

        Example: ``neighbours = charm.getHostPes(charm.myHost())``
        """
        return _core.node_of(_core.my_pe())

    def numHosts(self):
        """Hosts in the job.

        Example: ``hosts = range(charm.numHosts())``
        """
        return _core.node_count()

    def getHostPes(self, host):
        """The PEs on a host, as a list in rising order.

        Raises ValueError when there is no such host.

        Example: ``Group(Cache, onPEs=charm.getHostPes(0))``
        """
        return _core.node_pes(host)

    def getHostFirstPe(self, host):
        """The lowest PE on a host. ValueError: there is no such host.

        Example: ``charm.getHostFirstPe(charm.myHost()) == charm.myPe()``
        """
        return _core.node_pes(host)[0]

    def getHostNumPes(self, host):
        """How many PEs a host has. ValueError: there is no such host.

        Example: ``share = memory // charm.getHostNumPes(charm.myHost())``
        """
        return len(_core.node_pes(host))

    def getPeHost(self, pe):
        """The host of a PE, from 0. ValueError: there is no such PE.

        Example: ``near = charm.getPeHost(pe) == charm.myHost()``
        """
        return _core.node_of(pe)

    def getPeHostRank(self, pe):
        """Which of its host's PEs a PE is, from 0.

        Raises ValueError when there is no such PE.

        Example: ``device = charm.getPeHostRank(charm.myPe()) % gpus``
        """
        return _core.node_pes(_core.node_of(pe)).index(pe)

    def hostName(self, host=None):
        """What the launcher calls a host: this one, or the one given.

        Raises ValueError when there is no such host.

        Example: ``print("running on", charm.hostName())``
        """
        return _core.node_name(self.myHost() if host is None else host)

    def scheduleCallableAfter(self, callable_obj, seconds, args=()):
        """Call something on this PE, at least so many seconds later.

        It may be a function, a Future or a method of a proxy; one that is
        decorated with @coro runs as a coroutine. ``args`` are its arguments.
        Any number may be outstanding. Raises TypeError for what cannot be
        called.

        Example: ``charm.scheduleCallableAfter(self.thisProxy.look, 0.5)``
        """
        if not callable(callable_obj):
            raise TypeError(f"{callable_obj!r} cannot be called")
        _core.timer_start(
            callable_obj, seconds, tuple(args),
            getattr(callable_obj, "__chare_coro__", False),
        )

    # ---- names that programs expect here

    Reducer = Reducer
    Future = _core.Future
    createFuture = _core.Future


charm = Charm()
# Without a Python frame in between: these are called often.
setattr(charm, "myPe", _core.my_pe)
setattr(charm, "numPes", _core.pe_count)
