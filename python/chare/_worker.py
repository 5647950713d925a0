# SPDX-License-Identifier: BSD-3-Clause
"""_worker.py - the chare that is the pool on one PE, and runs tasks.

See _pool.py for the protocol.
"""

import collections
import functools
import itertools
import pickle
import sys
import time

from chare import _core, _support
from chare._jobs import (
    STYLE_EAGER, STYLE_ENCODED, STYLE_INDEPENDENT, STYLE_PAIRS, STYLE_SINGLES,
    STYLE_STAR, STYLE_UNIFORM,
)

TYPE_CHECKING = False  # that of typing costs milliseconds at each start
if TYPE_CHECKING:
    from typing import Any

HELD_UP_S = 0.005  # a batch that took longer gives back what is left
BUSY_S = 0.0002  # after longer batches others have a look in first
FUNCTIONS_KEPT_MAX = 1024  # functions that arrived by name, on a worker

KIND_PLAIN = 0
KIND_CORO = 1
KIND_ASYNC = 2

TASK_SUSPENDED = 0
TASK_DONE = 1
TASK_FAILED = 2


class WithKeywords:
    """A function that takes its arguments as a tuple and a dict."""

    def __init__(self, func):
        self.func = func
        if hasattr(func, "__qualname__"):
            self.__qualname__ = func.__qualname__

    def __call__(self, args, kwargs):
        return self.func(*args, **kwargs)


def _kind(function):
    """How a function is run: at once, or as a coroutine."""
    import inspect  # late, for it takes milliseconds

    while isinstance(function, (functools.partial, WithKeywords)):
        function = function.func
    for candidate in (function, getattr(type(function), "__call__", None)):
        if getattr(candidate, "__chare_coro__", False):
            return KIND_CORO
        if inspect.iscoroutinefunction(candidate):
            return KIND_ASYNC
    return KIND_PLAIN


def _name(function):
    return getattr(function, "__qualname__", None) or repr(function)


class _Proxies(dict):
    """PE -> the proxy of its Worker."""

    def __init__(self, group):
        super().__init__()
        self.group = group

    def __missing__(self, pe):
        proxy = self[pe] = self.group[pe]
        return proxy


class _Work:
    """A batch at its worker."""

    __slots__ = ("owner", "job", "number", "style", "functions", "items")

    def __init__(self, owner, job, number, style, functions, items):
        self.owner = owner
        self.job = job
        self.number = number
        self.style = style
        self.functions = functions  # a name's pickle, or None: the table
        self.items = items


class Worker(_core.Chare):
    """The pool on one PE, but for what programs see of it."""

    def __init__(self):
        self.pe = _core.my_pe()
        self.members = _Proxies(self.thisProxy)
        self.here = self.members[self.pe]
        # as an owner
        self.jobs = {}
        self.last_id = 0
        # PE -> batches of all jobs there
        self.load: collections.Counter = collections.Counter()
        self.turn = self.pe
        self.singles = None
        # as a worker
        self.ready: collections.deque = collections.deque()
        self.tables = {}  # (owner, job) -> [(function, kind)]
        self.busy = False  # the last batch took long
        self.named = {}  # pickle -> (function, kind, names of its module)

    # as an owner

    def new_id(self):
        self.last_id += 1
        return self.last_id

    def choose(self, ncores):
        """The PEs for a job: those with little to do, this one last."""
        count = _core.pe_count()
        self.turn = (self.turn + 1) % count
        order = [
            pe for pe in itertools.chain(
                range(self.turn, count), range(self.turn)
            ) if pe != self.pe
        ]
        order.sort(key=self.load.__getitem__)
        order.append(self.pe)
        return order if ncores < 0 else order[:ncores]

    def one(self, job, number, position, value):
        found = self.jobs.get(job)
        if found is not None:
            found.one(number, position, value)

    def over(self, job, number, values, begun, seconds, slowest):
        found = self.jobs.get(job)
        if found is not None:
            found.over(number, values, begun, seconds, slowest)

    def failed(self, job, number, position, description):
        found = self.jobs.get(job)
        if found is not None:
            found.failed(number, position, description)

    # as a worker

    def run(self, owner, job, number, style, functions, items):
        """A batch has come; it runs when it is its turn."""
        if type(functions) is tuple:
            table = self.tables.setdefault((owner, job), [])
            table.extend(functions)
            functions = None
        self.ready.append(
            _Work(owner, job, number, style, functions, items)
        )
        if self.busy:
            # By way of a timer, which comes after what other PEs have sent.
            _core.timer_start(self.step, 0.0, (), False)
        else:
            self.here.step()

    def forget(self, owner, job):
        """A job has ended; what has not begun is dropped."""
        self.tables.pop((owner, job), None)
        for work in [
            work for work in self.ready
            if work.job == job and work.owner == owner
        ]:
            self.ready.remove(work)

    def named_function(self, data):
        """(function, kind) of a name's pickle; a name may get a new one."""
        found = self.named.get(data)
        if found is not None:
            function, kind, names = found
            if names.get(function.__name__) is function:
                return function, kind
        function = pickle.loads(data)
        kind = _kind(function)
        module = sys.modules.get(function.__module__)
        if module is not None:
            if len(self.named) >= FUNCTIONS_KEPT_MAX:
                self.named.clear()
            self.named[data] = function, kind, vars(module)
        return function, kind

    def table_function(self, work, index):
        table = self.tables[work.owner, work.job]
        entry = table[index]
        if type(entry) is bytes:
            function = pickle.loads(entry)
            entry = table[index] = function, _kind(function)
        return entry

    def step(self):
        """Run one batch."""
        if not self.ready:
            return
        work = self.ready.popleft()
        if work.style & ~STYLE_UNIFORM == 0:
            try:
                function, kind = (
                    self.table_function(work, 0) if work.functions is None
                    else self.named_function(work.functions)
                )
            except Exception as error:
                self.tell_failed(work, 0, error, None)
                return
            if kind == KIND_PLAIN:
                self.run_plain(work, function)
                return
        self.run_each(work)

    def run_plain(self, work, function):
        """The quick way: one function, results together."""
        call = function
        if work.style & STYLE_ENCODED:
            if work.style & STYLE_STAR:
                def call(item):
                    return function(*_core.decode(item))
            else:
                def call(item):
                    return function(_core.decode(item))
        elif work.style & STYLE_STAR:
            def call(item):
                return function(*item)
        clock = time.perf_counter
        values: list = []
        append = values.append
        slowest = 0.0
        start = last = clock()
        try:
            for item in work.items:
                append(call(item))
                now = clock()
                if now - last > slowest:
                    slowest = now - last
                last = now
                if now - start > HELD_UP_S:
                    break
        except Exception as error:
            self.tell_failed(work, len(values), error, function)
            return
        self.busy = last - start > BUSY_S
        self.tell_over(
            work, tuple(values), len(values), last - start, slowest
        )

    def resolve(self, work, item):
        """(function, kind, arguments) of a task."""
        style = work.style
        if style & STYLE_SINGLES:
            data, args = item
            function, kind = self.named_function(data[1:]) if (
                data[0] == 1) else self.once(data[1:])
            if type(args) is bytes:
                args = _core.decode(args)
            return function, kind, args
        index = 0
        if style & STYLE_PAIRS:
            index, item = item
        function, kind = (
            self.table_function(work, index) if work.functions is None
            else self.named_function(work.functions)
        )
        if style & STYLE_ENCODED:
            item = _core.decode(item)
        return function, kind, tuple(item) if style & STYLE_STAR else (item,)

    @staticmethod
    def once(data):
        function = pickle.loads(data)
        return function, _kind(function)

    def run_each(self, work):
        """The general way: each task by itself."""
        clock = time.perf_counter
        eager = work.style & STYLE_EAGER
        independent = work.style & STYLE_INDEPENDENT
        values: list = []  # of the first tasks, if nobody can see them yet
        begun = 0
        slowest = 0.0
        start = last = clock()
        for position, item in enumerate(work.items):
            task = _Task(self, work, position)
            task.start(item)
            begun += 1
            if task.state == TASK_FAILED and not independent:
                return
            if task.state == TASK_DONE:
                if eager or len(values) < position:
                    self.tell_one(work, position, task.value, task.function)
                else:
                    values.append(task.value)
            task.inside = False
            now = clock()
            slowest = max(slowest, now - last)
            last = now
            if now - start > HELD_UP_S:
                break
        self.busy = last - start > BUSY_S
        self.tell_over(work, tuple(values), begun, last - start, slowest)

    # answers of a worker

    def tell_one(self, work, position, value, function):
        owner = self.members[work.owner]
        try:
            owner.one(work.job, work.number, position, value)
        except Exception as error:
            self.tell_failed(work, position, error, function)

    def tell_over(self, work, values, begun, seconds, slowest):
        owner = self.members[work.owner]
        try:
            owner.over(
                work.job, work.number, values, begun, seconds, slowest
            )
        except Exception:
            for position, value in enumerate(values):
                try:
                    _core.encode(value)
                except Exception as error:
                    self.tell_failed(work, position, error, None)
                    return
            raise

    def tell_failed(self, work, position, error, function):
        if isinstance(error, _core.NotThreadedError) and function is not None:
            error = _core.NotThreadedError(
                f"{_name(function)} would suspend, as a task of the pool, "
                "and is not a coroutine: decorate it with @coro"
            ).with_traceback(error.__traceback__)
        self.members[work.owner].failed(
            work.job, work.number, position, _support.describe(error)
        )


class _Task:
    """A task at its worker, where it may be a coroutine."""

    __slots__ = ("member", "work", "position", "function", "args", "state",
                 "value", "inside")

    def __init__(self, member, work, position):
        self.member = member
        self.work = work
        self.position = position
        self.function: Any = None
        self.state = TASK_SUSPENDED
        self.inside = True  # its batch is still going through its tasks

    def start(self, item):
        """Run it until it suspends or ends."""
        kind = KIND_PLAIN
        try:
            self.function, kind, self.args = self.member.resolve(
                self.work, item
            )
        except Exception as error:
            self.failed(error)
            return
        if kind == KIND_PLAIN:
            self.body()
        elif kind == KIND_CORO:
            _core.coroutine_start(self.body, ())
        else:
            _core.task_start(self.async_body())

    def body(self):
        try:
            value = self.function(*self.args)
        except Exception as error:
            self.failed(error)
        else:
            self.done(value)

    async def async_body(self):
        try:
            value = await self.function(*self.args)
        except Exception as error:
            self.failed(error)
        else:
            self.done(value)

    def done(self, value):
        self.state = TASK_DONE
        if self.inside:
            self.value = value
        else:
            self.member.tell_one(
                self.work, self.position, value, self.function
            )

    def failed(self, error):
        self.state = TASK_FAILED
        self.member.tell_failed(
            self.work, self.position, error, self.function
        )
