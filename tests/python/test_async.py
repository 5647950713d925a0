# SPDX-License-Identifier: BSD-3-Clause
"""Goal: native 'async def' entry methods wait for all there is to wait for,
and fail in words. Method: programs on 1 and on 4 PEs that assert."""

import tapunit
from program import ProgramCase


class AsyncTest(ProgramCase):
    def test_what_can_be_awaited(self):
        self.check("""
class Worker(Chare):
    def __init__(self):
        self.n = 0

    def value(self, x):
        return x + 1

    async def twice(self, x):
        await charm.sleep(0.001)
        return 2 * x

    async def at_once(self, *, x=1):
        return x

    async def total(self):
        one = await self.allreduce(self.thisIndex, Reducer.sum)
        return one, await self.allreduce(1, Reducer.sum)

    async def nested(self, x):
        async def helper(y):
            return await self.thisProxy[0].twice(y, ret=True)
        return await helper(x) + await helper(x + 1)

    async def give(self, future):
        future.send(await self.thisProxy[0].value(1, ret=True))

    @staticmethod
    async def static(x):
        await charm.sleep(0)
        return x

async def main(args):
    n = charm.numPes()
    workers = Group(Worker)
    assert await charm.awaitCreation(workers) is None
    last = workers[n - 1]
    assert await last.value(1, ret=True) == 2
    assert await last.twice(3, ret=True) == 6
    assert await last.at_once(x=5, ret=True) == 5
    assert await last.static("s", ret=True) == "s"
    assert await workers.twice(1, ret=True) == [2] * n
    assert await workers.twice(1, awaitable=True) is None
    assert await workers.total(ret=True) == [(n * (n - 1) // 2, n)] * n
    assert await last.nested(1, ret=True) == 6
    future = Future()
    last.give(future)
    assert await future == 2 and await future.get() == 2
    several = Future(2)
    workers[0].give(several)
    last.give(several)
    assert await several == [2, 2]
    await charm.waitQD()
    start = time.monotonic()
    assert await charm.sleep(0.05) is None
    assert time.monotonic() - start >= 0.05
    await charm.wait([future, last.twice(1, ret=True)])
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_constructors(self):
        self.check("""
class Worker(Chare):
    async def __init__(self, future):
        self.ready = 1
        await charm.sleep(0.001)
        self.ready = 2
        future.send(self.thisIndex)

    def state(self):
        return self.ready

class Main(Chare):
    async def __init__(self, args):
        future = Future(charm.numPes() + 1)
        workers = Group(Worker, args=[future])
        future.send(-1)
        assert sorted(await future) == list(range(-1, charm.numPes()))
        assert await workers.state(ret=True) == [2] * charm.numPes()
        print("done")
        charm.exit()
charm.start(Main)
""")

    def test_many_at_once(self):
        self.check("""
class Worker(Chare):
    async def work(self, i):
        await charm.sleep(0.001 * (i % 3))
        return i

async def main(args):
    workers = Array(Worker, 5)
    futures = [workers[i % 5].work(i, ret=True) for i in range(300)]
    assert await charm.gather(*futures) == list(range(300))
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_without_greenlets(self):
        """It begins and goes on in the greenlet of the PE itself."""
        self.check("""
import greenlet

class Worker(Chare):
    async def work(self, other):
        seen = [greenlet.getcurrent()]
        await charm.sleep(0.001)
        seen.append(greenlet.getcurrent())
        assert await other.value(ret=True) == 5
        seen.append(greenlet.getcurrent())
        assert await self.allreduce(1, Reducer.sum) == charm.numPes()
        seen.append(greenlet.getcurrent())
        return all(g.parent is None for g in seen) and len(set(seen)) == 1

    @coro
    def threaded(self):
        return greenlet.getcurrent().parent is not None

    def value(self):
        return 5

def main(args):
    workers = Group(Worker)
    last = workers[charm.numPes() - 1]
    assert workers.work(last, ret=True).get() == [True] * charm.numPes()
    assert last.threaded(ret=True).get()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_with_greenlets(self):
        """Both kinds wait for each other."""
        self.check("""
class Both(Chare):
    @coro
    def on_greenlet(self, x):
        return self.thisProxy[x % charm.numPes()].native(x, ret=True).get()

    async def native(self, x):
        if x == 0:
            return 0
        return 1 + await self.thisProxy[0].on_greenlet(x - 1, ret=True)

    @coro
    async def decorated(self):
        await charm.sleep(0)
        return "d"

def main(args):
    both = Group(Both)
    assert both[0].on_greenlet(20, ret=True).get() == 20
    assert both[0].decorated(ret=True).get() == "d"
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_async_main_exits_by_code(self):
        self.check("""
async def main(args):
    await charm.sleep(0)
    print("done")
    sys.exit(7)
charm.start(main)
""", code=7)


class CombineTest(ProgramCase):
    def test_gather(self):
        self.check("""
class Worker(Chare):
    async def slow(self, x, seconds):
        await charm.sleep(seconds)
        return x

    def fail(self, text):
        raise ValueError(text)

async def double(x):
    await charm.sleep(0.001)
    return 2 * x

async def main(args):
    last = Chare(Worker, onPE=charm.numPes() - 1)
    both = charm.gather(last.slow(1, 0.01, ret=True), double(2),
                        last.slow(3, 0, ret=True))
    assert await both == [1, 4, 3]
    assert await both == [1, 4, 3]
    assert await charm.gather() == []
    slow = last.slow(1, 0.02, ret=True)
    try:
        await charm.gather(slow, last.fail("a", ret=True))
    except ValueError as error:
        assert "a" in str(error)
    else:
        assert False
    assert slow.ready()  # all were awaited
    found = await charm.gather(last.fail("b", ret=True), double(1),
                               return_exceptions=True)
    assert isinstance(found[0], ValueError) and found[1] == 2
    class Odd:
        def __await__(self):
            return double(4).__await__()
    assert await charm.gather(Odd()) == [8]
    for wrong in (1, None, double):
        try:
            charm.gather(wrong)
        except TypeError:
            pass
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_gather_on_a_greenlet(self):
        self.check("""
class Worker(Chare):
    def value(self, x):
        return x
def main(args):
    worker = Chare(Worker)
    assert charm.gather(*[worker.value(i, ret=True)
                          for i in range(4)]).get() == [0, 1, 2, 3]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_spawn(self):
        self.check("""
async def native(x, log):
    log.append("n")
    await charm.sleep(0)
    return x

def plain(x, log):
    log.append("p")
    charm.sleep(0)
    return x

async def broken():
    raise KeyError("k")

def main(args):
    log = []
    a, b = charm.spawn(native, 1, log), charm.spawn(plain, 2, log)
    c = charm.spawn(native(3, log))
    assert log == []  # they start when this one suspends
    assert [f.get() for f in (a, b, c)] == [1, 2, 3]
    assert log == ["n", "p", "n"]
    try:
        charm.spawn(broken).get()
    except KeyError:
        pass
    else:
        assert False
    for wrong in (1, None):
        try:
            charm.spawn(wrong)
        except TypeError:
            pass
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_cancelled_tasks_are_interrupted(self):
        self.check("""
log = []
async def native():
    try:
        await Future()
    except CancelledError:
        log.append("native")
        raise

def plain():
    try:
        Future().get()
    except CancelledError:
        log.append("plain")
        raise

async def main(args):
    futures = [charm.spawn(native), charm.spawn(plain)]
    await charm.sleep(0)
    for future in futures:
        assert future.cancel() and not future.cancel()
        try:
            await future
        except CancelledError:
            pass
        else:
            assert False
    await charm.sleep(0)
    assert log == ["native", "plain"], log
    never = charm.spawn(native), charm.spawn(plain)
    assert all(future.cancel() for future in never)
    await charm.sleep(0)
    assert len(log) == 2  # they had not begun
    print("done")
    charm.exit()
charm.start(main)
""")


class RefusalTest(ProgramCase):
    def test_foreign_awaitables(self):
        self.check("""
import asyncio

class Worker(Chare):
    async def sleeper(self):
        await asyncio.sleep(0)

    async def sleeper1(self):
        await asyncio.sleep(1)

    async def other(self):
        class Foreign:
            def __await__(self):
                yield "what is this"
        await Foreign()

async def main(args):
    worker = Chare(Worker)
    for call, text in ((worker.sleeper, "asyncio.tasks.__sleep0"),
                       (worker.other, "what is this")):
        try:
            await call(ret=True)
        except Error as error:
            assert text in str(error) and "charm.asyncio" in str(error)
        else:
            assert False
    try:
        await worker.sleeper1(ret=True)
    except RuntimeError as error:
        assert "charm.asyncio" in error.remote_traceback
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_await_elsewhere(self):
        self.check("""
class Worker(Chare):
    def drive(self):
        async def wait():
            await Future()
        try:
            wait().send(None)
        except NotThreadedError as error:
            return str(error)

    def block(self):
        try:
            Future().get()
        except NotThreadedError as error:
            return str(error)

    async def loop(self):
        try:
            for future in charm.iwait([Future()]):
                pass
        except NotThreadedError as error:
            return str(error)

async def main(args):
    worker = Chare(Worker)
    for wrong in (list, iter, tuple):
        try:
            wrong(Future())
        except TypeError as error:
            assert "await" in str(error)
        else:
            assert False
    assert "async def" in await worker.drive(ret=True)
    text = await worker.block(ret=True)
    assert "Worker.block" in text and "@coro" in text and "async" in text
    assert "async for" in await worker.loop(ret=True)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_generators(self):
        self.check("""
class Worker(Chare):
    async def stream(self):
        yield 1

    def items(self):
        yield 1
        yield 2

    async def use(self):
        return [x for x in self.items()] + [x async for x in self.stream()]

async def main(args):
    worker = Chare(Worker)
    for call in (worker.stream, worker.items):
        try:
            call()
        except TypeError as error:
            assert "generator" in str(error)
        else:
            assert False
    assert await worker.use(ret=True) == [1, 2, 1]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_forgotten_await(self):
        source = """
class Worker(Chare):
    async def work(self):
        charm.sleep(0)
        self.helper()
    async def helper(self):
        pass
async def main(args):
    await Chare(Worker).work(ret=True)
    print("done")
    charm.exit()
charm.start(main)
"""
        result = self.run_program(source, 1)
        self.assertEqual(result.returncode, 0)
        self.assertIn("charm.sleep() was never awaited", result.stderr)
        self.assertIn("helper' was never awaited", result.stderr)


class ErrorTest(ProgramCase):
    def failing(self, source, code, *words):
        for pes in (1, 4):
            with self.subTest(pes=pes):
                result = self.run_program(source, pes)
                said = f"{result.stdout}\n{result.stderr}"
                self.assertEqual(result.returncode, code, said)
                for word in words:
                    self.assertIn(word, result.stderr)

    def test_exceptions_travel(self):
        self.check("""
class Worker(Chare):
    async def fail(self, when):
        if when:
            await charm.sleep(0.001)
        raise LookupError("lost")

async def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    for when in (0, 1):
        try:
            await worker.fail(when, ret=True)
        except LookupError as error:
            assert "in fail" in error.remote_traceback
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_nobody_asked(self):
        self.failing("""
class Worker(Chare):
    async def fail(self):
        await charm.sleep(0.001)
        raise LookupError("lost")
async def main(args):
    Group(Worker)[charm.numPes() - 1].fail()
    await Future()
charm.start(main)
""", 1, "Worker.fail()", "LookupError: lost")

    def test_main_fails(self):
        self.failing("""
async def main(args):
    await charm.sleep(0)
    raise LookupError("lost")
charm.start(main)
""", 1, "main()", "LookupError: lost")

    def test_finally_when_the_job_ends(self):
        """What is still suspended ends while the runtime can be called."""
        self.check("""
class Worker(Chare):
    async def stay(self, started):
        started.send()
        try:
            await Future()
        finally:
            for call in (self.thisProxy.note, Future, Future().send,
                         lambda: charm.spawn(charm.sleep, 0)):
                try:
                    call()
                except Error:
                    pass
            if self.thisIndex == 0:
                print("done", flush=True)

    def note(self):
        pass

def main(args):
    workers = Group(Worker)
    started = Future(charm.numPes() * 3)
    for _ in range(3):
        workers.stay(started)
    started.get()
    charm.exit()
charm.start(main)
""")

    def test_system_exit_in_a_task(self):
        self.failing("""
async def quit():
    await charm.sleep(0)
    sys.exit(5)
async def main(args):
    await charm.spawn(quit)
charm.start(main)
""", 5)


if __name__ == "__main__":
    tapunit.main()
