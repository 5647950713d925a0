# SPDX-License-Identifier: BSD-3-Clause
"""_pool.py - charm.pool: functions applied to many values, on all PEs.

One Member runs on each PE, in two roles. As the owner of the jobs that are
started on its PE it hands out their tasks and collects the results; as a
worker it runs tasks, of any owner. Both roles talk by messages only, also
when they are on one PE, so that what a task gets is a copy there too.

    owner  --run(job, batch, functions, items)-->  worker
    owner  <--one(job, batch, position, result)--  worker
    owner  <--over(job, batch, results)----------  worker

A batch is a run of tasks that are next to each other. It grows until it is
worth BATCH_S of work, and each worker has the next one already when it ends
one. Promises:

1. Tasks start first to last; a task runs exactly once.
2. A worker that is held up by a slow task gives the rest of its batch back.
3. A result that somebody can see (it has a future of its own) is sent at
   once; results of a job with one future travel with their batch.
4. The owner's PE takes tasks only when the other workers have some: while it
   runs one, it hands out none.
"""

import pickle
import types

from chare import _core, _support
from chare._jobs import (
    STYLE_ENCODED, STYLE_INDEPENDENT, STYLE_PAIRS, STYLE_STAR, Job,
    ManyFutures, OneFuture, Singles, ToFuture,
)
from chare._worker import Worker

TYPE_CHECKING = False  # that of typing costs milliseconds at each start
if TYPE_CHECKING:
    from typing import Any


def _by_name(function):
    """Whether a function's pickle is its name: it means the same always."""
    if isinstance(function, types.BuiltinFunctionType):
        return isinstance(function.__self__, types.ModuleType)
    return isinstance(function, types.FunctionType)


def _pickle_function(function):
    """(pickle, whether it is a name). TypeError when it has none."""
    if not callable(function):
        raise TypeError(f"{function!r} is not a function")
    try:
        return pickle.dumps(function, 5), _by_name(function)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        return _support._cloudpickle(function, error, None), False


def _freeze(values):
    """(values, whether encoded): a copy if anybody could change them."""
    if all(map(_core.is_plain, values)):
        return values, False
    return [_core.encode(value) for value in values], True


class Pool:
    """charm.pool: run functions on all PEs.

    Any PE may start jobs, any number at once, and tasks may start jobs of
    their own. Tasks start in order, on whichever PE is free, but for those that
    a PE gives back because it was held up; results come in the order of the
    items. All PEs work, also the one that starts the job.

    A function is sent once to each PE that works on a job: by name if it has
    one, else by value (lambdas, closures; the package cloudpickle is needed
    for these). One that is decorated with @coro, or is an ``async def``, may
    suspend, as by starting a job and waiting for it; its PE then goes on with
    other tasks. Others run to their end, and while one runs, its PE does
    nothing else.

    ``chunksize`` is the least number of tasks to hand out together; the pool
    hands out more when they are short, and a worker that is held up by a slow
    task gives back the others. So there is rarely a need for it. ``ncores``
    is how many PEs may work for the job; -1: all.

    An exception in a task makes the job fail: its future raises it, with
    ``task_index``, the index of the task, and ``remote_traceback``. Tasks
    that have not begun are dropped; so they are when the job's future is
    cancelled.

    Example::

        def main(args):
            squares = charm.pool.map(square, range(1000))
    """

    def __init__(self):
        self._member: Any = None
        # Charm4py's rule: without chunks, an item that is a tuple is the
        # arguments. Set by the compatibility import.
        self.expand_tuples = False

    def map(self, func, iterable, chunksize=1, ncores=-1, progress=False):
        """[func(item) for item in iterable], on the PEs of the pool.

        In a coroutine, which waits for the list; in an ``async def`` what is
        returned is to be awaited. The iterable, of any length, is read while
        the job goes on; an item that is a tuple is one argument (see
        starmap()). With ``progress`` a bar on stderr shows how many tasks are
        done: that of the package tqdm, if it is there.

        Raises what a task raised; TypeError when the function, an item or a
        result cannot be sent; ValueError for a bad chunksize or ncores.

        Example: ``charm.pool.map(math.sqrt, range(100))``
        """
        future = self._map(func, iterable, chunksize, ncores,
                           progress=progress, waits=True)
        return _core.await_(future, "charm.pool.map()")

    def map_async(self, func, iterable, chunksize=1, ncores=-1,
                  multi_future=False, progress=False):
        """Like map(), without waiting: a Future for the list of results.

        With ``multi_future`` a list of Futures, one for each item; each
        result is there as soon as its task ends, and when a task fails all
        that are not complete get its exception. Items of a list, or of
        another container, are taken (mutable ones: copied) at once; an
        iterator is read while the job goes on.

        Example: ``f = charm.pool.map_async(work, items); ...; f.get()``
        """
        return self._map(func, iterable, chunksize, ncores, multi_future,
                         progress)

    def starmap(self, func, iterable, chunksize=1, ncores=-1,
                progress=False):
        """``[func(*item) for item in iterable]``, like map().

        Example: ``charm.pool.starmap(pow, [(2, 3), (3, 2)])`` is [8, 9]
        """
        future = self._map(func, iterable, chunksize, ncores,
                           progress=progress, waits=True, star=True)
        return _core.await_(future, "charm.pool.starmap()")

    def starmap_async(self, func, iterable, chunksize=1, ncores=-1,
                      multi_future=False, progress=False):
        """Like starmap(), without waiting; see map_async().

        Example: ``future = charm.pool.starmap_async(pow, [(2, 3), (3, 2)])``
        """
        return self._map(func, iterable, chunksize, ncores, multi_future,
                         progress, star=True)

    def submit(self, iterable, chunksize=1, ncores=-1, progress=False):
        """[func(item) for func, item in iterable], like map().

        Example: ``charm.pool.submit([(math.sqrt, 4), (abs, -1)])``
        """
        future = self._submit(iterable, chunksize, ncores, progress=progress,
                              waits=True)
        return _core.await_(future, "charm.pool.submit()")

    def submit_async(self, iterable, chunksize=1, ncores=-1,
                     multi_future=False, progress=False):
        """Like submit(), without waiting; see map_async().

        Example: ``future = charm.pool.submit_async([(abs, -1), (len, "x")])``
        """
        return self._submit(iterable, chunksize, ncores, multi_future,
                            progress)

    def Task(self, func, args, ret=False, awaitable=False):
        """Run ``func(*args)`` on some PE.

        The arguments are copied at once. Returns None, and an exception in
        the task then ends the job; with ``ret`` or ``awaitable`` a Future,
        for the result or for None.

        Example: ``charm.pool.Task(store, (key, value))``
        """
        future = receiver = None
        if ret or awaitable:
            future = _core.local_future()
            receiver = ToFuture(future, ret)
        self._single(func, tuple(args), receiver)
        return future

    # what the above is made of

    def _here(self):
        if self._member is None:
            raise _core.Error(
                "charm.pool can be used after charm.start(), in the main "
                "function and in chares"
            )
        return self._member

    def _single(self, func, args, receiver, job=None):
        """One task; receiver(value, error), or None."""
        member = self._here()
        data, by_name = _pickle_function(func)
        if not _core.is_plain(args):
            args = _core.encode(args)
        if job is None:
            if member.singles is None:
                member.singles = Singles(member)
            job = member.singles
        job.add((b"\1" if by_name else b"\0") + data, args, receiver)

    def _map(self, func, iterable, chunksize, ncores, multi_future=False,
             progress=False, waits=False, star=False, receivers=None):
        if func is None:  # as Charm4py has it
            return self._submit(iterable, chunksize, ncores, multi_future,
                                progress, waits)
        style = 0
        if star:
            style |= STYLE_STAR
        elif self.expand_tuples and chunksize == 1:
            iterable = [
                item if type(item) is tuple else (item,) for item in iterable
            ]
            style |= STYLE_STAR
        data, by_name = _pickle_function(func)
        return self._start(data if by_name else None, [data], iterable, style,
                           chunksize, ncores, multi_future, progress, waits,
                           receivers)

    def _submit(self, iterable, chunksize, ncores, multi_future=False,
                progress=False, waits=False):
        functions: list = []
        numbers: dict = {}
        items = []
        kept = []
        for func, item in iterable:
            number = numbers.get(id(func))
            if number is None:
                number = numbers[id(func)] = len(functions)
                functions.append(_pickle_function(func)[0])
                kept.append(func)  # so that no other gets its id
            items.append((number, item))
        style = STYLE_PAIRS
        if self.expand_tuples and chunksize == 1:
            items = [
                (number, item if type(item) is tuple else (item,))
                for number, item in items
            ]
            style |= STYLE_STAR
        return self._start(None, functions, items, style, chunksize, ncores,
                           multi_future, progress, waits)

    def _start(self, function, functions, iterable, style, chunksize, ncores,
               multi_future, progress, waits, receivers=None):
        member = self._here()
        if chunksize < 1:
            raise ValueError(f"chunksize is {chunksize}; it is at least 1")
        if ncores == 0:
            raise ValueError("ncores is 0; it is at least 1, or -1: all PEs")
        if multi_future or receivers is not None:
            iterable = list(iterable)
        if not waits and iter(iterable) is not iterable and not isinstance(
                iterable, (range, str, bytes)):
            iterable, style = self._take_now(list(iterable), style)
        result: Any
        job: Job
        if receivers is not None:
            result = None
            job = ManyFutures(member, style | STYLE_INDEPENDENT, chunksize,
                              ncores, receivers)
        elif multi_future:
            result = [_core.local_future() for _ in iterable]
            job = ManyFutures(member, style, chunksize, ncores,
                              [ToFuture(future) for future in result])
        else:
            result = _core.local_future()
            job = OneFuture(member, style, chunksize, ncores, result,
                            progress)
        job.function = function
        job.functions = functions
        job.feed(iterable)
        job.start()
        return result

    @staticmethod
    def _take_now(items, style):
        if style & STYLE_PAIRS:
            numbers = [number for number, _ in items]
            items, encoded = _freeze([item for _, item in items])
            items = list(zip(numbers, items))
        else:
            items, encoded = _freeze(items)
        return items, style | STYLE_ENCODED if encoded else style


    def __reduce__(self):
        return "pool"


class Member(Worker):
    """The pool on one PE."""

    def __init__(self):
        super().__init__()
        pool._member = self


pool = Pool()
