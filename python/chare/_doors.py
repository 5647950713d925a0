# SPDX-License-Identifier: BSD-3-Clause
"""_doors.py - to and from other threads and asyncio.

The runtime belongs to one thread. Others hand it calls by _core.post(), which
wakes the PE; what they work on counts for quiescence and keeps the job from
being taken for stuck (_core.outside()).
"""

import collections

from chare import _core

THREADS_MAX = 32  # of one PE, for run_in_thread()


class _Threads:
    """Daemon threads that work off calls; they do not delay the job's end."""

    def __init__(self):
        import threading  # few programs need it

        self.new_thread = threading.Thread
        self.lock = threading.Condition()
        self.calls: collections.deque = collections.deque()
        self.count = 0
        self.idle = 0

    def submit(self, call):
        with self.lock:
            self.calls.append(call)
            if self.idle >= len(self.calls):
                self.lock.notify()
            elif self.count < THREADS_MAX:
                self.count += 1
                self.new_thread(
                    target=self._work, name="chare-worker", daemon=True
                ).start()

    def _work(self):
        while True:
            with self.lock:
                self.idle += 1
                while not self.calls:
                    self.lock.wait()
                self.idle -= 1
                call = self.calls.popleft()
            call()
            del call


def _done(future, outcome):
    """On the PE: work elsewhere has ended."""
    _core.outside(False)
    future._complete(outcome)


def _post_done(future, outcome):
    try:
        _core.post(_done, (future, outcome))
    except _core.Error:
        pass  # the job has ended


class Doors:
    """The part of charm that other threads and asyncio use."""

    _threads = None
    _loop = None

    def run_in_thread(self, function, *args, **keywords):
        """Call a function in another thread: a Future of its result.

        For what would block the PE: files, subprocesses, sockets, libraries
        that let go of the GIL. The function may not use the runtime, but for
        Future.send() and call_soon_threadsafe(). Its arguments are not copied.
        At most 32 threads of a PE do this; more calls wait for one. Until it
        has returned there is no quiescence; the end of the job does not wait
        for it.

        Raises TypeError when it cannot be called. Anywhere on the PE's own
        thread; waits only when the future is got or awaited.

        Example: ``text = await charm.run_in_thread(path.read_text)``
        """
        if not callable(function):
            raise TypeError(f"{function!r} cannot be called")
        if self._threads is None:
            self._threads = _Threads()
        future = _core.local_future()

        def call():
            try:
                outcome = function(*args, **keywords)
            except BaseException as error:
                outcome = error
            _post_done(future, outcome)

        _core.outside(True)
        self._threads.submit(call)
        return future

    def call_soon_threadsafe(self, function, *args):
        """From any thread: call a function on the PE's own, soon.

        It runs as part of the scheduler, and may use the runtime but not
        suspend; to suspend it uses spawn(). Raises Error when the runtime does
        not run.

        Example: ``charm.call_soon_threadsafe(worker.notice, line)``
        """
        _core.post(function, args)

    def asyncio(self, coroutine):
        """Run a coroutine of asyncio in a thread of its own: a Future.

        One event loop for each PE, which starts with the first call. In there
        everything of asyncio works, and chare's futures can be awaited; the
        rest of the runtime cannot be used (call_soon_threadsafe() can).
        cancel() of the future cancels it.

        Raises TypeError when it is no coroutine. Anywhere on the PE's own
        thread.

        Example: ``page = await charm.asyncio(fetch(url))``
        """
        import asyncio
        import threading

        if not asyncio.iscoroutine(coroutine):
            raise TypeError(f"{coroutine!r} is no coroutine")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(
                target=self._loop.run_forever, name="chare-asyncio",
                daemon=True,
            ).start()
        future = _core.local_future()
        _core.outside(True)
        running = asyncio.run_coroutine_threadsafe(coroutine, self._loop)

        def stop():
            if isinstance(future._outcome(), _core.CancelledError):
                running.cancel()

        def ended(running):
            if running.cancelled():
                outcome = _core.CancelledError("the asyncio task was cancelled")
            else:
                outcome = running.exception()
                if outcome is None:
                    outcome = running.result()
            _post_done(future, outcome)

        future._on_ready(stop)
        running.add_done_callback(ended)
        return future


def await_in_asyncio(future):
    """The iterator of 'await future' in a thread that runs asyncio."""
    import asyncio

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise _core.Error(
            "this is another thread: a chare future can be awaited in asyncio "
            "there, and on the thread of charm.start()"
        ) from None
    waiting = loop.create_future()

    def deliver(outcome):
        if waiting.done():
            return
        if isinstance(outcome, BaseException):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)

    def ready():
        try:
            loop.call_soon_threadsafe(deliver, future._outcome())
        except RuntimeError:
            pass  # the loop was closed: nobody waits any more

    _core.post(future._on_ready, (ready,))
    return waiting.__await__()


def other_threads():
    """How many threads may still wake this PE by the functions above."""
    import threading

    ours = ("chare-worker", "chare-asyncio")
    threads = [
        thread for thread in threading.enumerate()
        if thread.name not in ours
        and thread is not threading.current_thread()
    ]
    return len(threads)
