# SPDX-License-Identifier: BSD-3-Clause
"""_waiting.py - the functions of charm that wait, and those that combine.

What blocks follows one rule, see _core/waiter.h: in a @coro method it
suspends and returns the value, in an 'async def' method it returns a future,
to be awaited, and elsewhere it raises NotThreadedError. It makes a local
future, arranges for its _complete(), and returns _core.await_(future, name).
"""

import collections
import functools
import time
import types

from chare import _core

CO_COROUTINE = 0x80  # of an 'async def'


def ready_future(obj):
    """A future that is complete when an object is ready to be waited for.

    Futures are so themselves, and coroutine objects are started. Others,
    channels for one, have a method _ready_future() that returns one, whose
    value does not matter.
    """
    if isinstance(obj, _core.Future):
        return obj
    if isinstance(obj, types.CoroutineType):
        return _core.spawn(obj, ())
    method = getattr(obj, "_ready_future", None)
    if method is None:
        raise TypeError(
            f"{obj!r} is nothing to wait for: futures, channels and "
            "coroutines are"
        )
    return method()


def future_of(obj):
    """A future of the result of something that can be awaited."""
    if isinstance(obj, (_core.Future, types.CoroutineType)):
        return ready_future(obj)
    if hasattr(type(obj), "__await__"):
        return _core.spawn(_awaited(obj), ())
    raise TypeError(f"{obj!r} cannot be awaited")


async def _awaited(obj):
    return await obj


def combine(futures, return_exceptions=False, discard=False):
    """A future of the list of results of futures, or of the first error.

    With discard it is a future of None.
    """
    result = _core.local_future()
    missing = len(futures)
    error = None

    def notice(future):
        nonlocal missing, error
        missing -= 1
        outcome = future._outcome()
        if error is None and isinstance(outcome, BaseException):
            error = outcome
        if missing == 0:
            values: object = None
            if not discard:
                values = [future._outcome() for future in futures]
            if error is not None and not return_exceptions:
                values = error
            result._complete(values)

    for future in futures:
        future._on_ready(functools.partial(notice, future))
    if not futures:
        result._complete(None if discard else [])
    return result


class _Arrivals:
    """What has become ready; the futures know this, and not the iterator."""

    def __init__(self):
        self.ready: collections.deque = collections.deque()
        self.waiting: "_core.Future | None" = None

    def notice(self, obj):
        self.ready.append(obj)
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting._complete(None)


class Completion:
    """What charm.iwait() returns: an iterator over what gets ready.

    When it goes, what has not become ready forgets it.
    """

    def __init__(self, objects):
        self._arrivals = _Arrivals()
        self._watched = []
        self._left = 0
        for obj in objects:
            self._left += 1
            future = ready_future(obj)
            if future.ready():
                self._arrivals.ready.append(obj)
                continue
            notice = functools.partial(self._arrivals.notice, obj)
            future._on_ready(notice)
            self._watched.append((future, notice))

    def __del__(self):
        for future, notice in self._watched:
            future._off_ready(notice)

    def __iter__(self):
        return self

    def __next__(self):
        if self._left == 0:
            raise StopIteration
        if not self._arrivals.ready:
            if _core.waits() == "n":
                raise _core.NotThreadedError(
                    "in an 'async def' method iterate by 'async for'"
                )
            self._arrivals.waiting = _core.local_future()
            _core.await_(self._arrivals.waiting, "charm.iwait()")
        self._left -= 1
        return self._arrivals.ready.popleft()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self._left == 0:
            raise StopAsyncIteration
        if not self._arrivals.ready:
            self._arrivals.waiting = _core.local_future()
            await self._arrivals.waiting
        self._left -= 1
        return self._arrivals.ready.popleft()


class Waiting:
    """The part of charm that waits."""

    def awaitCreation(self, *proxies):
        """Wait, in a coroutine, until all chares of the proxies exist.

        Their constructors have then ended, but for those that have begun to
        wait for a condition of their own chare. An array without dimensions
        must be complete by ckDoneInserting() for this to return. To be awaited
        in an ``async def`` method.

        Raises what a constructor raised, with its traceback, when all have
        ended; of several the first that comes. A chare without its
        constructor stays in its collection, and each call to it is an Error,
        until it is destroyed. Where nobody waits for it the exception ends the
        job: when the method that created the chare has returned, or has begun
        to wait for anything else than the creation of chares. Raises TypeError
        for what is no proxy.

        Example: ``charm.awaitCreation(workers, grid)``
        """
        from chare import _creations

        created = combine(
            [_creations.created(proxy) for proxy in proxies], discard=True
        )
        return _core.await_(created, "charm.awaitCreation()")

    def spawn(self, function, *args):
        """Run something beside the caller, on this PE: a Future of its result.

        ``function`` is an ``async def`` function or what one returned, or any
        other function, which runs as a @coro method would. It starts when the
        caller has returned or suspended. cancel() of the future interrupts it.

        Raises TypeError when it can neither be called nor awaited. Anywhere
        on the PE's own thread.

        Example::

            async def double(worker):
                return 2 * await worker.value(ret=True)

            future = charm.spawn(double, worker)
        """
        if isinstance(function, types.CoroutineType):
            if args:
                raise TypeError("a coroutine has its arguments already")
            return _core.spawn(function, ())
        if not callable(function):
            raise TypeError(f"{function!r} can neither be called nor awaited")
        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & CO_COROUTINE:
            return _core.spawn(function(*args), ())
        return _core.spawn(function, args)

    def gather(self, *awaitables, return_exceptions=False):
        """Combine: a Future of the list of all results, in the order given.

        Takes futures, coroutines (which are started) and whatever else can be
        awaited. It is complete when all are; if any failed, it raises the
        error that came first. With ``return_exceptions`` errors are items of
        the list. Does not wait itself.

        Raises TypeError for what cannot be awaited. Anywhere.

        Example: ``a, b = await charm.gather(p.left(ret=True), reading())``;
        in a @coro method ``charm.gather(...).get()``
        """
        return combine(
            [future_of(obj) for obj in awaitables], return_exceptions
        )

    def iwait(self, objects):
        """Iterate over futures and channels in the order they become ready.

        In a coroutine, which may suspend in the loop's body too; in an
        ``async def`` method by ``async for``. A future is ready when it is
        complete, a channel when something can be received. Yields the objects
        themselves.

        Example: ``for future in charm.iwait(futures): print(future.get())``
        """
        return Completion(objects)

    as_completed = iwait

    def wait(self, objects):
        """Wait, in a coroutine, until all futures and channels are ready.

        To be awaited in an ``async def`` method. Returns None; errors are
        raised by get() of the futures, not here.

        Example: ``charm.wait([a, b]); print(a.get(), b.get())``
        """
        missing = 0
        all_ready = _core.local_future()

        def notice():
            nonlocal missing
            missing -= 1
            if missing == 0:
                all_ready._complete(None)

        waited = [ready_future(obj) for obj in objects]
        missing = len(waited) + 1
        for future in waited:
            if future.ready():
                missing -= 1
            else:
                future._on_ready(notice)
        notice()
        return _core.await_(all_ready, "charm.wait()")

    def startQD(self, callback):
        """Tell a callback when nothing is executing, queued or under way.

        The callback is a Future or a method of a proxy; it gets no argument.
        Raises TypeError for another one.

        Example: ``charm.startQD(self.thisProxy.all_done)``
        """
        _core.quiescence(callback)

    def waitQD(self):
        """Wait, in a coroutine, until nothing else is going on.

        Nowhere in the job is a method running, or a message queued or under
        way. To be awaited in an ``async def`` method. Raises NotThreadedError
        outside of coroutines.

        Example: ``walkers.walk(9); charm.waitQD()``
        """
        future = _core.local_future()
        _core.quiescence(future)
        return _core.await_(future, "charm.waitQD()")

    def sleep(self, seconds):
        """Suspend the coroutine for some seconds.

        To be awaited in an ``async def`` method. Outside of coroutines the
        whole PE sleeps. Any number of coroutines may sleep.

        Example: ``charm.sleep(0.5)``
        """
        if _core.waits():
            return _core.sleep(seconds)
        return time.sleep(seconds)
