# SPDX-License-Identifier: BSD-3-Clause
"""The hot paths keep nothing: memory and objects stay flat over many calls.

Method: warm up, measure, repeat many times, measure again. What grows with
the number of repetitions is a leak; a few objects of caches are none.
"""

import tapunit
from program import ProgramCase

MEASURE = """
import tracemalloc

# The interpreter's cache of attributes keeps the names that it was asked for,
# up to 4096 of them, by address: equal ones that are new each time as well,
# as those that a pickle brings.
clear_cache = getattr(sys, "_clear_internal_caches",
                      getattr(sys, "_clear_type_cache", None))

def used():
    clear_cache()
    gc.collect()
    return tracemalloc.get_traced_memory()[0], len(gc.get_objects())

def flat(what, repeat, count, warm_up=2000):
    '''The memory per repetition must be below the smallest object's:
    free lists and caches may still fill, but nothing grows with it.'''
    repeat(warm_up)
    tracemalloc.start()
    repeat(warm_up)
    bytes_before, objects_before = used()
    repeat(count)
    bytes_after, objects_after = used()
    tracemalloc.stop()
    assert (bytes_after - bytes_before) / count < 8, (
        what, bytes_after - bytes_before)
    assert abs(objects_after - objects_before) < 100, (
        what, objects_after - objects_before)

class Worker(Chare):
    def take(self, *args):
        pass

    def keyword(self, a, b=2, *, c=3):
        pass

    def echo(self, value):
        return value

    def fail(self):
        raise ValueError("x")

    @coro
    def later(self, future):
        return future.get()

    @coro
    def allreduce_some(self, n):
        for i in range(n):
            assert self.allreduce(i, Reducer.sum).get() >= i

    def give(self, value, future):
        self.reduce(future, value, Reducer.sum)
"""


class LeakTest(ProgramCase):
    def test_calls(self):
        self.check(MEASURE + """
def main(args):
    worker = Chare(Worker)
    charm.awaitCreation(worker)
    elsewhere = Group(Worker)[charm.numPes() - 1]

    def calls(*values):
        def repeat(n):
            for i in range(n):
                worker.take(*values)
                if i % 100 == 99:
                    worker.echo(i, ret=True).get()
            elsewhere.take(*values)
            worker.echo(i, ret=True).get()
        return repeat

    flat("no arguments", calls(), 100000)
    flat("plain", calls(1000000, 2.5, "text", (1, (2,))), 100000)
    flat("encoded", calls([1, 2], {"a": (3, None)}, {1}), 50000)
    flat("proxies", calls(worker, worker.take, elsewhere), 20000)
    flat("many", calls(*range(20)), 20000)
    def keywords(n):
        for i in range(n):
            worker.keyword(i, c=5)
            worker.keyword(b=1, a=[2])
            try:
                worker.keyword()
            except TypeError:
                pass
        worker.echo(i, ret=True).get()
    flat("keywords", keywords, 20000)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_arrays_and_pickles(self):
        self.check(MEASURE + """
def main(args):
    import fractions
    import numpy as np
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    values = [np.arange(5.0), np.arange(30000.0), np.float32(2),
              fractions.Fraction(1, 3), [np.arange(2000.0), {1: 2**70}],
              np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])]
    def repeat(n):
        for i in range(n):
            worker.echo(values[i % len(values)], ret=True).get()
    flat("arrays", repeat, 6000, 600)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_futures_and_coroutines(self):
        self.check(MEASURE + """
def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    group = Group(Worker)
    charm.awaitCreation(worker, group)

    def replies(n):
        for i in range(n):
            assert worker.echo(i, ret=True).get() == i
    flat("replies", replies, 20000)

    def errors(n):
        for i in range(n):
            try:
                worker.fail(ret=True).get()
            except ValueError:
                pass
    flat("errors", errors, 2000, 500)

    here = Chare(Worker, onPE=0)
    def coroutines(n):
        for i in range(n):
            future = Future()
            result = here.later(future, ret=True)
            charm.sleep(0)
            future.send(i)
            assert result.get() == i
            group.echo(i, awaitable=True).get()
    flat("coroutines", coroutines, 3000)

    def timers(n):
        for i in range(n // 10):
            charm.sleep(0)
        future = Future(n // 10)
        for i in range(n // 10):
            charm.scheduleCallableAfter(future, 0, (i,))
        future.get()
    flat("timers", timers, 5000)

    def reductions(n):
        for i in range(n // 10):
            future = Future()
            group.give(i, future)
            future.get()
        group.allreduce_some(n // 10, awaitable=True).get()
    flat("reductions", reductions, 10000)

    def passed(n):
        for i in range(n // 10):
            many = [Future() for _ in range(5)]
            results = [worker.echo(f, ret=True) for f in many]
            for f, r in zip(many, results):
                assert r.get() == f
                f.send(f)
            for f in many:
                assert f.get() is f or f.get() == f
    flat("futures that hold themselves", passed, 5000)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_a_million(self):
        # What 1e6 leave behind is what 1e4 left, counted by the
        # interpreter's blocks; pages by a tolerance, for free lists.
        self.check("""
class Worker(Chare):
    def take(self, *args):
        pass

    def echo(self, value):
        return value

    @coro
    def later(self, future):
        return future.get()

    def give(self, value, future):
        self.reduce(future, value, Reducer.sum)

def pages():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def main(args):
    here, group = Chare(Worker, onPE=0), Group(Worker)
    charm.awaitCreation(here, group)
    last = group[charm.numPes() - 1]

    def proxies(n):
        for i in range(n):
            group[0].take

    def calls(n, worker=here):
        for i in range(n):
            worker.take(i)
            if i % 1000 == 999:
                worker.echo(1, ret=True).get()

    def remote(n):
        calls(n, last)

    def futures(n):
        for i in range(n):
            future = Future()
            future.send(i)
            future.get()

    def dropped(n):
        for i in range(n):
            Future()

    def sent_and_dropped(n):
        for i in range(n):
            future = Future()
            last.take(future)
            future.send(i)
            if i % 1000 == 999:
                last.echo(1, ret=True).get()

    def reductions(n):
        for i in range(n // 50):
            many = [Future() for _ in range(50)]
            for future in many:
                group.give(1, future)
            for future in many:
                future.get()

    def coroutines(n):
        for i in range(n):
            future = Future()
            result = here.later(future, ret=True)
            future.send(i)
            result.get()

    def broadcasts(n):
        for i in range(n):
            group.take(i)
            if i % 100 == 99:
                group.echo(i, ret=True).get()

    # The address sanitizer is slow, and keeps pages that were freed.
    sanitized = "asan" in os.environ.get("LD_PRELOAD", "")
    share = 50 if sanitized else 1 if charm.numPes() == 1 else 10
    for repeat, n in ((proxies, 10**6), (calls, 10**6), (remote, 10**6),
                      (futures, 10**6), (dropped, 10**6),
                      (sent_and_dropped, 10**6), (reductions, 10**6),
                      (coroutines, 10**6), (broadcasts, 10**6)):
        repeat(10**4)
        gc.collect()
        blocks, size = sys.getallocatedblocks(), pages()
        repeat(n // share)
        gc.collect()
        more = sys.getallocatedblocks() - blocks
        assert more < 500, (repeat.__name__, more)
        more = pages() - size
        assert sanitized or more < 16 * 2**20, (repeat.__name__, more)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_chares_end_with_the_runtime(self):
        self.check("""
import weakref
class Worker(Chare):
    def watch(self):
        watched.append(weakref.ref(self))

watched = []
def main(args):
    group = Group(Worker)
    group.watch(awaitable=True).get()
    array = Array(Worker, 10)
    array.watch(awaitable=True).get()
    charm.exit()
try:
    charm.start(main)
except SystemExit as end:
    assert end.code == 0
    assert watched and all(ref() is None for ref in watched)
    print("done")
""")


if __name__ == "__main__":
    tapunit.main()
