# SPDX-License-Identifier: BSD-3-Clause
"""_executor.py - Executor: the pool as concurrent.futures has it.

Its futures are those of the standard library, but that waiting for one
suspends the coroutine instead of the thread; so do wait() and as_completed()
of concurrent.futures, which wait by the event of a waiter that they append
to each future.
"""

import concurrent.futures
import time
from typing import Any

from chare import _core, _pool, _program
from chare._charm import charm
from chare._jobs import Singles
from chare._worker import WithKeywords

_WHAT = "waiting for a future of an Executor"


def _wait_for(future, timeout):
    """Suspend until a future is complete, or for so many seconds."""
    if timeout is None:
        _core.await_(future, _WHAT)
        return
    try:
        future.get(timeout)
    except TimeoutError:
        pass  # who waits looks at what came


class _Event:
    """What a waiter of concurrent.futures waits by: threading.Event here."""

    def __init__(self):
        self._set = False
        self._waiting = None

    def is_set(self):
        return self._set

    def set(self):
        self._set = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting._complete(None)

    def clear(self):
        self._set = False

    def wait(self, timeout=None):
        if not self._set:
            if _core.waits() == "n":
                raise _core.NotThreadedError(
                    "in an 'async def' await the futures of an Executor "
                    "themselves"
                )
            self._waiting = _core.local_future()
            _wait_for(self._waiting, timeout)
        return self._set


class _Waiters(list):
    """Those who wait for a future, by events that suspend coroutines."""

    def append(self, waiter):
        if not isinstance(waiter.event, _Event):
            waiter.event = _Event()
        super().append(waiter)


class TaskFuture(concurrent.futures.Future):
    """The future of a task of an Executor.

    In a coroutine result(), exception() and the functions wait() and
    as_completed() of concurrent.futures suspend it. In an ``async def`` the
    future is awaited itself. Belongs to the PE that submitted the task.

    Example: ``print(executor.submit(pow, 2, 10).result())``
    """

    def __init__(self):
        super().__init__()
        self._waiters = _Waiters()
        self._ready = None

    # The pool's side: a receiver, see _jobs.py.

    def starts(self):
        return self.set_running_or_notify_cancel()

    def __call__(self, value, error):
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(value)

    # The program's side.

    def _ready_future(self):
        """For charm.wait() and charm.iwait(): a Future that says when."""
        if self._ready is None:
            ready = self._ready = _core.local_future()
            self.add_done_callback(lambda _: ready._complete(None))
        return self._ready

    def _wait(self, timeout):
        if not self.done():
            if _core.waits() == "n":
                raise _core.NotThreadedError(
                    "in an 'async def' await the future of an Executor itself"
                )
            _wait_for(self._ready_future(), timeout)
            if not self.done():
                raise concurrent.futures.TimeoutError()

    def result(self, timeout=None):
        """The task's result, or its exception raised.

        Raises TimeoutError after ``timeout`` seconds, CancelledError when it
        was cancelled before it began; NotThreadedError outside of a
        coroutine when it is not done.
        """
        self._wait(timeout)
        return super().result(0)

    def exception(self, timeout=None):
        """The task's exception, or None; see result()."""
        self._wait(timeout)
        return super().exception(0)

    def __await__(self):
        if not self.done():
            yield from self._ready_future().__await__()
        return super().result(0)


class Executor(concurrent.futures.Executor):
    """Executor(max_workers=None): a concurrent.futures.Executor on all PEs.

    It is used in the main function and in chares, as any other executor:
    functions, arguments and results are sent as by charm.pool, tasks run on
    at most ``max_workers`` PEs at a time, each on its own, and one that is
    decorated with @coro, or is an ``async def``, may suspend.

    In a program without charm.start() the first Executor starts the runtime.
    Every PE runs the program up to there, and functions for tasks are to be
    defined before; then PE 0 goes on alone, as a coroutine, and the other
    PEs serve it until it ends.

    Raises ValueError when max_workers is below 1.

    Example::

        # srun --mpi=pmix -n 64 python3 program.py
        with Executor() as executor:
            print(list(executor.map(pow, range(10), range(10))))
    """

    def __init__(self, max_workers=None):
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers is {max_workers}; it is at least 1")
        _program.begin(charm)
        self._pool = _pool.pool
        self._job = Singles(self._pool._here(), max_workers or -1)
        self._pending = 0
        self._closed = False
        self._empty = None

    def submit(self, fn, /, *args, **kwargs):
        """Start ``fn(*args, **kwargs)`` on some PE; a TaskFuture.

        The arguments are copied at once. Raises RuntimeError after
        shutdown(), TypeError when something cannot be sent.

        Example: ``executor.submit(pow, 2, 10)``
        """
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = TaskFuture()
        if kwargs:
            fn, args = WithKeywords(fn), (args, kwargs)
        self._pool._single(fn, args, future, self._job)
        self._pending += 1
        future.add_done_callback(self._done)
        return future

    def map(self, fn, *iterables, timeout=None, chunksize=1):
        """Like ``map(fn, *iterables)``, on the PEs; an iterator.

        The function is sent once to each PE. An exception is raised when its
        result is to come. Raises TimeoutError ``timeout`` seconds after this
        call.

        Example: ``list(executor.map(pow, [2, 3], [3, 2]))`` is [8, 9]
        """
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        end = None if timeout is None else time.monotonic() + timeout
        items = list(zip(*iterables))
        futures = [TaskFuture() for _ in items]
        for future in futures:
            future.set_running_or_notify_cancel()
        self._pool._map(fn, items, chunksize, len(self._job.workers),
                        star=True, receivers=list(futures))
        self._pending += len(futures)
        for future in futures:
            future.add_done_callback(self._done)
        futures.reverse()
        return self._results(futures, end)

    @staticmethod
    def _results(futures, end):
        while futures:
            future = futures.pop()
            yield future.result(
                None if end is None else end - time.monotonic()
            )

    def shutdown(self, wait=True, *, cancel_futures=False) -> Any:
        """Take no more tasks; wait, in a coroutine, for those there are.

        With ``cancel_futures`` those that have not begun are cancelled. In an
        ``async def`` await what it returns, or use ``async with``.

        Example: ``executor.shutdown(cancel_futures=True)``
        """
        self._closed = True
        if cancel_futures:
            for _, _, future in list(self._job.waiting):
                future.cancel()
        self._end_if_empty()
        if wait and self._pending > 0:
            if self._empty is None:
                self._empty = _core.local_future()
            return _core.await_(self._empty, "Executor.shutdown()")
        if _core.waits() == "n":
            done = _core.local_future()
            done._complete(None)
            return done
        return None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await self.shutdown()

    def _done(self, future):
        self._pending -= 1
        self._end_if_empty()

    def _end_if_empty(self):
        if self._closed and self._pending == 0 and not self._job.ended:
            self._job.end()
            if self._empty is not None:
                self._empty._complete(None)
