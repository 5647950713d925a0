# SPDX-License-Identifier: BSD-3-Clause
"""Goal: iwait, as_completed, wait and timers, with suspension anywhere.
Method: programs on 1 and on 4 PEs that assert."""

import tapunit
from program import ProgramCase

WORKER = """
class Worker(Chare):
    async def late(self, x):
        await charm.sleep(0.002 * x)
        return x

    def fail(self):
        raise ValueError("no")
"""


class WaitTest(ProgramCase):
    def check(self, source, **keywords):
        super().check(WORKER + source, **keywords)

    def test_suspension_in_the_loop(self):
        """D18: Charm4py crashes when the body of iwait() suspends."""
        self.check("""
def main(args):
    workers = Group(Worker)
    n = charm.numPes()
    for iterate in (charm.iwait, charm.as_completed):
        futures = [workers[i % n].late(i % 4, ret=True) for i in range(8)]
        seen = []
        for future in iterate(futures):
            charm.sleep(0.001)
            seen.append(future.get())
            assert workers[0].late(0, ret=True).get() == 0
        assert sorted(seen) == sorted(f.get() for f in futures)
        assert list(iterate(futures)) == futures  # ready ones, in order
    assert list(charm.iwait([])) == []
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_async_for(self):
        self.check("""
async def main(args):
    workers = Group(Worker)
    futures = [workers[i % charm.numPes()].late(i % 4, ret=True)
               for i in range(8)]
    seen = []
    async for future in charm.as_completed(futures):
        seen.append(await future)
        await charm.sleep(0.001)
        async for inner in charm.iwait([workers[0].late(0, ret=True)]):
            assert inner.ready()
    assert sorted(seen) == sorted([i % 4 for i in range(8)])
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_order_is_that_of_completion(self):
        self.check("""
def main(args):
    a, b, c = Future(), Future(), Future()
    async def fire():
        for future in (c, a, b):
            future.send(1)
            await charm.sleep(0.005)
    charm.spawn(fire)
    assert list(charm.iwait([a, b, c])) == [c, a, b]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_wait_for_all(self):
        self.check("""
def main(args):
    workers = Group(Worker)
    futures = [workers[0].late(2, ret=True), workers[0].fail(ret=True)]
    assert charm.wait(futures) is None
    assert all(future.ready() for future in futures)
    try:
        futures[1].get()
    except ValueError:
        pass
    else:
        assert False
    charm.wait([])
    charm.spawn(native, workers).get()
    try:
        charm.wait([1])
    except TypeError:
        pass
    else:
        assert False
    print("done")
    charm.exit()

async def native(workers):
    futures = [workers[0].late(2, ret=True), workers[0].late(0, ret=True)]
    await charm.wait(futures)
    assert all(future.ready() for future in futures)
charm.start(main)
""")

    def test_other_objects(self):
        """What has a method _ready_future() can be waited for."""
        self.check("""
class Source:
    def __init__(self):
        self.future = Future()

    def _ready_future(self):
        return self.future

def main(args):
    a, b = Source(), Source()
    b.future.send()
    charm.wait([b])
    assert next(charm.iwait([a, b])) is b
    a.future.send()
    assert set(charm.iwait([a, b])) == {a, b}
    print("done")
    charm.exit()
charm.start(main)
""")


class TimerTest(ProgramCase):
    def test_any_number(self):
        """D6: Charm4py has 127 timers on a PE, sleeps included."""
        self.check("""
fired = []
async def sleeper(i):
    await charm.sleep(0.02)
    return i

def blocked(i):
    charm.sleep(0.02)
    return i

def main(args):
    for i in range(500):
        charm.scheduleCallableAfter(fired.append, 0.01, [i])
    futures = [charm.spawn(sleeper, i) for i in range(1000)]
    futures += [charm.spawn(blocked, i) for i in range(200)]
    assert charm.gather(*futures).get() == [*range(1000), *range(200)]
    assert fired == list(range(500))
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
