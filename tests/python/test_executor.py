# SPDX-License-Identifier: BSD-3-Clause
"""Executor: what users of concurrent.futures expect, on all PEs.

Method: small programs on 1, 2 and 4 PEs, with the functions of the standard
library where it has some.
"""

import os
import unittest

import tapunit
from program import PRELUDE, ProgramCase, indented, program

import chare

PES = (1, 2, 4)

FUNCTIONS = PRELUDE + """
import concurrent.futures as cf

def add(x, y=0):
    return x + y

def slow(seconds):
    time.sleep(seconds)
    return seconds

@coro
def sleepy(seconds):
    charm.sleep(seconds)
    return seconds

async def drowsy(seconds, times=1):
    await charm.sleep(seconds * times)
    return times

def broken(x):
    raise KeyError(x)

class User(Chare):
    @coro
    def use(self):
        with Executor() as executor:
            return sum(executor.map(add, range(10), [self.thisIndex] * 10))

async def use_async(x):
    async with Executor() as executor:
        a = await executor.submit(add, x, 2)
        future = executor.submit(broken, 5)
        try:
            await future
        except KeyError:
            return a
"""


class ExecutorTest(ProgramCase):
    def check_main(self, source, pes=PES):
        self.check(program("", indented(source)), pes, prelude=FUNCTIONS)

    def test_submit(self):
        self.check_main("""
with Executor() as executor:
    assert isinstance(executor, cf.Executor)
    futures = [executor.submit(add, i, y=i) for i in range(200)]
    assert [f.result() for f in futures] == [2 * i for i in range(200)]
    assert executor.submit(lambda: 7).result() == 7
    assert executor.submit(sleepy, 0.001).result(60) == 0.001
    f = executor.submit(broken, 5)
    assert isinstance(f.exception(), KeyError) and f.done()
    assert "broken" in f.exception().remote_traceback
    try:
        f.result()
    except KeyError as error:
        assert error.args == (5,)
    else:
        assert False
    seen = []
    f = executor.submit(add, 1)
    f.add_done_callback(lambda f: seen.append(f.result()))
    assert f.result() == 1 and seen == [1]
    data = [1]
    f = executor.submit(list, data)
    data.append(2)
    assert f.result() == [1]
""")

    def test_keywords_of_coroutines(self):
        self.check_main("""
with Executor() as executor:
    assert executor.submit(drowsy, 0.001, times=3).result() == 3
    assert executor.submit(sleepy, seconds=0.001).result() == 0.001
    assert executor.submit(lambda **given: given, x=1).result() == {"x": 1}
""")

    def test_a_map_that_cannot_start(self):
        self.check_main("""
import threading
for wrong in (
    lambda: executor.map(add, [1], chunksize=0),
    lambda: executor.map(threading.Lock().acquire, [1]),
    lambda: executor.map(7, [1]),
):
    try:
        with Executor() as executor:
            wrong()
    except (TypeError, ValueError):
        continue
    assert False
""")

    def test_timeouts_leave_nothing(self):
        os.environ["CHARE_DEADLOCK_S"] = "0.2"
        self.addCleanup(os.environ.pop, "CHARE_DEADLOCK_S")
        result = self.run_program("""
def main(args):
    with Executor() as executor:
        future = executor.submit(sleepy, 0.05)
        for i in range(3):
            try:
                future.result(timeout=0.001)
            except cf.TimeoutError:
                pass
        assert len(future._done_callbacks) < 4
        assert future.result(timeout=1000) == 0.05
        cf.wait([executor.submit(sleepy, 0.001)], timeout=1000)
    print("done", flush=True)
    Future().get()
charm.start(main)
""", 1, prelude=FUNCTIONS)
        self.assertEqual(result.stdout.split(), ["done"], result.stderr)
        self.assertIn("deadlock", result.stderr)

    def test_map(self):
        self.check_main("""
with Executor() as executor:
    assert list(executor.map(add, range(100), range(100))) == [
        2 * i for i in range(100)]
    assert list(executor.map(abs, [], chunksize=3)) == []
    assert list(executor.map(sleepy, [0.002, 0.001], chunksize=2)) == [
        0.002, 0.001]
    got = executor.map(lambda x: 10 // x, [5, 2, 0, 1])
    assert next(got) == 2 and next(got) == 5
    try:
        next(got)
    except ZeroDivisionError:
        pass
    else:
        assert False
""")

    def test_the_standard_functions_wait(self):
        self.check_main("""
with Executor() as executor:
    futures = [executor.submit(sleepy, 0.001 * i) for i in range(10)]
    done, not_done = cf.wait(futures)
    assert done == set(futures) and not not_done
    futures = [executor.submit(sleepy, 0.001 * (i % 3)) for i in range(10)]
    assert set(cf.as_completed(futures)) == set(futures)
    gate = Future()
    futures = [executor.submit(add, 1), executor.submit(sleepy, 1000)]
    done, not_done = cf.wait(futures, return_when=cf.FIRST_COMPLETED)
    assert done == {futures[0]} and not_done == {futures[1]}
    done, not_done = cf.wait(futures, timeout=0.01)
    assert not_done == {futures[1]}
    for wait in (
        lambda: futures[1].result(timeout=0.01),
        lambda: list(cf.as_completed(futures, timeout=0.01)),
        lambda: list(executor.map(sleepy, [1000], timeout=0.01)),
    ):
        try:
            wait()
        except cf.TimeoutError:
            continue
        assert False
    ready = [executor.submit(add, i) for i in range(5)]
    assert sorted(f.result() for f in charm.iwait(ready)) == list(range(5))
    print("done")
    charm.exit()
""")

    def test_workers_and_shutdown(self):
        self.check_main("""
def where():
    time.sleep(0.001)
    return charm.myPe()

executor = Executor(max_workers=2)
futures = [executor.submit(where) for _ in range(50)]
executor.shutdown()
assert all(f.done() for f in futures)
assert len({f.result() for f in futures}) == min(2, charm.numPes())
for call in (lambda: executor.submit(where), lambda: executor.map(abs, [1])):
    try:
        call()
    except RuntimeError as error:
        assert "shutdown" in str(error)
    else:
        assert False
executor = Executor()
futures = [executor.submit(slow, 0.002) for _ in range(200)]
executor.shutdown(cancel_futures=True)
cancelled = [f.cancelled() for f in futures]
assert any(cancelled) and not all(cancelled)
try:
    futures[cancelled.index(True)].result()
except cf.CancelledError:
    pass
else:
    assert False
executor = Executor()
f = executor.submit(sleepy, 0.01)
executor.shutdown(wait=False)
assert not f.done() and f.result() == 0.01
assert not charm.pool._member.jobs
try:
    Executor(0)
except ValueError:
    pass
else:
    assert False
""")

    def test_in_chares_on_any_pe(self):
        self.check_main("""
users = Group(User)
assert users.use(ret=True).get() == [
    45 + 10 * pe for pe in range(charm.numPes())]
""")

    @unittest.skipUnless(hasattr(chare.Future, "__await__"),
                         "futures cannot be awaited")
    def test_in_async_functions(self):
        self.check_main("""
assert charm.pool.map(use_async, [1, 2]) == [3, 4]
""")


class ProgramTest(ProgramCase):
    """Programs that go on after the job, or around it."""

    def check_program(self, source, code=0, prelude=FUNCTIONS):
        for count in PES:
            with self.subTest(pes=count):
                result = self.run_program(source, count, prelude=prelude)
                said = f"\n{result.stdout}\n{result.stderr}"
                self.assertEqual(result.returncode, code, said)
                self.assertEqual(result.stdout.split(), ["done"], said)

    def test_an_executor_starts_the_runtime(self):
        self.check_program("""
with Executor() as executor:
    assert charm.myPe() == 0
    assert list(executor.map(add, range(50))) == list(range(50))
    futures = [executor.submit(sleepy, 0.001) for _ in range(5)]
    assert len(list(cf.as_completed(futures))) == 5
    def nested():
        return executor.submit(add, 3).result()
    assert nested() == 3
with Executor(max_workers=1) as executor:
    assert executor.submit(add, 1, 2).result() == 3
    assert charm.pool.map(abs, [-1]) == [1]
try:
    charm.start(None)
except Error:
    print("done")
""")

    def test_an_error_of_such_a_program(self):
        for count in PES:
            with self.subTest(pes=count):
                result = self.run_program("""
executor = Executor()
executor.submit(broken, 5).result()
""", count, prelude=FUNCTIONS)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn("KeyError: 5", result.stderr)
                self.assertIn("in broken", result.stderr)

    def test_run_returns_a_value(self):
        self.check_program("""
def work(n, m):
    return sum(charm.pool.map(add, range(n))), m

assert charm.run(work, 10, "m") == (45, "m")
try:
    charm.run(work, 1, 2)
except Error:
    print("done")
""")

    def test_run_raises_what_the_function_raises(self):
        self.check_program("""
try:
    charm.run(broken, 5)
except KeyError as error:
    assert error.args == (5,)
    print("done")
""")

    def test_exit_in_the_function(self):
        self.check_program("""
def work():
    print("done")
    charm.exit(7)
charm.run(work)
print("not to be seen")
""", code=7)


if __name__ == "__main__":
    tapunit.main()
