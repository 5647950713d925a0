# SPDX-License-Identifier: BSD-3-Clause
"""_jobs.py - the pool as the owner of jobs: what is handed out to whom.

See _pool.py for the protocol.
"""

import collections
import itertools
import pickle

from chare import _core, _progress, _support

BATCH_S = 0.001  # work to be handed out at a time
BATCH_TASKS_MAX = 1024
LONG_S = 0.005  # tasks that take longer need nothing handed out ahead
PATIENCE_S = 0.002  # the owner's PE waits so long for a first result

# How a batch is to be run.
STYLE_EAGER = 1  # each result at once
STYLE_STAR = 2  # each item is a tuple of arguments
STYLE_ENCODED = 4  # each item, or its arguments, is encoded
STYLE_PAIRS = 8  # each item is (number of a function, item)
STYLE_SINGLES = 16  # each item is (function's pickle, arguments)
STYLE_INDEPENDENT = 32  # an error is of its task alone
STYLE_UNIFORM = STYLE_STAR | STYLE_ENCODED  # one plain function for all


class _Batch:
    """Tasks that are at a worker."""

    __slots__ = ("worker", "start", "items", "open", "over")

    def __init__(self, worker, start, items):
        self.worker = worker
        self.start = start  # the index of the first
        self.items = items
        self.open = len(items)  # tasks without a result
        self.over = False  # the worker is free


class Job:
    """Tasks that one call has started."""

    def __init__(self, member, style, chunksize, ncores):
        self.member = member
        self.id = member.new_id()
        self.style = style
        self.chunksize = chunksize
        self.total = None  # tasks, if that is known
        self.source = iter(())
        self.next_index = 0  # of the task that the source gives next
        self.exhausted = False
        self.returned = []  # (index, items) given back; the lowest is last
        self.batches = {}  # number -> _Batch
        self.next_batch = 0
        self.mean_s = None  # time of a task, of late
        self.slowest_s = 0.0
        self.patient = False  # the owner's PE still waits
        self.ended = False
        self.function = None  # its name's pickle, or None: see functions
        self.functions = []  # pickles
        self.known = {}  # worker -> how many of functions it was sent
        self.workers = member.choose(ncores)
        self.load = dict.fromkeys(self.workers, 0)  # batches there
        self.idle = collections.deque(
            pe for pe in self.workers if pe != member.pe
        )
        self.works_here = member.pe in self.load

    # what a kind of job does

    def store(self, index, values):
        """Results have come, from that of task 'index' on."""
        raise NotImplementedError

    def fail(self, error, index=None):
        """It has failed, in a task or before it."""
        raise NotImplementedError

    def finish(self):
        """All results have come."""
        raise NotImplementedError

    # what there is to do

    def feed(self, items):
        """Where tasks come from."""
        try:
            self.total = len(items)
        except TypeError:
            self.total = None
        self.source = iter(items)
        self.exhausted = self.total == 0

    def remaining(self):
        """Tasks that are not handed out; None: not known."""
        back = sum(len(items) for _, items in self.returned)
        if self.exhausted:
            return back
        if self.total is None:
            return None
        return back + self.total - self.next_index

    def take(self, count):
        """The next tasks, as (index of the first, tuple); or None."""
        if self.returned:
            start, items = self.returned.pop()
            if len(items) > count:
                self.returned.append((start + count, items[count:]))
                items = items[:count]
            return start, items
        if self.exhausted:
            return None
        items = tuple(itertools.islice(self.source, count))
        start = self.next_index
        self.next_index += len(items)
        self.exhausted = (
            len(items) < count if self.total is None
            else self.next_index >= self.total or not items
        )
        return (start, items) if items else None

    # handing out

    def size(self, worker, remaining):
        """How many tasks a batch is to have."""
        if self.mean_s is None:
            return self.chunksize
        work_s = BATCH_S
        if worker == self.member.pe:
            work_s = BATCH_S / 2
        elif self.works_here:
            # Enough for as long as a slow task may keep the owner's PE.
            work_s = max(work_s, self.slowest_s)
        count = min(work_s / self.mean_s, BATCH_TASKS_MAX)
        if remaining is not None:
            count = min(count, remaining / (2 * len(self.workers)))
        count = int(count)
        return max(self.chunksize, count - count % self.chunksize)

    def give(self, worker):
        """Hand out a batch; whether there was one."""
        taken = self.take(self.size(worker, self.remaining()))
        if taken is None:
            return False
        number = self.next_batch
        self.next_batch += 1
        batch = self.batches[number] = _Batch(worker, *taken)
        self.load[worker] += 1
        self.member.load[worker] += 1
        self.send(worker, number, batch.items)
        return True

    def send(self, worker, number, items):
        functions = self.function
        if functions is None:
            known = self.known.get(worker, 0)
            if known < len(self.functions):
                functions = tuple(self.functions[known:])
                self.known[worker] = len(self.functions)
        self.member.members[worker].run(
            self.member.pe, self.id, number, self.style, functions, items
        )

    def depth(self):
        """How many batches a worker is to have."""
        if self.mean_s is None:
            return 1
        if self.mean_s < LONG_S:
            return 2
        remaining = self.remaining()
        plenty = remaining is None or remaining > len(self.workers)
        return 2 if self.works_here and plenty else 1

    def fill(self, worker=None):
        """Hand out what can be: to the idle, to this worker, to its own PE."""
        while self.idle:
            if not self.give(self.idle[0]):
                return
            self.idle.popleft()
        depth = self.depth()
        here = self.member.pe
        if worker is not None and worker != here:
            while self.load[worker] < depth:
                if not self.give(worker):
                    return
        if self.works_here and not self.patient and self.load[here] == 0:
            self.give(here)

    def start(self):
        """Hand out the first tasks."""
        self.member.jobs[self.id] = self
        others = len(self.workers) - 1
        if self.works_here and others > 0:
            remaining = self.remaining()
            if remaining is None or remaining > 4 * others:
                self.patient = True
                _core.timer_start(self.impatient, PATIENCE_S, (), False)
        self.advance(None)

    def impatient(self):
        if self.patient and not self.ended:
            self.patient = False
            self.advance(None)

    def advance(self, worker):
        """Go on after something has changed."""
        try:
            self.fill(worker)
        except Exception as error:
            self.fail(error)
            return
        if self.exhausted and not self.returned and not self.batches:
            self.finish()

    # results

    def one(self, number, position, value):
        """The result of one task."""
        batch = self.batches[number]
        batch.open -= 1
        self.store(batch.start + position, (value,))
        self.close(number, batch)

    def over(self, number, values, begun, seconds, slowest):
        """A worker is done with a batch.

        'values' are the results of the first tasks; others that have begun
        are suspended, or have been told of. The rest is given back.
        """
        batch = self.batches[number]
        worker = batch.worker
        batch.over = True
        self.load[worker] -= 1
        self.member.load[worker] -= 1
        back = len(batch.items) - begun
        if back > 0:
            self.returned.append((batch.start + begun, batch.items[begun:]))
            self.returned.sort(reverse=True)
        batch.open -= len(values) + back
        if begun > 0:
            self.learn(seconds / begun, slowest)
        if self.load[worker] == 0 and worker != self.member.pe:
            self.idle.append(worker)
        if values:
            self.store(batch.start, values)
        self.close(number, batch, worker)

    def close(self, number, batch, worker=None):
        """Drop a batch that is complete, and go on."""
        if self.ended:  # by who received a result
            return
        complete = batch.open == 0 and batch.over
        if complete:
            del self.batches[number]
        if complete or worker is not None:
            self.advance(worker)

    def learn(self, mean_s, slowest_s):
        mean_s = max(mean_s, 1e-8)
        if self.mean_s is not None:
            mean_s = (mean_s + self.mean_s) / 2
        self.mean_s = mean_s
        self.slowest_s = max(self.slowest_s * 0.9, slowest_s)
        self.patient = False

    def failed(self, number, position, description):
        """A task has failed."""
        batch = self.batches[number]
        index = batch.start + position
        self.fail(_rebuild(description, index), index)

    def end(self):
        """Forget it, here and on the workers."""
        self.ended = True
        del self.member.jobs[self.id]
        for batch in self.batches.values():
            if not batch.over:
                self.member.load[batch.worker] -= 1
        workers = {batch.worker for batch in self.batches.values()}
        for worker in workers.union(self.known):
            self.member.members[worker].forget(self.member.pe, self.id)
        self.batches.clear()
        self.returned.clear()
        self.source = iter(())


class OneFuture(Job):
    """A job whose results come together."""

    def __init__(self, member, style, chunksize, ncores, future, progress):
        super().__init__(member, style, chunksize, ncores)
        self.future = future
        self.shows_progress = progress
        self.progress = None
        self.results = []

    def start(self):
        if self.shows_progress:
            self.progress = _progress.open(self.total)
        self.future._on_ready(self.cancelled)
        super().start()

    def cancelled(self):
        """The future is complete; if not by this job, nobody wants it."""
        if not self.ended:
            self.end()
            if self.progress is not None:
                self.progress.close()

    def store(self, index, values):
        end = index + len(values)
        missing = end - len(self.results)
        if missing > 0:
            self.results.extend(itertools.repeat(None, missing))
        self.results[index:end] = values
        if self.progress is not None:
            self.progress.add(len(values))

    def fail(self, error, index=None):
        self.end()
        if self.progress is not None:
            self.progress.close()
        self.future._complete(error)

    def finish(self):
        self.end()
        if self.progress is not None:
            self.progress.close()
        self.future._complete(self.results)


class ManyFutures(Job):
    """A job with a receiver for each result: function(value, error)."""

    def __init__(self, member, style, chunksize, ncores, receivers):
        super().__init__(member, style | STYLE_EAGER, chunksize, ncores)
        self.receivers = receivers

    def store(self, index, values):
        for i, value in enumerate(values, index):
            receiver = self.receivers[i]
            self.receivers[i] = None
            if receiver is not None:
                receiver(value, None)

    def failed(self, number, position, description):
        if not self.style & STYLE_INDEPENDENT:
            super().failed(number, position, description)
            return
        batch = self.batches[number]
        index = batch.start + position
        batch.open -= 1
        receiver, self.receivers[index] = self.receivers[index], None
        if receiver is not None:
            receiver(None, _rebuild(description, index))
        self.close(number, batch)

    def fail(self, error, index=None):
        self.end()
        others = False
        for receiver in self.receivers:
            if receiver is not None:
                receiver(None, error)
                if others and isinstance(receiver, ToFuture):
                    # Once is enough to hear that nobody looked.
                    receiver.future._outcome()
                others = True

    def finish(self):
        self.end()


class Singles(Job):
    """The tasks of Task() and Executor.submit(): a job that never ends."""

    def __init__(self, member, ncores=-1):
        super().__init__(
            member, STYLE_SINGLES | STYLE_EAGER | STYLE_INDEPENDENT, 1, ncores
        )
        member.jobs[self.id] = self
        # (function, arguments, receiver)
        self.waiting: collections.deque = collections.deque()
        self.receivers = {}  # index -> receiver

    def add(self, function, args, receiver):
        self.waiting.append((function, args, receiver))
        self.fill()

    def remaining(self):
        return len(self.waiting) + sum(
            len(items) for _, items in self.returned
        )

    def take(self, count):
        if self.returned:
            return super().take(count)
        items: list = []
        start = self.next_index
        while self.waiting and len(items) < count:
            function, args, receiver = self.waiting.popleft()
            starts = getattr(receiver, "starts", None)
            if starts is not None and not starts():
                continue  # it was cancelled
            if receiver is not None:
                self.receivers[start + len(items)] = receiver
            items.append((function, args))
        self.next_index += len(items)
        return (start, tuple(items)) if items else None

    def store(self, index, values):
        for i, value in enumerate(values, index):
            receiver = self.receivers.pop(i, None)
            if receiver is not None:
                receiver(value, None)

    def failed(self, number, position, description):
        batch = self.batches[number]
        batch.open -= 1
        receiver = self.receivers.pop(batch.start + position, None)
        error = _rebuild(description, None)
        self.close(number, batch)
        if receiver is None:
            raise error  # nobody waits for it: the job ends
        receiver(None, error)

    def fail(self, error, index=None):
        raise error

    def finish(self):
        pass


def _rebuild(description, index):
    """The exception of a task, with its index."""
    kind, message, details, data = description
    if index is not None:
        details = f"task {index}, {details}"
    error = None
    if data:
        error = pickle.loads(data)
    error = _support.rebuild(kind, message, details, error)
    try:
        setattr(error, "task_index", index)
    except AttributeError:
        pass
    return error


class ToFuture:
    """Receives for a Future."""

    __slots__ = ("future", "ret")

    def __init__(self, future, ret=True):
        self.future = future
        self.ret = ret

    def starts(self):
        return not self.future.ready()

    def __call__(self, value, error):
        if error is not None:
            self.future._complete(error)
        else:
            self.future._complete(value if self.ret else None)
