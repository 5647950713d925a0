# SPDX-License-Identifier: BSD-3-Clause
"""charm.pool: functions applied to many values.

Goal:   results are those of a plain loop, whatever the number of PEs, the
        chunk size, the kind of function and the place a job is started at.
Method: small programs that compare with the loop, on 1, 2 and 4 PEs. Nothing
        depends on time but the wish that a test does not take long.
"""

import unittest

import tapunit
from program import PRELUDE, ProgramCase, indented, program

import chare

PES = (1, 2, 4)

FUNCTIONS = PRELUDE + """
import functools, math

def square(x):
    return x * x

def add(x, y=0):
    return x + y

def where(x):
    return charm.myPe()

@coro
def square_later(x):
    charm.sleep(0.001 * (x % 3))
    return x * x

@coro
def square_coro(x):
    return x * x

async def square_async(x):
    if x % 3 == 0:
        await charm.sleep(0.0005)
    return x * x

class Odd(Exception):
    def __init__(self, x):
        super().__init__(x)
        self.x = x

def no_odd(x):
    if x % 2:
        raise Odd(x)
    return x
"""


class PoolCase(ProgramCase):
    def check_pool(self, source, pes=PES, code=0):
        """Run a main function whose body is given."""
        self.check(program("", indented(source)), pes, code)

    def check(self, source, pes=PES, code=0, prelude=FUNCTIONS):
        super().check(source, pes, code, prelude)


class ResultsTest(PoolCase):
    def test_map(self):
        self.check_pool("""
for count in (0, 1, 2, 7, 1000):
    for chunksize in (1, 3, 5000):
        for function in (square, square_coro):
            want = [x * x for x in range(count)]
            got = charm.pool.map(function, range(count), chunksize)
            assert got == want, (count, chunksize)
            got = charm.pool.map_async(function, list(range(count)),
                                       chunksize=chunksize).get()
            assert got == want, (count, chunksize)
            got = charm.pool.map_async(function, range(count), chunksize,
                                       multi_future=True)
            assert [f.get() for f in got] == want
assert charm.pool.map(square_later, range(20)) == [x * x for x in range(20)]
""")

    def test_iterables_of_all_kinds(self):
        self.check_pool("""
assert charm.pool.map(square, (x for x in range(500))) == [
    x * x for x in range(500)]
assert charm.pool.map(str.upper, "abc") == ["A", "B", "C"]
assert charm.pool.map(len, {"a": 1, "bc": 2}) == [1, 2]
assert sorted(charm.pool.map_async(square, {1, 2, 3}).get()) == [1, 4, 9]
assert charm.pool.map_async(square, iter(range(300))).get() == [
    x * x for x in range(300)]
f = charm.pool.map_async(square, (x for x in [1, 2]), multi_future=True)
assert [g.get() for g in f] == [1, 4]

def fails():
    yield 1
    raise KeyError("no more")

try:
    charm.pool.map(square, fails())
except KeyError as error:
    assert error.args == ("no more",)
else:
    assert False
""")

    def test_an_endless_supply_is_read_as_needed(self):
        self.check_pool("""
ahead = [0, 0]

def supply():
    for i in range(20000):
        ahead[0] = i
        yield i

charm.pool.map(square, supply())
assert ahead[0] == 19999
""")

    def test_submit_mixes_functions(self):
        self.check_pool("""
pairs = [([square, square_coro, math.sqrt, add][i % 4], i)
         for i in range(200)]
want = [f(x) for f, x in pairs]
for chunksize in (1, 8):
    assert charm.pool.submit(pairs, chunksize) == want
    assert charm.pool.submit_async(pairs, chunksize=chunksize).get() == want
    got = charm.pool.submit_async(pairs, chunksize, multi_future=True)
    assert [f.get() for f in got] == want
assert charm.pool.submit([]) == []
assert charm.pool.map(None, pairs) == want
""")

    def test_a_tuple_is_one_argument_whatever_the_chunk(self):
        self.check_pool("""
pairs = [(i, 2 * i) for i in range(50)]
for chunksize in (1, 2, 100):
    assert charm.pool.map(sum, pairs, chunksize) == [3 * i for i in range(50)]
    assert charm.pool.submit([(sum, p) for p in pairs], chunksize) == [
        3 * i for i in range(50)]
    assert charm.pool.starmap(add, pairs, chunksize) == [
        3 * i for i in range(50)]
assert charm.pool.starmap_async(pow, [[2, 3], [3, 2]]).get() == [8, 9]
charm.pool.expand_tuples = True  # what the compatibility import sets
assert charm.pool.map(add, pairs) == [3 * i for i in range(50)]
assert charm.pool.map(add, [4, (5, 6)]) == [4, 11]
assert charm.pool.map(sum, pairs, chunksize=2) == [3 * i for i in range(50)]
assert charm.pool.submit([(add, p) for p in pairs]) == [
    3 * i for i in range(50)]
""")

    def test_items_are_copies(self):
        self.check_pool("""
def change(items):
    items.append(1)
    return len(items)

shared = [[0] for _ in range(30)]
future = charm.pool.map_async(change, shared)
for items in shared:
    items.append("not to be seen")
assert future.get() == [2] * 30
assert shared == [[0, "not to be seen"]] * 30
future = charm.pool.submit_async([(change, items) for items in shared])
shared[0].clear()
assert future.get() == [3] * 30
data = [1]
futures = []
for i in range(10):
    data[0] = i
    futures.append(charm.pool.Task(list, (data,), ret=True))
assert [f.get() for f in futures] == [[i] for i in range(10)]
assert charm.pool.map(change, [data, data]) == [2, 2] and data == [9]
""")

    def test_arrays(self):
        self.check_pool("""
import numpy
rows = [numpy.full(20000, i) for i in range(10)]
got = charm.pool.map(numpy.sum, rows)
assert got == [20000 * i for i in range(10)]
future = charm.pool.map_async(numpy.negative, rows)
rows[3][:] = 77
got = future.get()
assert all((got[i] == -i).all() for i in range(10))
""")

    def test_functions_without_a_name(self):
        self.check_pool("""
offset = 1000
def inner(x):
    return x + offset

assert charm.pool.map(lambda x: -x, range(100)) == [-x for x in range(100)]
assert charm.pool.map(inner, range(100)) == [x + 1000 for x in range(100)]
assert charm.pool.map(functools.partial(add, y=3), range(9)) == [
    x + 3 for x in range(9)]
assert charm.pool.submit([(lambda x: x + 1, 1), (inner, 1)]) == [2, 1001]
assert charm.pool.map([5, 6, 7].__getitem__, [2, 0]) == [7, 5]
futures = []
for offset in range(5):
    futures.append(charm.pool.Task(inner, (1,), ret=True))
assert [f.get() for f in futures] == [1, 2, 3, 4, 5]

@coro
def both(x):
    return offset + sum(charm.pool.map(inner, [x, x]))

assert charm.pool.map(both, range(3)) == [12, 14, 16]
""")

    def test_a_name_may_get_another_function(self):
        self.check("""
class Redefine(Chare):
    def set(self, n):
        global function
        exec(f"def function(x): return x + {n}", globals())

def main(args):
    redefine = Group(Redefine)
    for n in (1, 2):
        redefine.set(n, awaitable=True).get()
        assert charm.pool.map(function, range(9)) == [
            x + n for x in range(9)]
        assert charm.pool.submit([(function, 5)] * 9) == [5 + n] * 9
        assert charm.pool.Task(function, (1,), ret=True).get() == 1 + n
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_a_function_travels_once_to_each_pe(self):
        self.check("""
loads = 0

class Counted:
    def __reduce__(self):
        return load, ()

    def __call__(self, x):
        return x + 1

def load():
    global loads
    loads += 1
    return Counted()

class Counter(Chare):
    def loads(self):
        return loads

def main(args):
    counters = Group(Counter)
    assert charm.pool.map(Counted(), range(3000)) == list(range(1, 3001))
    seen = counters.loads(ret=True).get()
    assert max(seen) == 1, seen
    print("done")
    charm.exit()
charm.start(main)
""")


class WorkersTest(PoolCase):
    def test_all_pes_work_the_first_too(self):
        self.check("""
def slow(x):
    time.sleep(0.002)
    return charm.myPe()

def main(args):
    got = charm.pool.map(slow, range(20 * charm.numPes()))
    assert set(got) == set(range(charm.numPes())), got
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_ncores_caps_a_job(self):
        self.check_pool("""
for ncores in (1, 2, 3, 1000, -1):
    got = charm.pool.map(where, range(500), ncores=ncores)
    assert len(set(got)) <= (ncores if ncores > 0 else charm.numPes())
    got = charm.pool.map_async(where, range(100), 4, ncores).get()
    assert len(set(got)) <= (ncores if ncores > 0 else charm.numPes())
for wrong in ({"ncores": 0}, {"chunksize": 0}, {"chunksize": -3}):
    try:
        charm.pool.map(square, [1], **wrong)
    except ValueError:
        continue
    assert False
""")

    def test_tasks_start_in_order(self):
        self.check("""
from chare import _worker

# A worker that the kernel holds up gives back what is left, for later.
_worker.HELD_UP_S = 60

def stamp(x):
    return time.monotonic()

def main(args):
    # One worker: the order of start is that of the items.
    got = charm.pool.map(stamp, range(3000), ncores=1)
    assert got == sorted(got)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_a_slow_task_holds_up_no_others(self):
        self.check("""
def slow_first(x):
    if x == 0:
        time.sleep(0.3)
    return charm.myPe()

def main(args):
    futures = charm.pool.map_async(slow_first, range(2000),
                                   multi_future=True)
    # all but what was handed out with it are done when it is
    futures[0].get()
    ready = sum(f.ready() for f in futures)
    if charm.numPes() > 2:
        assert ready > 1000, ready
    [f.get() for f in futures]
    assert len(charm.pool.map(slow_first, range(2000))) == 2000
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_concurrent_jobs(self):
        self.check_pool("""
jobs = [charm.pool.map_async(functools.partial(add, y=i), range(100))
        for i in range(30)]
jobs.reverse()
for i, job in enumerate(jobs):
    assert job.get() == [x + 29 - i for x in range(100)]
""")

    def test_jobs_from_any_pe(self):
        self.check("""
class Starter(Chare):
    @coro
    def start(self, n):
        me = self.thisIndex
        a = charm.pool.map_async(lambda x: x + me, range(n))
        b = charm.pool.Task(add, (me, 1), ret=True)
        return sum(a.get()), b.get()

def main(args):
    starters = Group(Starter)
    for n in (0, 3, 200):
        got = starters.start(n, ret=True).get()
        assert got == [(n * (n - 1) // 2 + pe * n, pe + 1)
                       for pe in range(charm.numPes())], got
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_nested_jobs(self):
        self.check("""
@coro
def fib(n):
    if n < 2:
        return n
    return sum(charm.pool.map(fib, [n - 1, n - 2]))

@coro
def fib_tasks(n):
    if n < 2:
        return n
    a, b = (charm.pool.Task(fib_tasks, (n - i,), ret=True) for i in (1, 2))
    return a.get() + b.get()

def main(args):
    assert fib(12) == 144
    assert fib_tasks(11) == 89
    print("done")
    charm.exit()
charm.start(main)
""")

    @unittest.skipUnless(hasattr(chare.Future, "__await__"),
                         "futures cannot be awaited")
    def test_async_tasks_and_methods(self):
        self.check("""
async def fib(n):
    if n < 2:
        return n
    return sum(await charm.pool.map(fib, [n - 1, n - 2]))

class Starter(Chare):
    async def start(self):
        a = await charm.pool.map(square, range(10))
        b = await charm.pool.map_async(no_odd, [2])
        c = await charm.pool.starmap(pow, [(2, 3)])
        d = await charm.pool.submit([(square_async, 4)])
        try:
            await charm.pool.map(no_odd, [2, 4, 7])
        except Odd as error:
            return a, b, c, d, error.task_index

def main(args):
    assert charm.pool.map(fib, [10, 9]) == [55, 34]
    for chunksize in (1, 7):
        assert charm.pool.map(square_async, range(100), chunksize) == [
            x * x for x in range(100)]
    assert Group(Starter).start(ret=True).get() == [
        ([x * x for x in range(10)], [2], [8], [16], 2)] * charm.numPes()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_suspended_tasks_free_their_worker(self):
        self.check("""
class Gate(Chare):
    def __init__(self):
        self.waiting = []

    def enter(self, future, all):
        self.waiting.append(future)
        if len(self.waiting) == all:
            for future in self.waiting:
                future.send("open")

def main(args):
    gate = Chare(Gate)
    count = 100

    @coro
    def meet(x):
        future = Future()
        gate.enter(future, 2 * count)
        assert future.get() == "open"
        return x

    one = charm.pool.map_async(meet, range(count))
    many = charm.pool.map_async(meet, range(count), multi_future=True)
    assert one.get() == list(range(count))
    assert [f.get() for f in many] == list(range(count))
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_tasks_and_quiescence(self):
        self.check("""
total = 0

def spread(depth):
    global total
    total += 1
    if depth > 0:
        charm.pool.Task(spread, [depth - 1])
        charm.pool.Task(spread, [depth - 1])

class Total(Chare):
    def get(self):
        return total

def main(args):
    totals = Group(Total)
    spread(8)
    charm.waitQD()
    assert sum(totals.get(ret=True).get()) == 2 ** 9 - 1
    assert charm.pool.Task(add, (1, 2), awaitable=True).get() is None
    print("done")
    charm.exit()
charm.start(main)
""")


class ErrorTest(PoolCase):
    def test_an_exception_ends_its_job(self):
        self.check_pool("""
other = charm.pool.map_async(square, range(100))
for chunksize in (1, 4):
    for start in (
        lambda: charm.pool.map(no_odd, [0, 2, 5, 4], chunksize),
        lambda: charm.pool.map_async(no_odd, [0, 2, 5], chunksize).get(),
        lambda: charm.pool.submit([(square, 1), (square, 2), (no_odd, 5)],
                                  chunksize),
        lambda: charm.pool.map_async(no_odd, [0, 2, 5, 2], chunksize,
                                     multi_future=True)[2].get(),
    ):
        try:
            start()
        except Odd as error:
            assert error.x == 5 and error.task_index == 2
            assert "no_odd" in error.remote_traceback
            assert error.remote_traceback.startswith("task 2, on PE ")
        else:
            assert False
assert other.get() == [x * x for x in range(100)]
assert charm.pool.map(no_odd, [0, 2]) == [0, 2]
try:
    charm.pool.Task(no_odd, (3,), ret=True).get()
except Odd as error:
    assert error.x == 3
else:
    assert False
""")

    def test_tasks_that_have_not_begun_are_dropped(self):
        self.check("""
ran = 0

def first_fails(x):
    global ran
    ran += 1
    if x == 0:
        raise ValueError("the first")
    time.sleep(0.001)

class Count(Chare):
    def get(self):
        return ran

def main(args):
    count = Group(Count)
    try:
        charm.pool.map(first_fails, range(5000))
    except ValueError as error:
        assert error.args == ("the first",)
    else:
        assert False
    charm.waitQD()
    got = sum(count.get(ret=True).get())
    assert got < 100, got
    futures = charm.pool.map_async(first_fails, range(5000),
                                   multi_future=True)
    failed = 0
    for f in futures:
        try:
            f.get()
        except ValueError:
            failed += 1
    assert failed > 4000
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_a_cancelled_job_begins_no_more_tasks(self):
        self.check("""
ran = 0

def slow(x):
    global ran
    ran += 1
    time.sleep(0.001)

class Count(Chare):
    def get(self):
        return ran

def main(args):
    count = Group(Count)
    future = charm.pool.map_async(slow, range(5000))
    charm.sleep(0.005)
    assert future.cancel()
    charm.waitQD()
    got = sum(count.get(ret=True).get())
    assert got < 4000, got
    assert not charm.pool._member.jobs
    assert not any(charm.pool._member.load.values())
    futures = [charm.pool.Task(slow, (i,), ret=True) for i in range(2000)]
    for future in futures[1000:]:
        future.cancel()
    for future in futures[:1000]:
        future.get()
    charm.waitQD()
    assert sum(count.get(ret=True).get()) < got + 1900
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_what_cannot_be_sent(self):
        self.check_pool("""
import threading

def lock(x):
    return threading.Lock() if x == 3 else x

for start in (
    lambda: charm.pool.map(lock, range(5)),
    lambda: charm.pool.map_async(lock, range(5), multi_future=True)[3].get(),
    lambda: charm.pool.map(square, [1, threading.Lock()]),
    lambda: charm.pool.map_async(square, [1, threading.Lock()]),
    lambda: charm.pool.Task(lock, (3,), ret=True).get(),
    lambda: charm.pool.Task(square, (threading.Lock(),)),
    lambda: charm.pool.map(threading.Lock().acquire, [1]),
):
    try:
        start()
    except TypeError as error:
        assert "lock" in str(error), error
        assert getattr(error, "task_index", 3) in (3, None)
    else:
        assert False
for wrong in (7, None):
    try:
        charm.pool.map(wrong, [1])
    except TypeError:
        continue
    assert False
""")

    def test_without_cloudpickle_the_remedy_is_named(self):
        self.check_pool("""
sys.modules["cloudpickle"] = None
try:
    charm.pool.map(lambda x: x, [1])
except TypeError as error:
    assert "cloudpickle" in str(error)
else:
    assert False
assert charm.pool.map(square, [3]) == [9]
""")

    def test_suspending_needs_coro(self):
        self.check_pool("""
def nested(x):
    return charm.pool.map(square, [x])

try:
    charm.pool.map(nested, [1, 2])
except NotThreadedError as error:
    assert "nested" in str(error) and "@coro" in str(error), error
else:
    assert False
""")

    def test_a_task_that_nobody_waits_for(self):
        for pes in PES:
            with self.subTest(pes=pes):
                result = self.run_program("""
def main(args):
    charm.pool.Task(no_odd, (1,))
charm.start(main)
""", pes, prelude=FUNCTIONS)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn("Odd", result.stderr)
                self.assertIn("no_odd", result.stderr)

    def test_exit_in_a_task(self):
        for pes in PES:
            with self.subTest(pes=pes):
                result = self.run_program("""
def main(args):
    charm.pool.map(sys.exit, [7])
charm.start(main)
""", pes, prelude=FUNCTIONS)
                self.assertEqual(result.returncode, 7, result.stderr)

    def test_before_the_start(self):
        self.check("""
try:
    charm.pool.map(square, [1])
except Error as error:
    assert "charm.start()" in str(error)
else:
    assert False
print("done")
""", pes=(1,))


class ProgressTest(PoolCase):
    def test_a_bar_if_tqdm_is_there(self):
        self.check("""
import types
drawn = []

class tqdm:
    def __init__(self, total=None, unit=None):
        self.total, self.count = total, 0
        drawn.append(self)

    def update(self, count):
        self.count += count

    def close(self):
        self.closed = True

def main(args):
    sys.modules["tqdm"] = types.ModuleType("tqdm")
    sys.modules["tqdm.auto"] = auto = types.ModuleType("tqdm.auto")
    auto.tqdm = tqdm
    assert charm.pool.map(square, range(50), progress=True)[7] == 49
    bar = drawn.pop()
    assert (bar.total, bar.count, bar.closed) == (50, 50, True)
    charm.pool.map_async(square, iter(range(5)), progress=True).get()
    bar = drawn.pop()
    assert (bar.total, bar.count, bar.closed) == (None, 5, True)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_a_line_of_our_own_on_a_terminal_only(self):
        self.check("""
import io
from chare import _progress

class Terminal(io.StringIO):
    def isatty(self):
        return True

def main(args):
    sys.modules["tqdm.auto"] = None
    for stream, drawn in ((Terminal(), True), (io.StringIO(), False)):
        stderr, sys.stderr = sys.stderr, stream
        charm.pool.map(square, range(40), progress=True)
        charm.pool.map(square, iter(range(40)), progress=True)
        try:
            charm.pool.map(no_odd, range(40), progress=True)
        except Odd:
            pass
        sys.stderr = stderr
        assert ("40/40 tasks" in stream.getvalue()) == drawn
        assert bool(stream.getvalue()) == drawn
    print("done")
    charm.exit()
charm.start(main)
""")


class LeakTest(PoolCase):
    def test_the_pool_keeps_nothing(self):
        self.check("""
from chare import _pool

class Look(Chare):
    def state(self):
        gc.collect()
        member = charm.pool._member
        assert not member.ready and not member.tables, vars(member)
        assert not any(member.load.values()), member.load
        for job in member.jobs.values():
            assert job is member.singles
            assert not job.batches and not job.receivers, vars(job)
        return len(gc.get_objects())

@coro
def nested(x):
    return sum(charm.pool.map(lambda y: x + y, range(3)))

def some():
    for i in range(20):
        charm.pool.map(square, range(100))
        charm.pool.map(lambda x: x, range(100))
        charm.pool.map(nested, range(5))
        charm.pool.Task(add, (i, 1), ret=True).get()
        futures = charm.pool.map_async(square, range(20), multi_future=True)
        [f.get() for f in futures]
        try:
            charm.pool.map(no_odd, range(50))
        except Odd:
            pass

def main(args):
    look = Group(Look)
    counts = []
    for i in range(4):
        some()
        charm.waitQD()
        counts.append(look.state(ret=True).get())
    for early, late in zip(counts[1], counts[3]):
        # Parked coroutines may be more, which are not many.
        assert late <= early + 500, counts
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
