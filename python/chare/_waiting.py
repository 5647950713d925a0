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

from chare import _core


def ready_future(obj):
    """A future that is complete when an object is ready to be waited for.

    Futures are so themselves; others, channels for one, have a method
    _ready_future() that returns one, whose value does not matter.
    """
    if isinstance(obj, _core.Future):
        return obj
    method = getattr(obj, "_ready_future", None)
    if method is None:
        raise TypeError(f"{obj!r} is nothing to wait for: no future")
    return method()


def gather(futures):
    """A future of the list of results of futures, or of the first error."""
    futures = list(futures)
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
            values = [future._outcome() for future in futures]
            result._complete(values if error is None else error)

    for future in futures:
        future._on_ready(functools.partial(notice, future))
    if not futures:
        result._complete([])
    return result


class Completion:
    """What charm.iwait() returns: an iterator over what gets ready."""

    def __init__(self, objects):
        self._ready = collections.deque()
        self._waiting = None
        self._left = 0
        for obj in objects:
            self._left += 1
            future = ready_future(obj)
            if future.ready():
                self._ready.append(obj)
            else:
                future._on_ready(functools.partial(self._notice, obj))

    def _notice(self, obj):
        self._ready.append(obj)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting._complete(None)

    def __iter__(self):
        return self

    def __next__(self):
        if self._left == 0:
            raise StopIteration
        if not self._ready:
            if _core.waits() == "n":
                raise _core.NotThreadedError(
                    "in an 'async def' method iterate by 'async for'"
                )
            self._waiting = _core.local_future()
            _core.await_(self._waiting, "charm.iwait()")
        self._left -= 1
        return self._ready.popleft()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self._left == 0:
            raise StopAsyncIteration
        if not self._ready:
            self._waiting = _core.local_future()
            await self._waiting
        self._left -= 1
        return self._ready.popleft()


class Waiting:
    """The part of charm that waits."""

    def awaitCreation(self, *proxies):
        """Wait, in a coroutine, until all chares of the proxies exist.

        Their constructors have then returned, or suspended. An array without
        dimensions must be complete by ckDoneInserting() for this to return.
        To be awaited in an ``async def`` method.

        Example: ``charm.awaitCreation(workers, grid)``
        """
        created = gather(
            [proxy._chare_ready(awaitable=True) for proxy in proxies]
        )
        return _core.await_(created, "charm.awaitCreation()")

    def iwait(self, futures):
        """Iterate over futures in the order in which they become ready.

        In a coroutine, which may suspend in the loop's body too; in an
        ``async def`` method by ``async for``.

        Example: ``for future in charm.iwait(futures): print(future.get())``
        """
        return Completion(futures)

    def wait(self, futures):
        """Wait, in a coroutine, until all futures are ready.

        To be awaited in an ``async def`` method.
        """
        missing = 0
        all_ready = _core.local_future()

        def notice():
            nonlocal missing
            missing -= 1
            if missing == 0:
                all_ready._complete(None)

        waited = [ready_future(obj) for obj in futures]
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
        """
        _core.quiescence(callback)

    def waitQD(self):
        """Wait, in a coroutine, until nothing else is going on.

        To be awaited in an ``async def`` method.
        """
        future = _core.Future()
        _core.quiescence(future)
        return _core.await_(future, "charm.waitQD()")

    def sleep(self, seconds):
        """Suspend the coroutine for some seconds.

        To be awaited in an ``async def`` method. Outside of coroutines the
        whole PE sleeps.
        """
        if _core.waits():
            return _core.sleep(seconds)
        return time.sleep(seconds)
