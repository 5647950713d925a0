# SPDX-License-Identifier: BSD-3-Clause
"""Goal: what ends early leaves nothing behind and loses nothing: tasks that
are cancelled, futures and channels that nobody waits for any more.
Method: programs that assert, by weak references and counts."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

import tapunit
from program import PRELUDE, ProgramCase

MANY_WAIT = """
class Sleeper(Chare):
    async def sleep(self, future):
        await future

async def wait(future):
    await future

async def main(args):
    count = int(sys.argv[1])
    gc.disable()
    never = Future()
    sleepers = Array(Sleeper, max(count, 1))
    ends = [sleepers[i].sleep(never, awaitable=True) for i in range(count)]
    tasks = [charm.spawn(wait(never)) for _ in range(count)]
    watchers = [charm.iwait([never]) for _ in range(count)]
    await charm.awaitCreation(sleepers)
    while watchers:
        watchers.pop(len(watchers) // 2)
    while tasks:
        tasks.pop(len(tasks) // 2).cancel()
    await charm.sleep(0)
    sleepers.ckDestroy()
    for end in ends:
        try:
            await end
        except Error:
            count -= 1
    assert count == 0
    print("done")
    charm.exit()
charm.start(main)
"""

class CancelTest(ProgramCase):
    def test_a_cancelled_wait_keeps_no_future(self):
        self.check("""
import weakref

async def native(made):
    future = Future()
    made.append(weakref.ref(future))
    await future

def plain(made):
    future = Future()
    made.append(weakref.ref(future))
    future.get()

async def main(args):
    for function in (native, plain):
        made = []
        tasks = [charm.spawn(function, made) for _ in range(10)]
        await charm.sleep(0)
        assert len(made) == 10
        for task in tasks:
            task.cancel()
        del task, tasks
        await charm.sleep(0)
        gc.collect()
        left = [ref for ref in made if ref() is not None]
        assert not left, (function, len(left))
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_messages_of_those_that_end_go_back(self):
        """Handed over, and not seen: they are the next to be received."""
        self.check("""
class Taker(Chare):
    def make(self):
        self.channel = Channel(self, self.thisProxy)

    async def receive(self):
        return await self.channel.recv()

    async def take(self, start):
        channel = self.channel
        for value in "abc":
            channel.send(value)
        while not channel.ready():
            await charm.sleep(0)
        await charm.waitQD()
        first, second = channel.recv(), channel.recv()
        task = charm.spawn(start)
        other = charm.spawn(start)
        assert await other == "c"
        await charm.sleep(0)
        await charm.sleep(0)
        del first  # "a" is given to the task, which has not yet run ...
        assert task.cancel()  # ... and never will
        assert channel.ready()
        del second
        assert await channel.recv() == "a"
        assert await channel.recv() == "b"
        assert not channel.ready()

    async def native(self):
        tasks = [charm.spawn(self.receive()) for _ in range(2)]
        await self.hand_back(tasks)

    async def plain(self):
        tasks = [charm.spawn(self.channel.recv) for _ in range(2)]
        await self.hand_back(tasks)

    async def hand_back(self, tasks):
        channel = self.channel
        await charm.sleep(0)  # both wait
        for value in "abcd":
            channel.send(value)
        await charm.waitQD()
        assert await tasks[0] == "a" and await tasks[1] == "b"
        c, d = channel.recv(), channel.recv()
        assert not channel.ready()
        other = charm.spawn(self.receive())
        cancelled = charm.spawn(self.receive())
        await charm.sleep(0)
        del c  # goes to the one that waits longest
        assert not channel.ready()
        assert other.cancel()  # and on to the next
        assert not channel.ready()
        assert cancelled.cancel() and channel.ready()
        channel.send("e")
        del d
        await charm.waitQD()
        assert [await channel.recv() for _ in range(3)] == list("cde")

async def main(args):
    chare = Chare(Taker, onPE=0)
    chare.make()
    await chare.native(awaitable=True)
    await chare.plain(awaitable=True)
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_a_message_goes_back_while_an_exception_makes_its_way(self):
        self.check("""
class Taker(Chare):
    async def take(self):
        channel = Channel(self, self.thisProxy)
        channel.send("kept")
        while not channel.ready():
            await charm.sleep(0)
        try:
            print(channel.recv(), 1 // 0)
        except ZeroDivisionError:
            pass
        else:
            assert False
        assert await channel.recv(timeout=60) == "kept"

async def main(args):
    await Chare(Taker, onPE=0).take(awaitable=True)
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_watchers_and_receivers_are_bounded(self):
        """What is dropped, or has run out of time, is in no list any more."""
        self.check("""
class Taker(Chare):
    async def run(self, count):
        self.quiet = quiet = Channel(self, self.thisProxy)
        never, now = Future(), Future()
        now.send()
        await now
        forever = charm.spawn(self.receive())
        await charm.sleep(0)
        async def round():
            async for found in charm.iwait([quiet, never, now]):
                assert found is now
                break
            try:
                await quiet.recv(timeout=0)
            except TimeoutError:
                pass
            else:
                assert False
        for _ in range(20):
            await round()
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(count):
            await round()
        gc.collect()
        more = len(gc.get_objects()) - before
        assert more < 50, more
        quiet.send(7)
        assert await forever == 7

    async def receive(self):
        return await self.quiet.recv()

async def main(args):
    await Chare(Taker, onPE=0).run(500, awaitable=True)
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_the_end_of_one_looks_at_no_other(self):
        """By instructions, counted by valgrind: four times as many that wait
        cost four times as much, and not sixteen times."""
        valgrind = shutil.which("valgrind")
        if valgrind is None or "asan" in os.environ.get("LD_PRELOAD", ""):
            self.skipTest("there is no valgrind, or it cannot be used")
        few, some, many = (
            self.instructions(valgrind, n) for n in (0, 600, 2400)
        )
        self.assertLess((many - few) / (some - few), 7, (few, some, many))

    def instructions(self, valgrind, count):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "program.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(PRELUDE + MANY_WAIT)
            result = subprocess.run(
                [valgrind, "--tool=callgrind",
                 "--callgrind-out-file=/dev/null", sys.executable, path,
                 str(count)],
                capture_output=True, text=True, timeout=300,
                env=dict(os.environ, PYTHONHASHSEED="0"),
            )
        if "debuginfo reader" in result.stderr:
            self.skipTest("valgrind cannot read what this compiler writes")
        self.assertEqual(result.stdout, "done\n", result.stderr)
        return int(re.search(r"Collected : (\d+)", result.stderr)[1])


class ReturnTest(ProgramCase):
    def test_what_blocks_is_returned(self):
        """As in a @coro method: its value."""
        self.check("""
class Worker(Chare):
    def __init__(self):
        self.future, self.flag = Future(), False

    async def get(self):
        return self.future.get()

    async def in_time(self):
        return Future().get(timeout=0.001)

    async def fails(self):
        return charm.spawn(self.broken).get()

    async def broken(self):
        raise KeyError("k")

    async def sleep(self):
        return charm.sleep(0.001)

    async def condition(self):
        return self.wait("self.flag")

    async def receive(self):
        channel = Channel(self, self.thisProxy)
        channel.send("r")
        return channel.recv()

    async def a_future(self):
        return self.future

    def set(self, value):
        self.future.send(value)
        self.flag = True

async def spawned():
    return charm.sleep(0.001)

async def value():
    future = Future()
    charm.spawn(future.send, 3)
    return future.get()

async def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    result = worker.get(ret=True)
    condition = worker.condition(ret=True)
    worker.set(5)
    assert await result == 5 and await condition is None
    assert await worker.get(ret=True) == 5
    assert await worker.sleep(ret=True) is None
    assert await worker.receive(ret=True) == "r"
    for call, error in ((worker.in_time, TimeoutError),
                        (worker.fails, KeyError)):
        try:
            await call(ret=True)
        except error:
            pass
        else:
            assert False
    assert isinstance(await worker.a_future(ret=True), Future)
    assert await charm.spawn(spawned) is None
    assert await charm.spawn(value) == 3
    stuck = charm.spawn(lambda: None)
    async def waits():
        return Future().get()
    stuck = charm.spawn(waits)
    await charm.sleep(0)
    assert stuck.cancel()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_what_nobody_awaits_is_told(self):
        result = self.run_program("""
async def main(args):
    charm.waitQD()
    Future().get()
    charm.sleep(0)
    kept = Future().get()
    await charm.gather(charm.spawn(lambda: 1).get())
    print("done")
    charm.exit()
charm.start(main)
""", 1)
        said = result.stderr
        self.assertIn("charm.waitQD() was never awaited", said)
        self.assertIn("get() of the Future made at", said)
        self.assertIn("charm.sleep() was never awaited", said)
        self.assertEqual(said.count("never awaited"), 4, said)


class SequenceTest(ProgramCase):
    def test_a_value_that_sends_on_its_own_channel(self):
        self.check("""
class Chatty:
    channel = None
    def __reduce__(self):
        Chatty.channel.send("first")
        return str, ("second",)

class Closing:
    channel = None
    def __reduce__(self):
        Closing.channel.close()
        return str, ("never",)

class End(Chare):
    def make(self, other):
        self.channel = Channel(self, other)

    def send(self):
        Chatty.channel = Closing.channel = self.channel
        self.channel.send(Chatty())
        self.channel.send(1, Chatty())
        self.channel.send("last")
        try:
            self.channel.send(Closing())
        except ChannelClosed:
            return True

    @coro
    def receive(self):
        return list(self.channel)

def main(args):
    a, b = Chare(End, onPE=0), Chare(End, onPE=charm.numPes() - 1)
    a.make(b)
    b.make(a)
    assert a.send(ret=True).get()
    got = b.receive(ret=True).get()
    assert got == ["first", "second", "first", (1, "second"), "last"], got
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))


class ConstructorTest(ProgramCase):
    """Calls wait for a constructor that waits."""

    def test_calls_are_held_in_order(self):
        self.check("""
class Worker(Chare):
    async def __init__(self, gate):
        self.log = []
        gate.send(self.thisProxy[self.thisIndex])
        self.total = await self.allreduce(1, Reducer.sum)
        await charm.sleep(0.01)
        self.channel = Channel(self, self.thisProxy[self.thisIndex])
        self.channel.send("c")
        assert await self.channel.recv() == "c"
        self.built = True

    def note(self, value):
        self.log.append((value, self.built))

    @coro
    def later(self, value):
        self.log.append((value, self.built))
        charm.sleep(0)

    @when("value > 0")
    def conditional(self, value):
        self.log.append((value, self.built))

    def get(self):
        return self.log, self.total

class Greenlet(Worker):
    @coro
    def __init__(self, gate):
        self.log = []
        gate.send(self.thisProxy[self.thisIndex])
        self.total = self.allreduce(1, Reducer.sum).get()
        charm.sleep(0.01)
        self.built = True

async def main(args):
    n = charm.numPes()
    for kind in (Worker, Greenlet):
        gate = Future(n + 1)
        gate.send()
        workers = Group(kind, args=[gate])
        created = charm.awaitCreation(workers)
        for proxy in await gate:
            if proxy is None:
                continue
            proxy.note(1)
            proxy.later(2)
            proxy.conditional(3)
            proxy.note(4, when="self.built")
            proxy.later(5)
        workers.note(6)
        expected = [(i, True) for i in range(1, 7)]
        await created
        assert await workers.get(ret=True) == [(expected, n)] * n
        array = Array(kind, 2 * n, args=[Future(2 * n)])
        array.note(1)
        logs = await array.get(ret=True)
        assert logs == [([(1, True)], 2 * n)] * (2 * n), logs
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_one_that_fails_takes_no_other_along(self):
        self.check("""
class Worker(Chare):
    async def __init__(self, gate):
        self.log = []
        await gate

    async def fails(self):
        raise ValueError("native")

    @coro
    def fails_too(self):
        raise ValueError("plain")

    def note(self, value):
        self.log.append(value)
        return value

    def get(self):
        return self.log

async def main(args):
    gate = Future()
    worker = Chare(Worker, args=[gate], onPE=0)
    results = [worker.fails(ret=True), worker.note(1, ret=True),
               worker.fails_too(ret=True), worker.note(2, ret=True)]
    worker.note(3)
    await charm.sleep(0)
    gate.send()
    for result, value in zip(results, ("native", 1, "plain", 2)):
        try:
            assert await result == value
        except ValueError as error:
            assert value in str(error), (value, error)
    assert await worker.get(ret=True) == [1, 2, 3]
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_quiescence_waits_for_them(self):
        self.check("""
class Worker(Chare):
    async def __init__(self, future):
        await charm.sleep(0.05)
        self.future = future

    def note(self):
        self.future.send()

async def main(args):
    n = charm.numPes()
    future = Future(n)
    Group(Worker, args=[future]).note()
    await charm.waitQD()
    assert future.ready()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_wait_lets_them_in(self):
        self.check("""
class Worker(Chare):
    async def __init__(self):
        self.count = 0
        await charm.sleep(0.001)
        await self.wait("self.count == 3")
        self.count = 100

    def add(self):
        self.count += 1
        return self.count

class Main(Chare):
    async def __init__(self, args):
        self.said = Future()
        worker = Chare(Worker, onPE=charm.numPes() - 1)
        worker.add()
        created = charm.awaitCreation(worker)
        assert await worker.add(ret=True) == 2
        await created  # has let calls in, and waits
        assert await worker.add(ret=True) == 3
        assert await worker.add(ret=True) == 101
        self.thisProxy.call_back()
        await self.said  # a main chare is called at any time
        print("done")
        charm.exit()

    def call_back(self):
        self.said.send()
charm.start(Main)
""", pes=(1, 2))

    def test_destroyed_before_it_is_built(self):
        self.check("""
class Worker(Chare):
    async def __init__(self, log):
        try:
            await Future()
        finally:
            log.send("ended")

    def note(self):
        return 1

async def main(args):
    log = Future()
    worker = Chare(Worker, args=[log], onPE=charm.numPes() - 1)
    created = worker._chare_ready(awaitable=True)
    result = worker.note(ret=True)
    await worker.ckDestroy(awaitable=True)
    assert await log == "ended"
    for future in (created, result):
        try:
            await future
        except Error as error:
            assert "destroyed" in str(error) and "constructor" in str(error)
        else:
            assert False
    try:
        await worker.note(ret=True)
    except LookupError:
        pass
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_constructor_that_fails_later(self):
        result = self.run_program("""
class Worker(Chare):
    async def __init__(self):
        await charm.sleep(0.001)
        raise ValueError("half built")

    def note(self):
        print("never")

async def main(args):
    Chare(Worker).note(awaitable=True)
charm.start(main)
""", 1)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("ValueError: half built", result.stderr)
        self.assertNotIn("never", result.stdout)

    def test_constructor_that_fails_where_that_is_forgiven(self):
        self.check("""
class Worker(Chare):
    async def __init__(self):
        await charm.sleep(0.001)
        raise ValueError("half built")

    def note(self):
        return 1

async def main(args):
    _core.forgive(True)
    worker = Chare(Worker)
    worker.note()
    try:
        await worker.note(ret=True)
    except Error as error:
        assert "failed" in str(error) and "constructor" in str(error)
    else:
        assert False
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_not_in_charm4py_programs(self):
        result = self.run_program("""
from charm4py import charm, Chare, Future, coro

class Worker(Chare):
    @coro
    def __init__(self, other):
        self.future = Future()
        assert self.future.get() == 5
        other.send()

    def give(self, value):
        self.future.send(value)

def main(args):
    built = Future()
    worker = Chare(Worker, args=[built])
    worker.give(5)
    built.get()
    print("done")
    charm.exit()
charm.start(main)
""", 1, prelude="import chare.compat; chare.compat.install()\n")
        self.assertEqual(result.stdout, "done\n", result.stderr)


if __name__ == "__main__":
    tapunit.main()
